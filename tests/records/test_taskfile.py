"""The parser of a task's Markdown: every part it reads, every default, every refusal with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.records.documents import examples

from gluerun.errors import ConfigError
from gluerun.records import taskfile
from gluerun.records.config import Config
from gluerun.records.record import replace
from gluerun.records.task import Policy, Status, TaskSpec
from gluerun.records.taskfile import TaskFile, area_of, content_sha256

CONFIG = Config(target_branch="main", gate_command="make check")
HEADING = "# TASK-0001: Add a thing"
OBJECTIVE = "## Objective\nLet there be a thing."
CRITERIA = "## Acceptance Criteria\n- there is a thing"


def text(*headers, owned="- src/a.py", scope="", objective=OBJECTIVE, criteria=CRITERIA, more=""):
    head = "\n".join([HEADING, *headers])
    listed = f"## Scope\nOwned files:\n{owned}\n{scope}"
    return "\n\n".join([head, objective, listed, criteria, more]) + "\n"


def spec_of(markdown, **config) -> TaskSpec:
    return taskfile.parse(markdown, replace(CONFIG, **config)).spec


def refusal(markdown, **config):
    with pytest.raises(ConfigError) as caught:
        taskfile.parse(markdown, replace(CONFIG, **config), file="t.md")
    return caught.value.message, caught.value.hint


PLAIN = TaskSpec(
    task_id="TASK-0001",
    title="Add a thing",
    area="src",
    target_branch="main",
    worker_branch="agent/src/TASK-0001-add-a-thing",
    objective="Let there be a thing.",
    owned_files=("src/a.py",),
    acceptance_criteria=("there is a thing",),
    gate_command="make check",
)


def test_the_least_that_a_task_must_say_and_what_stands_for_the_rest():
    markdown = text()

    assert taskfile.parse(markdown, CONFIG) == TaskFile(
        spec=PLAIN, status=Status.READY, sha256=content_sha256(markdown)
    )


FULL = """# TASK-0042: A whole task

Status: blocked
Area: core
Target branch: develop
Worker branch: mine/42
Test policy: strict_test_first
Gate command: `make -j2 test`
Dispatch mode: manual
Depends on: TASK-0001, TASK-0002
DAG node: api.v1
Supersedes: TASK-0007
Superseded by: none
Priority: -3

A word before all.

## Objective

One.

Two.

## Scope

Owned files:

- `src/a.py` — the module
- src/b/

Forbidden files:
- src/b/c

## Prerequisites
- a compiler

## Acceptance Criteria
* first
+ second

