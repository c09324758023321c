"""How a run starts an agent program and reads what became of it: its call, its limits, its costs, its answer."""

from __future__ import annotations

from datetime import timedelta

from gluerun.assets import answer_schema
from gluerun.core import answers, prices, reading, sandbox, secrets
from gluerun.core.calling import Ask, call_of, session_of
from gluerun.core.environment import of_agent
from gluerun.core.limits import READ_ONLY, added, allowance, total
from gluerun.core.steps import AgentDone
from gluerun.errors import SchemaError
from gluerun.loop.booking import EXPENSES, LONGEST_LOG, expense_path, load_expense, meter_path
from gluerun.loop.store import run_path
from gluerun.records import codec, schema
from gluerun.records.child import Child, DayMeter, How, scratch_of
from gluerun.records.dispatch import Role
from gluerun.records.fault import Fault, Limit
from gluerun.records.record import replace
from gluerun.records.runner import Dialect, Limits, RunnerKind
from gluerun.records.spending import Expense

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.core.calling import Call
    from gluerun.core.reading import Reading
    from gluerun.core.steps import RunAgent
    from gluerun.loop.house import House
    from gluerun.records.child import ChildDone
    from gluerun.records.dispatch import Dispatch
    from gluerun.records.runner import RunnerSpec
    from gluerun.records.sandbox import Confinement
    from gluerun.records.spent import Spent

MESSAGE_TAIL = 262_144
LOG_TAIL = 6_000
# Read before it: what a cut would leave of a token or of a private key is no longer known for one.
BEFORE_TAIL = 16_384
# Roles whose answer is one JSON document and nothing else, which a program that can may be held to.
_DOCUMENT: dict[Role, str] = {
    Role.AUDITOR: "audit-verdict.v0",
    Role.DECIDER: "decider-verdict.v0",
    Role.PLANNER: "task-batch.v0",
    Role.CRITIC: "plan-critique.v0",
}


