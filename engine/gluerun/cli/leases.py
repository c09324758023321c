"""lease list, lease show, breaker show: who holds what, and how near the breaker is; these only look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show, table

if TYPE_CHECKING:
    from gluerun.edge.leases import BreakerPage, LeasePage, Leases
    from gluerun.loop.house import House


def lease_list(context: typer.Context, as_json: bool = JSON) -> None:
    """List who holds which task and node."""
    from gluerun.edge.leases import leases

    found = leases(_open(context))
    show(found, as_json=as_json, words=lambda: _say_list(found))


def lease_show(context: typer.Context, task: str = typer.Argument(metavar="TASK"), as_json: bool = JSON) -> None:
    """Show the lease on one task."""
    from gluerun.edge.leases import lease_page

    found = lease_page(_open(context), task)
    show(found, as_json=as_json, words=lambda: _say_page(found))


def breaker_show(context: typer.Context, as_json: bool = JSON) -> None:
    """Show how many failures came in a row, and whether that keeps the loop from starting work."""
    from gluerun.edge.leases import breaker

    found = breaker(_open(context))
    show(found, as_json=as_json, words=lambda: _say_breaker(found))


def _open(context: typer.Context) -> House:
    from gluerun.wiring import open_house

    place = here(context)
    return open_house(place.root(), flags=place.flags())


def _say_list(found: Leases) -> None:
    if not found.leases:
        say("Nobody holds anything.")
        return
    rows = [
        (one.subject, one.holder, one.run, one.life, f"{one.expires_at:%Y-%m-%d %H:%M:%SZ}") for one in found.leases
    ]
    table(("subject", "holder", "run", "life", "until"), rows)


def _say_page(found: LeasePage) -> None:
    say(f"{found.task} is leased to {found.run} under epoch {found.epoch}; it is {found.life}")
    say(f"  branch     {found.branch}, from {found.base_sha[:12]}")
    say(f"  place      {found.worktree}")
    say(f"  since      {found.created_at:%Y-%m-%d %H:%M:%SZ}")
    say(f"  until      {found.expires_at:%Y-%m-%d %H:%M:%SZ}")
    say(f"  tries      {found.retry_count} spent before, {found.max_retries} retries in all")
    for path in found.owned_files:
        say(f"  owns       {path}")


def _say_breaker(found: BreakerPage) -> None:
    word = "open: nothing is started" if found.is_open else "closed"
    say(f"the breaker is {word}; {found.consec_fails} failures in a row, {found.max_consec_fails} open it")
    if found.is_open:
        say("`gluerun breaker reset` closes it; a restart does not")
