"""The table of settings: the one source of the code's defaults, of `--help` and of the reference page."""

from __future__ import annotations

from gluerun.records.codec import wire_name
from gluerun.records.config import ApprovalRule, Config, ControlState, OnRedMain, PlanCritiqueMode, TamperRule
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PREFIX = "GLUERUN_"
HIGH = 1_000_000_000
TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off")


@record
class Knob:
    """One setting: its field in the configuration, and every name by which a person can set it."""

    name: str
    field: str
    type: type[Any]
    default: Any
    env: str
    key: str
    doc: str
    low: float = 0
    choices: tuple[str, ...] = ()


@record
class Shape:
    """A key of the file that is more than one plain value: how it is written, and what it means."""

    key: str
    form: str
    doc: str


def _knob(field: str, doc: str, *, name: str = "", low: float = 0, choices: tuple[str, ...] = ()) -> Knob:
    # Config holds the defaults, so that a default cannot differ between the two tables.
    default = getattr(Config, field, "")
    name = name or field.upper()
    return Knob(
        name=name,
        field=field,
        type=str if isinstance(default, str) else type(default),
        default=default,
        env=PREFIX + name,
        key=wire_name(field),
        doc=doc,
        low=low,
        choices=choices,
    )


# A table is read by column.
# fmt: off
KNOBS: tuple[Knob, ...] = (
    _knob("target_branch", "the branch that finished work is merged into"),
    _knob("gate_command", "the command that must be green before anything is merged", name="DEFAULT_GATE_CMD"),
    _knob("runner", "the runner that plays every role which names none of its own"),
    _knob("require_audit", "let an auditor judge each change before it is accepted"),
    _knob("require_packet", "refuse a worker's change that comes without its report"),
    _knob("protect_orchestration", "refuse changes of a worker under docs/orchestration"),
    _knob("look_for_secrets", "refuse commits, pushes and task files with what looks like a secret"),
    _knob("test_tamper", "what happens when tests are lost, skipped or weakened: the auditor is told, or the try fails",
          choices=tuple(TamperRule)),
    _knob("new_tests_on_base", "run the tests of a green try on its base, too, and tell the auditor how they end"),
    _knob("approve_plan", "whether a person approves a task's text before it is first started",
          choices=tuple(ApprovalRule)),
    _knob("approval", "whether a person approves finished work, its gate green, before it lands",
          choices=tuple(ApprovalRule)),
    _knob("approval_expires_hours", "hours after which a request that nobody answered expires; 0 means never"),
    _knob("area_prefix", "the leading path that is left out when an area is guessed from a file"),
    _knob("prewarm", "a command run in every new work tree after those of bootstrap; it must succeed",
          name="PREWARM_CMD"),
    _knob("control_state", "where the records of tasks are published: a ref of its own, the target branch, or nowhere",
          choices=tuple(ControlState)),
    _knob("max_concurrent", "how many tasks may run at the same time", low=1),
    _knob("max_dispatch", "how many tasks one cycle may start"),
    _knob("detached_dispatch", "let workers live on their own instead of waiting for each batch"),
    _knob("auto_integrate", "merge accepted work in each cycle that acts"),
    _knob("auto_promote_gates", "complete a node of the graph when all its tasks are merged and its gate is green"),
    _knob("generate", "ask the planner for tasks when none is ready"),
    _knob("push", "push the target branch after each merge; `auto` and timers push unless told not to; "
          "the file may say it as `integration.remote` instead"),
    _knob("max_hours", "hours after which `auto` stops; 0 means no limit"),
    _knob("max_usd", "US dollars after which `auto` starts nothing new and ends; 0 means no limit"),
    _knob("max_tasks", "different tasks after which `auto` starts no other and ends; 0 means no limit"),
    _knob("notify_command", "a shell command that is given, as JSON on stdin, what needs you and why `auto` ended"),
    _knob("notify_webhook", "a web address that the same is posted to; it belongs into the local file if it is secret"),
    _knob("max_retries", "how often a task is tried again before it is parked"),
    _knob("max_consec_fails", "failures in a row after which nothing new is started", low=1),
    _knob("stale_minutes", "minutes that a run gets beyond the limits of its programs before it is ended", low=1),
    _knob("session_affinity", "let a try go on with the session of the try before, where that is safe"),
    _knob("session_max_age_sec", "seconds after which a session is no longer gone on with", low=1),
    _knob("fix_prompt_structured", "give the next try the findings as a list instead of raw text"),
    _knob("decider_fast", "use the table of decisions before asking a model"),
    _knob("worker_infra_max", "extra tries after a failure of the worker's infrastructure"),
    _knob("audit_infra_max", "extra tries after a failure of the auditor's infrastructure"),
    _knob("context_section_max_chars", "characters after which a section of a prompt is cut", low=200),
    _knob("preflight_require_acceptance", "refuse a task without acceptance criteria"),
    _knob("gate_timeout_sec", "seconds after which a gate is ended", low=1),
    _knob("gate_slots", "how many candidates of the merge queue may be proved at the same time", low=1),
    _knob("flake_reruns", "how often a red candidate is asked again, so that a flake sends nobody back"),
    _knob("on_red_main", "what is done while the target itself is red: `pause` begins nothing new, `go-on` does, "
          "`revert` pauses and lands the proved revert of the culprit", choices=tuple(OnRedMain)),
    _knob("nightly_at", "from when on, in UTC, the gates of `nightly` run once a day; `never` leaves them to "
          "`gluerun prove`"),
    _knob("gate_port_base", "the first port of gate slot 0; each slot has a hundred of its own", low=1024),
    _knob("decider_timeout_sec", "seconds after which the decider's call is ended", low=1),
    _knob("kill_grace_sec", "seconds between asking a process tree to end and killing it"),
    _knob("orphan_grace", "seconds that what is left of a run may live on after its wrapper is gone"),
    _knob("min_disk_gb", "gigabytes that must be free before anything new is started"),
    _knob("ballast_mb", "megabytes held back in the state folder and given up when the disk is full; 0 means none"),
    _knob("max_l1_concurrent", "how many nodes of the graph may be planned at the same time"),
    _knob("l1_tasks_per_node", "how many tasks a planner may propose at once for one node", low=1),
    _knob("planner_backoff_seconds", "seconds to wait after a planner failed"),
    _knob("plan_critique", "let a critic judge each planner's batch, with one round of revision",
          choices=tuple(PlanCritiqueMode)),
    _knob("sleep", "seconds between two cycles of `auto` in which nothing happened"),
    _knob("drain_poll_secs", "seconds between two looks while draining"),
    _knob("drain_timeout_secs", "seconds after which draining gives up; 0 means never"),
    _knob("journal_file_bytes", "bytes after which a file of the journal is sealed and a new one begun", low=1024),
)

