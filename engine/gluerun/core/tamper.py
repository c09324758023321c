"""What a try did to the tests: measured, not judged. Two versions of each changed test file go in, facts come out.

A count says what stands there, never why: a rewritten test can look like a lost one. So the facts go to the
auditor and into the packet, and they fail a try only where the repository asks for it (`testTamper: block`).
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from enum import StrEnum

from gluerun.core.patterns import matcher
from gluerun.records.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# What is looked at of one try; the rest is named as not read.
LONGEST_FILE = 400_000
MOST_FILES = 100
EVIDENCE = "tamper"
GREEN, RED = "green", "red"
_SHOWN = 8

DEFAULT_PATHS = (
    "tests/", "test/", "__tests__/", "spec/", "specs/", "test_*.py", "*_test.py", "conftest.py", "*.test.*", "*.spec.*",
    "*_test.go", "*_test.rs", "*_spec.rb", "*_test.rb", "*Test.java", "*Tests.java", "*Test.kt", "*Tests.cs",
    "*Test.php",
)  # fmt: skip
# How tests are run can be changed, too, without touching one of them.
RUN_PATHS = (
    "Makefile", "*.mk", "*.sh", "package.json", "tox.ini", "pytest.ini", "setup.cfg", "pyproject.toml", "noxfile.py",
    "justfile", ".github/",
)  # fmt: skip


def note_path(attempt: int) -> str:
    """Return where the facts about one try are kept, in its run's folder."""
    return f"attempts/{attempt}/tests.txt"


class Grade(StrEnum):
    """How much what happened to the tests asks to be looked at."""

    NONE = "none"
    LOW = "low"
    HIGH = "high"


@record
class Tamper:
    """What became of the tests between two trees, as counts; `lost` names some of the tests that are gone.

    `on_base` says how the gate ended on the base with these tests: green, red, or nothing if that was not tried.
    """

    grade: Grade = Grade.NONE
    files: int = 0
    deleted_files: int = 0
    lost_tests: int = 0
    new_tests: int = 0
    lost_assertions: int = 0
    new_skips: int = 0
    weakened: int = 0
    lost: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    on_base: str = ""


@record
class Seen:
    """What one version of a file holds."""

    tests: tuple[str, ...] = ()
    assertions: int = 0
    strong: int = 0
    skips: int = 0
    silenced: int = 0
    tolerances: tuple[float, ...] = ()


def of_tests(changed: Iterable[str], patterns: Sequence[str] = ()) -> tuple[str, ...]:
    """Return those of *changed* that are tests, or say how tests are run."""
    wanted = matcher((*(patterns or DEFAULT_PATHS), *RUN_PATHS))
    return tuple(path for path in changed if wanted.fullmatch(path))


def tests_among(changed: Iterable[str], patterns: Sequence[str] = ()) -> tuple[str, ...]:
    """Return those of *changed* that are tests themselves."""
    wanted = matcher(patterns or DEFAULT_PATHS)
    return tuple(path for path in changed if wanted.fullmatch(path))


def measured(
    before: Mapping[str, str | None],
    after: Mapping[str, str | None],
    *,
    patterns: Sequence[str] = (),
    unread: Sequence[str] = (),
) -> Tamper:
    """Return what became of the tests; None stands for a file that is not there. Both have the same paths."""
    is_test = matcher(patterns or DEFAULT_PATHS)
    old = {path: _seen(path, text, is_test.fullmatch(path) is not None) for path, text in before.items()}
    new = {path: _seen(path, text, is_test.fullmatch(path) is not None) for path, text in after.items()}
    # A test that moved to another file is not lost.
    had, has = _names(old.values()), _names(new.values())
    lost, gained = list((had - has).elements()), list((has - had).elements())
    gone = [path for path in before if before[path] is not None and after[path] is None and is_test.fullmatch(path)]
    deleted = [path for path in gone if Counter(old[path].tests) & Counter(lost) or not old[path].tests]
    told = Tamper(
        files=len(before),
        deleted_files=len(deleted),
        lost_tests=len(lost),
        new_tests=len(gained),
        lost_assertions=max(0, _sum(old, "assertions") - _sum(new, "assertions")),
        new_skips=sum(
            max(0, new[path].skips + new[path].silenced - old[path].skips - old[path].silenced) for path in old
        ),
        weakened=sum(_weakened(old[path], new[path]) for path in old),
        lost=tuple(lost[:_SHOWN]),
        paths=tuple(before)[:_SHOWN],
        unread=tuple(unread)[:_SHOWN],
    )
    return graded(told)


def graded(told: Tamper) -> Tamper:
    """Return the facts with the grade that they add up to.

    High: fewer tests or assertions than before, something skipped, deleted or weakened. Low: tests were renamed or
    replaced, something could not be read, or they are green without the change, too.
    """
    fewer = told.lost_tests > told.new_tests or told.lost_assertions > 0
    if fewer or told.deleted_files or told.new_skips or told.weakened:
        return replace(told, grade=Grade.HIGH)
    is_low = told.lost_tests or told.unread or told.on_base == GREEN
    return replace(told, grade=Grade.LOW if is_low else Grade.NONE)


