"""What keeps gates from making a pipeline, each fault with its place."""

from __future__ import annotations

from gluerun.core.graph import circle
from gluerun.core.pipeline import OWN
from gluerun.records.pipeline import MOST_GATES
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.records.pipeline import GateSpec


@record
class Fault:
    """What is wrong with one entry of a pipeline: which, in which key, and what would mend it."""

    at: int
    key: str
    message: str
    wrong: str = ""
    known: tuple[str, ...] = ()


def fault(gates: Sequence[GateSpec]) -> Fault | None:
    """Return what keeps gates from making a pipeline; None if nothing does."""
    seen: dict[str, int] = {}
    if len(gates) > MOST_GATES:
        return Fault(at=MOST_GATES, key="", message=f"is one gate too many: {MOST_GATES} may be named")
    for at, gate in enumerate(gates):
        if gate.name in seen:
            return Fault(
                at=at, key="name", message=f"{gate.name!r} is the name of another gate (gates[{seen[gate.name]}])"
            )
        if gate.name == OWN:
            return Fault(at=at, key="name", message=f"{OWN!r} is what the gate of a task itself is called")
        seen[gate.name] = at
    for at, gate in enumerate(gates):
        for need in gate.needs:
            if need not in seen:
                others = tuple(name for name in seen if name != gate.name)
                return Fault(at=at, key="needs", message=f"{need!r} is no gate", wrong=need, known=others)
        if gate.min_tests and not gate.junit:
            return Fault(at=at, key="minTests", message="needs `junit`: nobody else counts the tests")
    if around := circle({gate.name: gate.needs for gate in gates}):
        return Fault(at=seen[around[0]], key="needs", message=f"goes in a circle: {' → '.join(around)}")
    return None
