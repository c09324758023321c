"""SimHouse: a whole repository in memory, for stories about what the loop does.

The doors are the simulated ones; the loop and the runs are the real code. A story says what is there
(`given`, `agent`, `gate`), lets cycles pass, and looks at the result.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager, suppress

from gluerun.core.chain import lines_of
from gluerun.errors import GluerunError, ImpossibleError, SchemaError
from gluerun.loop.bench import Bench
from gluerun.loop.house import House
from gluerun.loop.journal import journal_files
from gluerun.loop.nodes import GATES, GRAPH
from gluerun.loop.observe import TASKS
from gluerun.loop.ordering import ask
from gluerun.loop.reconcile import reconcile
from gluerun.loop.run import perform
from gluerun.loop.store import run_path
from gluerun.ports import Doors
from gluerun.records import schema
from gluerun.records.child import ChildDone, How
from gluerun.records.config import Config, PlanCritiqueMode
from gluerun.records.dispatch import Life, Role, Seat
from gluerun.records.fault import Fault
from gluerun.records.graph import Graph, Node
from gluerun.records.origin import OriginHolder
from gluerun.records.record import record, replace
from gluerun.records.runner import Dialect, RunnerSpec, Sessions
from gluerun.records.task import ProofState, Status
from gluerun.sim.children import Replaced, SimChildren
from gluerun.sim.clock import SimClock
from gluerun.sim.copying import copied
from gluerun.sim.crash import Fuse, PowerCut, SimCrash
from gluerun.sim.files import SimFiles
from gluerun.sim.git import SimGit
from gluerun.sim.locks import SimLocks
from gluerun.sim.messenger import SimMessenger
from gluerun.sim.place_files import SimPlaceFiles
from gluerun.sim.processes import SimProcesses
from gluerun.sim.watch import SimWatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from gluerun.core.steps import AgentDone, RunAgent
    from gluerun.loop.ordering import Answered
    from gluerun.loop.report import CycleReport
    from gluerun.ports import Files, Git
    from gluerun.records.child import Child
    from gluerun.records.dispatch import Dispatch
    from gluerun.records.lease import Lease
    from gluerun.records.order import OrderVerb
    from gluerun.records.task import Task

    Tree = Mapping[str, str]
    Gate = Callable[[Tree], "int | tuple[int, str] | GateMove"]

ROOT = "/sim"
STATE = f"{ROOT}/.gluerun-state"
_HEAD = re.compile(r"^headSha: ([0-9a-f]+)$", re.MULTILINE)
_FAILURE = re.compile(r"^failureClass: (\S+)$", re.MULTILINE)
# A cycle that changes nothing, this many times in a row, is the end of a story.
_QUIET = 2
_AGENT = "agent"
_REFUSAL = 86
# What of a house changes in place, and is copied with it.
_PARTS = (
    *("fuse", "clock", "state_files", "work_files", "locks", "git", "processes", "children", "watch", "git_door"),
)


def speaker(name: str = _AGENT, **more: Any) -> RunnerSpec:
    """Return a runner that speaks as claude does, so that what it prints is read: its fault, its costs, its seat."""
    return RunnerSpec(name=name, argv=("agent",), dialect=Dialect.CLAUDE, **more)


def printed(*documents: Mapping[str, object]) -> str:
    """Return documents as a speaker prints them."""
    return "".join(json.dumps(one) + "\n" for one in documents)


def ended(usd: float | None = 0.0, *, tokens: int = 0, turns: int = 1, **more: object) -> str:
    """Return a speaker's last word: what it used, all of it as fresh tokens but one of its answer."""
    usage = {"input_tokens": max(tokens - 1, 0), "cache_read_input_tokens": 0, "output_tokens": 1}
    said = {"type": "result", "subtype": "success", "is_error": False, "result": "done", "session_id": "s"}
    return printed({**said, "num_turns": turns, "total_cost_usd": usd, "usage": usage, **more})


