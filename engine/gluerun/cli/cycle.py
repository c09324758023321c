"""reconcile, drive, auto, status, integrate, recover: the verbs that run cycles, and the one that looks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show, table, warn
from gluerun.cli.words import action_lines, cycle_text
from gluerun.errors import OK, PARKED, REFUSED, SAYS_NO, UsageError

if TYPE_CHECKING:
    from gluerun.core.board import Board
    from gluerun.core.world import World
    from gluerun.loop.auto import AutoReport
    from gluerun.loop.house import House
    from gluerun.loop.report import CycleReport, Line

_DRY = typer.Option(False, "--dry-run", help="Only say what would be done; the same as no option.")
_STYLES = {"running": "cyan", "parked": "red", "waiting": "yellow", "accepted": "green", "ready": "bold"}


def reconcile(
    context: typer.Context,
    dry_run: bool = _DRY,
    apply: bool = typer.Option(False, "--apply", help="Import and recover; merge and start nothing."),
    actuate: bool = typer.Option(False, "--actuate", help="Import, recover, integrate and dispatch."),
    drain: bool = typer.Option(False, "--drain", help="Import, recover and integrate until no run lives."),
    status_only: bool = typer.Option(False, "--status", help="The same as `gluerun status`."),
    timeout: float = typer.Option(-1, "--timeout", metavar="SECONDS", help="With --drain: give up after this long."),
    as_json: bool = JSON,
) -> None:
    """Run one cycle: look, plan and, if asked to, act. Without an option nothing is changed."""
    chosen = [name for name, on in (("apply", apply), ("actuate", actuate), ("drain", drain)) if on]
    if len(chosen) + dry_run + status_only > 1:
        raise UsageError("one mode at a time", "type `gluerun reconcile --help`")
    if status_only:
        status(context, exit_code=False, as_json=as_json)
        return
    house = _open(context, acting=bool(chosen))
    report = _cycle(house, chosen[0] if chosen else "plan", timeout)
    show(report, as_json=as_json, words=lambda: _words(report))
    if report.timed_out:
        raise typer.Exit(SAYS_NO)


def drive(
    context: typer.Context,
    task: str = typer.Argument(metavar="TASK"),
    dry_run: bool = _DRY,
    as_json: bool = JSON,
) -> None:
    """Drive one task to its end in the foreground: exit 0 integrated, 3 parked, 2 refused."""
    from gluerun.edge.views import task_page
    from gluerun.loop.drive import drive as drive_task
    from gluerun.loop.reconcile import plan

    house = _open(context, acting=not dry_run)
    if dry_run:
        report = plan(house)
        lines = [line for line in report.actions if line.task == task]
        show(report, as_json=as_json, words=lambda: _lines(lines))
        return
    ended = drive_task(house, task, tell=progress)
    page = task_page(house, task)
    show(page, as_json=as_json, words=lambda: say(f"{task} {page.status}: {ended.why}"))
    raise typer.Exit({"landed": OK, "parked": PARKED}.get(ended.how, REFUSED))


def auto(
    context: typer.Context,
    once: bool = typer.Option(False, "--once", help="Run one cycle, wait for what it started, and end."),
    forever: bool = typer.Option(False, "--forever", help="Wait for more work instead of ending."),
    hours: float = typer.Option(-1, "--hours", help="End after this long; 0 means no limit."),
    usd: float = typer.Option(-1, "--usd", help="Start nothing new once this much is spent; 0 means no limit."),
    tasks: int = typer.Option(-1, "--tasks", help="Start no more than so many tasks; 0 means no limit."),
    as_json: bool = JSON,
) -> None:
    """Run cycles until nothing runs, nothing can start and nothing will be tried later.

    An edited configuration is used from the next cycle on; one that cannot be used changes nothing.
    """
    from gluerun.loop import auto as loop
    from gluerun.wiring import Reopening

    place = here(context)
    budget = {"max_hours": hours, "max_usd": usd, "max_tasks": tasks}
    flags = {**place.flags(), **{name: value for name, value in budget.items() if value != -1}}
    # Looked at first: an edit between this and the reading is seen by the first cycle.
    reopen = Reopening(place.root(), flags, default_push=True)
    house = _open(context, acting=True, default_push=True, flags=flags)
    if once:
        report = loop.once(house)
        show(report, as_json=as_json, words=lambda: _words(report))
        return
    _live_without_a_terminal()
    ended = loop.auto(house, forever=forever, tell=progress, reopen=reopen, complain=warn)
    show(ended, as_json=as_json, words=lambda: _summary(ended))


def _live_without_a_terminal() -> None:
    """Take SIGHUP for "look again", which every cycle does; with a terminal it means that the terminal is gone."""
    import signal

    if not sys.stderr.isatty():
        # A handler, not SIG_IGN: that would be inherited by every program we start.
        signal.signal(signal.SIGHUP, lambda *_: None)


def status(
    context: typer.Context,
    exit_code: bool = typer.Option(False, "--exit-code", help="Exit with 1 if something needs you."),
    as_json: bool = JSON,
) -> None:
    """Say what runs, what waits and what needs you. Takes no lock and writes nothing."""
    from gluerun.edge.views import board as board_of
    from gluerun.wiring import open_to_read

    house, trouble = open_to_read(here(context).root(), flags=here(context).flags())
    board = board_of(house, trouble)
    show(board, as_json=as_json, words=lambda: _board(board))
    if exit_code and board.needs_you:
        raise typer.Exit(SAYS_NO)


def integrate(context: typer.Context, dry_run: bool = _DRY, as_json: bool = JSON) -> None:
    """Prove and land the accepted branches, in the foreground, whatever AUTO_INTEGRATE says."""
    from gluerun.loop.reconcile import drain, plan

    house = _open(context, acting=not dry_run)
    if dry_run:
        report = plan(house)
        lines = [line for line in report.actions if line.kind in ("prove", "advance", "notice")]
        show(report, as_json=as_json, words=lambda: _lines(lines))
        return
    report = drain(house, mode="integrate")
    show(report, as_json=as_json, words=lambda: _words(report))


def recover(
    context: typer.Context,
    scan: bool = typer.Option(False, "--scan", help="Only say what would be recovered."),
    take_over: bool = typer.Option(False, "--take-over", help="Make another machine's state folder this one's, first."),
    yes: bool = typer.Option(False, "--yes", help="With --take-over: although that machine may still be at work."),
    as_json: bool = JSON,
) -> None:
    """Settle ended and vanished runs, end stragglers; start nothing and merge nothing."""
    from gluerun.loop.reconcile import move_in, plan, reconcile

    if (scan and take_over) or (yes and not take_over):
        raise UsageError("--take-over cannot be scanned, and --yes is for --take-over", "type `gluerun recover --help`")
    house = _open(context, acting=not scan)
    if scan:
        report = plan(house)
        wanted = ("close", "settle", "unlease", "mark-orphan", "stop")
        lines = [line for line in report.actions if line.kind in wanted]
        show(report, as_json=as_json, words=lambda: _lines(lines))
        return
    if take_over:
        move_in(house, force=yes)
    report = reconcile(house, "recover")
    show(report, as_json=as_json, words=lambda: _words(report))


def _open(
    context: typer.Context, *, acting: bool, default_push: bool = False, flags: dict[str, object] | None = None
) -> House:
    from gluerun.settings import require_actable
    from gluerun.wiring import open_house

    place = here(context)
    house = open_house(place.root(), flags=place.flags() if flags is None else flags, default_push=default_push)
    if acting:
        require_actable(house.config)
    return house


def _cycle(house: House, mode: str, timeout: float) -> CycleReport:
    from gluerun.loop.reconcile import drain, plan, reconcile

    if mode == "plan":
        return plan(house)
    if mode == "drain":
        return drain(house, timeout=timeout if timeout >= 0 else house.config.drain_timeout_secs)
    return reconcile(house, mode)


def progress(report: CycleReport, world: World) -> None:
    """Tell on stderr what a cycle of a long command did."""
    for line in report.actions:
        if line.kind not in ("advance", "chain", "prove", "proof-done", "shelve"):
            sys.stderr.write(f"{world.now:%H:%M:%S}  {line.kind:<12} {line.task:<10} {line.reason}\n")
    for task in report.integrated:
        sys.stderr.write(f"{world.now:%H:%M:%S}  {'integrated':<12} {task}\n")
    for trouble in report.trouble:
        sys.stderr.write(f"{world.now:%H:%M:%S}  {'trouble':<12} {trouble}\n")
    for held in report.held:
        sys.stderr.write(f"{world.now:%H:%M:%S}  {'held':<12} {held}\n")
    if world.backoff is not None and report.actions and world.now < world.backoff.until and not world.leases:
        until = f"{world.backoff.until:%H:%M:%S}"
        sys.stderr.write(f"{world.now:%H:%M:%S}  {'waiting':<12} planning is held back until {until}\n")
    sys.stderr.flush()


def _words(report: CycleReport) -> None:
    for trouble in report.trouble:
        warn(trouble)
    sys.stdout.write(cycle_text(report))


def _lines(lines: list[Line]) -> None:
    for line in action_lines(lines):
        say(line)


def _board(board: Board) -> None:
    if board.tasks:
        rows = [
            (line.id, line.status, line.phase, str(line.attempt or ""), line.reason or line.title)
            for line in board.tasks
        ]
        table(("task", "status", "phase", "try", "why"), rows, styles=_STYLES)
        say()
    else:
        say("no task is under way: `gluerun task new` writes one, `gluerun report` says what landed", wrapped=True)
    counts = (
        f"{board.running} running, {board.accepted} accepted, {board.ready} ready, "
        f"{board.waiting} waiting, {board.parked} parked"
    )
    say(f"{board.target_branch} at {board.head[:12] or 'nothing'}: {counts}")
    if board.nodes:
        say("nodes: " + ", ".join(f"{node.id} {node.state}" for node in board.nodes))
        for node in board.nodes:
            if node.reason and node.state == "open":
                say(f"  {node.id}: {node.reason}", wrapped=True)
    for other in board.other_engines:
        words = "the resident loop" if other.who == "loop" else f"the {other.who} of {other.task}"
        say(f"{words} still runs gluerun {other.version} ({other.run})")
    if board.stop:
        say("STOP is set: nothing new is planned or started")
    if board.backoff:
        say(f"planning is held back: {board.backoff}")
    for held in board.backoffs:
        say(f"{held.provider} is held back until {held.until:%Y-%m-%d %H:%M:%SZ}: {held.reason}")
    if board.needs_you:
        say()
        say("needs you:")
        for one in board.needs_you:
            say(f"  - {one}", wrapped=True)


def _summary(ended: AutoReport) -> None:
    say(f"ended: {ended.why}")
    say(f"{len(ended.integrated)} integrated in {ended.seconds:.0f} s and {ended.cycles} cycles")
    if ended.parked:
        say(f"parked: {', '.join(ended.parked)}; `gluerun status` says why")
    for trouble in ended.trouble:
        warn(trouble)
