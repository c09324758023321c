"""The table of verbs: what `--help` lists, what the reference page shows, and where each verb is found."""

from __future__ import annotations

from gluerun.records.record import record


@record
class Verb:
    """One verb; its words, the module that has it, and its sentence. No module: it is not built yet."""

    name: str
    module: str
    function: str
    doc: str

    @property
    def group(self) -> str:
        """The first word of a verb of two words."""
        return self.name.split(" ")[0] if " " in self.name else ""


def _verb(name: str, module: str, doc: str) -> Verb:
    return Verb(name=name, module=module, function=name.replace(" ", "_").replace("-", "_"), doc=doc)


# A table is read by column.
# fmt: off
VERBS: tuple[Verb, ...] = (
    _verb("init",         "setup",  "Write the starter files of a repository."),
    _verb("doctor",       "setup",  "Say what is in order here and what is not."),
    _verb("config show",  "setup",  "Show every setting that is in force, and where it comes from."),
    _verb("config set",   "setup",  "Set a key of the configuration."),
    _verb("config unset", "setup",  "Take a key out of the configuration."),
    _verb("runners",      "runners", "List the agent programs and what each is fit for."),
    _verb("task list",    "tasks",  "List the tasks."),
    _verb("task show",    "tasks",  "Show one task."),
    _verb("task new",     "tasks",  "Write the file of a new task."),
    Verb(name="import", module="imports", function="import_file",
         doc="Write task files out of a batch, a checklist or issues."),
    _verb("plan",         "plans",  "Plan a node of the graph now."),
    _verb("reconcile",    "cycle",  "Run one cycle: look, plan and, if asked to, act."),
    _verb("drive",        "cycle",  "Drive one task to its end in the foreground."),
    _verb("auto",         "cycle",  "Run cycles until everything is done."),
    _verb("status",       "cycle",  "Say what runs, what waits and what needs you."),
    _verb("explain",      "reading", "Say where a task is, why, and what would change it."),
    _verb("logs",         "logs",    "Print what the programs of a task say, or follow it."),
    _verb("health",       "reading", "Say what needs attention; exit code 1 if anything does."),
    _verb("gates",        "reading", "Show the gate results of nodes and the latest gate runs."),
    _verb("prove",        "proving", "Run the gates of an occasion on the target branch now."),
    _verb("queue",        "queue",   "Show who waits to land and what is being proved."),
    _verb("receipts",     "queue",   "Show what gates have said of a commit's code."),
    _verb("flakes",       "flakes",  "Show which tests flake, how often, and which are in quarantine."),
    _verb("flake quarantine", "flakes", "Let a flaky test's failure make no work red for some days."),
    _verb("flake release", "flakes", "Let a test in quarantine count again."),
    _verb("whatif",       "whatif",  "Say how soon the last changes would have landed with other gate slots."),
    _verb("integrate",    "cycle",  "Merge the accepted work whose gate is green."),
    _verb("recover",      "cycle",  "Look for lost runs and work trees."),
    _verb("validate-dag", "graph",  "Tell whether the planning graph holds together."),
    _verb("next-area",    "graph",  "Show the first node that may be planned."),
    _verb("next-areas",   "graph",  "Show every node that may be planned."),
    _verb("node-fields",  "graph",  "Show the fields of a node that may be planned."),
    _verb("area-gate",    "graph",  "Tell whether a node is complete."),
    _verb("promote-gate", "graph",  "Complete a node whose work is merged and green."),
    _verb("human-gate request", "humangate", "Ask a person about a node."),
    _verb("human-gate approve", "humangate", "Approve a node."),
    _verb("human-gate reject", "humangate", "Say that a node is not to be completed as it is."),
    _verb("human-gate status", "humangate", "Tell whether a person has approved a node."),
    _verb("graph",        "graph",  "Show the planning graph with the state of every node."),
    _verb("watch",        "watching", "Show the board in the terminal, as it changes."),
    _verb("report",       "morning", "Say what landed, what is parked, what it cost and what needs you."),
    _verb("timer install", "timer", "Let the system run cycles here by itself."),
    _verb("timer show",   "timer",  "Show the timer of this repository."),
    _verb("timer remove", "timer",  "Take the timer of this repository away."),
    _verb("stop",         "orders", "Plan and start nothing new; what is under way goes on."),
    _verb("resume",       "orders", "Take STOP away."),
    _verb("wake",         "orders", "Let a resident loop that sleeps look at once."),
    _verb("park",         "orders", "Take a task out of the running until you say otherwise."),
    _verb("unpark",       "orders", "Let a parked task go on."),
    _verb("retry",        "orders", "Give a parked or failed task another try."),
    _verb("cancel",       "orders", "Give a task up for good."),
    _verb("supersede",    "orders", "Replace a task by another one."),
    _verb("reprioritize", "orders", "Say how early a task is started."),
    _verb("approvals",    "approvals", "List what waits for a person's approval."),
    _verb("approval show", "approvals", "Show what a request is about: text, difference, evidence, risks."),
    _verb("approval renew", "orders", "Ask anew where a request expired."),
    _verb("approve",      "orders", "Let a task go on that waits for approval."),
    _verb("reject",       "orders", "Send work back that waits for approval."),
    _verb("breaker show", "leases", "Show how many failures came in a row."),
    _verb("breaker reset", "orders", "Let the loop start work again after too many failures."),
    _verb("clear-backoff", "orders", "Let a provider be asked again at once."),
    _verb("lease list",   "leases", "List who holds which task and node."),
    _verb("lease show",   "leases", "Show the lease on one task."),
    _verb("costs",        "costs",  "Show what the agents used and cost."),
    _verb("rescue list",  "rescues", "List what was rescued before it was removed."),
    _verb("rescue show",  "rescues", "Show what a rescue holds."),
    _verb("rescue restore", "rescues", "Get a rescue back, into a new branch or a new folder."),
    _verb("gc",           "rescues", "Give up what is old and not needed, and say how much it frees."),
    _verb("verify",       "verify", "Tell whether the journal and every merge's evidence are whole."),
    _verb("backtest",     "backtest", "Replay the history of a repository through the engine."),
    _verb("demo",         "trial",   "Play a small backlog in a repository of its own."),
    _verb("update",       "versions", "Let this repository want an installed version of the engine."),
    _verb("migrate",      "versions", "Bring this repository to the engine's data contract."),
    _verb("version",      "version", "Show the version of the engine and of its data."),
)
# fmt: on

