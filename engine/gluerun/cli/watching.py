"""watch: the board as it changes, in a terminal, which is left as it was."""

from __future__ import annotations

import os
import select
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from gluerun.cli.reading import open_place
from gluerun.cli.show import plain
from gluerun.edge import live
from gluerun.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType
    from rich.live import Live

    from gluerun.edge.live import LivePage
    from gluerun.loop.house import House

_STYLES = {"running": "cyan", "parked": "bold red", "waiting": "yellow", "accepted": "green", "ready": "bold"}
# A key and a new size are seen at most this much later; what runs wakes the watch by itself.
_TICK = 0.25
# Time passes in a board on which nothing changes: it is drawn again after so many ticks.
_REFRESH = 20
_EVENTS = 8
_QUIT = ("q", "Q", "\x03", "\x04")


def watch(context: typer.Context) -> None:
    """Show what runs, what waits and what needs you, as it changes; `q` ends it."""
    house = open_place(context)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("`gluerun watch` needs a terminal", "`gluerun status` prints the same once")
    from rich.console import Console
    from rich.live import Live

    for name in ("LINES", "COLUMNS"):
        os.environ.pop(name, None)  # a shell that exports them means the size that the terminal had then
    console = Console()
    first = live.page(house, _EVENTS)
    with _keys(), Live(_drawn(first, console), console=console, screen=True, auto_refresh=False) as screen:
        _go(house, console, first, screen)


def _go(house: House, console: Console, first: LivePage, screen: Live) -> None:
    """Draw again whenever something has changed, until a key ends it."""
    shown, ticks = (live.fingerprint(house, first), console.size), 0
    page = first
    screen.update(_drawn(page, console), refresh=True)
    while not _is_over():
        begun = time.monotonic()
        house.doors.watch.wait(page.runs, _TICK)
        ticks += 1
        seen = (live.fingerprint(house, page), console.size)
        if seen == shown and ticks < _REFRESH:
            if time.monotonic() - begun < _TICK / 2:
                house.doors.watch.wait((), _TICK)  # a run that is gone, and has not said so, wakes nobody twice
            continue
        ticks = 0
        page = live.page(house, _EVENTS)
        shown = (live.fingerprint(house, page), console.size)
        screen.update(_drawn(page, console), refresh=True)


def _is_over() -> bool:
    """Tell whether somebody has pressed a key that ends the watch, or the terminal has gone."""
    while select.select([sys.stdin], [], [], 0)[0]:
        data = os.read(sys.stdin.fileno(), 64)
        if not data or any(key in data.decode("utf-8", "replace") for key in _QUIT):
            return True
    return False


@contextmanager
def _keys() -> Iterator[None]:
    """Let keys come one by one and unseen; whatever happens, the terminal is as it was afterwards."""
    import termios
    import tty

    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    try:
        tty.setcbreak(handle)
        yield
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


def _drawn(page: LivePage, console: Console) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    board = page.board
    # One line each, or the lowest ones would fall off a small terminal.
    one_line: dict[str, Any] = {"no_wrap": True, "overflow": "ellipsis"}
    head = Text(f"{board.target_branch} at {board.head[:12] or 'nothing'}", style="bold", **one_line)
    head.append(f"   {page.loop or 'no loop is at work'}   {page.at:%H:%M:%S}Z", style="dim")
    counts = (
        f"{board.running} running, {board.accepted} accepted, {board.ready} ready, {board.waiting} waiting, "
        f"{board.parked} parked; spent today: {page.spent}"
    )
    parts: list[RenderableType] = [head, Text(counts, **one_line), Text()]
    grid = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for column in ("task", "status", "phase", "try"):
        grid.add_column(column, no_wrap=True)
    grid.add_column("why", ratio=1, no_wrap=True, overflow="ellipsis")
    # What runs comes first; what does not fit is counted. A small terminal shows fewer events before fewer tasks.
    needs = board.needs_you[: 3 if console.height > 16 else 1]
    free = console.height - 7 - len(needs) - bool(board.dispatch_gate)
    shown = max(0, min(len(page.events), free - min(len(board.tasks), 8) - 1))
    events = page.events[len(page.events) - shown :]
    room = max(1, free - len(events) - 1)
    order = {"running": 0, "accepted": 1, "parked": 2, "ready": 3, "waiting": 4}
    lines = sorted(board.tasks, key=lambda line: order.get(line.status, 5))
    for line in lines[:room]:
        cells = (line.id, line.status, line.phase, str(line.attempt or ""), line.reason or line.title)
        grid.add_row(*(Text(plain(cell), style=_STYLES.get(line.status, "")) for cell in cells))
    parts.append(grid)
    if len(lines) > room:
        parts.append(Text(f"and {len(lines) - room} more", style="dim"))
    for one in needs:
        parts.append(Text(f"needs you: {plain(one)}", style="bold red", no_wrap=True, overflow="ellipsis"))
    if board.dispatch_gate:
        parts.append(Text(f"nothing is started: {plain(board.dispatch_gate)}", style="yellow", **one_line))
    if events:
        parts.append(Text())
        parts += [
            Text(f"{event.at}  {plain(event.words)}", style="dim", no_wrap=True, overflow="ellipsis")
            for event in events
        ]
    parts.append(Text("q ends", style="dim"))
    return Group(*parts)