class Agent:
    """One start of one program for one step of a run."""

    def __init__(self, house: House, dispatch: Dispatch, step: RunAgent, number: int, place: str) -> None:
        self.house = house
        self.dispatch = dispatch
        self.step = step
        self.place = place
        self.name = f"{number:03d}-{step.role}"
        self.log = run_path(dispatch.run_id, f"attempts/{step.attempt}/{self.name}.log")
        self.prompt = run_path(dispatch.run_id, f"attempts/{step.attempt}/{self.name}-prompt.md")
        self.output = run_path(dispatch.run_id, f"outputs/{step.dispatch_id}.json")
        self.expense = expense_path(dispatch.run_id, number, step.role)

    def run(self) -> AgentDone:
        """Start the program, or find it ended, and say what became of it."""
        role = self.step.role
        runner = self.house.config.runners.get(self.house.config.runner_of(role))
        if runner is None:
            return AgentDone(how=How.MISSING, exit_code=127, trouble=f"no runner plays the {role}")
        done = self.house.doors.children.finished(self.dispatch.run_id, self.name)
        if done is None:
            allowed = allowance(runner, self.house.config, role, self._spent())
            if allowed.refusal:
                limit = Limit.TASK
                return AgentDone(
                    how=How.LIMIT,
                    exit_code=1,
                    trouble=allowed.refusal,
                    fault=Fault.LIMIT,
                    limit=limit,
                    span=allowed.span(limit),
                )
            call = call_of(runner, self._ask(runner, allowed.limits, confined=False))
            if call.trouble:
                return AgentDone(how=How.MISSING, exit_code=2, trouble=call.trouble)
            child = self._child(runner, call, allowed.limits)
            self._prepare(runner, call)
            done = self.house.doors.children.wait(self.dispatch.run_id, child)
        return self._told(runner, done)

    # before

    def _spent(self) -> Spent:
        """Return what was spent on this task so far, in earlier runs and in this one."""
        files = self.house.store.files
        names = files.names(run_path(self.dispatch.run_id, EXPENSES))
        expenses = [load_expense(files, run_path(self.dispatch.run_id, f"{EXPENSES}/{name}")) for name in names]
        return added(self.dispatch.spent, total(one for one in expenses if one is not None))

    def _ask(self, runner: RunnerSpec, allowed: Limits, *, confined: bool) -> Ask:
        doors, run_id, step = self.house.doors, self.dispatch.run_id, self.step
        inside = f"{doors.state_root}/{run_path(run_id, '')}".rstrip("/")
        document = _DOCUMENT.get(step.role)
        return Ask(
            role=step.role,
            writes=step.role not in READ_ONLY,
            prompt=step.prompt,
            prompt_file=f"{doors.state_root}/{self.prompt}",
            worktree=self.place,
            home=f"{inside}/home",
            tmp=self._scratch(),
            output=f"{doors.state_root}/{self.output}",
            last_message=f"{doors.state_root}/{self.output}.last",
            schema=answer_schema(document) if document and runner.options.get("schema") else None,
            schema_file=f"{inside}/outputs/{document}.json" if document else "",
            session=session_of(step.dispatch_id),
            resume=step.resume,
            max_turns=allowed.turns,
            max_usd=allowed.usd,
            max_tokens=allowed.tokens,
            confined=confined,
        )

    def _scratch(self) -> str:
        return f"{self.house.doors.state_root}/{scratch_of(self.dispatch.run_id, self.name)}"

    def _confinement(self, runner: RunnerSpec) -> Confinement | None:
        doors = self.house.doors
        places = sandbox.Places(
            worktree=self.place,
            git_dir=f"{doors.root}/.git",
            worktree_git_dir=f"{doors.root}/.git/worktrees/{self.place.rpartition('/')[2]}",
            run_folder=f"{doors.state_root}/{run_path(self.dispatch.run_id, 'outputs')}",
            tmp=self._scratch(),
            home=doors.environ.get("HOME", ""),
            own_home=f"{doors.state_root}/{run_path(self.dispatch.run_id, 'home')}",
            branch=self.dispatch.spec.worker_branch if self.dispatch.spec else "",
        )
        spec = sandbox.with_state(runner, doors.environ)
        return sandbox.confinement(self.step.role, self.house.config, spec, places)

    def _child(self, runner: RunnerSpec, call: Call, allowed: Limits) -> Child:
        doors, config, step = self.house.doors, self.house.config, self.step
        own = {
            "GLUERUN_ROLE": step.role.value,
            "GLUERUN_TASK": self.dispatch.task_id or self.dispatch.node or "",
            "GLUERUN_RUN": self.dispatch.run_id,
            "GLUERUN_DISPATCH": step.dispatch_id,
            "GLUERUN_ATTEMPT": str(step.attempt),
            "GLUERUN_WORKTREE": self.place,
            "GLUERUN_OUTPUT": f"{doors.state_root}/{self.output}",
            "GLUERUN_NONCE": step.nonce,
            "TMPDIR": self._scratch(),
        }
        if runner.scenario:
            own["GLUERUN_SCENARIO"] = _from_root(runner.scenario, doors.root)
        rehearsal = runner.kind is not RunnerKind.COMMAND
        argv = doors.programs[runner.kind.value] if rehearsal else call.argv
        timeout = runner.timeout_seconds if step.role is not Role.DECIDER else config.decider_timeout_sec
        return Child(
            name=self.name,
            argv=tuple(_from_root(word, doors.root) if word.startswith(("./", "../")) else word for word in argv),
            cwd=self.place,
            env=of_agent(doors.environ, call.env | own, config, runner),
            stdin=self.prompt if rehearsal or call.stdin else "",
            log=self.log,
            marker=step.dispatch_id,
            timeout=timeout,
            idle=runner.idle_seconds,
            grace=int(config.kill_grace_sec),
            stop=runner.stop,
            dialect=runner.dialect,
            limits=allowed,
            price=prices.price_of(runner.model, config.prices),
            day=self._day(),
            confine=None if rehearsal else self._confinement(runner),
            confined_argv=() if rehearsal else call_of(runner, self._ask(runner, allowed, confined=True)).argv,
            folders=call.folders,
            seeds=call.seeds,
            scratch=True,
        )

    def _day(self) -> DayMeter | None:
        config = self.house.config
        if config.limits_day == Limits() and not config.max_usd:
            return None
        meter = meter_path(self.house.now())
        return DayMeter(file=f"{self.house.doors.state_root}/{meter}", limits=config.limits_day)

    def _prepare(self, runner: RunnerSpec, call: Call) -> None:
        """Lay out what the program finds: its prompt, its files, the folder for its answer; note that it begins."""
        files = self.house.store.files
        files.write(self.prompt, self.step.prompt.encode(), durable=False)
        # An agent opens its output file for writing: its folder is there, the file is not.
        files.write(f"{self.output}.asked", b"", durable=False)
        files.remove(self.output)
        for path, text in call.files.items():
            files.write(path.removeprefix(f"{self.house.doors.state_root}/"), text.encode(), durable=False)
        begun = Expense(
            role=self.step.role,
            runner=runner.name,
            attempt=self.step.attempt,
            started_at=self.house.now(),
            log=self.log,
        )
        # Synced: what was begun may cost, whatever becomes of the machine.
        files.write(self.expense, schema.dump(begun))

    # after

    def _told(self, runner: RunnerSpec, done: ChildDone) -> AgentDone:
        if done.how is How.MISSING and self.house.doors.git.worktree_head(self.place) is None:
            # Not the program is missing but the place to start it in: no reason to hold its provider back.
            return AgentDone(
                how=How.KILLED,
                exit_code=done.exit_code,
                trouble=f"the {self.step.role}'s work tree was gone before it began",
                fault=Fault.KILLED,
            )
        log = self.house.store.files.tail(self.log, LONGEST_LOG)
        read = reading.read(
            runner,
            done,
            log,
            self.house.now(),
            prices=self.house.config.prices,
            role=self.step.role,
            resumed=bool(self.step.resume),
            text_file=self._last_message(),
            rollout=self._rollout(runner, log),
        )
        allowed = allowance(runner, self.house.config, self.step.role, self._spent())
        read = self._checked(_limited(runner, done, read, allowed.limits))
        self._book(runner, done, read)
        answer, error, count = self._answer(runner, read)
        return AgentDone(
            how=done.how,
            exit_code=done.exit_code,
            trouble=f"the {self.step.role} {read.trouble}" if read.trouble else "",
            answer=answer,
            answer_error=error,
            answers=count,
            tail=tail_of(self.house, self.log) if read.trouble else "",
            fault=read.fault,
            until=codec.stamp(read.until) if read.until else "",
            limit=read.limit,
            usage=read.usage,
            seat=read.seat,
            span=allowed.span(read.limit),
        )

    def _last_message(self) -> str:
        """Return what the program left as its last message; no secret stays in that file either."""
        files, path = self.house.store.files, f"{self.output}.last"
        said = (files.read(path) or b"").decode("utf-8", "replace")
        if (fit := secrets.redacted(said)) != said:
            files.write(path, fit.encode(), durable=False)
        return fit

    def _rollout(self, runner: RunnerSpec, log: bytes) -> list[bytes]:
        """Return what codex wrote down about the session beside what it printed: it names its model only there."""
        session = reading.session_in(log, runner.dialect) if runner.dialect is Dialect.CODEX else ""
        if not session:
            return []
        environ = self.house.doors.environ
        home = runner.env.get("CODEX_HOME") or environ.get("CODEX_HOME") or f"{environ.get('HOME', '')}/.codex"
        files = self.house.doors.at(home)
        days = [f"sessions/{day:%Y/%m/%d}" for day in _last_days(self.house.now())]
        paths = [f"{day}/{name}" for day in days for name in files.names(day) if name.endswith(f"-{session}.jsonl")]
        return files.tail(paths[0], LONGEST_LOG).splitlines() if paths else []

    def _checked(self, read: Reading) -> Reading:
        """Hold a role that may only read to it: what it changed, git tells, whatever it says."""
        if read.trouble or self.step.role not in READ_ONLY:
            return read
        dirt = [change.path for change in self.house.doors.git.dirt(self.place)]
        if not dirt:
            return read
        return replace(read, trouble=f"changed {dirt[0]}, where it may only read", limit=Limit.NO_WRITE)

    def _book(self, runner: RunnerSpec, done: ChildDone, read: Reading) -> None:
        files = self.house.store.files
        begun = load_expense(files, self.expense)
        if begun is None or begun.ended_at is not None:
            return
        ended = replace(
            begun,
            # Not the time of day: somebody may have set it, or shut the lid, while the program ran.
            ended_at=begun.started_at + timedelta(milliseconds=done.duration_ms),
            provider=read.seat.provider,
            model=read.seat.model if read.seat.model != "unknown" else runner.model or "unknown",
            usage=read.usage,
            fault=read.fault,
            limit=read.limit,
        )
        files.write(self.expense, schema.dump(ended))

    def _answer(self, runner: RunnerSpec, read: Reading) -> tuple[object | None, str, int]:
        """Return an agent's answer, why there is none, and how many it gave; its output file wins.

        No secret comes in with it: claims are kept, published, and shown to the next agent.
        """
        data = self.house.store.files.read(self.output)
        if data is not None and data.strip():
            if (fit := secrets.redacted_json(data)) != data:
                self.house.store.files.write(self.output, fit)
            try:
                return secrets.cleaned(codec.decode(fit, file="the agent's answer")), "", 1
            except SchemaError as error:
                return None, secrets.redacted(error.message), 0
        if isinstance(read.structured, dict):
            return secrets.cleaned(read.structured), "", 1
        text = read.text
        if runner.dialect is Dialect.TEXT:
            text = self.house.store.files.tail(self.log, MESSAGE_TAIL).decode("utf-8", "replace")
        answer, count = answers.last_answer(text[-MESSAGE_TAIL:], self.step.role)
        return secrets.cleaned(answer), "", count


def _limited(runner: RunnerSpec, done: ChildDone, read: Reading, allowed: Limits) -> Reading:
    """Tell a time or a silence that was limited from one that only says that something hangs."""
    ours = {
        How.TIMED_OUT: (allowed.seconds, runner.timeout_seconds, Limit.SECONDS),
        How.IDLE: (allowed.idle_seconds, runner.idle_seconds, Limit.IDLE),
    }
    limit, other, word = ours.get(done.how, (None, 0, None))
    if limit is None or (other and other <= limit):
        return read
    return replace(read, fault=Fault.LIMIT, limit=word)


def tail_of(house: House, log: str) -> str:
    """Return the end of a log, fit for a prompt and for a person: without what looks like a secret."""
    text = house.store.files.tail(log, LOG_TAIL + BEFORE_TAIL).decode("utf-8", "replace")
    return secrets.redacted(text)[-LOG_TAIL:].strip()


def _last_days(now: datetime) -> list[datetime]:
    """Return the days on which a session of this run may have begun, in any time zone; the last first."""
    return [now + timedelta(days=days) for days in (1, 0, -1, -2)]


def _from_root(path: str, root: str) -> str:
    return path if path.startswith("/") else f"{root}/{path}"
