"""The one parser of a task's Markdown. What it does not know it refuses, with the line."""

from __future__ import annotations

import hashlib
import re

from gluerun.errors import ConfigError, SchemaError
from gluerun.records import names
from gluerun.records.config import ApprovalRule
from gluerun.records.paths import covers, scope_entry
from gluerun.records.record import record
from gluerun.records.task import Policy, Status, TaskSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.records.config import Config

HEADERS = (
    "Status",
    "Area",
    "Target branch",
    "Worker branch",
    "Test policy",
    "Gate command",
    "Dispatch mode",
    "Depends on",
    "DAG node",
    "Supersedes",
    "Superseded by",
    "Priority",
    "Approve plan",
    "Approval",
)
_TITLE = re.compile(r"^#\s+(TASK-[0-9]+)\s*:\s*(.+?)\s*$")
_KNOWN = {name.lower(): name for name in HEADERS}
_HEADER = re.compile(r"^(?:[-*]\s+)?\**([A-Za-z][A-Za-z0-9 _-]{1,30}?)\**\s*:\**(\s*)(.*)$")
_STATUS = re.compile(r"^(?:[-*]\s+)?\**Status\**\s*:", re.IGNORECASE)
_BULLET = re.compile(r"^(?:[-*+]|[0-9]{1,3}[.)])\s+(.*)$")
_FENCE = re.compile(r"^\s*(?:```[^`]*|~~~.*)$")
_LISTS = ("Owned files", "Forbidden files")
_NOTHING = ("", "none", "[]", "n/a")


@record
class TaskFile:
    """A task's Markdown, read: its specification, the status it states, and its hash."""

    spec: TaskSpec
    status: Status
    sha256: str


def content_sha256(text: str) -> str:
    """Return the hash of a task's Markdown without its `Status:` line, which is only a projection."""
    lines = text.removeprefix("\ufeff").splitlines()
    end = next((at for at, line in enumerate(lines) if line.startswith("## ")), len(lines))
    kept = [line for at, line in enumerate(lines) if at >= end or not _STATUS.match(line)]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def parse(text: str, config: Config, *, file: str = "task file") -> TaskFile:
    """Read a task's Markdown; ConfigError with file and line for whatever is wrong or unknown."""
    return _Reader(text, file).read(config)