def under_way(*, tokens: int, model: str, message: str = "m1") -> str:
    """Return what a speaker prints of one message in the middle of its work."""
    usage = {"input_tokens": tokens - 1, "cache_read_input_tokens": 0, "output_tokens": 1}
    said = {"id": message, "role": "assistant", "model": model, "content": [], "usage": usage}
    return printed({"type": "assistant", "session_id": "s", "message": said})


def refused(status: int, words: str, *, resets_at: datetime | None = None, usd: float = 0.0) -> Move:
    """Return the move of a speaker whose provider refuses it with an HTTP status, as 429, 529 or 401."""
    window = {"status": "rejected", "resetsAt": resets_at.timestamp()} if resets_at else None
    events = [{"type": "rate_limit_event", "rate_limit_info": window}] if window else []
    return Move(says=printed(*events) + ended(usd, is_error=True, api_error_status=status, result=words), exit_code=1)


class SimBench(Bench):
    """The bench of a run in memory: scripted agents that print plain text say by their moves who they are."""

    def __init__(self, sim: SimHouse, house: House, dispatch: Dispatch) -> None:
        super().__init__(house, dispatch)
        self.sim = sim

    def _agent(self, step: RunAgent) -> AgentDone:
        self.sim.resumed[step.dispatch_id] = step.resume
        done = super()._agent(step)
        runner = self.house.config.runners.get(self.house.config.runner_of(step.role))
        if runner is not None and runner.dialect is not Dialect.TEXT:
            return done  # it said itself who it is and what went wrong
        seat, fault = self.sim.reports.get(step.dispatch_id, (None, None))
        return replace(done, seat=seat, fault=fault)


class Scene:
    """What a scripted agent finds when it is started, and what it can do there."""

    def __init__(self, house: SimHouse, run_id: str, child: Child) -> None:
        self.house = house
        self.run_id = run_id
        self.child = child
        self.env = child.env
        self.place = child.cwd
        self.role = child.env.get("GLUERUN_ROLE", "")
        self.task = child.env.get("GLUERUN_TASK", "")
        self.resume = house.resumed.get(child.env.get("GLUERUN_DISPATCH", ""), "")
        self.prompt = (house.state_files.read(child.stdin) or b"").decode() if child.stdin else ""

    def write(self, path: str, text: str) -> None:
        """Put a file into the work tree."""
        self.house.git.write(self.place, path, text.encode())
        self.house.written.append((self.run_id, path, text))

    def delete(self, path: str) -> None:
        """Remove a file from the work tree."""
        self.house.git.delete(self.place, path)

    def tree(self) -> dict[str, str]:
        """Return the files of the work tree."""
        files = self.house.git.worktrees[self.place].files
        return {path: data.decode("utf-8", "replace") for path, (_, data) in sorted(files.items())}

    def answer(self, document: object) -> None:
        """Leave an answer where the engine asked for it: a document, or text as it is."""
        text = document if isinstance(document, str) else json.dumps(document)
        self.house.state_files.write(self.env["GLUERUN_OUTPUT"].removeprefix(f"{STATE}/"), text.encode(), durable=False)

    def say(self, text: str) -> None:
        """Print something."""
        before = self.house.state_files.read(self.child.log) or b""
        self.house.state_files.write(self.child.log, before + text.encode(), durable=False)

    def verdict(self, word: str, **more: object) -> dict[str, object]:
        """Return a verdict that is bound to this question; what is given replaces what would be right."""
        head = _HEAD.search(self.prompt)
        bound = {"headSha": head[1] if head else "", "nonce": self.env["GLUERUN_NONCE"]}
        return {"verdict": word, "rationale": f"it is {word}", **bound, **more}

    def decision(self, action: str, **more: object) -> dict[str, object]:
        """Return a decision that is bound to this question."""
        failure = _FAILURE.search(self.prompt)
        bound = {"failureClass": failure[1] if failure else "", "nonce": self.env["GLUERUN_NONCE"]}
        return {"action": action, "rationale": f"{action} is best", **bound, **more}


