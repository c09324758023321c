"""human-gate request, approve, reject, status: a person's word about a node of the graph, bound to files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gluerun.cli.graph import NODE
from gluerun.cli.options import JSON
from gluerun.cli.orders import DRY, REASON, only_people, open_house, order, pairs
from gluerun.cli.show import say, show
from gluerun.errors import OK, SAYS_NO, UsageError
from gluerun.records.order import OrderVerb

if TYPE_CHECKING:
    from gluerun.loop.humangates import GatePage

ANSWERS = typer.Option([], "--answer", metavar="ID=TEXT", help="An answer; one for each question.")


def human_gate_request(
    context: typer.Context,
    node: str = NODE,
    owner: str = typer.Option(..., "--owner", metavar="NAME", help="Who has to decide."),
    questions: list[str] = typer.Option(..., "--question", metavar="ID=TEXT", help="A question; may be repeated."),
    artifacts: list[str] = typer.Option(..., "--artifact", metavar="FILE", help="A file it is about; may be repeated."),
    hours: float = typer.Option(168, "--expires-hours", metavar="HOURS", min=0.01, max=100_000, help="Until when."),
    kind: str = typer.Option("node", "--type", metavar="WORD", help="What kind of approval this is."),
    again: bool = typer.Option(False, "--again", help="Ask anew; an answer to the old question counts no more."),
    dry_run: bool = DRY,
    as_json: bool = JSON,
) -> int:
    """Ask a person about a node; it is not complete before they approve it."""
    from gluerun.loop.humangates import question

    house = open_house(context)
    if not owner.strip():
        raise UsageError("nobody is named who has to decide", "add --owner NAME")
    words = question(house.doors.work, owner.strip(), pairs(questions, "question"), artifacts, hours=hours, kind=kind,
                     again=again)  # fmt: skip
    return order(house, OrderVerb.GATE_REQUEST, node, words, dry_run=dry_run, as_json=as_json)


def human_gate_approve(
    context: typer.Context,
    node: str = NODE,
    answers: list[str] = ANSWERS,
    evidence: list[str] = typer.Option([], "--evidence", metavar="TEXT", help="What the answer rests on."),
    reason: str = REASON,
    dry_run: bool = DRY,
    as_json: bool = JSON,
) -> int:
    """Approve a node; nothing is asked back, what is not answered is refused."""
    from gluerun.loop.humangates import answer

    only_people()
    house = open_house(context)
    words = answer(house.doors.work, node, pairs(answers, "answer"), tuple(evidence))
    return order(house, OrderVerb.GATE_APPROVE, node, words, reason=reason, dry_run=dry_run, as_json=as_json)


def human_gate_reject(
    context: typer.Context,
    node: str = NODE,
    answers: list[str] = ANSWERS,
    reason: str = REASON,
    dry_run: bool = DRY,
    as_json: bool = JSON,
) -> int:
    """Say that a node is not to be completed as it is."""
    from gluerun.loop.humangates import answer

    only_people()
    house = open_house(context)
    words = answer(house.doors.work, node, pairs(answers, "answer"))
    return order(house, OrderVerb.GATE_REJECT, node, words, reason=reason, dry_run=dry_run, as_json=as_json)


def human_gate_status(context: typer.Context, node: str = NODE, as_json: bool = JSON) -> int:
    """Tell whether a person has approved a node; exit code 1 if not."""
    from gluerun.loop.humangates import status

    house = open_house(context)
    page = status(house.doors.work, node, house.now())
    show(page, as_json=as_json, words=lambda: _say(page))
    return OK if page.approved else SAYS_NO


def _say(page: GatePage) -> None:
    until = f" until {page.expires_at:%Y-%m-%d %H:%M:%SZ}" if page.expires_at else ""
    say(f"{page.node}: approved{until}" if page.approved else f"{page.node}: not approved: {page.why}")
    for question in page.questions:
        say(f"  asks {question.id}: {question.prompt}")
    for one in page.artifacts:
        say(f"  about {one.ref} {one.sha256[:12]}")
