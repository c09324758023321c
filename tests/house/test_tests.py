"""The tests keep their own rules: no waiting for luck, no patching of what can be simulated."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
MAY_SLEEP = ("contracts", "e2e", "agents")  # real processes, real time
NEVER_PATCH = ("records", "core", "scenarios")
REPLACING = ("setattr", "delattr", "setitem")  # of monkeypatch


def calls_of_sleep(tree: ast.AST) -> list[int]:
    """Return the lines on which something called `sleep` is called."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [call.lineno for call in calls if ast.unparse(call.func).rpartition(".")[2] == "sleep"]


def patches(tree: ast.AST) -> list[int]:
    """Return the lines that replace a part of the code under test."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            words = [getattr(node, "module", "") or "", *(alias.name for alias in node.names)]
            lines += [node.lineno] if any("mock" in word.split(".") for word in words) else []
        elif getattr(node, "arg", "") == "mocker" or getattr(node, "attr", "") in REPLACING:
            lines.append(node.lineno)
    return lines


def offences(check, rings):
    """Return file and line of what *check* finds in some rings of tests."""
    files = [path for ring in rings for path in sorted((TESTS / ring).rglob("*.py"))]
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files}
    return [f"{path.relative_to(TESTS)}:{line}" for path, tree in trees.items() for line in check(tree)]


def test_no_test_sleeps_but_where_processes_are_real():  # FR-026, FR-036, FR-042
    rings = [path.name for path in TESTS.iterdir() if path.is_dir() and path.name not in MAY_SLEEP]

    assert offences(calls_of_sleep, rings) == []
    assert calls_of_sleep(ast.parse((TESTS / "conftest.py").read_text(encoding="utf-8"))) == []


def test_nothing_is_patched_where_everything_can_be_simulated():
    assert offences(patches, NEVER_PATCH) == []


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (calls_of_sleep, "time.sleep(1)"),
        (calls_of_sleep, "sleep(1)"),
        (patches, "monkeypatch.setattr('gluerun.core.plan.plan_cycle', None)"),
        (patches, "from unittest import mock"),
        (patches, "from unittest.mock import patch"),
        (patches, "def test(mocker): ..."),
    ],
)
def test_the_checks_bite(check, code):
    assert check(ast.parse(code)) == [1]
