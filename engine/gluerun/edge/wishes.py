"""Texts from elsewhere → wishes for tasks: a checklist, a specification of many, the issues of a forge, a batch.

What stands in such a text is only text: it says what is wished for, and nothing about how it is carried out.
"""

from __future__ import annotations

import json
import re

from gluerun.errors import SchemaError, UsageError
from gluerun.records import names, schema
from gluerun.records.proposal import TaskBatch
from gluerun.records.record import record
from gluerun.settings_walk import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Pairs = Iterable[tuple[str, Any]]


@record
class Wish:
    """One task that a file wishes for, and the line where it begins.

    `text` is Markdown as a person writes it; the rest is what was read out of a text that is not. `own_id` is the id
    by which other wishes of the same file mean it, `source` the address it comes from.
    """

    line: int
    title: str
    own_id: str = ""
    text: str = ""
    objective: str = ""
    criteria: tuple[str, ...] = ()
    owned: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    area: str = ""
    node: str = ""
    gate: str = ""
    source: str = ""
    labels: tuple[str, ...] = ()


@record
class Wishes:
    """What a file wishes for. Tasks of a planner's batch may not share files, those of a person wait for each other."""

    kind: str
    wishes: tuple[Wish, ...]
    strict: bool = False


_ITEM = re.compile(r"^(\s*)[-*+]\s+\[([ xX])\]\s+(.*)$")
_BULLET = re.compile(r"^(\s+)(?:[-*+]|[0-9]{1,3}[.)])\s+(?:\[[ xX]\]\s+)?(.*)$")
_WORD = re.compile(r"^(Owned|Area|Depends on|Node|Gate)\s*:\s*(.*)$", re.IGNORECASE)
_HEADING = re.compile(r"^#\s+(?:(TASK-[0-9]{4,12})\s*:\s*)?(.+?)\s*$")
_OWN_ID = re.compile(r"^(TASK-[0-9]{4,12})\s*:\s*(.+)$")
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_SPEC_KEYS = ("title", "id", "objective", "owned", "accept", "dependsOn", "area", "node", "gate")
MOST = 1000


def wishes_in(text: str, name: str) -> Wishes:
    """Return what a file wishes for, by what it holds; UsageError with file and line where that cannot be told."""
    stripped = text.lstrip("\ufeff \t\r\n")
    found = _of_json(text.lstrip("\ufeff"), name) if stripped[:1] in ("{", "[") else _of_markdown(text, name)
    if not found.wishes:
        hint = "a checklist has lines `- [ ] …`, a specification headings `# title`, issues and batches are JSON"
        raise UsageError(f"{name}: no task is in it", hint, file=name)
    if len(found.wishes) > MOST:
        raise UsageError(f"{name}: {len(found.wishes)} tasks at once are too many", f"at most {MOST}", file=name)
    return found


def specification(text: str, name: str) -> Wishes:
    """Return the tasks of a specification: sections `# title` of Markdown, or a list in YAML."""
    if name.endswith((".yaml", ".yml")):
        return _of_yaml(text, name)
    found = Wishes(kind="specification", wishes=tuple(_sections(text)))
    if not found.wishes:
        raise UsageError(f"{name}: no task is in it", "begin each task with a heading `# title`", file=name)
    return found


def one_line(text: str) -> str:
    """Return *text* as one line without anything that a terminal or a parser would obey."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def quoted(text: str) -> str:
    """Return a stranger's text as a quotation: no line of it can be a heading, a header or a list of ours."""
    lines = ("".join(char if char.isprintable() else " " for char in line) for line in text.splitlines())
    return "\n".join(f"> {line}".rstrip() for line in lines).strip("\n")


# --- Markdown --------------------------------------------------------------------------------------------


def _of_markdown(text: str, name: str) -> Wishes:
    items = _checklist(text)
    if items:
        return Wishes(kind="checklist", wishes=tuple(items))
    return Wishes(kind="specification", wishes=tuple(_sections(text)))


