"""A host for drives: it answers every step the way a run does, from a script, and remembers the steps."""

from __future__ import annotations

from tests.core.worlds import NOW, run_id

from gluerun.core.steps import (
    AgentDone,
    Commit,
    Committed,
    Done,
    Gated,
    Inspect,
    Inspected,
    Keep,
    KeepAttempts,
    KeepText,
    OpenDispatch,
    Opened,
    Patch,
    Patched,
    Prepare,
    Prepared,
    Recall,
    Recalled,
    RunAgent,
    RunGate,
    RunSetup,
    Tell,
    Told,
)
from gluerun.records.child import How
from gluerun.records.dispatch import Role
from gluerun.records.fault import Fault, Limit
from gluerun.records.gate import GateCheck, GateVerdict
from gluerun.records.record import replace

CHANGED = ("src/thing1/a.py",)
SICK = "timed out after 9 s"


def head_of(number):
    return f"{number:040x}"


def agent(answer=None, **changes):
    """A program that ended well and left *answer*."""
    count = 0 if answer is None else 1
    return AgentDone(**{"how": How.EXITED, "exit_code": 0, "answer": answer, "answers": count, **changes})


def sick(tail=""):
    """A program that did not end well."""
    return AgentDone(how=How.TIMED_OUT, exit_code=-15, trouble=SICK, tail=tail)


def faulty(fault, **more):
    """A program that met a fault of its own."""
    return AgentDone(how=How.EXITED, exit_code=1, trouble=f"the worker met {fault}", fault=fault, **more)


def limited(limit=Limit.TURNS):
    """A program that was stopped at a limit."""
    return AgentDone(
        how=How.LIMIT, exit_code=-2, trouble="the worker used up its 9 turns", fault=Fault.LIMIT, limit=limit
    )


def says(verdict="accepted", **more):
    """An auditor's verdict, bound to the question by `Host`."""
    return {"verdict": verdict, "rationale": f"it is {verdict}", **more}


def decides(action, **more):
    """A model's decision, bound to the question by `Host`."""
    return {"action": action, "rationale": f"better to {action}", **more}


def changed(*paths, diff="d", **more):
    """What a look at the work tree finds; every digest differs unless *diff* is given."""
    return Inspected(changed=paths or CHANGED, diff_sha256=diff * 64, **more)


def check(step, result=GateVerdict.GREEN, code=0, **changes):
    return GateCheck(
        **{
            "run_id": run_id(1), "cmd": step.command, "exit_code": code, "result": result, "log_ref": "gate.log",
            "log_sha256": "5" * 64, "commit": step.commit, "code_tree": "6" * 64, "gate_sha256": "7" * 64,
            "duration_ms": 5, "created_at": NOW, **changes,
        }
    )  # fmt: skip


def green(step):
    return Gated(check=check(step))


def red(step, tail="2 failed", **changes):
    return Gated(check=check(step, GateVerdict.RED, 1, **changes), tail=tail)


def unclear(step):
    return Gated(check=check(step, GateVerdict.INCONCLUSIVE, 20))


def no_gate(step):
    return Gated(check=None, trouble="sh is missing")


class Host:
    """Answers by kind of step, each from its own list; the last entry of a list answers for ever.

    Entries for agents are AgentDone or documents; a document of an auditor or a decider is completed with
    the commit, the failure and the nonce that its prompt names, as an honest agent does.
    """

    def __init__(self, **script):
        self.steps = []
        self.opened = 0
        self.committed = 0
        self.cwd = "/house/.worktrees/TASK-0001"
        self.gone = set()
        self.script = {
            "worker": [{"summary": "did it"}],
            "auditor": [says()],
            "decider": [agent()],
            "planner": [agent()],
            "critic": [agent()],
            "prepare": [Prepared()],
            "setup": [Done()],
            "inspect": [changed()],
            "commit": [None],
            "gate": [green],
            "recall": [Recalled()],
        } | {name: list(value) if isinstance(value, list) else [value] for name, value in script.items()}

    def run(self, drive):
        """Feed *drive* to its end and return how it ended."""
        answer = None
        while True:
            try:
                step = drive.send(answer)
            except StopIteration as end:
                return end.value
            self.steps.append(step)
            answer = self.answer(step)

    def next(self, name):
        lines = self.script[name]
        return lines.pop(0) if len(lines) > 1 else lines[0]

    def answer(self, step):
        match step:
            case Prepare(place=place):
                return self.next(f"prepare_{place}" if f"prepare_{place}" in self.script else "prepare")
            case RunSetup():
                return self.next("setup")
            case OpenDispatch():
                self.opened += 1
                head = head_of(self.committed) if self.committed else ""
                place = {"cwd": self.cwd, "head": head} if step.role is Role.WORKER else {}
                return Opened(dispatch_id=f"{run_id(1)}.{self.opened}", nonce=f"{self.opened:032x}", **place)
            case RunAgent():
                return self.agent(step)
            case Inspect():
                return self.next("inspect")
            case Commit():
                self.committed += 1
                return self.next("commit") or Committed(head=head_of(self.committed), code_tree="6" * 64)
            case RunGate():
                return self.next("gate")(step)
            case Patch(old=old, new=new, needed=needed):
                gone = not needed and old in self.gone
                return Patched(text="" if gone else f"the difference of {old} and {new}", is_known=not gone)
            case Recall(run_id=earlier, name=name):
                return Recalled(document=self.kept(name)) if earlier == run_id(1) else self.next("recall")
            case Tell():
                return Told(now="2026-01-31T12:00:00Z")
        return Done()

    def agent(self, step):
        line = self.next(step.role.value)
        if isinstance(line, tuple):  # an answer of somebody who says who it is
            line, seat = line
            return replace(self._said(step, line), seat=seat)
        return self._said(step, line)

    def _said(self, step, line):
        if isinstance(line, AgentDone):
            return line
        bound = {"nonce": step.nonce} if step.role in (Role.AUDITOR, Role.DECIDER) else {}
        for name, word in (("headSha", "headSha: "), ("failureClass", "failureClass: ")):
            if bound and word in step.prompt:
                bound[name] = step.prompt.split(word, 1)[1].split("\n")[0]
        return agent(bound | line)

    # what a test asks afterwards

    def of(self, kind):
        return [step for step in self.steps if isinstance(step, kind)]

    def prompts(self, role):
        return [step.prompt for step in self.of(RunAgent) if step.role is role]

    def kept(self, name):
        """Return the last document that was kept under *name*; None if there was none."""
        return next((step.document for step in reversed(self.of(Keep)) if step.name == name), None)

    def attempts(self):
        """Return the index of tries as it was last kept."""
        return self.of(KeepAttempts)[-1].index.attempts

    def story(self):
        """Return the steps in words, without those that only ask for the time."""
        return [_words(step) for step in self.steps if not isinstance(step, Tell)]


def _words(step):
    match step:
        case OpenDispatch(role=role):
            return f"open {role}"
        case RunAgent(role=role, place=place):
            return f"{role} in {place}"
        case Keep(name=name) | KeepText(name=name):
            return f"keep {name}"
        case KeepAttempts(index=index):
            return f"keep {sum(1 for one in index.attempts if one.ended_at)} of {len(index.attempts)} tries"
    name = type(step).__name__.lower()
    place = getattr(step, "place", None)
    return f"{name} {place}" if place else name
