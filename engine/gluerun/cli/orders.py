"""The verbs that order something: written down first, carried out by the loop, told to the journal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show
from gluerun.errors import OK, REFUSED, SAYS_NO, UsageError
from gluerun.records.order import OrderVerb

if TYPE_CHECKING:
    from gluerun.loop.house import House

DRY = typer.Option(False, "--dry-run", help="Only say what would happen; nothing is written.")
REASON = typer.Option("", "--reason", metavar="TEXT", help="Why; it is kept in the journal.")
TOLD = typer.Option("", "--reason", metavar="TEXT", help="Why; the journal and the next try are told it word for word.")
REQUEST = typer.Argument(metavar="ID", help="The id of a request, or of its task.")
TASK = typer.Argument(metavar="TASK")


def stop(
    context: typer.Context,
    wait: bool = typer.Option(False, "--wait", help="Wait until no run lives; `--wait=SECONDS` for so long at most."),
    timeout: float = typer.Option(0, "--timeout", metavar="SECONDS", help="With --wait: give up after this long."),
    reason: str = REASON,
    dry_run: bool = DRY,
    as_json: bool = JSON,
) -> int:
    """Plan and start nothing new; what runs goes on, what is accepted still lands, a resident loop ends."""
    from gluerun.loop.ordering import wait_for_runs

    if timeout and not wait:
        raise UsageError("--timeout is for --wait", "type `gluerun stop --help`")
    house = open_house(context)
    code = order(house, OrderVerb.STOP, reason=reason, dry_run=dry_run, as_json=as_json)
    if wait and not dry_run and (left := wait_for_runs(house, timeout)):
        sys.stderr.write(f"gluerun: still alive: {', '.join(left)}\n")
        return SAYS_NO
    return code


def resume(context: typer.Context, reason: str = REASON, dry_run: bool = DRY, as_json: bool = JSON) -> int:
    """Take STOP away; an open breaker stays open."""
    return order(open_house(context), OrderVerb.RESUME, reason=reason, dry_run=dry_run, as_json=as_json)


def wake(context: typer.Context, reason: str = REASON, dry_run: bool = DRY, as_json: bool = JSON) -> int:
    """Let a resident loop that sleeps look at once."""
    return order(open_house(context), OrderVerb.WAKE, reason=reason, dry_run=dry_run, as_json=as_json)


def park(
    context: typer.Context, task: str = TASK, reason: str = REASON, dry_run: bool = DRY, as_json: bool = JSON
) -> int:
    """Take a task out of the running until somebody says otherwise; a run of it is ended and rescued."""
    return order(open_house(context), OrderVerb.PARK, task, reason=reason, dry_run=dry_run, as_json=as_json)


def unpark(
    context: typer.Context,
    task: str = TASK,
    fresh: bool = typer.Option(False, "--fresh", help="Give it all of its tries again."),
    reason: str = TOLD,
    dry_run: bool = DRY,
    as_json: bool = JSON,
) -> int:
    """Let a parked task go on, with the tries that it has left."""
    words: dict[str, object] = {"fresh": True} if fresh else {}
    return order(open_house(context), OrderVerb.UNPARK, task, words, reason=reason, dry_run=dry_run, as_json=as_json)


def retry(
    context: typer.Context, task: str = TASK, reason: str = TOLD, dry_run: bool = DRY, as_json: bool = JSON
) -> int:
    """Give a parked or failed task another try, also when all are spent."""
    return order(open_house(context), OrderVerb.RETRY, task, reason=reason, dry_run=dry_run, as_json=as_json)


def cancel(
    context: typer.Context, task: str = TASK, reason: str = REASON, dry_run: bool = DRY, as_json: bool = JSON
) -> int:
    """Give a task up for good; a run of it is ended and rescued."""
    return order(open_house(context), OrderVerb.CANCEL, task, reason=reason, dry_run=dry_run, as_json=as_json)


def supersede(
    context: typer.Context,
    task: str = TASK,
    by: str = typer.Option("", "--by", metavar="TASK", help="The task that takes its place, for those that wait."),
    reason: str = REASON,
    dry_run: bool = DRY,
    as_json: bool = JSON,
) -> int:
    """Replace a task by another one; who waited for it waits for the other one."""
    words: dict[str, object] = {"by": by} if by else {}
    return order(open_house(context), OrderVerb.SUPERSEDE, task, words, reason=reason, dry_run=dry_run, as_json=as_json)


def reprioritize(
    context: typer.Context,
    task: str = TASK,
    priority: int = typer.Argument(metavar="N", min=-999_999, max=999_999),
    reason: str = REASON,
    dry_run: bool = DRY,
    as_json: bool = JSON,
) -> int:
    """Say how early a task is started: higher first, then the lower id; the default is 0."""
    words: dict[str, object] = {"priority": priority}
    return order(
        open_house(context), OrderVerb.REPRIORITIZE, task, words, reason=reason, dry_run=dry_run, as_json=as_json
    )


def breaker_reset(context: typer.Context, reason: str = REASON, dry_run: bool = DRY, as_json: bool = JSON) -> int:
    """Let the loop start work again after too many failures in a row; nothing else does."""
    return order(open_house(context), OrderVerb.BREAKER_RESET, reason=reason, dry_run=dry_run, as_json=as_json)


def clear_backoff(
    context: typer.Context,
    provider: str = typer.Argument(
        "", metavar="[PROVIDER]", help="Who may be asked again; `planning` for planners, `push` for the target."
    ),
    everybody: bool = typer.Option(False, "--all", help="Everybody who is held back."),
    reason: str = REASON,
    dry_run: bool = DRY,
    as_json: bool = JSON,
) -> int:
    """Let a provider be asked again before its back-off is over."""
    if provider and everybody:
        raise UsageError("a provider and --all are two answers to one question", "leave one out")
    words: dict[str, object] = {"all": True} if everybody else {}
    return order(open_house(context), OrderVerb.CLEAR_BACKOFF, provider, words, reason=reason, dry_run=dry_run,
                 as_json=as_json)  # fmt: skip


def approve(
    context: typer.Context,
    request: str = REQUEST,
    answers: list[str] = typer.Option([], "--answer", metavar="QUESTION=TEXT", help="An answer; for each question."),
    reason: str = REASON,
    dry_run: bool = DRY,
    as_json: bool = JSON,
) -> int:
    """Let a task go on that waits for approval; nothing is asked back, what is not answered is refused."""
    only_people()
    house = open_house(context)
    task, words = _request(house, request)
    given = pairs(answers, "answer")
    return order(house, OrderVerb.APPROVE, task, words | ({"answers": given} if given else {}), reason=reason,
                 dry_run=dry_run, as_json=as_json)  # fmt: skip


def reject(
    context: typer.Context, request: str = REQUEST, reason: str = TOLD, dry_run: bool = DRY, as_json: bool = JSON
) -> int:
    """Send work back, or park a task before its first try; the reason is told to the next try word for word."""
    only_people()
    house = open_house(context)
    task, words = _request(house, request)
    return order(house, OrderVerb.REJECT, task, words, reason=reason, dry_run=dry_run, as_json=as_json)


def approval_renew(
    context: typer.Context, request: str = REQUEST, reason: str = REASON, dry_run: bool = DRY, as_json: bool = JSON
) -> int:
    """Let a request that expired be made anew, about what is there now."""
    only_people()
    house = open_house(context)
    task, words = _request(house, request)
    return order(house, OrderVerb.RENEW, task, words, reason=reason, dry_run=dry_run, as_json=as_json)


def only_people() -> None:
    """Refuse what only a person decides to whoever types it within a run."""
    if run := os.environ.get("GLUERUN_RUN"):
        raise UsageError(f"an agent cannot decide this: it was typed within {run}", "a person has to type it elsewhere")


def _request(house: House, name: str) -> tuple[str, dict[str, object]]:
    from gluerun.edge.approvals import open_one

    found = open_one(house.store, name)
    return found.task_id, {"request": found.id}


def pairs(words: list[str], what: str) -> dict[str, str]:
    """Return words of the form NAME=TEXT by their names; UsageError for any other word."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, text = (part.strip() for part in word.partition("="))
        if not equals or not name or not text:
            raise UsageError(f"{word!r} is no {what}", f'write --{what} "NAME=TEXT"')
        if name in found:
            raise UsageError(f"{name!r} stands twice", "leave one out")
        found[name] = text
    return found


def open_house(context: typer.Context) -> House:
    """Open the house that an order is about."""
    from gluerun import wiring

    place = here(context)
    return wiring.open_house(place.root(), flags=place.flags())


def order(
    house: House,
    verb: OrderVerb,
    subject: str = "",
    arguments: dict[str, object] | None = None,
    *,
    reason: str = "",
    dry_run: bool = False,
    as_json: bool = False,
) -> int:
    """Give an order, or say what it would do, and show what came of it; return the exit code.

    What cannot be done is refused at once, and nothing is written.
    """
    from gluerun.loop.ordering import ask

    answer = ask(house, verb, subject, arguments, by=who(), reason=reason, dry_run=dry_run)
    show(answer, as_json=as_json, words=lambda: say(f"would be: {answer.answer}" if dry_run else answer.answer))
    return REFUSED if answer.outcome == "refused" else OK


def who() -> str:
    """Return who gives an order, as far as it is known."""
    import pwd
    import socket

    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"
