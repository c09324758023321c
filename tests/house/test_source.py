"""What the source may say: no effects in the core, no vendors, no junk rooms, promises in words."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gluerun.cli.verbs import VERBS

CHECKOUT = Path(__file__).resolve().parents[2]
ENGINE = CHECKOUT / "engine" / "gluerun"
EXTENSIONS = CHECKOUT / "gluerun_ext"
GENERATED = ENGINE / "records" / "validators"

WORLDLY = {"open", "__import__", "print", "input", "eval", "exec", "compile", "breakpoint"}
CLOCKS = {"now", "utcnow", "today"}
# The codec turns the annotations of a record back into types once, when its class is declared.
EXCUSED = {"records/codec.py": ["eval"]}

VENDORS = (
    *(
        "anthropic",
        "openai",
        "google.generativeai",
        "google.genai",
        "vertexai",
        "cohere",
        "mistralai",
        "groq",
    ),
    *(
        "ollama",
        "litellm",
        "together",
        "replicate",
        "huggingface_hub",
        "transformers",
        "langchain",
        "llama_index",
    ),
    *("langchain_core", "claude_agent_sdk", "agents", "boto3"),
)

JUNK_ROOMS = {"util", "utils", "helper", "helpers", "common", "manager", "base", "misc"}


def sources(*folders: Path) -> list[Path]:
    """Return the hand-written modules below some folders."""
    found = sorted(path for folder in folders for path in folder.rglob("*.py"))
    return [path for path in found if not path.is_relative_to(GENERATED)]


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def worldly_words(tree: ast.AST) -> list[str]:
    """Return the calls and names by which code would touch the world without importing anything forbidden."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in WORLDLY:
            found.append(node.id)
        elif isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            owner = ast.unparse(node.value).rpartition(".")[2]
            found += [f"{owner}.{node.attr}"] if owner in ("datetime", "date") else []
    return found


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full names of the modules that code imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def public(nodes: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Yield the public functions and classes among some statements."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node


# --- purity ---------------------------------------------------------------------------------------------


def test_core_and_records_name_nothing_worldly():
    said = {
        str(path.relative_to(ENGINE)): words
        for path in [*sources(ENGINE / "core", ENGINE / "records"), *GENERATED.rglob("*.py")]
        if (words := worldly_words(parse(path)))
    }

    assert {path: words for path, words in said.items() if words != EXCUSED.get(path)} == {}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("open('x')", ["open"]),
        ("read = open", ["open"]),
        ("__import__('os')", ["__import__"]),
        ("datetime.now(UTC)", ["datetime.now"]),
        ("datetime.datetime.utcnow()", ["datetime.utcnow"]),
        ("dt.date.today()", ["date.today"]),
        ("world.now", []),
        ("door.open()", []),
    ],
)
def test_the_purity_check_bites(code, words):
    assert worldly_words(ast.parse(code)) == words


# --- vendors and modules --------------------------------------------------------------------------------


def test_no_source_imports_the_library_of_a_vendor():
    guilty = {
        f"{path.relative_to(CHECKOUT)}: {name}"
        for path in sources(ENGINE, EXTENSIONS)
        for name in imported(parse(path))
        if any(f"{name}.".startswith(f"{vendor}.") for vendor in VENDORS)
    }

    assert guilty == set(), "a runner is an argv builder and a reader of logs"


def test_no_requirement_is_the_library_of_a_vendor():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = [wanted for extra in project.get("optional-dependencies", {}).values() for wanted in extra]
    wanted = {re.split(r"[^\w-]", requirement)[0].lower() for requirement in [*project["dependencies"], *optional]}

    assert wanted & {vendor.replace(".", "-").replace("_", "-") for vendor in VENDORS} == set()


def test_the_engine_names_no_opt_in_module():
    modules = {path.stem for path in EXTENSIONS.glob("[!_]*.py")} | {
        path.parent.name for path in EXTENSIONS.glob("[!_]*/__init__.py")
    }
    # A verb may have the name of the module that can stand in its way.
    verbs = {form for verb in VERBS for form in (verb.name, verb.function)}
    words = {form for name in modules for form in (name, name.replace("_", "-"))} - verbs
    guilty = {
        f"{path.relative_to(CHECKOUT)}: {word}"
        for path in (path for path in ENGINE.rglob("*") if path.suffix in {".py", ".yaml", ".toml", ".json", ".md"})
        for word in words & set(re.findall(r"[\w-]+", path.read_text(encoding="utf-8")))
    }

    assert guilty == set()


# --- rooms and their words ------------------------------------------------------------------------------


def test_a_package_file_holds_a_docstring_and_nothing_else():
    guilty = [
        str(path.relative_to(CHECKOUT))
        for path in sources(ENGINE)
        if path.name == "__init__.py" and not (len(parse(path).body) == 1 and ast.get_docstring(parse(path)))
    ]

    assert guilty == []


def test_no_room_is_called_after_its_furniture():
    named = {
        path: path.parent.name if path.name == "__init__.py" else path.stem for path in sources(ENGINE, EXTENSIONS)
    }

    assert [str(path) for path, name in named.items() if name in JUNK_ROOMS] == []


def test_every_module_says_what_it_is_for():
    assert [str(path) for path in sources(ENGINE, EXTENSIONS) if not ast.get_docstring(parse(path))] == []


def test_every_door_and_every_decision_says_what_it_promises():
    doors = [path for path in sources(ENGINE) if path.relative_to(ENGINE).parts[0] in ("ports", "ports.py")]
    silent = []
    for path in [*doors, *sources(ENGINE / "core")]:
        nodes = list(public(parse(path).body))
        if path in doors:
            nodes += [method for node in nodes for method in public(node.body)]
        else:
            nodes = [node for node in nodes if isinstance(node, ast.FunctionDef)]
        silent += [f"{path.relative_to(ENGINE)}: {node.name}" for node in nodes if not ast.get_docstring(node)]

    assert silent == []


# --- cleanliness ----------------------------------------------------------------------------------------


def tracked_texts() -> Iterator[tuple[str, str]]:
    """Yield name and text of every committed file that is text."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout")
    for name in filter(None, done.stdout.split("\0")):
        path = CHECKOUT / name
        if path.is_file() and not path.is_symlink():
            try:
                yield name, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def test_no_committed_file_knows_a_machine_or_a_registry():
    folders = "|".join(["work", "farm", "root"])
    hosts = "|".join(rf"{name}\.{end}" for name, end in [("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org")])
    # A home that ends in one of these names is a path on this machine only where the path begins with it.
    unclean = re.compile(rf"(?<![\w.~$}}/*-])/(?:{folders})/|{hosts}")
    guilty = {f"{name}: {found[0]}" for name, text in tracked_texts() for found in [unclean.search(text)] if found}

    assert guilty == set()


def test_the_engine_has_no_notes_to_self():
    note = re.compile(r"\b(?:TODO|FIXME|XXX)\b")

    assert [str(path) for path in ENGINE.rglob("*.py") if note.search(path.read_text(encoding="utf-8"))] == []


def test_the_data_contract_is_named_the_same_in_both_places():
    from gluerun.release import SCHEMA

    assert (CHECKOUT / "SCHEMA_VERSION").read_text(encoding="utf-8").strip() == SCHEMA
