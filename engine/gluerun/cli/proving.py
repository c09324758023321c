"""prove: the gates of one occasion on the head of the target branch, in a place of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.reading import gate_cells
from gluerun.cli.show import say, show, table
from gluerun.errors import OK, SAYS_NO, UsageError
from gluerun.records.gate import GateVerdict
from gluerun.records.pipeline import Occasion
from gluerun.settings_walk import nearest

if TYPE_CHECKING:
    from gluerun.edge.gates import ProofPage

_OCCASIONS = ", ".join(Occasion)


def prove(
    context: typer.Context,
    occasion: str = typer.Argument(Occasion.NIGHTLY.value, metavar="OCCASION", help=f"Whose gates: {_OCCASIONS}."),
    as_json: bool = JSON,
) -> int:
    """Run the gates of an occasion on the head of the target branch, and keep the receipt; exit code 1 unless green."""
    from gluerun.edge.gates import proof_page
    from gluerun.loop.proving import prove_now
    from gluerun.wiring import open_house

    if occasion not in list(Occasion):
        raise UsageError(f"there is no occasion {occasion!r}", nearest(occasion, list(Occasion)))
    place = here(context)
    house = open_house(place.root(), flags=place.flags())
    found = proof_page(house, Occasion(occasion), prove_now(house, Occasion(occasion)))
    show(found, as_json=as_json, words=lambda: _say(found))
    return OK if found.result == GateVerdict.GREEN else SAYS_NO


def _say(found: ProofPage) -> None:
    said = f"{found.occasion} on {found.commit[:12]}" if found.commit else found.occasion
    say(f"{said}: {found.result}{f', {found.trouble}' if found.trouble else ''}")
    if found.runs:
        table(("gate", "result", "took", "tests", "why", "log"), [gate_cells(one) for one in found.runs])
