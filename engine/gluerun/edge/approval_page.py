"""The evidence page of one request: what a person sees before deciding, as data, as Markdown and as one HTML file.

What agents wrote is shown as it is, masked, and never as markup: a difference cannot imitate a heading of this page.
"""

from __future__ import annotations

import re

from gluerun.core.approvals import BEFORE
from gluerun.core.masking import masked_text
from gluerun.core.recording import without_records
from gluerun.edge.approvals import ApprovalLine, line_of
from gluerun.edge.reading import NOBODY
from gluerun.errors import GluerunError
from gluerun.loop.approving import ATTEMPTS, LEDGER, record_of
from gluerun.loop.evidence import AUDIT, CANDIDATE, PACKET, RECEIPT
from gluerun.loop.observe import observe
from gluerun.loop.store import run_path
from gluerun.records.approval import Approval, Bound, Point
from gluerun.records.attempt import AttemptsIndex
from gluerun.records.gate import GateCheck
from gluerun.records.packet import Packet
from gluerun.records.record import record
from gluerun.records.spent import Spent
from gluerun.records.verdict import Ledger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.loop.house import House
    from gluerun.records.task import Task

DIFF_LIMIT = 120_000
_TAIL = 8_000


@record
class Section:
    """One part of the page: a heading, lines of ours, and a text that is shown letter by letter."""

    title: str
    lines: tuple[str, ...] = ()
    text: str = ""


@record
class ApprovalPage:
    """What `gluerun approval show` answers."""

    SCHEMA = "approval-page.v0"

    request: ApprovalLine
    bound: Bound
    sections: tuple[Section, ...]


def approval_page(house: House, request: Approval) -> ApprovalPage:
    """Return everything that speaks for and against approving a request."""
    task = house.store.any_task(request.task_id)
    world = observe(house, NOBODY).world
    sections = [_what_happens(request), _risks(request)]
    if task is not None:
        sections += [_text(house, task), _criteria(task)]
        if request.point is Point.LANDING:
            sections += _work(house, task, request)
        if request.point is Point.LIMIT:
            sections += _so_far(house, request)
        sections += [_tries(house, task), _cost(task)]
    if request.questions:
        answers = [f"{one} {request.answers.get(one, '')}".rstrip() for one in request.questions]
        sections.append(Section(title="Questions to answer", lines=tuple(answers)))
    sections.append(_about(request))
    return ApprovalPage(
        request=line_of(house, world, request), bound=request.bound, sections=tuple(map(_masked, sections))
    )


# What comes of an approval, and of a rejection.
_ENDS = {
    Point.PLAN: ("the task may be started", "the task is parked with your reason"),
    Point.LIMIT: (
        "the agent goes on from where it was stopped, and the limit counts anew from there: as much may be used again",
        "the task is parked with your reason and with its work, and the try counts",
    ),
    Point.LANDING: (
        "exactly this work lands; if the target has moved, it is proved anew first and lands only if the "
        "difference is the same",
        "the work goes back for another try, which is told your reason word for word, or is parked if none is left",
    ),
}


def _what_happens(request: Approval) -> Section:
    answers = "".join(f' --answer "{question}=…"' for question in request.questions)
    approved, rejected = _ENDS[request.point]
    lines = [
        f"to approve: `gluerun approve {request.id}{answers}`; {approved}",
        f"to reject: `gluerun reject {request.id} --reason …`; {rejected}",
    ]
    lines += [f"only {' or '.join(request.owners)} can decide"] if request.owners else []
    if request.expires_at is not None:
        lines.append(
            f"without an answer it expires at {request.expires_at:%Y-%m-%d %H:%M:%SZ}; nothing is approved then"
        )
    return Section(title="What happens", lines=tuple(lines))


def _risks(request: Approval) -> Section:
    return Section(title="Risks", lines=request.risks or ("none of the signals that are looked for",))


def _text(house: House, task: Task) -> Section:
    data = house.doors.work.read(task.source_path) if task.source_path else None
    text = data.decode("utf-8", "replace") if data is not None else task.spec.objective
    return Section(title="The task", text=text)