def on_base(told: Tamper, *, is_green: bool) -> Tamper:
    """Return the facts with how these tests ended on the base."""
    return graded(replace(told, on_base=GREEN if is_green else RED))


def said(told: Tamper) -> str:
    """Return the facts in one line; empty if there is nothing to say."""
    counts = (
        (told.deleted_files, "test file deleted", "test files deleted"),
        (told.lost_tests, "test gone", "tests gone"),
        (told.lost_assertions, "assertion fewer", "assertions fewer"),
        (told.new_skips, "skip or silenced failure more", "skips or silenced failures more"),
        (told.weakened, "comparison weakened", "comparisons weakened"),
        (len(told.unread), "file not read", "files not read"),
    )
    words = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
    words += ["green without the change, too"] if told.on_base == GREEN else []
    return f"{told.grade}: {', '.join(words)}" if words else ""


def facts(told: Tamper | None) -> str:
    """Return the facts as a short table for an auditor; empty if no test was touched."""
    if told is None or (not told.files and not told.unread):
        return ""
    names = f" ({', '.join(told.lost)})" if told.lost else ""
    rows = [
        ("grade", told.grade.value),
        ("test files deleted", told.deleted_files),
        ("tests gone", f"{told.lost_tests}{names}"),
        ("tests new", told.new_tests),
        ("assertions fewer", told.lost_assertions),
        ("skips or silenced failures more", told.new_skips),
        ("comparisons weakened", told.weakened),
    ]
    rows += [("not read", ", ".join(told.unread))] if told.unread else []
    rows += [("the gate on the base with these tests", told.on_base)] if told.on_base else []
    return "\n".join(f"{name}: {value}" for name, value in rows)


# --- one version of one file -----------------------------------------------------------------------------


# Nothing here looks further than a bounded way: the text is whatever an agent wrote.
_TESTS = (
    re.compile(r"""\b(?:it|test|specify|scenario)(?:\.each\([^)]{0,300}\))?\s*\(\s*(['"`])(.{1,200}?)\1"""),
    re.compile(r"()^func\s+((?:Test|Fuzz|Benchmark|Example)\w*)\s*\(", re.MULTILINE),
    re.compile(r"()^[ \t]*def\s+(test\w*)", re.MULTILINE),
    re.compile(r"()#\[(?:\w+::)?test\][^{]{0,300}?\bfn\s+(\w+)"),
    re.compile(r"()@(?:Parameterized)?Test\b[^{;]{0,120}?\b(\w{1,200})\s{0,9}\("),
    re.compile(r"()\bfunction\s+(test\w*)\s*\("),
)
_ASSERTED = re.compile(
    r"\b(?:assert\w*!?|expect|require(?:\.\w+)|should|t\.(?:Error|Fatal|Errorf|Fatalf|Fail|FailNow)|self\.fail|"
    r"pytest\.raises)\s*[.(!]|^[ \t]*assert\s",
    re.MULTILINE,
)
_STRONG = re.compile(
    r"\b(?:assert(?:Equals?|ListEqual|DictEqual|SequenceEqual|SetEqual|TupleEqual|Same|Is|In|CountEqual|Regex|"
    r"AlmostEqual|Raises\w*|Throws|Less\w*|Greater\w*|_eq!|_ne!)\s*\(|"
    r"(?:toBe|toEqual|toStrictEqual|toMatchObject|toHaveBeenCalledWith|toThrow\w*|toBeCloseTo)\s*\(|"
    r"(?:assert|require)\.(?:Equal|Exactly|ElementsMatch|ErrorIs|JSONEq)\s*\()"
    r"|^[ \t]*assert\b[^\n]*?(?:==|!=|<|>|\bin\b|\bis\b)",
    re.MULTILINE,
)
_SKIPS = re.compile(
    r"\bskip(?:If|Unless|Test|if)?\b\s*\(|@(?:unittest|pytest\.mark)\.skip\w*|\bxfail\b|\bexpectedFailure\b|\bSkipTest\b|"
    r"\bimportorskip\b|\.(?:only|skip|todo|failing)\s*\(|\b(?:xit|xtest|xdescribe|fit|fdescribe)\s*\(|"
    r"\bt\.(?:Skip|SkipNow|Skipf)\s*\(|@(?:Disabled|Ignore)\b|#\[ignore|__test__\s*=\s*False"
)
_SILENCED = re.compile(
    r"\|\|\s*(?:true|:|exit\s+0)(?![\w-])|;\s*(?:true|exit\s+0)\s*$|continue-on-error:\s*true|"
    r"--passWithNoTests|--deselect[= ]|--ignore(?:-glob)?[= ]\S{0,200}test|set \+e\b|collect_ignore",
    re.MULTILINE,
)
# Wider is weaker; of decimal places fewer are.
_WIDTH = re.compile(r"\b(?:delta|abs|rel|atol|rtol|abs_tol|rel_tol|tolerance|epsilon|eps)\s*[=:]\s*([0-9][0-9.eE+-]*)")
_PLACES = re.compile(r"\b(?:places|decimal|significant)\s*=\s*([0-9]+)")