SHAPES: tuple[Shape, ...] = (
    Shape(key="$schema", form='"docs/orchestration/gluerun.config.schema.json"',
          doc="where an editor finds the description of this file; `gluerun init` puts it there"),
    Shape(key="schemaVersion", form='"v1"', doc="the version of the data contract this file is written for"),
    Shape(key="engineVersion", form='"0.1.0"', doc="the engine this repository expects; `.gluerun-version` wins"),
    Shape(key="_comment", form='"text" or ["text", …]', doc="a remark for the next reader; ignored"),
    Shape(key="runners", form='{name: {"kind", "argv", "model", …}}',
          doc="agent programs; `kind` is `command`, which needs `argv`, `scripted`, which needs `scenario`, or a "
          "declaration of the engine, over which the other keys go; all keys are on the page about runners"),
    Shape(key="roles", form='{"worker" | "auditor" | "planner" | "decider" | "critic": '
          '{"runner": name, "model": name}}',
          doc="which runner plays which role, and with which model if not its own; a declaration of the engine "
          "needs no entry in `runners`; the critic of plans is the planner's runner if nothing is said"),
    Shape(key="sandbox", form='"auto" | "required" | "off" or {"mode", "network": "open" | "loopback" | "none", '
          '"writable": [path, …], "roles": {role or "gate": {"mode", "network", "writable"}}, "container": [word, …]}',
          doc="what programs may write and reach; `container` is a command line that confines them"),
    Shape(key="limits", form='{"try" | "task" | "day": {"usd", "tokens", "turns", "seconds", "idleSeconds", '
          '"outputBytes", "noWrite", "onLimit": "stop" | "pause"}}', doc="what agents may use up; `idleSeconds`, "
          "`outputBytes` and `noWrite` belong to a try, and `usd` is refused where a runner could not be held to it; "
          "with `pause`, for a try or a task, a person is asked whether it goes on"),
    Shape(key="prices", form='{"model": {"fresh", "cached", "output"}}',
          doc="US dollars for a million tokens, by the beginning of a model's name; for programs that tell no cost"),
    Shape(key="review", form='{"independence": "none" | "session" | "model" | "provider"}',
          doc="how far the auditor's seat must differ from the worker's"),
    Shape(key="gc", form='{"keepDays", "keepRuns", "maxMb", "rescueDays", "auto": true or false}',
          doc="what `gluerun gc` keeps: logs and prompts of the newest runs and of the last days (50, 30), as many "
          "megabytes of them (0: no limit), rescues for so many days (90); `auto` lets a cycle tidy old runs each day"),
    Shape(key="integration", form='{"remote": "push" | "none", "mode": "merge" | "squash" | "rebase" | '
          '"pull-request", '
          '"sign": true or false}',
          doc="how finished work enters the target branch: `remote` says whether it is then pushed (`GLUERUN_PUSH`), "
          "`mode` as what (one merge, one plain commit, or the commits of its branch; `merge` if "
          "nothing is said; `pull-request` leaves the merge to a person), "
          "`sign` whether the commits made for it are signed with your git's key"),
    Shape(key="gates", form='[{"name", "command", "when": occasion or [occasion, …], "paths": ["pattern", …], '
          '"timeout", "slots", "required", "needs": [name, …], "junit": path, "minTests"}]',
          doc="the gates of a pipeline, instead of `gateCommand`; occasions are `task`, `merge` and `node`, all three "
          "if nothing is said, and `nightly`; all keys are on the page about gates"),
    Shape(key="sparse", form='true or false or ["folder", …]',
          doc="let a worker's place hold only what its task owns, the files beside and above that, and the folders "
          "that are named here"),
    Shape(key="areas", form="{name: path or [path, …]}", doc="names for parts of the repository"),
    Shape(key="areaPolicy", form='{area: {"approvePlan", "approval", "owner": name or [name, …], "questions": '
          '["text", …], "expiresHours"}}', doc="what tasks of an area ask of a person; only an owner can approve then, "
          "and has to answer every question"),
    Shape(key="riskPaths", form='["pattern", …]', doc="which files speak for asking a person where a rule is `risk`, "
          "instead of the usual ones; patterns as in `testPaths`"),
    Shape(key="proofLayers", form='["layer", …]',
          doc="layers whose nodes are complete only with proof that their guard can be red"),
    Shape(key="proofGrandfather", form='["node", …]', doc="nodes that need no such proof although their layer does"),
    Shape(key="singleSliceLayers", form='["layer", …]',
          doc="layers of whose nodes a planner may propose one task at a time; `contract` if nothing is said"),
    Shape(key="testPaths", form='["pattern", …]',
          doc="which files are tests, instead of the usual names; `tests/` means all below, `*_test.py` a name"),
    Shape(key="provisionFiles", form='[{"source", "target", "required"}]',
          doc="files ignored by git that are copied into every work tree"),
    Shape(key="bootstrap", form='["command", …] or {"commands": [{"command"}]}',
          doc="commands run in every new work tree; a failure stops the run"),
    Shape(key="envAllowlist", form='["NAME", …]', doc="variables of the environment that agents and gates may see"),
    Shape(key="env", form='{"NAME": "value"}', doc="variables set for agents and gates; settings by their "
          "`GLUERUN_` names are taken as such"),
    Shape(key="identity", form='{"l0" | "l1": {"name", "email"}}',
          doc="who commits: `l0` what the engine does itself, as merges; `l1` the work of a task's run, else `l0` too"),
    Shape(key="controlState", form='"ref" | "branch" | "off" or {"mode", "commitIntervalSeconds"}',
          doc="where the records of tasks are published; with `branch` the engine commits what changes without a "
          "merge at most this often (300)"),
    Shape(key="modules", form='["package.module" or "path/to/file.py", …]',
          doc="opt-in modules that guard or listen; files are read from the target branch (`GLUERUN_MODULES`: the same "
          "names, with commas between)"),
)
# fmt: on

