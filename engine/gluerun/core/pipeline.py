"""Which gates run on a commit, in which order, and what their results come to together.

A gate runs after those it needs; how many of them stand before it, one after the other, is its stage. All gates of a
stage run and are reported; a stage in which a required one was not green is the last.
"""

from __future__ import annotations

from gluerun.records.gate import GateRun, GateVerdict
from gluerun.records.pipeline import GateSpec, Occasion
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from gluerun.records.config import Config

# The gate that a task names itself, beside those of the repository.
OWN = "task"
# The one gate of a repository that names only `gateCommand`.
SINGLE = "gate"
OF_TASKS = (Occasion.TASK, Occasion.MERGE)
_NAMED = 10


@record
class Stage:
    """Gates that run one after the other, whatever each of them says."""

    number: int
    gates: tuple[GateSpec, ...]


@record
class Plan:
    """The gates that run on one commit, stage by stage, and those that do not, each with its reason."""

    stages: tuple[Stage, ...] = ()
    skipped: tuple[GateRun, ...] = ()

    @property
    def gates(self) -> tuple[GateSpec, ...]:
        """Return the gates that run, in their order."""
        return tuple(gate for stage in self.stages for gate in stage.gates)


def known(config: Config, command: str, occasion: Occasion | None = None) -> tuple[GateSpec, ...]:
    """Return the gates of an occasion, or of all; *command* is the gate of the task itself, or the single one."""
    if not config.gates:
        is_meant = bool(command) and occasion is not Occasion.NIGHTLY
        return (GateSpec(name=SINGLE, command=command),) if is_meant else ()
    own = (GateSpec(name=OWN, command=command, when=OF_TASKS),) if command else ()
    return tuple(gate for gate in (*own, *config.gates) if occasion is None or occasion in gate.when)


def has_gate(config: Config, command: str, occasion: Occasion) -> bool:
    """Tell whether anything judges a commit on this occasion."""
    return bool(known(config, command, occasion))


def judges(config: Config, command: str, occasion: Occasion) -> bool:
    """Tell whether anything must be green on this occasion."""
    return any(gate.required for gate in known(config, command, occasion))


def compares(config: Config, occasion: Occasion) -> bool:
    """Tell whether it matters on this occasion which paths a commit changed."""
    return occasion in OF_TASKS and any(gate.paths for gate in known(config, "", occasion))


def planned(config: Config, command: str, occasion: Occasion, changed: Collection[str] | None) -> Plan:
    """Return what runs on a commit that *changed* some paths; None means that everything may have changed."""
    depths = stages(config.gates)
    found: dict[int, list[GateSpec]] = {}
    skipped = []
    for gate in known(config, command, occasion):
        stage = depths.get(gate.name, 1)
        if is_touched(gate, changed):
            found.setdefault(stage, []).append(gate)
        else:
            reason = f"nothing changed that matches {', '.join(gate.paths[:_NAMED])}"
            skipped.append(passed_over(gate, stage, reason))
    ordered = tuple(Stage(number=number, gates=tuple(found[number])) for number in sorted(found))
    return Plan(stages=ordered, skipped=tuple(skipped))


def is_touched(gate: GateSpec, changed: Collection[str] | None) -> bool:
    """Tell whether a change concerns a gate."""
    if changed is None or not gate.paths:
        return True
    from gluerun.core.patterns import matcher  # the idle cycle asks for no path

    wanted = matcher(gate.paths)
    return any(wanted.fullmatch(path) for path in changed)


def passed_over(gate: GateSpec, stage: int, reason: str) -> GateRun:
    """Return what is said of a gate that does not run."""
    return GateRun(
        name=gate.name,
        command=gate.command,
        result=GateVerdict.SKIPPED,
        stage=stage,
        required=gate.required,
        reason=reason,
    )


def stages(gates: Sequence[GateSpec]) -> dict[str, int]:
    """Return the stage of every gate; what does not hold together (`faults`) is not looked for."""
    needs = {gate.name: gate.needs for gate in gates}
    found: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in found:
            found[name] = 1  # a circle ends here
            found[name] = 1 + max((depth(need) for need in needs[name] if need in needs), default=0)
        return found[name]

    for gate in gates:
        depth(gate.name)
    return found


def result_of(runs: Iterable[GateRun]) -> GateVerdict:
    """Return what the gates say together: red wins, then inconclusive; what is not required says nothing.

    Where nothing that is required ran, the whole is skipped.
    """
    said = {run.result for run in runs if run.required}
    order = (GateVerdict.RED, GateVerdict.INCONCLUSIVE, GateVerdict.GREEN)
    return next((result for result in order if result in said), GateVerdict.SKIPPED)


def stops(runs: Iterable[GateRun]) -> bool:
    """Tell whether a stage that ended like this is the last."""
    return result_of(runs) in (GateVerdict.RED, GateVerdict.INCONCLUSIVE)


def decisive(runs: Sequence[GateRun]) -> GateRun | None:
    """Return the run that made the result what it is; None if nothing ran."""
    result = result_of(runs)
    if result is GateVerdict.SKIPPED:
        return None
    return next(run for run in runs if run.required and run.result is result)


def seconds(config: Config, command: str, occasion: Occasion) -> int:
    """Return how long the gates of an occasion may take, one after the other, with their waiting for a slot."""
    gates = known(config, command, occasion) if config.gates else ()
    if not gates:
        return config.gate_timeout_sec
    return sum(timeout_of(gate, config) * (2 if gate.slots else 1) for gate in gates)


def prover_seconds(config: Config, command: str, occasion: Occasion = Occasion.MERGE) -> int:
    """Return after how many seconds a prover is certainly late."""
    return seconds(config, command, occasion) * 2 + 600


def timeout_of(gate: GateSpec, config: Config) -> int:
    """Return the seconds after which a gate is ended."""
    return gate.timeout or config.gate_timeout_sec


def document(gates: Sequence[GateSpec], config: Config) -> list[Mapping[str, object]]:
    """Return everything about gates that a receipt is keyed by; how many run at once changes no result."""
    depths = stages(config.gates)
    return [
        {
            "name": gate.name,
            "command": gate.command,
            "stage": depths.get(gate.name, 1),
            "timeout": timeout_of(gate, config),
            "required": gate.required,
            "junit": gate.junit,
            "minTests": gate.min_tests,
        }
        for gate in gates
    ]
