"""Every room looks only down, and thinking cannot touch the world: the import contracts of pyproject.toml."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gluerun.core.graph import circle

CHECKOUT = Path(__file__).resolve().parents[2]
ENGINE = CHECKOUT / "engine" / "gluerun"
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"

INTRUDERS = {
    "core/intruder.py": ("gluerun.ports", "gluerun.loop", "os", "uuid"),
    "records/intruder.py": ("gluerun.core", "gluerun.assets"),
    "loop/intruder.py": ("gluerun.adapters", "gluerun.sim", "gluerun.wiring"),
    "adapters/intruder.py": ("gluerun.sim", "gluerun_ext"),
    "edge/intruder.py": ("gluerun.wiring", "gluerun.testing", "gluerun.demo", "gluerun.backtest"),
}
ALLOWED = {
    "wiring": ("gluerun.loop", "gluerun.adapters", "gluerun.sim", "gluerun.core"),
    "testing": ("gluerun.loop", "gluerun.sim"),
    "demo": ("gluerun.backtest", "gluerun.edge", "gluerun.wiring"),
    "backtest": ("gluerun.wiring",),
    "ports": ("gluerun.records",),
    "settings": ("gluerun.records", "gluerun.errors"),
    "cli/guest": ("gluerun.edge", "gluerun.wiring"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Judge the packages below *folder* by the contracts in its pyproject.toml."""
    env = os.environ | {"PYTHONPATH": f"{folder / 'engine'}{os.pathsep}{folder}"}
    argv = [sys.executable, "-P", "-c", LINT]
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def replica(tmp_path):
    """A copy of the source that may be spoilt, with every room of the floor plan in it."""
    shutil.copytree(CHECKOUT / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CHECKOUT / "gluerun_ext", tmp_path / "gluerun_ext", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    house = tmp_path / "engine" / "gluerun"
    for room in ("wiring", "testing", "demo", "backtest", "ports", "settings"):
        if not (house / room).is_dir() and not (house / f"{room}.py").exists():
            (house / f"{room}.py").touch()
    return house


def add(house: Path, module: str, imports: tuple[str, ...]) -> None:
    """Put a module into the replica that does nothing but import."""
    (house / module).write_text("".join(f"import {name}\n" for name in imports))


def test_the_contracts_hold():
    done = lint(CHECKOUT)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_contracts_name_every_intruder(replica):
    for module, imports in INTRUDERS.items():
        add(replica, module, imports)

    said = " ".join(lint(replica.parent.parent).stdout.split())

    for module, imports in INTRUDERS.items():
        for name in imports:
            assert f"gluerun.{module[:-3].replace('/', '.')} -> {name} (l." in said, said


def test_the_core_cannot_reach_the_world_through_a_friend(replica):
    (replica / "errors.py").write_text("import shutil\n")
    add(replica, "records/intruder.py", ("gluerun.errors",))

    said = lint(replica.parent.parent).stdout

    assert "gluerun.errors -> shutil" in said, said


def test_a_room_without_a_floor_is_noticed(replica):
    add(replica, "cellar.py", ())

    done = lint(replica.parent.parent)

    assert done.returncode == 1
    assert "cellar" in done.stdout


def test_what_the_floor_plan_allows_is_allowed(replica):
    for room in ("wiring", "testing", "demo", "backtest", "ports", "settings"):
        shutil.rmtree(replica / room, ignore_errors=True)
    for module, imports in ALLOWED.items():
        add(replica, f"{module}.py", imports)

    done = lint(replica.parent.parent)

    assert done.returncode == 0, done.stdout + done.stderr


def imported(path: Path) -> set[str]:
    """Return the full names of the modules that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_the_quiet_answer_imports_nothing_of_ours():
    quiet = ENGINE / "quiet.py"

    assert not quiet.exists() or not {name for name in imported(quiet) if name.startswith("gluerun")}


def test_nothing_imports_the_door_of_the_program():
    guilty = [str(path) for path in ENGINE.rglob("*.py") if any("__main__" in name for name in imported(path))]

    assert guilty == []


def arrows(folder: Path) -> dict[str, list[str]]:
    """Return the modules of the engine below *folder* that each of its modules imports, wherever it does so."""
    code = (
        "import grimp, json; found = grimp.build_graph('gluerun', cache_dir=None)\n"
        "print(json.dumps({one: sorted(found.find_modules_directly_imported_by(one)) for one in found.modules}))"
    )
    env = os.environ | {"PYTHONPATH": f"{folder / 'engine'}"}
    done = subprocess.run([sys.executable, "-P", "-c", code], env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_no_rooms_import_each_other_in_a_circle():
    assert circle(arrows(CHECKOUT)) == []


def test_a_circle_of_rooms_is_seen(replica):
    for one, other in (("east", "west"), ("west", "east")):
        (replica / f"core/{one}.py").write_text(f"def go():\n    from gluerun.core import {other}\n")

    assert set(circle(arrows(replica.parents[1]))) == {"gluerun.core.east", "gluerun.core.west"}
