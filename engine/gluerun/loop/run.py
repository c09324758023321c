"""A detached run: the drive of its role, fed with what its bench answers, until its ending is durable.

Every answer is appended to `steps.ndjson`. When the process was replaced while it waited for a program, the
drive is started again and fed the kept answers up to where it was.
"""

from __future__ import annotations

from gluerun.core import steps
from gluerun.core.drive import DRIVES
from gluerun.errors import GitError, GluerunError, ImpossibleError, StateError
from gluerun.loop.bench import Bench
from gluerun.loop.house import House, kept_config
from gluerun.loop.store import run_path
from gluerun.records import codec
from gluerun.records.dispatch import Ending, Outcome, Role
from gluerun.records.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gluerun.core.steps import Answered, Step
    from gluerun.records.dispatch import Dispatch

    Hands = Callable[[House, Dispatch], Bench]

_STEPS = "steps.ndjson"
_ANSWERS = {cls.__name__: cls for cls in steps.Answered.__args__}
_PHASES: dict[type, str] = {
    steps.Prepare: "preparing",
    steps.RunSetup: "preparing",
    steps.RunAgent: "implementing",
    steps.RunGate: "gating",
}
_ROLE_PHASES = {Role.AUDITOR: "auditing", Role.DECIDER: "deciding", Role.PLANNER: "planning", Role.CRITIC: "planning"}


def perform(house: House, run_id: str, bench: Hands = Bench) -> Ending:
    """Do what a run was asked; return its ending, which is durable by then. Safe to call again."""
    house.doors.processes.sign_in(run_id)
    dispatch = house.store.dispatch(run_id)
    if dispatch is None:
        raise StateError(f"{run_id} has no dispatch", file=run_path(run_id, "dispatch.json"))
    ending = house.store.ending(run_id)
    if ending is not None:
        return ending
    house = House(house.doors, kept_config(house.doors.state, dispatch.config_sha256))
    try:
        ending = _drive(house, dispatch, bench(house, dispatch))
    except (StateError, GitError) as error:
        # A disk or a git that fails is the machine's fault: as with a run that vanished, another one follows.
        ending = _broken_off(house, dispatch, error.message, Failure.STALE_LEASE)
    except GluerunError as error:
        ending = _broken_off(house, dispatch, error.message)
    except Exception as error:  # noqa: BLE001 the border of a run: its end must be told, whatever it was
        import traceback  # a dear one, for something that should not be

        trace = traceback.format_exc()
        house.store.files.write(run_path(run_id, "crash.txt"), trace.encode())
        ending = _broken_off(house, dispatch, f"a defect of gluerun: {error!r}; see runs/{run_id}/crash.txt")
    house.store.put_ending(ending)
    return ending


def _drive(house: House, dispatch: Dispatch, bench: Bench) -> Ending:
    kept = _kept(house, dispatch.run_id)
    drive = DRIVES[dispatch.role](dispatch, house.config)
    number = 0
    step = next(drive)
    while True:
        number += 1
        if number not in kept:
            _tell_phase(house, dispatch.run_id, step)
        answer = kept.get(number) or bench.act(number, step)
        if number not in kept:
            _keep(house, dispatch.run_id, number, step, answer)
        try:
            step = drive.send(answer)
        except StopIteration as stop:
            ending: Ending = stop.value
            return ending


def _tell_phase(house: House, run_id: str, step: Step) -> None:
    """Say what the run is about to do, for those who look; nothing ever depends on it."""
    phase = _PHASES.get(type(step))
    if phase is None:
        return
    if isinstance(step, steps.RunAgent):
        phase = _ROLE_PHASES.get(step.role, phase)
    document = {"runId": run_id, "phase": phase, "attempt": getattr(step, "attempt", 0), "state": "active"}
    path = run_path(run_id, "run-status.json")
    house.store.files.write(path, codec.encode(document | {"updatedAt": codec.stamp(house.now())}), durable=False)


def _kept(house: House, run_id: str) -> dict[int, Answered]:
    path = run_path(run_id, _STEPS)
    data = house.store.files.read(path) or b""
    found: dict[int, Answered] = {}
    # What stands behind the last line's end was torn by a crash: its step is done again, and its answer stands alone.
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        house.store.files.write(path, whole)
    for line in whole.splitlines():
        try:
            document = codec.decode(line)
            found[document["number"]] = codec.from_wire(_ANSWERS[document["kind"]], document["answer"])
        except (GluerunError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StateError(f"a step of {run_id} cannot be read", file=path) from error
    if sorted(found) != list(range(1, len(found) + 1)):
        raise ImpossibleError(f"{run_id} has lost a step")
    return found


def _keep(house: House, run_id: str, number: int, step: Step, answer: Answered) -> None:
    document = {
        "number": number,
        "step": type(step).__name__,
        "kind": type(answer).__name__,
        "answer": codec.to_wire(answer),
    }
    house.store.files.append(run_path(run_id, _STEPS), codec.canonical(document) + b"\n")


def _broken_off(house: House, dispatch: Dispatch, reason: str, failure: Failure = Failure.WORKER_INFRA) -> Ending:
    """Return the ending of a run that could not go on; a try is counted, so that no fault is met for ever."""
    return Ending(
        run_id=dispatch.run_id,
        role=dispatch.role,
        epoch=dispatch.epoch,
        outcome=Outcome.FAILED,
        finished_at=house.now(),
        tries=max(1, house.store.tries_begun(dispatch.run_id)),
        task_id=dispatch.task_id,
        node=dispatch.node,
        failure=failure,
        reason=reason,
    )
