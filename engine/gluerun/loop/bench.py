"""The bench of a run: how each step of a drive is carried out through the doors.

A program that takes its time is a child: the run's process gives way to a small waiter, and this bench,
in a new process, finds the child ended and goes on.
"""

from __future__ import annotations

import hashlib

from gluerun.core import sandbox, secrets, tamper
from gluerun.core.environment import of_program, shell_word
from gluerun.core.pipeline import has_gate, timeout_of
from gluerun.core.spelling import bytes_of
from gluerun.core.steps import (
    AgentDone,
    Clear,
    Commit,
    Committed,
    Compare,
    Compared,
    Done,
    Gated,
    Inspect,
    Inspected,
    Keep,
    KeepAttempts,
    KeepReceipt,
    KeepText,
    OpenDispatch,
    Opened,
    Patch,
    Patched,
    Place,
    Prepare,
    Prepared,
    Recall,
    Recalled,
    Restore,
    RunAgent,
    RunGate,
    RunSetup,
    Tell,
    Told,
)
from gluerun.errors import GitError, NoRoomError, SchemaError, StateError
from gluerun.loop import slots
from gluerun.loop.agents import Agent
from gluerun.loop.gating import Gating, how_of, slots_of
from gluerun.loop.rescue import begin_aside, begin_work, drop_place, remove_place
from gluerun.loop.store import run_path
from gluerun.records import codec, schema
from gluerun.records.child import Child, How, scratch_of
from gluerun.records.dispatch import Role
from gluerun.records.paths import RECORDS, covers
from gluerun.records.pipeline import Occasion
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.steps import Answered, Step
    from gluerun.loop.house import House
    from gluerun.ports import Files
    from gluerun.records.child import ChildDone
    from gluerun.records.dispatch import Dispatch
    from gluerun.records.objection import Objection
    from gluerun.records.pipeline import GateSpec
    from gluerun.records.sandbox import Confinement

EVIDENCE_FOLDER = ".gluerun-evidence"
EVIDENCE = ("red", "green", "regression")
LONGEST_EVIDENCE = 1_000_000
# Scripts of gates that come from the predecessor read this file; the variables are set for them anyway.
ENV_FILE = ".gluerun-state/worktree-env.sh"


