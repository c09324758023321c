"""Gates as programs: one is run in its prepared place, and what it says becomes a receipt for exactly one commit."""

from __future__ import annotations

import hashlib

from gluerun.core import gate_words, junit, pipeline
from gluerun.core.gates import gate_sha256
from gluerun.core.steps import Gated
from gluerun.loop import reports
from gluerun.loop.agents import tail_of
from gluerun.loop.receipts import environment
from gluerun.loop.store import run_path
from gluerun.records import schema
from gluerun.records.child import How
from gluerun.records.gate import DeclaredOutput, GateCheck, GateRun, GateVerdict
from gluerun.records.record import replace
from gluerun.release import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from gluerun.core.steps import KeepReceipt, RunGate
    from gluerun.loop.house import House
    from gluerun.ports import Files
    from gluerun.records.child import ChildDone
    from gluerun.records.dispatch import Dispatch
    from gluerun.records.pipeline import GateSpec, Occasion

    class Start(Protocol):
        """How the run starts a program under a gate's limits; its log has the same name."""

        def __call__(self, kind: str, command: str, attempt: int, gate: GateSpec | None) -> ChildDone:
            """Run *command* to its end."""
            ...


# A gate that cannot be started says nothing about the work.
_NOT_STARTED = (126, 127)
INCONCLUSIVE = 20


class Gating:
    """The gates of one step of a run, in one place."""

    def __init__(self, house: House, dispatch: Dispatch, place: str, start: Start) -> None:
        self.house = house
        self.dispatch = dispatch
        self.place = place
        self.start = start

    def run(self, step: RunGate, log: str) -> Gated:
        """Run the single gate, or one of a pipeline, whose output goes to *log*."""
        if step.gate is not None:
            return self._one(step, step.gate, log)
        done = self.start("gate", step.command, step.attempt, None)
        check = self._check(step.commit, step.command, gate_sha256(step.command, self.house.config), log)
        check = replace(
            check,
            exit_code=done.exit_code,
            result=verdict_of(done),
            duration_ms=done.duration_ms,
            timed_out=done.how is How.TIMED_OUT,
        )
        if step.is_receipt:
            self._keep(check)
        trouble = f"the gate {how_of(done)}" if check.result is GateVerdict.INCONCLUSIVE else ""
        return Gated(check=check, tail=tail_of(self.house, log), trouble=trouble)

    def _one(self, step: RunGate, gate: GateSpec, log: str) -> Gated:
        name = log.rpartition("/")[2].removesuffix(".log")
        if gate.junit and self.house.doors.children.finished(self.dispatch.run_id, name) is None:
            reports.clear_way(self._files(), gate.junit, self._committed(step.commit))
        done = self.start(f"{gate.name}-gate", gate.command, step.attempt, gate)
        run = GateRun(
            name=gate.name,
            command=gate.command,
            result=verdict_of(done),
            stage=step.stage,
            required=gate.required,
            exit_code=done.exit_code,
            duration_ms=done.duration_ms,
            log_ref=log,
            log_sha256=self._sha256(log),
            timed_out=done.how is How.TIMED_OUT,
        )
        if gate.junit and done.how in (How.EXITED, How.TIMED_OUT):
            run = junit.told(run, gate, reports.found(self._files(), gate.junit, self._committed(step.commit)))
        trouble = f"the gate {gate.name} {how_of(done)}" if run.result is GateVerdict.INCONCLUSIVE else ""
        return Gated(check=None, run=run, tail=tail_of(self.house, log), trouble=trouble)

    def receipt(self, step: KeepReceipt, log: str) -> Gated:
        """Keep what came of a whole pipeline; *log* sums it up."""
        self.house.store.files.write(log, gate_words.summary(step.runs).encode("utf-8", "replace"))
        decided = pipeline.decisive(step.runs)
        command = "\n".join(run.command for run in step.runs if run.result is not GateVerdict.SKIPPED)
        check = self._check(step.commit, command or "true", step.gate_sha256, log)
        check = replace(
            check,
            exit_code=decided.exit_code or 0 if decided else 0,
            result=pipeline.result_of(step.runs),
            duration_ms=sum(run.duration_ms for run in step.runs),
            timed_out=decided.timed_out if decided else False,
            gates=step.runs,
        )
        self._keep(check)
        return Gated(check=check)

    def _check(self, commit: str, command: str, key: str, log: str) -> GateCheck:
        return GateCheck(
            run_id=self.dispatch.run_id,
            cmd=command,
            exit_code=0,
            result=GateVerdict.INCONCLUSIVE,
            log_ref=log,
            log_sha256=self._sha256(log),
            commit=commit,
            code_tree=self.house.doors.git.code_tree(commit),
            gate_sha256=key,
            duration_ms=0,
            created_at=self.house.now(),
            outputs=self._outputs(),
            environment=environment(self.house),
            engine=VERSION,
        )

    def _keep(self, check: GateCheck) -> None:
        self.house.store.files.write(run_path(self.dispatch.run_id, "gate-check.json"), schema.dump(check))

    def _files(self) -> Files:
        return self.house.doors.at(self.place)

    def _committed(self, commit: str) -> Callable[[str], bytes | None]:
        return lambda path: self.house.doors.git.file_at(commit, path)

    def _sha256(self, log: str) -> str:
        return hashlib.sha256(self.house.store.files.read(log) or b"").hexdigest()

    def _outputs(self) -> tuple[DeclaredOutput, ...]:
        found = []
        for file in self.house.config.provision_files:
            data = self._files().read(file.target)
            if data is not None:
                found.append(DeclaredOutput(path=file.target, sha256=hashlib.sha256(data).hexdigest()))
        return tuple(found)


def gate_key(house: House, command: str, occasion: Occasion, base: str, commit: str) -> str:
    """Return the key of the receipt that lets *commit* pass on this occasion, where *base* has passed already."""
    changed = None
    if base != commit and pipeline.compares(house.config, occasion):
        changed = {change.path for change in house.doors.git.changes(base, commit)}
    plan = pipeline.planned(house.config, command, occasion, changed)
    return gate_sha256(command, house.config, plan.gates)


def slots_of(gate: GateSpec) -> tuple[str, ...]:
    """Return the lock files of which a gate needs one, so that only so many run at once in this state folder."""
    return tuple(f"locks/gates/{gate.name}.{number}.lock" for number in range(gate.slots))


def verdict_of(done: ChildDone) -> GateVerdict:
    """Return what the end of a gate's program says."""
    if done.how is How.TIMED_OUT:
        return GateVerdict.RED
    if done.how is not How.EXITED or done.exit_code in (INCONCLUSIVE, *_NOT_STARTED):
        return GateVerdict.INCONCLUSIVE
    return GateVerdict.GREEN if done.exit_code == 0 else GateVerdict.RED


def how_of(done: ChildDone) -> str:
    """Say how a set-up command or a gate ended."""
    words = {
        How.EXITED: f"ended with {done.exit_code}",
        How.KILLED: "was ended from outside, or wrote too much",
        How.TIMED_OUT: "ran into its time limit",
        How.IDLE: "was silent for too long",
        How.LIMIT: f"reached its limit of {done.limit}",
        How.MISSING: "is not installed",
        How.REFUSED: f"was not started: {done.refusal}",
    }
    return words[done.how]
