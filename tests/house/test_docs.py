"""The pages say what is true of the source: links, commands, settings, paths, records and promises."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from gluerun.cli.program import build
from gluerun.cli.verbs import VERBS
from gluerun.edge.agents import PROVED
from gluerun.records.placeholder import FILLED, OPTIONS
from gluerun.settings import load, require_actable
from gluerun.settings_runners import RUNNER_KEYS, declaration, declared_names
from gluerun.settings_table import BY_ENV, KNOBS, SHAPES

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for path in CHECKOUT.rglob("*.md")
    if not any(part.startswith(".") for part in path.relative_to(CHECKOUT).parts)
)
SHOWN = ("sh", "json", "text", "")
OURS = ("engine/", "schemas/", "tests/", "docs/decisions/", "docs/reference/", "migrations/", "gluerun_ext/")
# What the engine tells the programs that it starts, and what the launcher reads: no settings.
TOLD = {
    *("GLUERUN_ROLE", "GLUERUN_TASK", "GLUERUN_RUN", "GLUERUN_DISPATCH", "GLUERUN_ATTEMPT", "GLUERUN_WORKTREE"),
    *("GLUERUN_SLOT", "GLUERUN_PORT_BASE", "GLUERUN_CACHE_DIR"),
    *("GLUERUN_MODULES", "GLUERUN_OUTPUT", "GLUERUN_NONCE", "GLUERUN_SCENARIO", "GLUERUN_ENGINE_HOME"),
    *("GLUERUN_HOME", "GLUERUN_ROOT", "GLUERUN_GATE"),
}
HOSTS = {"www.conventionalcommits.org", "keepachangelog.com"}
ABSOLUTE = re.compile(r"(?<![\w.~*<>)\]`\"'/$-])/[a-z]+/\w[^\s`]*")


def ident(path: Path) -> str:
    """Return how a page is called in a test's name."""
    return str(path.relative_to(CHECKOUT))


def fences(text: str) -> Iterator[tuple[str, str]]:
    """Yield language and content of every fenced block."""
    for found in re.finditer(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE):
        yield found[2], found[3]


def spans(text: str) -> list[str]:
    """Return what stands between single backticks, outside fenced blocks."""
    plain = re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", plain)


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of every `gluerun …` of a page, in blocks of shell and in spans."""
    lines = [line for language, block in fences(text) if language == "sh" for line in block.splitlines()]
    for line in [*lines, *spans(text)]:
        if line.startswith("gluerun ") and "…" not in line:
            yield shlex.split(line.split("|")[0], comments=True)[1:]


def dead_links(page: Path, text: str) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    files = [link.split("#")[0] for link in links if not link.startswith(("http://", "https://", "#", "mailto:"))]
    return [link for link in files if not (page.parent / link).exists()]


def options_of_verbs() -> dict[str, set[str]]:
    """Return the options of every verb, and under the empty name those of all."""
    program = typer.main.get_command(build("*"))
    found = {"": {option for one in program.params for option in one.opts}}
    for verb in VERBS:
        command = program
        for word in verb.name.split(" "):
            command = command.commands[word]
        found[verb.name] = {option for one in command.params for option in one.opts if option.startswith("-")}
    return found


def wrong_words(words: list[str], known: dict[str, set[str]]) -> list[str]:
    """Return what is unknown of one command: its verb, or some of its options."""
    words = words[2:] if words[:1] in (["--repo"], ["--set"]) else words
    groups = {name.split(" ")[0] for name in known if " " in name}
    name = " ".join(words[: 2 if words[:1] and words[0] in groups else 1])
    if name.startswith("-") or not name:
        return [word for word in words if word not in known[""] | {"--help", "-h"}]
    if name not in known:
        return [name]
    return [w for w in words if w.startswith("--") and w.split("=")[0] not in known[name] | known[""] | {"--help"}]


def unknown_settings(text: str) -> list[str]:
    """Return the variables and keys of a page that nothing reads."""
    keys = {knob.key for knob in KNOBS} | {shape.key for shape in SHAPES}
    variables = set(re.findall(r"\bGLUERUN_[A-Z0-9_]*[A-Z0-9]\b", text)) - TOLD - BY_ENV.keys()
    blocks = [block for language, block in fences(text) if language == "json" and '"schemaVersion"' in block]
    return sorted(variables | {key for block in blocks for key in json.loads(block) if key not in keys})


def missing_paths(text: str) -> list[str]:
    """Return the paths of this checkout that a page names and that are not there."""
    named = [span.split(" ")[0].split("::")[0] for span in spans(text) if span.startswith(OURS)]
    return [path for path in named if not re.search(r"[<…*]", path) and not (CHECKOUT / path).exists()]


def foreign_words(text: str) -> list[str]:
    """Return hosts that a page has no need of, and absolute paths of somebody's machine."""
    hosts = [host for host in re.findall(r"https?://([^/\s)`\"']+)", text) if host not in HOSTS]
    plain = re.sub(r"https?://\S+", "", text)
    return hosts + [path for path in ABSOLUTE.findall(plain) if not path.startswith(("/proc/", "/bin/", "/dev/"))]