def _checklist(text: str) -> list[Wish]:
    """Return the open items of the outermost checklist; those below one are its criteria."""
    found: list[dict[str, Any]] = []
    current: dict[str, Any] | None = None
    depth, fenced = 0, False
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= bool(_FENCE.match(line))
        item = None if fenced else _ITEM.match(line)
        if item and (current is None or len(item[1].expandtabs(4)) <= depth):
            depth = len(item[1].expandtabs(4))
            is_open = item[2] == " "
            current = {"line": number, "title": one_line(item[3]), "criteria": [], "open": is_open}
            found.append(current)
        elif current is not None and not fenced:
            current = _below(current, line)
    return [_wish_of(one) for one in found if one["open"]]


def _below(current: dict[str, Any], line: str) -> dict[str, Any] | None:
    """Take one line that stands below an item; None where the item is over."""
    bullet = _BULLET.match(line)
    if bullet and (word := _WORD.match(bullet[2])):
        current[word[1].lower()] = word[2]
    elif bullet:
        current["criteria"].append(one_line(bullet[2]))
    elif line[:1] in (" ", "\t") and line.strip():
        current["objective"] = f"{current.get('objective', '')} {one_line(line)}".strip()
    elif line.strip():
        return None
    return current


def _wish_of(item: dict[str, Any]) -> Wish:
    named = _OWN_ID.match(item["title"])
    title = named[2] if named else item["title"]
    return Wish(
        line=item["line"],
        title=title,
        own_id=named[1] if named else "",
        objective=item.get("objective", "") or title,
        criteria=tuple(item["criteria"]),
        owned=_listed(item.get("owned", "")),
        depends_on=_listed(item.get("depends on", "")),
        area=item.get("area", "").strip(" `"),
        node=item.get("node", "").strip(" `"),
        gate=item.get("gate", "").strip(" `"),
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(word for one in text.split(",") if (word := one.strip(" `")))


def _sections(text: str) -> list[Wish]:
    """Return the parts of a Markdown text that begin with a heading of the first level."""
    found: list[Wish] = []
    begun: tuple[int, re.Match[str]] | None = None
    lines: list[str] = []
    fenced = False
    for number, line in enumerate([*text.lstrip("\ufeff").splitlines(), "# end"], 1):
        fenced ^= bool(_FENCE.match(line))
        heading = None if fenced else _HEADING.match(line)
        if heading is None:
            lines.append(line)
            continue
        if begun is not None:
            title = one_line(begun[1][2])
            found.append(Wish(line=begun[0], title=title, own_id=begun[1][1] or "", text="\n".join(lines).strip()))
        begun, lines = (number, heading), []
    if fenced and begun is not None:
        title = one_line(begun[1][2])
        found.append(Wish(line=begun[0], title=title, own_id=begun[1][1] or "", text="\n".join(lines[:-1]).strip()))
    return found


# --- JSON and YAML ---------------------------------------------------------------------------------------


def _of_json(text: str, name: str) -> Wishes:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{name}:{error.lineno}"
        raise UsageError(f"{place}: not JSON: {error.msg.lower()}", "mend the file", file=name) from None
    except RecursionError:
        raise UsageError(f"{name}: nested too deeply", "mend the file", file=name) from None
    except ValueError:  # a number that Python refuses to read
        raise UsageError(f"{name}: a number in it is too long", "mend the file", file=name) from None
    if isinstance(document, dict) and "tasks" in document:
        return _of_batch(document, text, name)
    issues = [document] if isinstance(document, dict) else document
    starts = _starts(text, len(issues))
    return Wishes(
        kind="issues", wishes=tuple(_issue(one, line, name) for one, line in zip(issues, starts, strict=True))
    )


def _of_batch(document: dict[str, Any], text: str, name: str) -> Wishes:
    try:
        batch = schema.admit(TaskBatch, document)
    except SchemaError as error:
        raise UsageError(f"{name}: {error.message}", "a batch is what a planner answers", file=name) from None
    found = []
    for one in batch.tasks:
        at = text.find(json.dumps(one.task_id))
        line = text.count("\n", 0, max(at, 0)) + 1
        heading = _HEADING.match(one.markdown.partition("\n")[0])
        if heading is None or heading[1] != one.task_id:
            raise UsageError(f"{name}:{line}: {one.task_id} does not begin with `# {one.task_id}: title`", file=name)
        body = one.markdown.partition("\n")[2].strip()
        found.append(Wish(line=line, title=one_line(heading[2]), own_id=one.task_id, text=body))
    return Wishes(kind="batch", wishes=tuple(found), strict=True)


def _starts(text: str, count: int) -> list[int]:
    """Return the line on which each of the *count* entries of the outermost list begins; a single object is one."""
    found: list[int] = []
    decoder, line, seen = json.JSONDecoder(), 1, 0
    at = text.find("[") + 1 if text.lstrip().startswith("[") else 0
    for _ in range(count):
        while text[at] in " \t\r\n,":
            at += 1
        line += text.count("\n", seen, at)
        found.append(line)
        seen = at
        _, at = decoder.raw_decode(text, at)
    return found


def _issue(issue: Any, line: int, name: str) -> Wish:
    """Return one issue as a wish. Its body is only quoted; the checklists in it become criteria."""
    place = f"{name}:{line}"
    hint = "print it with `gh issue list --json number,title,body,labels,url`"
    if not isinstance(issue, dict) or not isinstance(issue.get("title"), str) or not one_line(issue["title"]):
        raise UsageError(f"{place}: an issue without a title", hint, file=name)
    body, url, number = issue.get("body") or "", issue.get("url") or "", issue.get("number")
    if not isinstance(body, str) or not isinstance(url, str) or isinstance(number, bool):
        raise UsageError(f"{place}: an issue whose body or url is no text", hint, file=name)
    if not isinstance(number, int | None):
        raise UsageError(f"{place}: an issue whose number is none", hint, file=name)
    source = one_line(url) or (f"issue {number}" if number is not None else "")
    if not source:
        raise UsageError(f"{place}: an issue without url and number cannot be told from another one", hint, file=name)
    labels = issue.get("labels") or []
    called = [one.get("name") if isinstance(one, dict) else one for one in labels] if isinstance(labels, list) else []
    boxes = [_ITEM.match(part) for part in body.splitlines()]
    title = one_line(issue["title"])
    return Wish(
        line=line,
        title=title,
        objective=f"What the issue says:\n\n{quoted(body if body.strip() else title)}",
        criteria=tuple(one_line(box[3]) for box in boxes if box and one_line(box[3])),
        source=source.replace(" ", "%20") if url else source,
        labels=tuple(one_line(word) for word in called if isinstance(word, str)),
    )


def _of_yaml(text: str, name: str) -> Wishes:
    import yaml  # only a specification in YAML needs it

    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}:{mark.line + 1}" if mark else name
        raise UsageError(f"{place}: not YAML", "mend the file", file=name) from None
    if not isinstance(document, list) or not document or tree is None:
        raise UsageError(f"{name}: no list of tasks", "begin each task with `- title: …`", file=name)
    lines = [node.start_mark.line + 1 for node in tree.value]
    return Wishes(
        kind="specification",
        wishes=tuple(_entry(one, f"{name}:{line}", line, name) for one, line in zip(document, lines, strict=True)),
    )