def _criteria(task: Task) -> Section:
    return Section(title="Acceptance criteria", lines=task.spec.acceptance_criteria or ("none",))


def _work(house: House, task: Task, request: Approval) -> list[Section]:
    run_id, bound = task.run_id or "", request.bound
    packet = record_of(house, Packet, run_id, PACKET)
    evidence = packet.evidence if packet else ()
    tests = [one.ref for one in evidence if one.kind in ("tamper", "waiver")]
    return [
        Section(title="What the agent says it did", text=packet.summary or "" if packet else ""),
        Section(title="The difference", text=_difference(house, bound)),
        Section(title="Tests", lines=tuple(tests) or ("nothing was lost, skipped or weakened",)),
        _gate(house, run_id),
        _audit(house, run_id),
        _findings(house, run_id),
    ]


def _so_far(house: House, request: Approval) -> list[Section]:
    """Return the limit that was met, and what the agent had done by then; nobody has judged that yet."""
    bound = request.bound
    spent = bound.spent or Spent()
    sums = f"{spent.usd:.4f} US dollars, {spent.tokens} tokens, {spent.turns} turns, {spent.seconds} seconds"
    lines = (f"the limit of {bound.limit} of the {bound.span}, in {bound.run_id}", f"used up by all its runs: {sums}")
    return [
        Section(title="The limit", lines=lines),
        Section(title="What it has done so far, which nobody has judged", text=_difference(house, bound)),
    ]


def _difference(house: House, bound: Bound) -> str:
    end = bound.candidate or bound.head
    if bound.base is None or end is None:
        return ""
    try:
        return without_records(house.doors.git.patch(bound.base, end, limit=DIFF_LIMIT))
    except GluerunError as error:
        return f"it cannot be shown: {error.message}"


def _gate(house: House, run_id: str) -> Section:
    check = record_of(house, GateCheck, run_id, CANDIDATE) or record_of(house, GateCheck, run_id, RECEIPT)
    if check is None:
        return Section(title="Gate", lines=("no gate was run",))
    said = f"`{check.cmd}` ended with {check.exit_code} ({check.result}) after {check.duration_ms / 1000:.1f} s"
    log = check.log_ref if check.log_ref.startswith("runs/") else run_path(check.run_id, check.log_ref)
    tail = house.store.files.tail(log, _TAIL).decode("utf-8", "replace")
    if check.gates:
        said = f"{len(check.gates)} gates: {check.result} after {check.duration_ms / 1000:.1f} s"
    return Section(title="Gate", lines=(said, f"on {check.commit}"), text=tail)


def _audit(house: House, run_id: str) -> Section:
    try:
        document = house.store.document(run_id, AUDIT) if run_id else None
    except GluerunError:
        document = None
    if not isinstance(document, dict):
        return Section(title="Audit", lines=("nobody has judged it",))
    return Section(
        title="Audit", lines=(f"verdict: {document.get('verdict')}",), text=str(document.get("rationale", ""))
    )


def _findings(house: House, run_id: str) -> Section:
    ledger = record_of(house, Ledger, run_id, LEDGER)
    lines = []
    for one in ledger.findings if ledger else ():
        how = f"in try {one.resolved_attempt}, {one.resolved_by}" if one.resolved_attempt else "still stands"
        lines.append(f"{one.id} ({one.source}, try {one.first_seen_attempt}): {one.text} → {one.status}, {how}")
    return Section(title="Findings and how each was resolved", lines=tuple(lines) or ("none",))


def _tries(house: House, task: Task) -> Section:
    index = record_of(house, AttemptsIndex, task.run_id or "", ATTEMPTS)
    attempts = index.attempts if index else ()
    lines = [
        f"try {one.n}: {one.failure_class or ('' if one.reason else 'accepted')} {one.reason}".rstrip()
        for one in attempts
    ]
    return Section(title="Tries of the last run", lines=tuple(lines) or ("none yet",))