def _seen(path: str, text: str | None, is_test: bool) -> Seen:  # noqa: FBT001 one of two kinds of file
    if text is None:
        return Seen()
    if not is_test:
        return Seen(silenced=len(_SILENCED.findall(text)))
    found = _of_python(text) if path.endswith((".py", ".pyi")) else None
    if found is None:
        found = (_named(text), len(_ASSERTED.findall(text)))
    return Seen(
        tests=found[0],
        assertions=found[1],
        strong=len(_STRONG.findall(text)),
        skips=len(_SKIPS.findall(text)),
        silenced=len(_SILENCED.findall(text)),
        tolerances=_tolerances(text),
    )


def _named(text: str) -> tuple[str, ...]:
    return tuple(found[2] for pattern in _TESTS for found in pattern.finditer(text))


def _tolerances(text: str) -> tuple[float, ...]:
    wide = [_number(word) for word in _WIDTH.findall(text)]
    return tuple(sorted([*wide, *(10.0 ** -int(word[:2]) for word in _PLACES.findall(text))]))


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return 0.0


def _of_python(text: str) -> tuple[tuple[str, ...], int] | None:
    """Return the tests of a Python file and how many assertions they can reach; None if it cannot be parsed."""
    try:
        body = ast.parse(text).body
        reader = _Python()
        reader.read(body, "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tuple(reader.tests), reader.assertions


class _Python:
    """One walk over a Python file: what a later definition of the same name hides is not there."""

    def __init__(self) -> None:
        self.tests: list[str] = []
        self.assertions = 0

    def read(self, body: Sequence[ast.stmt], within: str) -> None:
        defined = {
            one.name: one for one in body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
        for one in _reached(body):
            match one:
                case ast.ClassDef() if defined[one.name] is one:
                    self.read(one.body, f"{within}{one.name}.")
                case ast.FunctionDef() | ast.AsyncFunctionDef() if defined[one.name] is one:
                    if one.name.startswith("test"):
                        self.tests.append(f"{within}{one.name}")
                    self.read(one.body, f"{within}{one.name}.")
                case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                    pass  # the last one of its name counts
                case _:
                    self._count(one)

    def _count(self, one: ast.stmt) -> None:
        for inner in _blocks(one):
            self.read(inner, "")
        for node in ast.walk(one) if not _blocks(one) else _heads(one):
            if isinstance(node, ast.Assert):
                self.assertions += not isinstance(node.test, ast.Constant)
            elif isinstance(node, ast.Call) and _is_assertion(node):
                self.assertions += 1


def _reached(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Return the statements of a block up to the one after which nothing is reached."""
    for at, one in enumerate(body):
        if isinstance(one, ast.Return | ast.Raise | ast.Continue | ast.Break):
            return list(body[: at + 1])
    return list(body)


def _blocks(one: ast.stmt) -> list[list[ast.stmt]]:
    if isinstance(one, ast.If | ast.While) and isinstance(one.test, ast.Constant):
        return [one.body if one.test.value else one.orelse]
    blocks = [getattr(one, name, None) for name in ("body", "orelse", "finalbody")]
    handlers = [handler.body for handler in getattr(one, "handlers", ())]
    cases = [case.body for case in getattr(one, "cases", ())]
    return [block for block in (*blocks, *handlers, *cases) if isinstance(block, list) and block]


def _heads(one: ast.stmt) -> list[ast.AST]:
    """Return what stands in the head of a compound statement: `with self.assertRaises(…)` is an assertion."""
    items = getattr(one, "items", ())
    return [node for item in items for node in ast.walk(item)]


def _is_assertion(call: ast.Call) -> bool:
    function = call.func
    name = (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )
    is_trivial = bool(call.args) and all(isinstance(one, ast.Constant) for one in call.args)
    return not is_trivial and (name.lower().startswith(("assert", "expect")) or name in ("raises", "warns", "fail"))


# --- two versions ----------------------------------------------------------------------------------------


def _names(seen: Iterable[Seen]) -> Counter[str]:
    return Counter(name for one in seen for name in one.tests)


def _sum(seen: Mapping[str, Seen], name: str) -> int:
    return sum(getattr(one, name) for one in seen.values())


def _weakened(old: Seen, new: Seen) -> int:
    """Return how many comparisons say less than before while as many assertions stand, and how many allow more."""
    lost = max(0, old.assertions - new.assertions)
    looser = max(0, old.strong - new.strong - lost) if new.tests else 0
    pairs = zip(old.tolerances, new.tolerances, strict=False) if len(old.tolerances) == len(new.tolerances) else ()
    return looser + sum(after > before * 1.000001 for before, after in pairs)