def promises() -> list[str]:
    """Return the items of the list of promises."""
    section = (CHECKOUT / "README.md").read_text(encoding="utf-8").split("\n## Promises\n")[1].split("\n## ")[0]
    return [item.strip() for item in re.split(r"^- ", section, flags=re.MULTILINE)[1:]]


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_every_link_leads_somewhere(page):
    assert dead_links(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_every_path_of_ours_exists(page):
    assert missing_paths(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_every_setting_and_variable_is_one(page):
    assert unknown_settings(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_no_page_names_a_machine_or_a_strange_host(page):
    assert foreign_words(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_every_block_says_what_it_is(page):
    assert [language for language, _ in fences(page.read_text(encoding="utf-8")) if language not in SHOWN] == []


def test_every_command_has_a_verb_and_known_options():
    known = options_of_verbs()
    wrong = {
        f"{ident(page)}: gluerun {shlex.join(words)}": found
        for page in PAGES
        for words in commands(page.read_text(encoding="utf-8"))
        if (found := wrong_words(words, known))
    }

    # What the changelog or a list of things to come may name is written without `gluerun`.
    assert wrong == {}


def test_every_promise_names_a_test_that_exists():
    held = {promise: re.findall(r"`(tests/[^`]+\.py)`", promise) for promise in promises()}

    assert held
    assert [promise for promise, files in held.items() if not files] == []
    assert [file for files in held.values() for file in files if not (CHECKOUT / file).is_file()] == []


def test_every_whole_configuration_can_be_used():
    blocks = [block for page in PAGES for _, block in fences(page.read_text(encoding="utf-8"))]
    whole = [block for block in blocks if block.startswith("{") and '"schemaVersion"' in block]

    assert whole
    for block in whole:
        data = block.encode()
        found = load("somewhere", {}, files=lambda _, data=data: data, shell=lambda _: {})
        require_actable(found.config)


def test_the_page_of_records_lists_every_schema_once():
    text = (CHECKOUT / "docs" / "records.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z0-9-]+\.v\d+)` \|", text, re.MULTILINE)

    assert sorted(listed) == sorted(path.name.split(".schema")[0] for path in CHECKOUT.glob("schemas/*.schema.json"))


def test_the_page_of_runners_lists_every_key_and_every_declaration_with_what_it_can():
    text = (CHECKOUT / "docs" / "runners.md").read_text(encoding="utf-8")
    keys = re.findall(r"^\| `(\w+)` \|", text.split("\n## Every key\n")[1].split("\n## ")[0], re.MULTILINE)
    table = text.split("\n## Declarations\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:8]] for line in table.splitlines() if "| `" in line]

    assert sorted(keys) == sorted(RUNNER_KEYS)
    assert {re.sub(r"\[(.*)\]\(.*", r"\1", name): rest for name, *rest in rows} == {
        name: [
            f"`{spec.argv[0]}`",
            *("yes" if can else "–" for can in (
                name in PROVED, spec.can_read_only, spec.can_resume, spec.options.get("schema"), spec.own_sandbox,
            )),
        ]
        for name in declared_names()
        for spec in [declaration(name)]
    }  # fmt: skip


def test_the_page_of_the_command_runner_lists_everything_in_braces():
    text = (CHECKOUT / "docs" / "runners" / "command.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(.+?)` \|", text.split("\n## Words in braces\n")[1], re.MULTILINE)

    assert rows == [*(f"{{{name}}}" for name in FILLED), *OPTIONS]


def test_decisions_are_numbered_without_a_gap():
    found = sorted(path.name[:5] for path in (CHECKOUT / "docs" / "decisions").glob("*.md"))

    assert found == [f"{number:04}-" for number in range(1, len(found) + 1)]


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (lambda text: dead_links(CHECKOUT / "README.md", text), "[gone](docs/gone.md)"),
        (missing_paths, "see `engine/gluerun/core/gone.py`"),
        (unknown_settings, "set GLUERUN_GONE=1"),
        (unknown_settings, '```json\n{"schemaVersion": "v1", "gone": 1}\n```\n'),
        (foreign_words, "see https://example.com/page"),
        (foreign_words, "it lies in /srv/somebody/checkout"),
        (lambda text: next(wrong_words(words, options_of_verbs()) for words in commands(text)), "`gluerun gone`"),
        (
            lambda text: next(wrong_words(words, options_of_verbs()) for words in commands(text)),
            "```sh\ngluerun status --gone\n```\n",
        ),
    ],
)
def test_the_checks_bite(check, text):
    assert len(check(text)) == 1


def test_the_table_of_what_is_broken_is_the_printed_one():
    printed = subprocess.run(
        [sys.executable, "-c", "import broken; print(broken.table())"],
        cwd=CHECKOUT / "benchmarks",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert printed.strip() in readme, "print it again: python benchmarks/broken.py"
