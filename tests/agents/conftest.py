"""What the ring of real programs needs: their stage, and proof that nothing else can be reached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agents.driving import Stage, program
from tests.e2e.backlog import Backlog
from tests.e2e.conftest import gluerun, run_gluerun, wheel_python  # noqa: F401 - fixtures of this ring too

pytest.register_assert_rewrite("tests.agents.promises")


@pytest.fixture
def stage_of(tmp_path: Path) -> Callable[[str], Stage]:
    """Make the place of one agent in the test's folder."""

    def make(name: str) -> Stage:
        return Stage(tmp_path, name)

    return make


@pytest.fixture
def backlog(tmp_path: Path, gluerun: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> Backlog:  # noqa: F811
    """A repository whose agents are the real programs; where they are is found as a person's shell finds it."""
    folders = {program(name).rpartition("/")[0] for name in ("claude", "codex")}
    monkeypatch.setenv("PATH", ":".join(sorted(folders)), prepend=":")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return Backlog(tmp_path / "repo", gluerun)
