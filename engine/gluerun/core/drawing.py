"""Pictures as text: the planning graph and the timeline as SVG that needs nothing else, and the graph as mermaid.

Whatever is written into a picture is escaped: a title is somebody else's text.
"""

from __future__ import annotations

from html import escape
from itertools import pairwise

from gluerun.core.layers import layout
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

# One palette for every picture, for light and for dark paper.
STYLE = """
.gl{--ink:#1c2430;--soft:#5d6b7e;--line:#c3ccd8;--paper:#fff;--box:#f4f6f9;--good:#1a7f4b;--work:#1f6feb;--wait:#8a94a3;
--warn:#b26a00;--bad:#c62f3b;--plan:#7a4fd0;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
@media (prefers-color-scheme:dark){.gl{--ink:#e6ebf2;--soft:#9aa7b8;--line:#3a4554;--paper:#12161c;--box:#1b222c;
--good:#3fbf7f;--work:#6ea8ff;--wait:#8592a3;--warn:#e0a33c;--bad:#ff6b74;--plan:#b08cff}}
@media print{.gl{--ink:#000;--soft:#444;--line:#999;--paper:#fff;--box:#f4f4f4}}
.gl text{fill:var(--ink);font-size:13px}.gl .soft{fill:var(--soft);font-size:11.5px}
.gl .box{fill:var(--box);stroke:var(--line)}.gl .way{fill:none;stroke:var(--line);stroke-width:1.6}
.gl .grid{stroke:var(--line);stroke-width:1;stroke-dasharray:2 4}
.gl .passed,.gl .integrated{fill:var(--good)}.gl .open,.gl .running,.gl .accepted{fill:var(--work)}
.gl .waiting,.gl .held{fill:var(--wait)}.gl .planning,.gl .planned,.gl .proved{fill:var(--plan)}
.gl .failed{fill:var(--warn)}.gl .blocked,.gl .parked{fill:var(--bad)}
""".strip()
_WIDE, _HIGH, _GAP_X, _GAP_Y, _EDGE = 196, 62, 64, 20, 16


@record
class Box:
    """One node as it is drawn."""

    id: str
    state: str
    words: str
    note: str
    needs: tuple[str, ...]


@record
class Bar:
    """One run in the timeline."""

    row: str
    label: str
    kind: str
    begin: datetime
    end: datetime


def graph_svg(boxes: Sequence[Box]) -> str:
    """Return the graph as one SVG, its columns from left to right."""
    drawn = {one.id: one for one in boxes}
    plan = layout({one.id: one.needs for one in boxes})
    tallest = max((_height(column, drawn) for column in plan.columns), default=0)
    at: dict[str, tuple[float, float]] = {}
    for number, column in enumerate(plan.columns):
        y = _EDGE + (tallest - _height(column, drawn)) / 2
        for name in column:
            high = _HIGH if name in drawn else _GAP_Y / 2
            at[name] = (_EDGE + number * (_WIDE + _GAP_X), y + high / 2)
            y += high + _GAP_Y
    width = 2 * _EDGE + max(0, len(plan.columns) * (_WIDE + _GAP_X) - _GAP_X)
    lines = [_path([at[name] for name in way]) for way in plan.ways]
    parts = [_box(one, *at[one.id]) for one in boxes]
    return _svg(max(width, 2 * _EDGE), tallest + 2 * _EDGE, "the planning graph", [*lines, *parts])


def _height(column: Sequence[str], drawn: dict[str, Box]) -> float:
    return sum((_HIGH if name in drawn else _GAP_Y / 2) + _GAP_Y for name in column) - (_GAP_Y if column else 0)


def _path(points: list[tuple[float, float]]) -> str:
    """Draw a need as one soft line from the right edge of a box to the left edge of another."""
    words = f"M{points[0][0] + _WIDE:g} {points[0][1]:g}"
    for number, ((x, y), (next_x, next_y)) in enumerate(pairwise(points)):
        begin = x + _WIDE
        middle = (begin + next_x) / 2
        if number:
            words += f"L{begin:g} {y:g}"
        words += f"C{middle:g} {y:g} {middle:g} {next_y:g} {next_x:g} {next_y:g}"
    return f'<path class="way" d="{words}"/>'