BY_ENV = {knob.env: knob for knob in KNOBS}
BY_KEY = {knob.key: knob for knob in KNOBS}
BY_FIELD = {knob.field: knob for knob in KNOBS}


def from_json(knob: Knob, value: Any) -> Any:
    """Return a JSON *value* as the knob has it; ValueError with a sentence if it cannot be that."""
    accepted = (int, float) if knob.type is float else knob.type
    if not isinstance(value, accepted) or (knob.type is not bool and isinstance(value, bool)):
        raise ValueError(f"must be {kind_of(knob)}, not {value!r}")
    return _checked(knob, value)


def from_text(knob: Knob, text: str) -> Any:
    """Return a word of a shell or command line as the knob has it; ValueError with a sentence if it cannot be."""
    if knob.type is str:
        return _checked(knob, text)
    word = text.strip().lower()
    if knob.type is bool:
        if word not in TRUE + FALSE:
            raise ValueError(f"must be 1 or 0, not {text!r}")
        return word in TRUE
    try:
        value = knob.type(word)
    except ValueError:
        raise ValueError(f"must be {kind_of(knob)}, not {text!r}") from None
    return _checked(knob, value)


def kind_of(knob: Knob) -> str:
    """Return in words what a value of the knob looks like."""
    if knob.choices:
        return "one of " + ", ".join(repr(str(choice)) for choice in knob.choices)
    return {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}[knob.type]


def _checked(knob: Knob, value: Any) -> Any:
    if knob.choices and value not in knob.choices:
        raise ValueError(f"must be {kind_of(knob)}, not {value!r}")
    if knob.choices:
        return type(knob.default)(value)
    if knob.type is str and ("\0" in value or "\n" in value.strip()):
        raise ValueError("must be a single line of text")
    if knob.type in (int, float) and not knob.low <= value <= HIGH:
        raise ValueError(f"must be {kind_of(knob)} from {knob.low:g} to {HIGH}, not {value!r}")
    return float(value) if knob.type is float else value