# What `--help` lists under which heading, the first steps first; every verb stands in exactly one.
SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Start here", ("init", "doctor", "task new", "reconcile", "auto", "status", "demo")),
    ("Work", ("import", "drive", "integrate", "prove", "recover", "task list", "task show")),
    ("Look", ("watch", "explain", "logs", "health", "queue", "report", "costs", "gates", "receipts", "flakes", "whatif",
              "lease list", "lease show")),
    ("Steer", ("stop", "resume", "wake", "park", "unpark", "retry", "cancel", "supersede", "reprioritize",
               "breaker show", "breaker reset", "clear-backoff", "flake quarantine", "flake release")),
    ("Approve", ("approvals", "approval show", "approve", "reject", "approval renew", "human-gate request",
                 "human-gate status", "human-gate approve", "human-gate reject")),
    ("Plan", ("plan", "graph", "validate-dag", "next-area", "next-areas", "node-fields", "area-gate", "promote-gate")),
    ("Safety", ("rescue list", "rescue show", "rescue restore", "gc", "verify", "backtest")),
    ("Setting up", ("runners", "config show", "config set", "config unset", "timer install", "timer show",
                    "timer remove", "update", "migrate", "version")),
)  # fmt: skip

# Verbs of the predecessor that people may still type.
LATER = (
    "console", "gate", "ask", "accept-packet", "setup", "test",
    "metrics", "campaign", "context", "memory", "manifest", "review-policy", "experiment-report",
)  # fmt: skip
