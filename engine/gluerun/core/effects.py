"""What a rule about orders answers: why one is refused, or what it does."""

from __future__ import annotations

from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.records.approval import Approval
    from gluerun.records.flake import Flakes
    from gluerun.records.humangate import GateApproval, GateRequest
    from gluerun.records.task import Task


@record
class Refusal:
    """Why an order is not carried out; `is_decided` if its task is parked or terminal, and so stays."""

    why: str
    hint: str = ""
    is_decided: bool = False


@record
class Effect:
    """What an order does, as `Obey` carries it out, and the sentence that says so."""

    says: str
    tasks: tuple[Task, ...] = ()
    ends_runs: bool = False
    stop: bool | None = None
    resets_breaker: bool = False
    backoffs: tuple[str, ...] = ()
    approvals: tuple[Approval, ...] = ()
    papers: dict[str, GateRequest | GateApproval] = {}  # noqa: RUF012 a default that is never changed
    flakes: Flakes | None = None


def closest(name: str, known: list[str]) -> str:
    """Return which of *known* was probably meant; empty if none looks like it."""
    import difflib  # only a refusal needs it

    return next(iter(difflib.get_close_matches(name, known, 1, 0.6)), "")
