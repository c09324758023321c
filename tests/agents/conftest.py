"""What the ring of real programs needs: their stage, and proof that nothing else can be reached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agents.driving import Stage
from tests.e2e.conftest import gluerun, wheel_python  # noqa: F401 - fixtures of this ring too

pytest.register_assert_rewrite("tests.agents.promises")


@pytest.fixture
def stage_of(tmp_path: Path) -> Callable[[str], Stage]:
    """Make the place of one agent in the test's folder."""

    def make(name: str) -> Stage:
        return Stage(tmp_path, name)

    return make