class Bench:
    """What one run works with. `number` is the place of the current step in the drive."""

    def __init__(self, house: House, dispatch: Dispatch) -> None:
        self.house = house
        self.dispatch = dispatch
        self.number = 0

    def act(self, number: int, step: Step) -> Answered:
        """Carry out one step and return its answer."""
        self.number = number
        match step:
            case Prepare():
                return self._prepare(step)
            case RunSetup():
                return self._setup(step)
            case Clear():
                return self._clear(step)
            case OpenDispatch():
                return self._open(step)
            case RunAgent():
                return self._agent(step)
            case Inspect(base=base):
                return self._inspect(base)
            case Commit():
                return self._commit(step)
            case RunGate():
                return self._gate(step)
            case KeepReceipt():
                return self._gating().receipt(step, self._log("gates", step.attempt))
            case Compare():
                return self._compare(step)
            case _:
                return self._note(step)

    def _open(self, step: OpenDispatch) -> Opened:
        """Name a question; where the worker stands matters only to one that may go on with a session."""
        nonce = self.house.doors.clock.token(16)
        opened = Opened(dispatch_id=f"{self.dispatch.run_id}.{self.number}", nonce=nonce)
        if step.role is not Role.WORKER:
            return opened
        place, again = self._path(Place.WORK), step.attempt > self.dispatch.tries_used + 1
        return replace(opened, cwd=place, head=(self.house.doors.git.worktree_head(place) or "") if again else "")

    def _note(self, step: Step) -> Answered:
        store, run_id = self.house.store, self.dispatch.run_id
        match step:
            case Restore():
                return self._restore(step)
            case Patch():
                return self._patch(step)
            case Keep(name=name, document=document, attempt=attempt):
                if attempt is not None:
                    store.put_document(run_id, f"attempts/{attempt}/{name}", document)
                store.put_document(run_id, name, document)
                return Done()
            case KeepText(name=name, text=text):
                store.files.write(run_path(run_id, name), text.encode("utf-8", "replace"), durable=False)
                return Done()
            case KeepAttempts(index=index):
                store.files.write(run_path(run_id, "attempts/index.json"), schema.dump(index))
                return Done()
            case Recall(run_id=earlier, name=name):
                return self._recall(earlier, name)
            case Tell():
                return Told(now=codec.stamp(self.house.now()))
        raise TypeError(f"no hand knows {type(step).__name__}")

    def _patch(self, step: Patch) -> Patched:
        git = self.house.doors.git
        if not step.needed and git.commit_of(step.old) is None:
            return Patched(text="", is_known=False)
        return Patched(text=secrets.redacted(git.patch(step.old, step.new, limit=step.limit)))

    def _recall(self, run_id: str, name: str) -> Recalled:
        try:
            return Recalled(document=self.house.store.document(run_id, name))
        except SchemaError:
            return Recalled()

    # places

    def _path(self, place: Place) -> str:
        if place is Place.WORK:
            return self.house.place(self.dispatch.task_id or self.dispatch.run_id)
        if place is Place.GATE and self.dispatch.slot is not None:
            return slots.place_of(self.house, self.dispatch.slot)
        return self.house.place(f"{self.dispatch.run_id}-{place}")

    def _prepare(self, step: Prepare) -> Prepared:
        """Make a work tree ready; the one function for every role."""
        path = self._path(step.place)
        git, slot = self.house.doors.git, self.dispatch.slot
        try:
            if step.place is Place.GATE and slot is not None:
                if trouble := slots.begin(self.house, self.dispatch, slot, step.commit):
                    return Prepared(trouble=trouble)
            else:
                self._begin(step, path)
            if step.seed:
                git.seed_worktree(path, git.merge(step.commit, step.seed).tree)
        except NoRoomError:
            raise  # asked again at once it would find none either; the run that follows waits for room
        except GitError as error:
            return Prepared(trouble=f"no work tree: {error.message}")
        trouble = self._provision(path)
        config = self.house.config
        setup = (*config.bootstrap, *((config.prewarm,) if config.prewarm else ()))
        return Prepared(trouble=trouble, setup=setup)

    def _begin(self, step: Prepare, path: str) -> None:
        with self.house.doors.locks.git():
            if step.place is Place.WORK:
                begin_work(self.house, self.dispatch, path, step.commit, self._branch())
            else:
                begin_aside(self.house, self.dispatch, path, step.commit)

    def _branch(self) -> str:
        if self.dispatch.spec is None:
            raise TypeError(f"{self.dispatch.run_id} has no task, so it has no branch")
        return self.dispatch.spec.worker_branch

    def _provision(self, path: str) -> str:
        """Copy the provisioned files; both ends must be ignored by git, or nothing is copied."""
        git, doors = self.house.doors.git, self.house.doors
        for file in self.house.config.provision_files:
            data = doors.work.read(file.source)
            if data is None:
                if file.required:
                    return f"provisioned file {file.source} is missing"
                continue
            if not git.is_ignored(doors.root, file.source) or not git.is_ignored(path, file.target):
                return f"provisioned file {file.source} → {file.target} is not ignored by git at both ends"
            doors.at(path).write(file.target, data, durable=False)
        allowed = [name for name in self.house.config.env_allowlist if name in doors.environ]
        if allowed and git.is_ignored(path, ENV_FILE):
            text = "".join(f"export {name}={shell_word(doors.environ[name])}\n" for name in allowed)
            doors.at(path).write(ENV_FILE, text.encode("utf-8", "surrogateescape"), durable=False)
        return ""

    def _setup(self, step: RunSetup) -> Done:
        path = self._path(step.place)
        done = self._run("setup", ("sh", "-c", step.command), path, self._own_env("setup", path), step.attempt)
        if done.how is not How.EXITED or done.exit_code != 0:
            return Done(trouble=f"set-up {step.command!r} {how_of(done)}; see {self._log('setup', step.attempt)}")
        dirt = [change.path for change in self.house.doors.git.dirt(path)]
        if step.place is not Place.WORK and dirt:
            return Done(trouble=f"set-up {step.command!r} left {dirt[0]}, which git does not ignore")
        return Done()

    def _clear(self, step: Clear) -> Done:
        path, run_id = self._path(step.place), self.dispatch.run_id
        if step.place is Place.GATE and self.dispatch.slot is not None:
            return Done()  # it stays; what stands there is looked at by the next that has the slot
        with self.house.doors.locks.git():
            if step.place is Place.WORK:
                name = f"{run_id}-{step.label}" if step.label else run_id
                remove_place(self.house, self.dispatch, name, path, step.reason)
            else:
                drop_place(self.house, self.dispatch, run_id, path)
        return Done()

    def _restore(self, step: Restore) -> Done:
        files = self.house.doors.at(self._path(step.place))
        for path in step.paths:
            data = self.house.doors.git.file_at(step.commit, path)
            name = bytes_of(path).decode("utf-8", "surrogateescape")
            _clear_way(files, name)
            if data is None:
                files.remove(name)
            else:
                files.write(name, data, durable=False)
        return Done()

    # programs

    def _own_env(self, role: str, place: str, **more: str) -> dict[str, str]:
        own = {"ROLE": role, "TASK": self.dispatch.task_id or "", "RUN": self.dispatch.run_id, "WORKTREE": place}
        if self.dispatch.slot is not None:
            own |= slots.words_of(self.house, self.dispatch.slot)
        named = {f"GLUERUN_{name}": value for name, value in (own | more).items()}
        return of_program(self.house.doors.environ, named, self.house.config)

    def _log(self, kind: str, attempt: int) -> str:
        return run_path(self.dispatch.run_id, f"attempts/{attempt}/{self.number:03d}-{kind}.log")

    def _run(
        self,
        kind: str,
        argv: tuple[str, ...],
        cwd: str,
        env: dict[str, str],
        attempt: int,
        gate: GateSpec | None = None,
    ) -> ChildDone:
        """Run a set-up command or a gate as a child, under the gate's time limit."""
        name = f"{self.number:03d}-{kind}"
        child = Child(
            name=name,
            argv=argv,
            cwd=cwd,
            env=env,
            stdin="",
            log=self._log(kind, attempt),
            marker=f"{self.dispatch.run_id}.{self.number}",
            timeout=timeout_of(gate, self.house.config) if gate is not None else self.house.config.gate_timeout_sec,
            grace=int(self.house.config.kill_grace_sec),
            confine=self._confinement(name, cwd),
            scratch=True,
            slots=slots_of(gate) if gate is not None else (),
        )
        if self.dispatch.slot is not None:
            child = replace(child, folders=(slots.cache_of(self.house, self.dispatch.slot),))
        if child.confine is not None or self.dispatch.slot is not None:
            scratch = f"{self.house.doors.state_root}/{scratch_of(self.dispatch.run_id, name)}"
            child = replace(child, env=env | {"TMPDIR": scratch})
        return self._wait(child)

    def _confinement(self, name: str, place: str) -> Confinement | None:
        """Return what a gate or a set-up command may touch: everything, unless it was configured otherwise."""
        doors = self.house.doors
        places = sandbox.Places(
            worktree=place,
            tmp=f"{doors.state_root}/{scratch_of(self.dispatch.run_id, name)}",
            cache=slots.cache_of(self.house, slot) if (slot := self.dispatch.slot) is not None else "",
            home=doors.environ.get("HOME", ""),
        )
        return sandbox.confinement(sandbox.GATE, self.house.config, None, places)

    def _wait(self, child: Child) -> ChildDone:
        children = self.house.doors.children
        return children.finished(self.dispatch.run_id, child.name) or children.wait(self.dispatch.run_id, child)

    def _agent(self, step: RunAgent) -> AgentDone:
        return Agent(self.house, self.dispatch, step, self.number, self._path(step.place)).run()

    # the work

    def _inspect(self, base: str) -> Inspected:
        git, place = self.house.doors.git, self._path(Place.WORK)
        self._keep_evidence(place)
        try:
            now = git.snapshot(place, "look")
            if now is None:
                return Inspected(changed=(), diff_sha256="", trouble="the work tree is gone")
            changes = git.changes(base, now)
            if any(covers(folder, one.path) for folder in RECORDS for one in changes):
                from gluerun.loop.recording import put_back  # hardly any agent brings records along

                if put_back(self.house, place, base, now, changes):
                    now = git.snapshot(place, "look") or now
                    changes = git.changes(base, now)
            looks = self.house.config.look_for_secrets and changes
            patch = git.patch(base, now, limit=secrets.LOOKED_AT) if looks else ""
            paths = tuple(change.path for change in changes)
            tests = self._tests(base, now, paths)
            objections = self._objections(base, now, paths)
        except NoRoomError:
            raise  # the machine's fault, and no other try of the agent's would make any
        except GitError as error:
            return Inspected(changed=(), diff_sha256="", trouble=error.message)
        digest = hashlib.sha256(codec.canonical([codec.to_wire(change) for change in changes])).hexdigest()
        hits = tuple(f"{hit.path}:{hit.line}" for hit in secrets.in_patch(patch))
        return Inspected(
            changed=tuple(change.path for change in changes),
            diff_sha256=digest,
            secrets=hits,
            tamper=tests,
            objections=objections,
        )

    def _keep_evidence(self, place: str) -> None:
        """Copy the logs that the agent left as its evidence to the run, without secrets; links are not followed."""
        files = self.house.doors.at(place)
        for name in EVIDENCE:
            path = f"{EVIDENCE_FOLDER}/{name}.log"
            try:
                text = b"" if files.is_link(path) else files.tail(path, LONGEST_EVIDENCE)
            except StateError:
                continue  # it left something else under that name
            if text:
                kept = secrets.redacted(text.decode("utf-8", "replace")).encode()
                self.house.store.files.write(run_path(self.dispatch.run_id, f"worker-evidence/{name}.log"), kept)

    def _objections(self, base: str, now: str, changed: tuple[str, ...]) -> tuple[Objection, ...]:
        """Ask the modules, if any are listed and anything was changed."""
        if not self.house.config.modules or not changed:
            return ()
        from gluerun.kit import Candidate
        from gluerun.loop import modules

        git, spec = self.house.doors.git, self.dispatch.spec
        candidate = Candidate(
            task_id=self.dispatch.task_id or "",
            area=spec.area if spec else "",
            owned=self.dispatch.owned_files,
            changed=changed,
            before=lambda path: git.file_at(base, path),
            after=lambda path: git.file_at(now, path),
        )
        # As they were where the try began: what guards an agent is what people have merged.
        loaded = modules.load(self.house.config.modules, lambda path: git.file_at(base, path))
        return modules.objections(loaded, modules.CHECK, candidate=candidate)

    def _tests(self, base: str, now: str, changed: tuple[str, ...]) -> tamper.Tamper | None:
        """Measure what became of the tests among *changed*; None if there are none."""
        patterns = self.house.config.test_paths
        paths = tamper.of_tests(changed, patterns)
        if not paths:
            return None
        before: dict[str, str | None] = {}
        after: dict[str, str | None] = {}
        unread = list(paths[tamper.MOST_FILES :])
        for path in paths[: tamper.MOST_FILES]:
            pair = [self.house.doors.git.file_at(commit, path) for commit in (base, now)]
            if any(data is not None and len(data) > tamper.LONGEST_FILE for data in pair):
                unread.append(path)
                continue
            before[path], after[path] = (data if data is None else data.decode("utf-8", "replace") for data in pair)
        return tamper.measured(before, after, patterns=patterns, unread=unread)

    def _commit(self, step: Commit) -> Committed:
        git = self.house.doors.git
        try:
            # Whoever held a lock here has ended with its agent.
            git.unlock(self._path(Place.WORK), self._branch())
            head = git.commit_all(self._path(Place.WORK), step.base, step.message)
            return Committed(head=head, code_tree=git.code_tree(head) if self._is_judged() else "")
        except NoRoomError:
            raise
        except GitError as error:
            return Committed(trouble=error.message)

    def _is_judged(self) -> bool:
        return has_gate(self.house.config, self.dispatch.gate_command, Occasion.TASK)

    def _gating(self) -> Gating:
        path = self._path(Place.GATE)

        def start(kind: str, command: str, attempt: int, gate: GateSpec | None) -> ChildDone:
            named = {"GATE": gate.name} if gate is not None else {}
            env = self._own_env("gate", path, **named)
            return self._run(kind, ("sh", "-c", command), path, env, attempt, gate)

        return Gating(self.house, self.dispatch, path, start)

    def _gate(self, step: RunGate) -> Gated:
        """Run the gate in its prepared place; what it says becomes a receipt for exactly this commit."""
        kind = f"{step.gate.name}-gate" if step.gate is not None else "gate"
        return self._gating().run(step, self._log(kind, step.attempt))

    def _compare(self, step: Compare) -> Compared:
        changes = self.house.doors.git.changes(step.old, step.new)
        return Compared(paths=tuple(change.path for change in changes))


def _clear_way(files: Files, path: str) -> None:
    """Take away what an agent put in the place of a folder that *path* lies in: a link may lead anywhere."""
    folders = path.split("/")[:-1]
    for end in range(1, len(folders) + 1):
        folder = "/".join(folders[:end])
        if not files.is_link(folder):
            try:
                files.tail(folder, 1)
            except StateError:
                continue  # a folder, as it should be
        files.remove(folder)
