"""verify: whether what the engine tells of the past is whole."""

from __future__ import annotations

import typer

from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show, warn
from gluerun.errors import OK, SAYS_NO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.edge.verifying import Verification

_COMMITS: list[str] = typer.Argument(None, metavar="[COMMIT]...", help="Only these merges; else all of them.")
_MEND: bool = typer.Option(
    False, "--mend", help="First cut off a torn last line; after a broken chain begin a new file that says so."
)


def verify(context: typer.Context, commits: list[str] = _COMMITS, mend: bool = _MEND, as_json: bool = JSON) -> int:
    """Recompute the journal's chain and compare it, its anchors and every merge's evidence; exit code 1 if one lies."""
    from gluerun.edge import verifying
    from gluerun.wiring import open_house

    place = here(context)
    house = open_house(place.root(), flags=place.flags())
    if mend:
        from gluerun.loop.reconcile import mend_journal

        if fault := mend_journal(house):
            warn(f"event {fault.seq}: {fault.reason}; the file was sealed as it is, and a new one says so")
    found = verifying.verify(house, commits or ())
    show(found, as_json=as_json, words=lambda: _words(found))
    return OK if found.is_whole else SAYS_NO


def _words(found: Verification) -> None:
    for one in found.merged:
        missing = f" (not here: {', '.join(one.not_here)})" if one.not_here else ""
        say(f"{one.commit[:12]} {one.task} {one.evidence}{missing}")
    for words in found.not_here:
        say(f"not looked at: {words}")
    for problem in found.problems:
        say(f"{problem.kind}: {problem.message}")
    counted = f"{found.events} events up to {found.head}, {found.anchors} anchors, {len(found.merged)} merges"
    if found.is_whole:
        say(f"whole: {counted}")
    else:
        first = f"; the first bad event is {found.first_bad_event}" if found.first_bad_event is not None else ""
        say(f"NOT whole: {counted}, {len(found.problems)} problems{first}")
