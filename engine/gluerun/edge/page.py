"""The morning's page as one HTML file that needs nothing else: no script, no font, no picture from elsewhere.

Whatever comes from a record is escaped: a title may hold anything. It is readable on a phone, in the dark and on paper.
"""

from __future__ import annotations

from gluerun.core.drawing import Bar, graph_svg, safe, timeline_svg
from gluerun.core.masking import masked_text
from gluerun.edge.graphs import boxes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from gluerun.core.costs import CostLine
    from gluerun.edge.morning import Report

_CSS = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5d6b7e;--line:#dde3ea;--paper:#fff;--ground:#f3f5f8;
--good:#1a7f4b;--work:#1f6feb;--warn:#b26a00;--bad:#c62f3b}@media (prefers-color-scheme:dark){:root{--ink:#e6ebf2;
--soft:#9aa7b8;--line:#2c3542;--paper:#171c24;--ground:#0f1319;--good:#3fbf7f;--work:#6ea8ff;--warn:#e0a33c;
--bad:#ff6b74}}*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}main{max-width:1180px;
margin:0 auto;padding:28px 20px 60px}h1{font-size:26px;margin:0 0 2px;letter-spacing:-.01em}h2{font-size:16px;
margin:0 0 12px}.soft{color:var(--soft)}.small{font-size:13px}.tiles{display:grid;
grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:22px 0}
.tile,section{background:var(--paper);border:1px solid var(--line);border-radius:12px}.tile{padding:14px 16px}
.tile b{display:block;font-size:24px;line-height:1.3;white-space:nowrap;font-variant-numeric:tabular-nums}
.tile.good b{color:var(--good)}.tile.bad b{color:var(--bad)}.tile.warn b{color:var(--warn)}
section{padding:18px 20px;margin:0 0 16px}section.call{border-left:5px solid var(--bad)}.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}th{text-align:left;font-size:12px;font-weight:600;color:var(--soft);
text-transform:uppercase;letter-spacing:.04em}th,td{padding:7px 14px 7px 0;vertical-align:top;
border-bottom:1px solid var(--line)}tr:last-child td{border-bottom:0}td{overflow-wrap:anywhere}
td.n,th.n{text-align:right;padding-right:26px}td.n,td.id,td.t{font-variant-numeric:tabular-nums;white-space:nowrap}
code{font:13px/1.4 ui-monospace,"DejaVu Sans Mono",monospace;background:var(--ground);border:1px solid var(--line);
border-radius:5px;padding:1px 6px;overflow-wrap:anywhere}ul{list-style:none;margin:0;padding:0}li{padding:9px 0;
border-bottom:1px solid var(--line);overflow-wrap:anywhere}li:last-child{border:0}.tag{display:inline-block;
font-size:12px;font-weight:600;border-radius:99px;padding:1px 9px;border:1px solid currentColor;margin-right:8px}
.tag.bad{color:var(--bad)}.tag.warn{color:var(--warn)}li .tag{float:left;margin-top:1px}li div{margin-top:3px}
svg{display:block}.time svg{width:100%;height:auto;min-width:720px}.legend span{margin-right:16px;
white-space:nowrap}.legend i{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:6px}
@media (max-width:640px){main{padding:18px 12px 40px}section{padding:14px}h1{font-size:22px}
.tiles{grid-template-columns:1fr 1fr;gap:8px}.tile{padding:10px 12px}.tile b{font-size:22px}
table,tbody,tr{display:block}thead{display:none}tr{padding:8px 0;border-bottom:1px solid var(--line)}
tr:last-child{border:0}td,td.n,td.t{display:block;text-align:left;border:0;padding:1px 0;white-space:normal}
td.n,td.t,td.id{display:inline-block;margin-right:14px}
td[data-h]:not([data-h=""])::before{content:attr(data-h) ": ";color:var(--soft);font-size:12.5px}}
@media print{body{background:#fff}main{max-width:none;padding:0}section,.tile{break-inside:avoid;border-color:#bbb}
.scroll{overflow:visible}svg{max-width:100%;height:auto}}
"""
# Heads of columns that are never broken, and of those that explain themselves where there is no head.
_SHORT = ("merge", "at", "answer", "role", "result")
_PLAIN = ("title", "what became of them")
_LEGEND = (
    ("accepted", "#1f6feb", "worked on, accepted"), ("failed", "#b26a00", "failed"),
    ("proved", "#7a4fd0", "proved or planned"), ("held", "#8a94a3", "held back"),
)  # fmt: skip


def html(found: Report) -> str:
    """Return the page."""
    title = f"gluerun: {found.target_branch}, {_at(found.until)}"
    parts = [_head(found), _tiles(found), _needs(found), _landed(found), _timeline(found),
             _graph(found), _costs(found), _retries(found), _tampering(found), _flakes(found),
             _gates(found)]  # fmt: skip
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{safe(title)}</title>\n<style>{_CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )
    return masked_text(text)


def _head(found: Report) -> str:
    loop = f"{found.loop} is at work" if found.loop else "no loop is at work"
    return (
        f"<header><h1>What happened on {safe(found.target_branch)}</h1>"
        f'<div class="soft">{_at(found.since)} to {_at(found.until)} UTC · '
        f"{safe(found.head[:12] or 'no commit')} · {safe(loop)}</div></header>"
    )


def _tiles(found: Report) -> str:
    money = found.costs.total
    needs = sum(one.needs_you for one in found.matters)
    tiles = (
        ("good" if found.integrated else "", str(len(found.integrated)), "integrated"),
        ("bad" if found.parked else "", str(len(found.parked)), "parked"),
        ("bad" if needs else "good", str(needs), "need you"),
        ("", str(found.running), "running"),
        (
            "",
            _usd(money),
            "spent" if money.cost_usd is None or not money.unknown else f"spent, {money.unknown} unknown",
        ),
        ("", duration(found.agent_seconds), "of agents"),
        ("warn" if found.retries else "", str(len(found.retries)), "failed tries"),
    )
    cells = "".join(f'<div class="tile {kind}"><b>{safe(big)}</b>{safe(words)}</div>' for kind, big, words in tiles)
    return f'<div class="tiles">{cells}</div>'


def _needs(found: Report) -> str:
    parked = {one.task: one for one in found.parked}
    rows = []
    for one in found.matters:
        kind, word = ("bad", "needs you") if one.needs_you else ("warn", "look at")
        text = safe(one.words)
        if one.kind == "parked" and (park := parked.get(one.about)):
            text = (
                f"<b>{safe(park.task)}</b> {safe(park.title)}<div>{safe(park.why)}</div>"
                f'<div class="soft small">{safe(park.help)} · parked since {_at(park.since)}</div>'
            )
        command = f'<div class="small"><code>{safe(one.command)}</code></div>' if one.command else ""
        rows.append(f'<li><span class="tag {kind}">{word}</span>{text}{command}</li>')
    if not rows:
        return "<section><h2>What needs you</h2>Nothing. All is well.</section>"
    calls = "call" if any(one.needs_you for one in found.matters) else ""
    return f'<section class="{calls}"><h2>What needs you</h2><ul>{"".join(rows)}</ul></section>'


def _landed(found: Report) -> str:
    rows = [
        (_id(one.task), safe(one.title), f"<code>{safe(one.commit[:12])}</code>", str(one.tries),
         f"${one.usd:.2f}" if one.usd else "unknown", duration(one.seconds), _at(one.at)) for one in found.integrated
    ]  # fmt: skip
    head = ("", "title", "merge", "#tries", "#cost", "#agents", "at")
    return _table("Integrated", head, rows) or "<section><h2>Integrated</h2>Nothing landed in this time.</section>"


def _timeline(found: Report) -> str:
    if not found.timeline:
        return ""
    bars = [
        Bar(row=one.row, label=f"{one.row}: {one.role}, {one.how}, {one.begin:%H:%M:%S} to {one.end:%H:%M:%S}",
            kind=one.how, begin=one.begin, end=one.end) for one in found.timeline
    ]  # fmt: skip
    # A night in which little happened is not drawn as a long empty line.
    picture = timeline_svg(bars, min(one.begin for one in bars), max(one.end for one in bars))
    known = {"planned": "proved", "running": "accepted"}
    shown = {known.get(one.kind, one.kind) for one in bars}
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{words}</span>' for kind, colour, words in _LEGEND if kind in shown
    )
    return (
        f'<section><h2>Timeline</h2><div class="scroll time">{picture}</div>'
        f'<div class="legend small soft">{legend}</div></section>'
    )


def _graph(found: Report) -> str:
    if not found.nodes:
        return ""
    return f'<section><h2>Planning graph</h2><div class="scroll">{graph_svg(boxes(found.nodes))}</div></section>'


def _costs(found: Report) -> str:
    lines = [*found.costs.lines, found.costs.total] if found.costs.lines else []
    rows = [
        (_id(one.name), str(one.programs), _figure(one.turns), _figure(one.fresh_tokens), _figure(one.cached_tokens),
         _figure(one.output_tokens), _usd(one)) for one in lines
    ]  # fmt: skip
    return _table("Costs", ("", "#programs", "#turns", "#fresh", "#cached", "#output", "#cost"), rows)


def _retries(found: Report) -> str:
    rows = [
        (_id(one.task), str(one.attempt), safe(one.failure), safe(one.reason), safe(one.answer), _at(one.at))
        for one in found.retries
    ]
    return _table("Failed tries", ("", "#try", "failure", "why", "answer", "at"), rows)


def _tampering(found: Report) -> str:
    rows = [(_id(one.task), safe(one.words), _at(one.at)) for one in found.tampering]
    return _table("Changed tests", ("", "what became of them", "at"), rows)


def _flakes(found: Report) -> str:
    rows = [
        (safe(one.gate), safe(one.test), f"{one.rate:.1%}", str(one.seen), safe(one.owner), _at(one.last_seen))
        for one in found.flakes
    ]
    return _table("Flakes", ("gate", "test", "#rate", "#seen", "quarantine", "at"), rows)


def _gates(found: Report) -> str:
    rows = [
        (safe(one.gate), _id(one.about), safe(one.role), safe(one.result), f"{one.duration_ms / 1000:.1f} s",
         f"<code>{safe(one.command)}</code>", _at(one.at)) for one in found.slowest_gates
    ]  # fmt: skip
    return _table("Slowest gates", ("gate", "of", "role", "result", "#took", "command", "at"), rows)


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a section with a table of cells that are HTML already; empty without rows. `#` heads a figure."""
    lines = [
        "<tr>" + "".join(_cell(head, cell) for head, cell in zip(heads, row, strict=True)) + "</tr>" for row in rows
    ]
    if not lines:
        return ""
    head = "".join(f'<th class="{"n" if one[:1] == "#" else ""}">{one.lstrip("#")}</th>' for one in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f'<section><h2>{title}</h2><div class="scroll">{table}</div></section>'


def _cell(head: str, cell: str) -> str:
    kind = "id" if not head else "n" if head[0] == "#" else "t" if head in _SHORT else ""
    return f'<td class="{kind}" data-h="{"" if head in _PLAIN else head.lstrip("#")}">{cell}</td>'


def _id(text: str) -> str:
    return f"<b>{safe(text)}</b>"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _figure(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _usd(line: CostLine) -> str:
    if line.cost_usd is None:
        return "unknown" if line.programs else "$0.00"
    return f"{'~' if line.estimated else ''}${line.cost_usd:.2f}"


def duration(seconds: int) -> str:
    """Say how long something took, in two units at most."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