@record
class Move:
    """What a scripted agent does when it is started once: writes, says, answers, and ends.

    `session` is the session it reports, `seat` all that it reports of itself. One that `refuses` ends at once where
    it is to go on with a session, and makes its move when it is started without.
    """

    writes: dict[str, str] = {}  # noqa: RUF012 a default that is never changed
    deletes: tuple[str, ...] = ()
    answer: object = None
    says: str = ""
    how: How = How.EXITED
    exit_code: int = 0
    act: Callable[[Scene], object] | None = None
    session: str = ""
    seat: Seat | None = None
    refuses: bool = False

    @property
    def reported(self) -> Seat | None:
        """Return the seat that the agent reports; None if it says nothing of itself."""
        return self.seat or (Seat(runner=_AGENT, session=self.session) if self.session else None)


@record
class GateMove:
    """What a scripted gate does: prints, leaves files such as reports, and ends."""

    exit_code: int = 0
    says: str = ""
    writes: dict[str, str] = {}  # noqa: RUF012 a default that is never changed
    how: How = How.EXITED


def verdict(word: str, **more: object) -> Move:
    """Return an auditor's move that gives a verdict."""
    return Move(act=lambda scene: scene.answer(scene.verdict(word, **more)))


def decision(action: str, **more: object) -> Move:
    """Return a decider's move that gives a decision."""
    return Move(act=lambda scene: scene.answer(scene.decision(action, **more)))


def batch(*markdown: str) -> Move:
    """Return a planner's move that proposes tasks, under the ids that their own headings have."""
    tasks = [{"taskId": text.split(":")[0].removeprefix("# "), "markdown": text} for text in markdown]
    return Move(answer={"tasks": tasks})


def markdown(
    task_id: str,
    *,
    owned: Iterable[str] = (),
    forbidden: Iterable[str] = (),
    depends_on: Iterable[str] = (),
    gate: str = "",
    node: str = "",
    area: str = "",
    status: str = "ready",
    title: str = "",
    priority: int = 0,
    approve_plan: str = "",
    approval: str = "",
) -> str:
    """Return a task's Markdown."""
    headers = {
        "Status": status,
        "Area": area,
        "Depends on": ", ".join(depends_on),
        "Gate command": gate,
        "DAG node": node,
        "Approve plan": approve_plan,
        "Approval": approval,
        "Priority": str(priority or ""),
    }
    lines = [f"# {task_id}: {title or f'Do {task_id}'}", ""]
    lines += [f"{name}: {value}" for name, value in headers.items() if value]
    lines += ["", "## Objective", f"Do what {task_id} says.", "", "## Scope", "Owned files:"]
    lines += [f"- `{path}`" for path in owned or [f"src/{task_id}.txt"]]
    if forbidden:
        lines += ["Forbidden files:", *(f"- `{path}`" for path in forbidden)]
    return "\n".join([*lines, "", "## Acceptance Criteria", "- It is done.", ""])


def _config(changes: Mapping[str, Any]) -> Config:
    agent = RunnerSpec(name=_AGENT, argv=("agent",), sessions=Sessions.CAPTURED, options={"resume": ("{session}",)})
    plain = Config(
        target_branch="main",
        gate_command="check",
        runners={_AGENT: agent},
        roles={Role.WORKER.value: _AGENT, Role.AUDITOR.value: _AGENT},
        sha256="0" * 64,
        # A story in which the disk is full says itself whether anything was held back for that.
        ballast_mb=0,
    )
    return replace(plain, **changes)


def _own_move(scene: Scene) -> Move:
    """Return what an agent without a script does: its task, in words that no other run writes."""
    if scene.role == Role.AUDITOR:
        return verdict("accepted")
    task = scene.house.record(scene.task)
    path = task.owned[0] if task else "nowhere"
    path = f"{path}work.txt" if path.endswith("/") else path
    return Move(writes={path: f"{scene.task} in {scene.child.marker}\n"})