## Context packet
Decisions:
- none yet
"""


def test_everything_that_a_task_can_say():
    assert taskfile.parse(FULL, CONFIG) == TaskFile(
        spec=TaskSpec(
            task_id="TASK-0042",
            title="A whole task",
            area="core",
            target_branch="develop",
            worker_branch="mine/42",
            objective="One.\n\nTwo.",
            owned_files=("src/a.py", "src/b"),
            acceptance_criteria=("first", "second"),
            forbidden_files=("src/b/c",),
            prerequisites=("a compiler",),
            depends_on=("TASK-0001", "TASK-0002"),
            gate_command="make -j2 test",
            dispatch_mode="manual",
            test_policy=Policy.STRICT_TEST_FIRST,
            dag_node="api.v1",
            supersedes="TASK-0007",
            notes="A word before all.\n\n## context packet\nDecisions:\n- none yet",
            priority=-3,
        ),
        status=Status.BLOCKED,
        sha256=content_sha256(FULL),
    )


@pytest.mark.parametrize(
    ("markdown", "changes"),
    [
        (text("Area: api"), {"area": "api", "worker_branch": "agent/api/TASK-0001-add-a-thing"}),
        (text("Worker branch: x/y"), {"worker_branch": "x/y"}),
        (text("Target branch: develop"), {"target_branch": "develop"}),
        (text("**Area:** api", "**Worker branch**: b"), {"area": "api", "worker_branch": "b"}),
        (text("- Area: api", "* Worker branch: b"), {"area": "api", "worker_branch": "b"}),
        (text("Area:api", "Worker branch:b"), {"area": "api", "worker_branch": "b"}),
        (text("area: api", "worker Branch: b"), {"area": "api", "worker_branch": "b"}),
        (text("Area: `api`", "Worker branch: ``b``"), {"area": "api", "worker_branch": "b"}),
        (text("Gate command:"), {}),
        (text("Gate command: echo `date`"), {"gate_command": "echo `date`"}),
        (text("Gate command: `a` && `b`"), {"gate_command": "`a` && `b`"}),
        (text("Depends on: none"), {}),
        (text("Depends on: []"), {}),
        (text("Depends on: [TASK-0002, TASK-0003]"), {"depends_on": ("TASK-0002", "TASK-0003")}),
        (text("Depends on: TASK-0002 TASK-0002"), {"depends_on": ("TASK-0002",)}),
        (text("Depends on:TASK-0002"), {"depends_on": ("TASK-0002",)}),
        (text("depends on: TASK-0002"), {"depends_on": ("TASK-0002",)}),
        (text("Test policy: not_applicable"), {"test_policy": Policy.NOT_APPLICABLE}),
        (text("Dispatch mode: canonical"), {}),
        (text("read this first: it matters"), {"notes": "read this first: it matters"}),
        (text("See https://example.invalid/x"), {"notes": "See https://example.invalid/x"}),
        (text("Https://example.invalid/x"), {"notes": "Https://example.invalid/x"}),
    ],
    ids=lambda value: value.split("\n")[1] if isinstance(value, str) else "",
)
def test_headers(markdown, changes):
    assert spec_of(markdown) == replace(PLAIN, **changes)


@pytest.mark.parametrize("status", Status, ids=str)
@pytest.mark.parametrize("form", ["Status: {}", "**Status:** {}", "- Status: {}", "Status:{}", "status: `{}`"])
def test_every_status_in_every_form(status, form):
    assert taskfile.parse(text(form.format(status)), CONFIG).status is status


@pytest.mark.parametrize(
    ("owned", "entries"),
    [
        ("- src/", ("src",)),
        ("- ./src/a.py", ("src/a.py",)),
        ("- `src/a b.py`", ("src/a b.py",)),
        ("- `src/a.py` holds the thing, see below", ("src/a.py",)),
        ("- the thing in `src/a.py`", ("src/a.py",)),
        ("- README.md", ("README.md",)),
        ("- Makefile\n- src/a.py", ("Makefile", "src/a.py")),
        ("- .github/workflows", (".github/workflows",)),
        ("- .gitignore", (".gitignore",)),
        ("* src/a.py\n+ src/b.py\n1. src/c.py", ("src/a.py", "src/b.py", "src/c.py")),
        ("  - src/a.py\n  - src/b.py", ("src/a.py", "src/b.py")),
        ("\t- src/a.py", ("src/a.py",)),
        ("\n- src/a.py\n\n- src/b.py", ("src/a.py", "src/b.py")),
        ("- src/a.py\n- src/a.py/", ("src/a.py",)),
        ("- `src/a.py` which\n  goes on", ("src/a.py",)),
        ("- none\n- src/a.py", ("src/a.py",)),
    ],
)
def test_owned_entries(owned, entries):
    assert spec_of(text(owned=owned)).owned_files == entries


@pytest.mark.parametrize(
    ("form", "entries"),
    [
        ("Owned files: src/a.py", ("src/a.py",)),
        ("Owned files:src/a.py", ("src/a.py",)),
        ("Owned files: `src/a.py`\n- src/b.py", ("src/a.py", "src/b.py")),
        ("**Owned files:**\n- src/a.py", ("src/a.py",)),
        ("Owned Files:\n- src/a.py", ("src/a.py",)),
        ("owned files:\n- src/a.py", ("src/a.py",)),
        ("- Owned files:\n  - src/a.py", ("src/a.py",)),
        ("Owned files:\n- src/a.py\n\nOwned files:\n- src/b.py", ("src/a.py", "src/b.py")),
    ],
)
def test_ways_to_write_the_list_of_owned_files(form, entries):
    assert spec_of(f"{HEADING}\n\n{form}\n\n{OBJECTIVE}\n\n{CRITERIA}").owned_files == entries
    assert spec_of(f"{HEADING}\n\n{OBJECTIVE}\n\n## Scope\n{form}\n\n{CRITERIA}").owned_files == entries


@pytest.mark.parametrize(
    ("scope", "entries"),
    [
        ("", ()),
        ("Forbidden files: none", ()),
        ("Forbidden files: []", ()),
        ("Forbidden files:\n- none", ()),
        ("Forbidden files:\n- N/A", ()),
        ("Forbidden files:\n- src/b/\n- Makefile", ("src/b", "Makefile")),
        ("Forbidden Files:\n- src/b", ("src/b",)),
        ("**Forbidden files**:\n\n- src/b", ("src/b",)),
    ],
)
def test_forbidden_entries(scope, entries):
    assert spec_of(text(scope=scope)).forbidden_files == entries


@pytest.mark.parametrize(
    ("owned", "message"),
    [
        ("- src/*.py", "'src/*.py' is a pattern; name files or folders"),
        ("- src/?.py", "'src/?.py' is a pattern; name files or folders"),
        ("- ../a.py", "'../a.py' has empty, `.` or `..` segments"),
        ("- src/../a.py", "'src/../a.py' has empty, `.` or `..` segments"),
        ("- src//a.py", "'src//a.py' has empty, `.` or `..` segments"),
        ("- /etc/passwd", "'/etc/passwd' is not relative to the repository"),
        ("- ~/a.py", "'~/a.py' is not relative to the repository"),
        ("- src\\a.py", "'src\\\\a.py' is not relative to the repository"),
        ("- .git/config", "'.git/config' lies in git's own folder"),
        ("- .git", "'.git' lies in git's own folder"),
        ("- .", "'.' names no file or folder"),
        ("- ./", "'./' names no file or folder"),
        ("- src/a.py (the thing)", "cannot tell which path 'src/a.py (the thing)' means"),
        ("- src/a.py\n  and more", "cannot tell which path 'src/a.py and more' means"),
        ("- `src/a.py` and `src/b.py`", "cannot tell which path '`src/a.py` and `src/b.py`' means"),
        ("- src/a.py src/b.py", "cannot tell which path 'src/a.py src/b.py' means"),
    ],
)
def test_owned_entries_that_nobody_can_be_sure_of_are_refused_with_their_line(owned, message):
    assert refusal(text(owned=owned))[0] == f"t.md:8: {message}"


@pytest.mark.parametrize(
    ("markdown", "message", "hint"),
    [
        (text("Owner: me"), "t.md:2: unknown header 'Owner'", "known headers: Status, Area, Target branch, "
         "Worker branch, Test policy, Gate command, Dispatch mode, Depends on, DAG node, Supersedes, Superseded by, "
         "Priority, Approve plan, Approval"),
        (text("Area: a", "Depend on: TASK-0002"), "t.md:3: unknown header 'Depend on'", "did you mean `Depends on:`"),
        (text("Test polizy: x"), "t.md:2: unknown header 'Test polizy'", "did you mean `Test policy:`"),
        (text("Statuss:"), "t.md:2: unknown header 'Statuss'", "did you mean `Status:`"),
        (text("Area: a", "**Area:** b"), "t.md:3: header 'Area' stands twice", ""),
        (text("Area: a", "area: b"), "t.md:3: header 'Area' stands twice", ""),
        (text("Status: done"), "t.md:2: unknown status 'done'",
         "one of ready, accepted, integrated, blocked, cancelled, superseded"),
        (text("Status: Ready"), "t.md:2: unknown status 'Ready'",
         "one of ready, accepted, integrated, blocked, cancelled, superseded"),
        (text("Test policy: later"), "t.md:2: unknown test policy 'later'",
         "one of strict_test_first, characterization_first, test_after_waiver, not_applicable"),
        (text("Depends on: TASK-2"), "t.md:2: 'TASK-2' is no task id", ""),
        (text("Depends on: TASK-0002 and TASK-0003"), "t.md:2: 'and' is no task id", ""),
        (text("Supersedes: that one"), "t.md:2: 'that' is no task id", ""),
        (text("Area: a/b"), "t.md:2: 'a/b' cannot be the area", ""),
        (text("Area: ../x"), "t.md: 'agent/../x/TASK-0001-add-a-thing' cannot be a branch name", ""),
        (text("DAG node: a b"), "t.md:2: 'a b' cannot be the dag node", ""),
        (text("Target branch: -f"), "t.md:2: '-f' cannot be a branch name", ""),
        (text("Worker branch: a..b"), "t.md:2: 'a..b' cannot be a branch name", ""),
        (text("Worker branch: main"), "t.md:2: the worker branch is the target branch", ""),
        (text(owned=""), "t.md: no `Owned files:` list", "name the files or folders the task may change"),
        (text(owned="- none"), "t.md: no `Owned files:` list", "name the files or folders the task may change"),
        (text(criteria=""), "t.md: no `## Acceptance Criteria` with at least one bullet", ""),
        (text(criteria="## Acceptance Criteria\n- none"),
         "t.md: no `## Acceptance Criteria` with at least one bullet", ""),
        (text(objective=""), "t.md: no `## Objective` section", ""),
        (text(objective="## Objective\n"), "t.md: no `## Objective` section", ""),
        ("", "t.md:1: the first heading must read `# TASK-NNNN: title`", ""),
        (OBJECTIVE, "t.md:1: the first heading must read `# TASK-NNNN: title`", ""),
        ("\n# Add a thing", "t.md:2: a heading '# Add a thing' where `# TASK-NNNN: title` belongs", ""),
        ("# TASK-0001", "t.md:1: a heading '# TASK-0001' where `# TASK-NNNN: title` belongs", ""),
        ("# TASK-001: x", "t.md:1: 'TASK-001' is no task id", "use four digits or more: TASK-0001"),
        ("# TASK-1234567890123: x", "t.md:1: 'TASK-1234567890123' is no task id", "use four digits or more: TASK-0001"),
        ("# task-0001: x", "t.md:1: a heading '# task-0001: x' where `# TASK-NNNN: title` belongs", ""),
        (text(more=HEADING), "t.md:14: a second task heading; one file holds one task", ""),
    ],
)  # fmt: skip
def test_refusals(markdown, message, hint):
    assert refusal(markdown) == (message, hint)


def test_criteria_may_be_missing_only_where_the_configuration_says_so():
    assert spec_of(text(criteria=""), preflight_require_acceptance=False) == replace(PLAIN, acceptance_criteria=())


@pytest.mark.parametrize("task_id", ["TASK-0001", "TASK-123456789012", "TASK-00001"])
@pytest.mark.parametrize("form", ["# {}: Add a thing", "#   {} :  Add a thing  "])
def test_forms_of_the_heading(task_id, form):
    spec = spec_of(text().replace(HEADING, form.format(task_id)))

    assert (spec.task_id, spec.title) == (task_id, "Add a thing")


@pytest.mark.parametrize(
    ("criteria", "found", "notes"),
    [
        ("- one\n- two", ("one", "two"), ""),
        ("1. one\n2) two", ("one", "two"), ""),
        ("- one\n  goes on\n- two\n\tgoes on", ("one goes on", "two goes on"), ""),
        ("- one\n  - more of one\n- two", ("one more of one", "two"), ""),
        ("  - one", ("one",), ""),
        ("- one\n\n- two\n\n", ("one", "two"), ""),
        ("All of these:\n- one", ("one",), "## acceptance criteria\nAll of these:"),
        ("- one\nand in any case", ("one",), "## acceptance criteria\nand in any case"),
        ("  words before\n- one", ("one",), "## acceptance criteria\n  words before"),
    ],
)
def test_criteria_lose_no_word(criteria, found, notes):
    expected = replace(PLAIN, acceptance_criteria=found, notes=notes)

    assert spec_of(text(criteria=f"## Acceptance Criteria\n{criteria}")) == expected


def test_notes_keep_every_section_and_every_word_that_has_no_field():
    markdown = text(
        "",
        "Before all.",
        scope="Mind the gap.",
        more="## Prerequisites\nRead:\n- the manual\n\n## Plan critique (advisory)\n\nToo long.\n\n"
        "## Empty\n\n## Notes\n\nAfter all.\n\n## Context Packet\n- Decisions: none",
    )

    assert spec_of(markdown) == replace(
        PLAIN,
        prerequisites=("the manual",),
        notes="Before all.\n\n\nAfter all.\n\n## Scope\nMind the gap.\n\n## prerequisites\nRead:\n\n"
        "## plan critique (advisory)\nToo long.\n\n## context packet\n- Decisions: none",
    )


@pytest.mark.parametrize(
    "block",
    [
        "```sh\n# install\n## really\nmake\n```",
        "~~~\n# install\nOwner: nobody\n~~~",
        "```\nOwned files:\n- lib\n# TASK-0002: Another\n```",
    ],
)
def test_what_stands_in_a_block_of_code_is_text(block):
    assert spec_of(text(more=f"## Context\n{block}")) == replace(PLAIN, notes=f"## context\n{block}")
    assert spec_of(text("", block)) == replace(PLAIN, notes=block)


def test_one_line_of_code_opens_no_block():
    assert spec_of(text(more="## Context\n```make```\n\n## Extra\nx")).notes == "## context\n```make```\n\n## extra\nx"


@pytest.mark.parametrize(
    "markdown",
    [
        text().replace("\n", "\r\n"),
        "\ufeff" + text(),
        "\ufeff" + text().replace("\n", "\r\n"),
        text().rstrip("\n"),
        "\n\n" + text(),
        text().replace("\n", "  \n"),
    ],
    ids=["crlf", "byte order mark", "both", "no final newline", "leading blank lines", "trailing blanks"],
)
def test_how_an_editor_saves_a_file_changes_nothing(markdown):
    assert spec_of(markdown) == PLAIN


def test_the_hash_knows_neither_line_ends_nor_byte_order_marks():
    assert content_sha256("\ufeff" + text().replace("\n", "\r\n")) == content_sha256(text())


@pytest.mark.parametrize("line", ["Status: ready", "Status: blocked", "**Status:** x", "- Status: x", "status:x"])
def test_the_hash_ignores_the_status(line):
    assert content_sha256(text(line)) == content_sha256(text())


@pytest.mark.parametrize(
    "markdown",
    [
        text("Area: api"),
        text(objective="## Objective\nLet there be a thing.\nStatus: shiny"),
        text(owned="- src/b.py"),
        text(more="## Notes\nStatus: new"),
        text("Statuses: x"),
    ],
)
def test_the_hash_knows_everything_else(markdown):
    assert content_sha256(markdown) != content_sha256(text())


AREAS = {"api": ("src/api", "lib/"), "rest": ("src",)}


@pytest.mark.parametrize(
    ("path", "config", "area"),
    [
        ("src/api/a.py", {"areas": AREAS}, "api"),
        ("src/apix/a.py", {"areas": AREAS}, "rest"),
        ("lib/x/a.py", {"areas": AREAS}, "api"),
        ("docs/a.md", {"areas": AREAS}, "docs"),
        ("README.md", {}, "root"),
        ("packages/core/a.py", {"area_prefix": "packages/"}, "core"),
        ("other/a.py", {"area_prefix": "packages/"}, "other"),
        (".github/x", {}, "github"),
        ("ä ö/x", {}, "root"),
        ("my folder/x", {}, "my-folder"),
        (f"{'a' * 60}/x", {}, "a" * 40),
    ],
)
def test_the_area_comes_from_the_first_owned_path(path, config, area):
    assert area_of(path, replace(CONFIG, **config)) == area
    assert spec_of(text(owned=f"- `{path}`"), **config).area == area


LINES = st.sampled_from(
    [
        *text().splitlines(), "Status: ready", "Depends on: TASK-0002", "## Notes", "some words", "- a bullet",
        "  - nested", "  continued", "```", "Owner: me", "", "Forbidden files: none", "# no", "\tx", "Area:",
    ]
)  # fmt: skip


@examples(200)
@given(st.lists(LINES, max_size=14))
def test_any_text_is_read_or_refused_in_one_way(lines):
    markdown = "\n".join([HEADING, *lines])
    try:
        file = taskfile.parse(markdown, CONFIG, file="t.md")
    except ConfigError as error:
        assert error.message.startswith("t.md")
    else:
        assert taskfile.parse(markdown.replace("\n", "\r\n"), CONFIG) == file
        assert file.spec.owned_files
        assert file.spec.objective


@examples(100)
@given(st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta"]), min_size=1, unique=True))
def test_every_word_of_an_unknown_section_reaches_the_notes(words):  # FR-032
    more = "\n\n".join(f"## Section {word}\nSay {word}!" for word in words)

    assert all(f"Say {word}!" in spec_of(text(more=more)).notes for word in words)


@pytest.mark.parametrize("header", ["Approve plan", "Approval"])
def test_what_a_task_asks_of_a_person_is_one_of_three_words(header):
    for word in ("none", "risk", "always"):
        spec = spec_of(text(f"{header}: {word}"))
        assert (spec.approve_plan if header == "Approve plan" else spec.approval) == word
    assert refusal(text(f"{header}: yes"))[0].endswith(f"'yes' is no answer to '{header}'")