class _Reader:
    """One pass over the lines of one file."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.text = text.removeprefix("\ufeff")
        self.title: tuple[str, str] | None = None
        self.headers: dict[str, tuple[int, str]] = {}
        self.sections: dict[str, list[tuple[int, str]]] = {}
        self.lists: dict[str, list[tuple[int, str]]] = {}

    def fail(self, line: int, message: str, hint: str = "") -> ConfigError:
        place = f"{self.file}:{line}" if line else self.file
        return ConfigError(f"{place}: {message}", hint, file=self.file)

    def read(self, config: Config) -> TaskFile:
        self._collect()
        if self.title is None:
            raise self.fail(1, "the first heading must read `# TASK-NNNN: title`")
        spec = self._spec(config)
        return TaskFile(spec=spec, status=self._status(), sha256=content_sha256(self.text))

    def _collect(self) -> None:
        section, fenced = "", False
        active: list[tuple[int, str]] | None = None
        for number, raw in enumerate(self.text.splitlines(), 1):
            line = raw.rstrip()
            fence = _FENCE.match(line) is not None
            if fenced or fence:
                fenced, active = fenced != fence, None
                self.sections.setdefault(section or "notes", []).append((number, line))
            elif found := _TITLE.match(line):
                self._take_title(number, found)
            elif line.startswith("# "):
                raise self.fail(number, f"a heading {line!r} where `# TASK-NNNN: title` belongs")
            elif line.startswith("## "):
                section, active = line[3:].strip().lower(), None
                self.sections.setdefault(section, [])
            else:
                active = self._take_line(number, line, section, active)

    def _take_title(self, number: int, found: re.Match[str]) -> None:
        if self.title is not None:
            raise self.fail(number, "a second task heading; one file holds one task")
        if not names.is_task(found[1]):
            raise self.fail(number, f"{found[1]!r} is no task id", "use four digits or more: TASK-0001")
        self.title = (found[1], found[2])

    def _take_line(
        self, number: int, line: str, section: str, active: list[tuple[int, str]] | None
    ) -> list[tuple[int, str]] | None:
        header = _HEADER.match(line)
        if header and header[1].capitalize() in _LISTS and section in ("", "scope"):
            active = self.lists.setdefault(header[1].capitalize(), [])
            if _plain(header[3]).lower() not in _NOTHING:
                active.append((number, header[3]))
            return active
        if active is not None and (line.startswith((" ", "\t")) or _BULLET.match(line) or not line):
            _add_bullet(active, number, line.strip() if _BULLET.match(line.strip()) else line)
            return active
        if section == "" and header and _is_meant_as_header(header):
            self._take_header(number, header)
        elif section == "":
            self.sections.setdefault("notes", []).append((number, line))
        else:
            self.sections[section].append((number, line))
        return None

    def _take_header(self, number: int, header: re.Match[str]) -> None:
        name = _KNOWN.get(header[1].strip().lower())
        if name is None:
            raise self.fail(number, f"unknown header {header[1]!r}", self._nearest(header[1]))
        if name in self.headers:
            raise self.fail(number, f"header {name!r} stands twice")
        self.headers[name] = (number, _plain(header[3]))

    @staticmethod
    def _nearest(name: str) -> str:
        import difflib

        close = difflib.get_close_matches(name, HEADERS, 1, 0.5)
        return f"did you mean `{close[0]}:`" if close else "known headers: " + ", ".join(HEADERS)

    def _value(self, name: str) -> str:
        return self.headers.get(name, (0, ""))[1]

    def _line(self, name: str) -> int:
        return self.headers.get(name, (0, ""))[0]

    def _status(self) -> Status:
        word = self._value("Status") or "ready"
        try:
            return Status(word)
        except ValueError:
            known = ", ".join(Status)
            raise self.fail(self._line("Status"), f"unknown status {word!r}", f"one of {known}") from None

    def _spec(self, config: Config) -> TaskSpec:
        task_id, title = self.title or ("", "")
        owned = self._paths("Owned files")
        if not owned:
            raise self.fail(0, "no `Owned files:` list", "name the files or folders the task may change")
        criteria = self._bullets("acceptance criteria")
        if not criteria and config.preflight_require_acceptance:
            raise self.fail(0, "no `## Acceptance Criteria` with at least one bullet")
        objective = self._prose("objective")
        if not objective:
            raise self.fail(0, "no `## Objective` section")
        area = self._value("Area") or area_of(owned[0], config)
        target = self._value("Target branch") or config.target_branch
        branch = self._value("Worker branch") or f"agent/{area}/{task_id}-{names.slug(title)}"
        self._check_branches(target, branch)
        return TaskSpec(
            task_id=task_id,
            title=title,
            area=self._matching("Area", area, names.AREA),
            target_branch=target,
            worker_branch=branch,
            objective=objective,
            owned_files=owned,
            acceptance_criteria=criteria,
            forbidden_files=self._paths("Forbidden files"),
            prerequisites=self._bullets("prerequisites"),
            depends_on=self._ids("Depends on"),
            gate_command=self._value("Gate command") or config.gate_command,
            dispatch_mode=self._value("Dispatch mode") or "canonical",
            test_policy=self._policy(),
            dag_node=self._matching("DAG node", self._value("DAG node"), names.NODE) or None,
            supersedes=next(iter(self._ids("Supersedes")), None),
            notes=self._notes(),
            priority=self._priority(),
            approve_plan=self._rule("Approve plan"),
            approval=self._rule("Approval"),
        )

    def _check_branches(self, target: str, branch: str) -> None:
        for name, value in (("Target branch", target), ("Worker branch", branch)):
            if not names.is_branch(value):
                raise self.fail(self._line(name), f"{value!r} cannot be a branch name")
        if target == branch:
            raise self.fail(self._line("Worker branch"), "the worker branch is the target branch")

    def _matching(self, header: str, value: str, pattern: str) -> str:
        if value and not re.fullmatch(pattern, value):
            raise self.fail(self._line(header), f"{value!r} cannot be the {header.lower()}")
        return value

    def _priority(self) -> int:
        word = self._value("Priority")
        if word.lower() in _NOTHING:
            return 0
        if not re.fullmatch(names.PRIORITY, word):
            raise self.fail(self._line("Priority"), f"{word!r} is no priority", "a whole number; higher goes first")
        return int(word)

    def _rule(self, header: str) -> ApprovalRule | None:
        word = self._value(header)
        if not word:
            return None
        try:
            return ApprovalRule(word)
        except ValueError:
            known = ", ".join(ApprovalRule)
            raise self.fail(self._line(header), f"{word!r} is no answer to {header!r}", f"one of {known}") from None

    def _policy(self) -> Policy | None:
        word = self._value("Test policy")
        if not word:
            return None
        try:
            return Policy(word)
        except ValueError:
            known = ", ".join(Policy)
            raise self.fail(self._line("Test policy"), f"unknown test policy {word!r}", f"one of {known}") from None

    def _ids(self, header: str) -> tuple[str, ...]:
        value = self._value(header)
        if value.lower() in _NOTHING:
            return ()
        words = re.findall(r"[A-Za-z0-9_.-]+", value)
        for word in words:
            if not names.is_task(word):
                raise self.fail(self._line(header), f"{word!r} is no task id")
        return tuple(dict.fromkeys(words))

    def _paths(self, header: str) -> tuple[str, ...]:
        found = []
        for number, item in self.lists.get(header, ()):
            if _plain(item).lower() in _NOTHING:
                continue
            found.append(self._path(number, item))
        return tuple(dict.fromkeys(found))

    def _path(self, number: int, item: str) -> str:
        quoted = re.findall(r"`([^`]+)`", item)
        if len(quoted) > 1 or (not quoted and re.search(r"\s", item.strip())):
            hint = "put the path, and only the path, between backticks"
            raise self.fail(number, f"cannot tell which path {item.strip()!r} means", hint)
        try:
            return scope_entry(quoted[0] if quoted else item)
        except SchemaError as error:
            raise self.fail(number, error.message) from None

    def _bullets(self, section: str) -> tuple[str, ...]:
        found: list[tuple[int, str]] = []
        for number, line in self.sections.get(section, ()):
            _add_bullet(found, number, line)
        return tuple(text for _, text in found if _plain(text).lower() not in _NOTHING)

    def _prose(self, section: str) -> str:
        return "\n".join(line for _, line in self.sections.get(section, ())).strip()

    def _notes(self) -> str:
        """Keep every section that has no field of its own, so that no instruction is lost."""
        own = ("objective", "scope", "acceptance criteria", "prerequisites")
        parts = [self._prose("notes")]
        scope = self._prose("scope")
        parts += [f"## Scope\n{scope}"] if scope else []
        for section in ("acceptance criteria", "prerequisites"):
            found: list[tuple[int, str]] = []
            lines = self.sections.get(section, ())
            loose = [line for number, line in lines if not _add_bullet(found, number, line) and line]
            parts += ["\n".join([f"## {section}", *loose])] if loose else []
        for section in self.sections:
            if section not in (*own, "notes") and self._prose(section):
                parts.append(f"## {section}\n{self._prose(section)}")
        return "\n\n".join(part for part in parts if part)


def area_of(path: str, config: Config) -> str:
    """Return the area whose paths hold *path*; else its first folder; else ``root``."""
    for area, entries in config.areas.items():
        if any(covers(entry.rstrip("/"), path) for entry in entries):
            return area
    rest = path.removeprefix(config.area_prefix)
    first = rest.split("/")[0] if "/" in rest else "root"
    return re.sub(r"[^A-Za-z0-9_-]+", "-", first).strip("-")[:40] or "root"


def _is_meant_as_header(header: re.Match[str]) -> bool:
    """Tell a header from prose with a colon: a known name in any spelling, or a capital and a space."""
    return header[1].strip().lower() in _KNOWN or (header[1][0].isupper() and bool(header[2] or not header[3]))


def _plain(text: str) -> str:
    """Return *text* without the backticks around it; those inside it belong to it."""
    quoted = re.fullmatch(r"`+([^`]*)`+", text.strip())
    return (quoted[1] if quoted else text).strip()


def _add_bullet(found: list[tuple[int, str]], number: int, line: str) -> bool:
    """Add a bullet, or continue the last one with an indented line; tell whether the line was taken."""
    if bullet := _BULLET.match(line):
        found.append((number, bullet[1].strip()))
        return True
    if not line.strip() or not line.startswith((" ", "\t")):
        return False
    nested = _BULLET.match(line.strip())
    text = nested[1] if nested else line.strip()
    if found:
        found[-1] = (found[-1][0], f"{found[-1][1]} {text.strip()}")
    elif nested:
        found.append((number, text.strip()))
    return bool(found)