def _entry(entry: Any, place: str, line: int, name: str) -> Wish:
    if not isinstance(entry, dict):
        raise UsageError(f"{place}: a task is an object", "begin it with `- title: …`", file=name)
    for key in entry:
        if key not in _SPEC_KEYS:
            raise UsageError(f"{place}: {key!r} is no known key", nearest(str(key), _SPEC_KEYS), file=name)
    words = {key: entry.get(key) for key in ("title", "id", "objective", "area", "node", "gate")}
    for key, value in words.items():
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{place}: `{key}` is no text", "put it between quotes", file=name)
    if words["id"] and not names.is_task(words["id"]):
        raise UsageError(f"{place}: {words['id']!r} is no task id", "task ids read TASK-9001", file=name)
    lists = {key: _texts(entry.get(key), key, place, name) for key in ("owned", "accept", "dependsOn")}
    return Wish(
        line=line,
        title=one_line(words["title"] or ""),
        own_id=words["id"] or "",
        objective=words["objective"] or "",
        criteria=lists["accept"],
        owned=lists["owned"],
        depends_on=lists["dependsOn"],
        area=words["area"] or "",
        node=words["node"] or "",
        gate=words["gate"] or "",
    )


def _texts(value: Any, key: str, place: str, name: str) -> tuple[str, ...]:
    items = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in items):
        raise UsageError(f"{place}: `{key}` is no list of texts", "put each between quotes", file=name)
    return tuple(items)