class SimHouse:
    """One repository in memory, and the words to tell stories about it. Changes of the configuration by name."""

    def __init__(self, **changes: object) -> None:
        self.fuse = Fuse()
        self.config = _config(changes)
        self.clock = SimClock()
        self.state_files = SimFiles(self.fuse.of("state"), has_ballast=True)
        self.work_files = SimFiles(self.fuse.of("work"))
        self.locks = SimLocks()
        self.git = SimGit(self.fuse.of("git"), root=ROOT)
        self.processes = SimProcesses(self.clock, self.state_files)
        self.children = SimChildren(self._play, replaces=True)
        self.watch = SimWatch(self.clock)
        self.messenger = SimMessenger()
        self.git_door: Git = self.git
        self.written: list[tuple[str, str, str]] = []
        self.crashed: list[str] = []
        self.resumed: dict[str, str] = {}
        self.reports: dict[str, tuple[Seat | None, Fault | None]] = {}
        self._scripts: dict[tuple[str, str], list[Move]] = {}
        self._played: dict[tuple[str, str], int] = {}
        self._prompts: list[tuple[str, str, str]] = []
        self._gates: dict[str, Gate] = {"": lambda tree: 0}
        self._held: set[tuple[Role, str]] = set()
        self._cut: dict[str, Life] = {}
        self.git.write(ROOT, "README.md", b"A repository in memory.\n")
        self.git.commit(ROOT, "first")
        self.fuse.count = 0
        self.fuse.names.clear()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copied(self, memo, *_PARTS)

    # what is there

    def configure(self, **changes: object) -> SimHouse:
        """Change the configuration."""
        self.config = replace(self.config, **changes)
        return self

    def given(self, task_id: str, **headers: Any) -> SimHouse:
        """Put a task's Markdown where a person would; the words are those of `markdown`."""
        return self.task_file(task_id, markdown(task_id, **headers))

    def task_file(self, task_id: str, text: str) -> SimHouse:
        """Put any text where a task's Markdown belongs."""
        with self.fuse.out():
            self.work_files.write(f"{TASKS}/{task_id}.md", text.encode())
        return self

    def graph(self, *nodes: Mapping[str, Any] | str) -> SimHouse:
        """Put a graph of nodes; a node given by its name alone needs nothing."""
        plain: dict[str, Any] = {"stage": "build", "area": "src", "layer": "code", "kind": "feature"}
        plain |= {"required_completion": "all of its tasks are integrated", "depends_on": ()}
        full = [plain | ({"id": one} if isinstance(one, str) else dict(one)) for one in nodes]
        with self.fuse.out():
            self.work_files.write(GRAPH, schema.dump(Graph(nodes=tuple(Node(**one) for one in full))))
        return self

    def agent(self, task_id: str, moves: Sequence[Move]) -> SimHouse:
        """Say what the worker of a task does, start by start; the last move is repeated."""
        return self._script(Role.WORKER, task_id, moves)

    def auditor(self, task_id: str, moves: Sequence[Move]) -> SimHouse:
        """Say what the auditor of a task answers; without a word it accepts."""
        return self._script(Role.AUDITOR, task_id, moves)

    def decider(self, task_id: str, moves: Sequence[Move]) -> SimHouse:
        """Say what the model answers that is asked about a task's failures."""
        return self._script(Role.DECIDER, task_id, moves)

    def planner(self, node: str, moves: Sequence[Move]) -> SimHouse:
        """Say what the planner of a node proposes."""
        return self._script(Role.PLANNER, node, moves)

    def critic(self, node: str, moves: Sequence[Move]) -> SimHouse:
        """Say what the critic of a node's plans answers, and let it be asked."""
        self.configure(plan_critique=PlanCritiqueMode.ON)
        return self._script(Role.CRITIC, node, moves)

    def gate(self, judge: Gate, name: str = "") -> SimHouse:
        """Let *judge* be every gate, or the one of a *name*: from a tree to an exit code, or to more of its end."""
        self._gates[name] = judge
        return self

    # what happens

    def open(self) -> House:
        """Open the house as a new process would."""
        return House(self.doors(), self.config)

    def doors(self) -> Doors:
        """Return the doors as they are now."""
        return Doors(
            root=ROOT,
            state_root=STATE,
            environ={"PATH": "/bin", "HOME": "/nowhere"},
            programs={},
            at=self._at,
            clock=self.clock,
            state=self.state_files,
            work=self.work_files,
            locks=self.locks,
            git=self.git_door,
            processes=self.processes,
            children=self.children,
            watch=self.watch,
            messenger=self.messenger,
        )

    def cycle(self, minutes: float = 1, *, mode: str = "actuate", work: bool = True) -> CycleReport:
        """Let time pass and one cycle run, then every run that is not held. SimCrash if the loop dies."""
        self.clock.tick(minutes=minutes)
        report = reconcile(self.open(), mode)
        if work:
            self.let_work()
        return report

    def cycles(self, count: int, minutes: float = 1) -> SimHouse:
        """Let several cycles pass."""
        for _ in range(count):
            self.cycle(minutes)
        return self

    def until_quiet(self, limit: int = 60, minutes: float = 1) -> SimHouse:
        """Let cycles pass until nothing happens any more."""
        quiet = 0
        for _ in range(limit):
            report = self.cycle(minutes)
            still = report.quiet and not report.running and not self.due()
            quiet = quiet + 1 if still else 0
            if quiet == _QUIET:
                return self
        raise ImpossibleError(f"still busy after {limit} cycles: {self.states()}")

    def let_work(self) -> SimHouse:
        """Let every run that was started and is not held go on to its end."""
        for run_id in self.due():
            self._perform(run_id)
        return self

    def let_one_work(self) -> SimHouse:
        """Let one process of the first run that would go on do so, to its end or until another takes its place."""
        for run_id in self.due()[:1]:
            self._go_on(run_id)
        return self

    def hold(self, *task_ids: str, role: Role = Role.WORKER) -> SimHouse:
        """Let the workers, or another role, of some tasks take their time from now on."""
        self._held.update((role, task_id) for task_id in task_ids)
        return self

    def release(self, *task_ids: str) -> SimHouse:
        """Let held runs go on with the next cycle."""
        self._held = {one for one in self._held if one[1] not in task_ids}
        return self

    def crash(self, task_id: str) -> SimHouse:
        """Let a task's worker vanish in the middle, after its agent has written."""
        return self._cut_short(task_id, Life.DEAD)

    def orphan(self, task_id: str) -> SimHouse:
        """Let a task's worker vanish in the middle while its agent lives on."""
        return self._cut_short(task_id, Life.ORPHANED)

    def power_off(self, state: Mapping[str, bytes | None] | None = None) -> SimHouse:
        """Let everything die at once; of what was never synced *state* is found, without it the least there can be."""
        for run_id in self.processes.started:
            self.processes.crash(run_id)
        self.locks.crash()
        self.state_files.lose_power(state)
        self.work_files.lose_power()
        return self

    def reboot(self) -> SimHouse:
        """Let the machine start again: another boot, nobody alive."""
        self.clock.reboot()
        self.locks.crash()
        return self

    def colleague(self, path: str, text: str) -> SimHouse:
        """Let somebody else commit to the target branch; a clean checkout follows."""
        clean = path not in self.git.checkout_dirty(ROOT)
        with self.fuse.out():
            self.git.publish(f"refs/heads/{self.config.target_branch}", {path: text.encode()}, f"A colleague's {path}")
        if clean:
            self.git.write(ROOT, path, text.encode())
        return self

    def dirty(self, path: str, text: str = "unsaved\n") -> SimHouse:
        """Change a file in the user's own checkout."""
        self.git.write(ROOT, path, text.encode())
        return self

    def clean(self) -> SimHouse:
        """Throw away what the user changed in his checkout."""
        self.git.checkout(ROOT, self.config.target_branch)
        return self

    def stop(self) -> SimHouse:
        """Set STOP."""
        with self.fuse.out():
            self.state_files.write("STOP", b"")
        return self

    def resume(self) -> SimHouse:
        """Take STOP away."""
        with self.fuse.out():
            self.state_files.remove("STOP")
        return self

    def order(
        self,
        verb: OrderVerb,
        subject: str = "",
        arguments: dict[str, object] | None = None,
        *,
        reason: str = "",
        dry_run: bool = False,
    ) -> Answered:
        """Let a person type a verb that gives an order."""
        return ask(self.open(), verb, subject, arguments, by="me@here", reason=reason, dry_run=dry_run)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Let another cycle be at work meanwhile, so that orders are queued."""
        holder = OriginHolder(owner="other", run_id="ORIGIN-20260101T000000Z-1", pid=1, started_at=self.clock.now(),
                              expires_at=self.clock.now())  # fmt: skip
        with self.locks.origin(holder):
            yield

    # what came of it

    def record(self, task_id: str) -> Task | None:
        """Return a task's record, living or settled."""
        return self.open().store.any_task(task_id)

    def lease(self, task_id: str) -> Lease | None:
        """Return the lease on a task."""
        return next((one for one in self.open().store.leases()[0] if one.task_id == task_id), None)

    def state(self, task_id: str) -> str:
        """Return where a task stands, in one word."""
        task = self.record(task_id)
        if task is None:
            return "unknown"
        if task.status is Status.BLOCKED:
            return "parked"
        if task.status is Status.READY and self.lease(task_id):
            return "running"
        if task.proof is not None and task.proof.state is ProofState.WAITING:
            return "waiting"
        return task.status.value

    def states(self) -> dict[str, str]:
        """Return where every task stands."""
        store = self.open().store
        ids = [task.task_id for task in store.live_tasks()[0]] + store.settled_ids()
        return {task_id: self.state(task_id) for task_id in sorted(ids)}

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """Return the journal, or what it says of one kind; a torn last line is none yet."""
        lines = [line for _, data in journal_files(self.state_files) for line in lines_of(data)]
        return [event for event in map(json.loads, lines) if not kind or event["type"] == kind]

    def prompts(self, task_id: str, role: Role = Role.WORKER) -> list[str]:
        """Return what the agents of a task were told, in order."""
        return [text for one, task, text in self._prompts if (one, task) == (role.value, task_id)]

    def target_files(self) -> dict[str, str]:
        """Return the files of the target branch."""
        return self.files_at(f"refs/heads/{self.config.target_branch}")

    def files_at(self, revision: str) -> dict[str, str]:
        """Return the files of a ref or commit."""
        return {path: data.decode("utf-8", "replace") for path, data in self.git.published(revision).items()}

    def node_file(self, node: str) -> dict[str, Any] | None:
        """Return what is recorded about a node's completion."""
        data = self.work_files.read(f"{GATES}/{node}.gate-result.json")
        return None if data is None else json.loads(data)

    # how it is done

    def _script(self, role: Role, subject: str, moves: Sequence[Move]) -> SimHouse:
        self._scripts[role.value, subject] = list(moves)
        self._played[role.value, subject] = 0
        return self.configure(roles={role.value: _AGENT} | self.config.roles)

    def _at(self, path: str) -> Files:
        return self.work_files if path == ROOT else SimPlaceFiles(self.git, path, self.fuse.of("place"))

    def due(self) -> list[str]:
        """Return the runs that were started and would go on."""
        if not self._held:
            return self.processes.due()
        found = []
        for run_id in self.processes.due():
            dispatch = self._dispatch(run_id)
            if dispatch is None or (dispatch.role, dispatch.task_id) not in self._held:
                found.append(run_id)
        return found

    def _dispatch(self, run_id: str) -> Dispatch | None:
        with suppress(SchemaError):
            return self.open().store.dispatch(run_id)
        return None

    def vanish(self, run_id: str) -> None:
        """Let a run vanish at the end of the move that calls this."""
        self._cut[run_id] = Life.DEAD

    def _cut_short(self, task_id: str, life: Life) -> SimHouse:
        task = self.record(task_id)
        if task is None or not task.run_id or task.run_id not in self.processes.due():
            raise ImpossibleError(f"{task_id} has no run that lives")
        self._cut[task.run_id] = life
        self._perform(task.run_id)
        return self

    def _perform(self, run_id: str) -> None:
        """Let one run go on to its end, one process after the other, or to its crash."""
        while self._go_on(run_id):
            pass

    def _go_on(self, run_id: str) -> bool:
        """Let one process of a run go on to its end or its crash; True if another one takes its place."""
        try:
            perform(self.open(), run_id, lambda house, dispatch: SimBench(self, house, dispatch))
        except Replaced:
            return True
        except PowerCut:
            raise  # nobody is left who could go on
        except (SimCrash, GluerunError):
            # A process that ends with an error has gone as well as one that was killed.
            self._bury(run_id)
            return False
        self.processes.finish(run_id)
        return False

    def _bury(self, run_id: str) -> None:
        life = self._cut.pop(run_id, Life.DEAD)
        self.crashed.append(run_id)
        if self.fuse.last.startswith("git commit_all"):
            self._leave_locks(run_id)
        if life is Life.ORPHANED:
            self.processes.orphan(run_id)
        else:
            self.processes.crash(run_id)

    def _leave_locks(self, run_id: str) -> None:
        """Leave what a git leaves that is killed while it commits."""
        dispatch = self._dispatch(run_id)
        work = self.git.worktrees.get(f"{ROOT}/.worktrees/{dispatch.task_id}") if dispatch else None
        if dispatch is not None and dispatch.spec is not None and work is not None:
            work.locks.add("index.lock")
            self.git.branch_locks.add(f"refs/heads/{dispatch.spec.worker_branch}.lock")

    def _play(self, run_id: str, child: Child) -> ChildDone:
        """Be the program that a run waits for."""
        scene = Scene(self, run_id, child)
        if child.name.endswith("-setup"):
            return ChildDone(name=child.name, how=How.EXITED, exit_code=0, duration_ms=1)
        if child.name.endswith("-gate"):
            return self._judge(scene)
        move = self._next_move(scene)
        self.reports[child.marker] = (move.reported, None)
        if move.refuses and scene.resume:
            self.reports[child.marker] = (None, Fault.SESSION_REFUSED)
            return ChildDone(name=child.name, how=How.EXITED, exit_code=_REFUSAL, duration_ms=1)
        self._make(move, scene)
        if run_id in self._cut:
            raise SimCrash(f"{run_id} vanishes")
        return ChildDone(name=child.name, how=move.how, exit_code=move.exit_code, duration_ms=1)

    def _judge(self, scene: Scene) -> ChildDone:
        name = scene.env.get("GLUERUN_GATE", "")
        said = self._gates.get(name, self._gates[""])(scene.tree())
        if isinstance(said, tuple):
            said = GateMove(exit_code=said[0], says=said[1])
        elif not isinstance(said, GateMove):
            said = GateMove(exit_code=int(said), says=f"the gate says {said}\n")
        scene.say(said.says)
        for path, text in said.writes.items():
            self.git.write(scene.place, path, text.encode())
        return ChildDone(name=scene.child.name, how=said.how, exit_code=said.exit_code, duration_ms=1)

    def _next_move(self, scene: Scene) -> Move:
        key = (scene.role, scene.task)
        self._prompts.append((scene.role, scene.task, scene.prompt))
        moves = self._scripts.get(key)
        if not moves:
            return _own_move(scene)
        number = self._played[key]
        move = moves[min(number, len(moves) - 1)]
        self._played[key] = number if move.refuses and scene.resume else number + 1
        return move

    @staticmethod
    def _make(move: Move, scene: Scene) -> None:
        for path, text in move.writes.items():
            scene.write(path, text)
        for path in move.deletes:
            scene.delete(path)
        if move.says or scene.child.dialect is Dialect.CLAUDE:
            scene.say(move.says or ended())
        if move.answer is not None:
            scene.answer(move.answer)
        if move.act is not None:
            move.act(scene)


def run_files(house: SimHouse, run_id: str, folder: str = "") -> list[str]:
    """Return the names of a run's files, or of those in a folder of it."""
    return house.state_files.names(run_path(run_id, folder).rstrip("/"))