def _box(one: Box, x: float, y: float) -> str:
    top = y - _HIGH / 2
    state = safe(one.state)
    title = safe(f"{one.id}: {one.words}")
    return (
        f'<g><title>{title}</title><rect class="box" x="{x:g}" y="{top:g}" width="{_WIDE}" height="{_HIGH}" rx="8"/>'
        f'<rect class="{state}" x="{x:g}" y="{top:g}" width="6" height="{_HIGH}" rx="3"/>'
        f'<text x="{x + 18:g}" y="{top + 24:g}" font-weight="600">{escape(cut(one.id, 20))}</text>'
        f'<text class="soft" x="{x + 18:g}" y="{top + 45:g}">{escape(cut(f"{one.state} · {one.note}", 29))}</text></g>'
    )


def timeline_svg(bars: Sequence[Bar], begin: datetime, end: datetime) -> str:
    """Return the runs as bars over time, a row for each task."""
    rows = list(dict.fromkeys(one.row for one in bars))
    span = max(1.0, (end - begin).total_seconds())
    left, width, high = 108, 1040, 26
    right = left + width

    def across(moment: datetime) -> float:
        return left + width * min(1.0, max(0.0, (moment - begin).total_seconds() / span))

    parts = []
    for part in range(5):
        x = left + width * part / 4
        moment = begin + (end - begin) * (part / 4)
        anchor = "start" if part == 0 else "end" if part == 4 else "middle"
        parts.append(f'<line class="grid" x1="{x:g}" y1="22" x2="{x:g}" y2="{30 + high * len(rows)}"/>')
        day = f"{moment:%d %b %H:%M}" if span > 43_200 else f"{moment:%H:%M:%S}" if span < 600 else f"{moment:%H:%M}"
        parts.append(f'<text class="soft" x="{x:g}" y="14" text-anchor="{anchor}">{day}</text>')
    for number, row in enumerate(rows):
        y = 30 + high * number
        parts.append(f'<text x="0" y="{y + 15}">{escape(cut(row, 14))}</text>')
        for one in bars:
            if one.row == row:
                x = across(one.begin)
                wide = max(3.0, across(one.end) - x)
                x = min(x, right - wide)
                parts.append(
                    f'<rect class="{safe(one.kind)}" x="{x:.1f}" y="{y + 3}" width="{wide:.1f}" height="15" rx="3">'
                    f"<title>{safe(one.label)}</title></rect>"
                )
    return _svg(right + 2, 38 + high * len(rows), "what ran when", parts)


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="gl" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{label}"><style>{STYLE}</style>{"".join(parts)}</svg>'
    )


def graph_mermaid(boxes: Sequence[Box]) -> str:
    """Return the graph as a mermaid flowchart; every name is quoted, so that none is read as something else."""
    number = {one.id: f"n{at}" for at, one in enumerate(boxes)}
    lines = ["flowchart LR"]
    lines += [f'  {number[one.id]}["{_quoted(one.id)}<br/>{_quoted(one.state)}, {_quoted(one.note)}"]' for one in boxes]
    lines += [f"  {number[need]} --> {number[one.id]}" for one in boxes for need in one.needs if need in number]
    colours = {"passed": "#1a7f4b", "open": "#1f6feb", "planning": "#7a4fd0", "waiting": "#8a94a3",
               "blocked": "#c62f3b"}  # fmt: skip
    for state, colour in colours.items():
        those = [number[one.id] for one in boxes if one.state == state]
        if those:
            lines += [f"  classDef {state} stroke:{colour},stroke-width:3px", f"  class {','.join(those)} {state}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    kept = "".join(letter if letter.isprintable() else " " for letter in text)
    for letter, name in (("#", "#35;"), ("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        kept = kept.replace(letter, name)
    return kept


def safe(text: str) -> str:
    """Return somebody's text as it may stand in a picture or a page: escaped, and with nothing that cannot be seen."""
    return escape("".join(letter if letter.isprintable() else "\ufffd" for letter in text))


def cut(text: str, length: int) -> str:
    """Return *text* in at most *length* letters, without those that are not printed."""
    kept = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return kept if len(kept) <= length else kept[: length - 1] + "…"
