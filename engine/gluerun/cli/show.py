"""Results on stdout, as words or as one JSON document; everything else on stderr. No colour without a terminal."""

from __future__ import annotations

import sys

from gluerun.records.codec import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TextIO

    from gluerun.errors import GluerunError

_WIDE = 240


def show(document: Any, *, as_json: bool, words: Callable[[], None]) -> None:
    """Print *document* as JSON, or let *words* say it."""
    if as_json:
        sys.stdout.write(encode(document).decode())
    else:
        words()


def say(text: str = "", *, wrapped: bool = False) -> None:
    """Print a line of the result; *wrapped* is for sentences, which a terminal would cut within a word."""
    text = plain(text)
    sys.stdout.write((_wrapped(text, sys.stdout) if wrapped else text) + "\n")


def warn(text: str) -> None:
    """Print a line that is not part of the result."""
    sys.stderr.write(_wrapped(f"gluerun: {plain(text)}", sys.stderr) + "\n")


def _wrapped(text: str, stream: TextIO) -> str:
    """Return *text* in lines of the terminal's width, those that follow set in; as it is where no terminal is."""
    if "\n" in text or not stream.isatty():
        return text
    import shutil
    import textwrap

    width = max(shutil.get_terminal_size().columns, 40)
    inner = " " * (len(text) - len(text.lstrip(" -")) or 2)
    return textwrap.fill(text, width, subsequent_indent=inner, break_long_words=False, break_on_hyphens=False)


def put_file(name: str, text: str) -> None:
    """Write a result into the file that was named, whole or not at all; `-` is stdout."""
    if name == "-":
        sys.stdout.write(text)
        return
    from pathlib import Path

    from gluerun.adapters.files import DiskFiles
    from gluerun.errors import UsageError

    path = Path(name).absolute()
    if not path.parent.is_dir() or path.is_dir():
        raise UsageError(f"{name}: no file can be written there", "name a file in a folder that exists", file=name)
    DiskFiles(str(path.parent)).write(path.name, text.encode("utf-8", "replace"), durable=False)


def plain(text: str) -> str:
    """Return *text* without anything that a terminal would obey."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, styles: dict[str, str] | None = None) -> None:
    """Print rows under their columns; a cell that is a key of *styles* gets its colour."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    is_terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, width=None if is_terminal else _WIDE, no_color=None if is_terminal else True)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(plain(cell), style=(styles or {}).get(cell, "")) for cell in row))
    console.print(grid)


def complain(error: GluerunError, *, as_json: bool) -> None:
    """Tell about an error: one sentence and what to type; with *as_json* as a document on stdout."""
    if as_json:
        document = {"code": error.kind, "message": error.message, "hint": error.hint, "file": error.file}
        sys.stdout.write(encode({"error": document}).decode())
        return
    warn(error.message)
    if error.hint:
        sys.stderr.write(_wrapped(f"   hint: {plain(error.hint)}", sys.stderr) + "\n")


def took(seconds: float) -> str:
    """Return a span of time as a person reads it."""
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