def _cost(task: Task) -> Section:
    spent = task.spent
    return Section(
        title="Cost so far", lines=(f"{spent.usd:.4f} US dollars, {spent.tokens} tokens, {spent.seconds} seconds",)
    )


def _about(request: Approval) -> Section:
    rows = {
        "text": request.bound.source_sha256, "target": request.bound.base, "branch": request.bound.head,
        "candidate": request.bound.candidate, "tree": request.bound.tree, "difference": request.bound.diff_sha256,
        "gate": request.bound.gate_sha256, "receipt": request.bound.receipt, "verdict": request.bound.verdict,
        "run": request.bound.run_id,
    }  # fmt: skip
    lines = [f"{name}: {value}" for name, value in rows.items() if value]
    return Section(title="What exactly this is about", lines=tuple(lines))


def _masked(section: Section) -> Section:
    return Section(
        title=section.title, lines=tuple(masked_text(line) for line in section.lines), text=masked_text(section.text)
    )


# --- how it is shown -------------------------------------------------------------------------------------


def title_of(page: ApprovalPage) -> str:
    """Return the page's title."""
    one = page.request
    return f"{one.id}: {one.task}, before {BEFORE[Point(one.point)]} ({one.state})"


def as_markdown(page: ApprovalPage) -> str:
    """Return the page as Markdown."""
    parts = [f"# {_one_line(title_of(page))}", _one_line(page.request.title)]
    parts += [f"It is {page.request.state}: {page.request.why}."] if page.request.why else []
    for section in page.sections:
        if not section.lines and not section.text.strip():
            continue
        parts.append(f"## {section.title}")
        parts += ["\n".join(f"- {_one_line(line)}" for line in section.lines)] if section.lines else []
        if section.text.strip():
            longest = max((len(run) for run in re.findall(r"`{3,}", section.text)), default=2)
            fence = "`" * (longest + 1)
            parts.append(f"{fence}\n{_printable(section.text).rstrip()}\n{fence}")
    return "\n\n".join(part for part in parts if part) + "\n"


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;"
    "background:#fff}pre{background:#f4f4f2;padding:.8rem;overflow:auto;font-size:13px;white-space:pre-wrap;"
    "overflow-wrap:anywhere}h2{margin-top:2rem;border-bottom:1px solid #ddd}ins{background:#dff3e0;"
    "text-decoration:none}del{background:#fbe0e0;text-decoration:none}"
    "@media(prefers-color-scheme:dark){body{background:#1b1b1b;color:#e6e6e6}pre{background:#262626}"
    "ins{background:#1f3d24}del{background:#4a2222}}"
)


def as_html(page: ApprovalPage) -> str:
    """Return the page as one HTML file that refers to nothing outside itself."""
    from html import escape  # only this form needs it

    title = escape(title_of(page))
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{title}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1><p>{escape(page.request.title)}</p>",
    ]
    parts += [f"<p>It is {escape(page.request.state)}: {escape(page.request.why)}.</p>"] if page.request.why else []
    for section in page.sections:
        if not section.lines and not section.text.strip():
            continue
        parts.append(f"<h2>{escape(section.title)}</h2>")
        if section.lines:
            items = "".join(f"<li>{escape(_one_line(line))}</li>" for line in section.lines)
            parts.append(f"<ul>{items}</ul>")
        if section.text.strip():
            rows = (_coloured(escape(_printable(line))) for line in section.text.rstrip().split("\n"))
            parts.append("<pre>" + "\n".join(rows) + "</pre>")
    return "\n".join([*parts, "</body></html>\n"])


def _coloured(line: str) -> str:
    """Return an escaped line of a difference with its colour."""
    if line.startswith("+") and not line.startswith("+++"):
        return f"<ins>{line}</ins>"
    return f"<del>{line}</del>" if line.startswith("-") and not line.startswith("---") else line


def _one_line(text: str) -> str:
    return " ".join(_printable(text).split())


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)
