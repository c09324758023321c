"""JUnit XML, as pytest, gotestsum, cargo nextest and node write it: how many tests there were, and which failed.

What stands in a report was written by the work that is judged. So nothing in it is trusted: it declares no types and
no entities, it is bounded in every way, and what cannot be read is said, and counts for nothing.
"""

from __future__ import annotations

from gluerun.records.gate import GateRun, GateTests, GateVerdict
from gluerun.records.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.records.pipeline import GateSpec

LONGEST_REPORT = 16_777_216
MOST_REPORTS = 64
MOST_NAMES = 50
LONGEST_NAME = 200
_DEEPEST = 64
_FAILED = ("failure", "error")
# What a program writes that gives a test no class or file: node, for all of them.
_NO_CLASS = ("", "test")


@record
class Report:
    """What reports say of tests: None if nothing can be said. `note` is what is odd about them."""

    tests: GateTests | None = None
    failures: tuple[str, ...] = ()
    note: str = ""


class _RefusedError(Exception):
    """A document that is well-formed, and yet none that anybody should read."""


def read(data: bytes) -> Report:
    """Return what one report says; a note and no numbers where it cannot be read."""
    if len(data) > LONGEST_REPORT:
        return Report(note=f"is longer than {LONGEST_REPORT >> 20} MiB")
    from xml.parsers import expat

    walk = _Walk()
    parser = expat.ParserCreate()
    parser.buffer_text = False
    parser.StartDoctypeDeclHandler = _refuse_types
    parser.EntityDeclHandler = _refuse_types
    parser.StartElementHandler = walk.start
    parser.EndElementHandler = walk.end
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, _RefusedError, ValueError, LookupError) as error:
        return Report(note=f"cannot be read: {_words(str(error))}")
    if not walk.is_report:
        return Report(note="is no JUnit report")
    return Report(tests=GateTests(total=walk.total, failed=walk.failed, skipped=walk.skipped), failures=walk.names())


def added(reports: Sequence[tuple[str, Report]], pattern: str, *, is_cut: bool = False) -> Report:
    """Return what several reports say together, each with its path; *pattern* is where they were looked for."""
    if not reports:
        return Report(note=f"it left no report at {pattern}")
    known = [one for _, one in reports if one.tests is not None]
    notes = [f"{path} {one.note}" for path, one in reports if one.note][:3]
    if is_cut:
        notes.append(f"only {MOST_REPORTS} reports were read")
    tests = None
    if known:
        counts = [one.tests for one in known if one.tests is not None]
        tests = GateTests(
            total=sum(one.total for one in counts),
            failed=sum(one.failed for one in counts),
            skipped=sum(one.skipped for one in counts),
        )
    names = dict.fromkeys(name for one in known for name in one.failures)
    return Report(tests=tests, failures=tuple(names)[:MOST_NAMES], note="; ".join(notes))


def told(run: GateRun, gate: GateSpec, report: Report) -> GateRun:
    """Return a gate's run with what its report says. Too few tests make it red; nothing makes it green."""
    notes = [report.note] if report.note else []
    ran = report.tests.ran if report.tests is not None else None
    if ran == 0:
        notes.append("it ran no test")
    result = run.result
    if result is GateVerdict.GREEN and gate.min_tests and (ran is None or ran < gate.min_tests):
        result = GateVerdict.RED
        notes.append(f"at least {gate.min_tests} wanted")
    if run.result is GateVerdict.GREEN and report.tests is not None and report.tests.failed:
        notes.append(f"it ended with 0 although its report names {report.tests.failed} failed")
    return replace(run, result=result, tests=report.tests, failures=report.failures, reason=", ".join(notes))


def _refuse_types(*_: object) -> None:
    raise _RefusedError("it declares types or entities")


class _Walk:
    """One walk over a report: counts, and the names of what failed."""

    def __init__(self) -> None:
        self.total = self.failed = self.skipped = 0
        self.is_report = False
        self._open: list[str] = []
        self._suites: list[str] = []
        self._case = 0
        self._name = ""
        self._said: set[str] = set()
        self._failures: dict[str, None] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        self._open.append(name)
        if len(self._open) > _DEEPEST:
            raise _RefusedError("it is nested too deeply")
        if len(self._open) == 1:
            self.is_report = name in ("testsuites", "testsuite")
        if not self.is_report:
            return
        if name == "testsuite":
            self._suites.append(_words(attributes.get("name", "")))
        elif name == "testcase" and not self._case:
            self._case = len(self._open)
            self._name = self._named(attributes)
            self._said = set()
        elif self._case and len(self._open) == self._case + 1:
            self._said.add(name)

    def end(self, tag: str) -> None:
        del tag
        if len(self._open) == self._case:
            self._count()
            self._case = 0
        if self._open.pop() == "testsuite" and self._suites:
            self._suites.pop()

    def names(self) -> tuple[str, ...]:
        return tuple(self._failures)

    def _count(self) -> None:
        self.total += 1
        if self._said.intersection(_FAILED):
            self.failed += 1
            if len(self._failures) < MOST_NAMES:
                self._failures[self._name] = None
        elif "skipped" in self._said:
            self.skipped += 1

    def _named(self, attributes: dict[str, str]) -> str:
        where = _words(attributes.get("classname", ""))
        if where in _NO_CLASS:
            where = _words(attributes.get("file", "")) or (self._suites[-1] if self._suites else "")
        name = _words(attributes.get("name", "")) or "(a test without a name)"
        return f"{where}::{name}" if where and where != name else name


def _words(text: str) -> str:
    """Return a text of a report as one short line in which nothing moves a cursor."""
    line = " ".join(text[: 4 * LONGEST_NAME].split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:LONGEST_NAME]
