"""What the outermost ring needs: gluerun as it comes out of the wheel, and proof that it is that one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.e2e.backlog import Backlog
from tests.patience import PATIENCE

CHECKOUT = Path(__file__).resolve().parents[2]
WHERE = "import gluerun; print(gluerun.__file__)"


# It takes longer than any other: whoever begins with it is done when the others are.
FIRST = "test_every_animal_ends_as_promised_and_nothing_is_left"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest test begin first, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: item.name != FIRST)


def outside_environment() -> dict[str, str]:
    """Return variables under which nothing can be imported from the checkout."""
    leaks = ("PYTHONPATH", "PYTHONHOME", "GLUERUN_E2E_PYTHON")
    return {name: value for name, value in os.environ.items() if name not in leaks}


@pytest.fixture(scope="session")
def wheel_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter that has the wheel installed, and cannot see the checkout."""
    python = os.environ.get("GLUERUN_E2E_PYTHON")
    if not python:
        pytest.skip("GLUERUN_E2E_PYTHON is not set: run `python3 install.py test --ring e2e`")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    argv = [python, "-P", "-c", WHERE]
    done = subprocess.run(argv, cwd=elsewhere, env=outside_environment(), capture_output=True, text=True, check=True)
    found = Path(done.stdout.strip())
    assert "site-packages" in found.parts, f"{found} is not the installed wheel"
    return python


@pytest.fixture(scope="session")
def run_gluerun(wheel_python: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the installed gluerun in the folder `cwd`."""

    def run(*arguments: str, cwd: Path, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        argv = [wheel_python, "-P", "-m", "gluerun", *arguments]
        env = outside_environment()
        return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout, check=False)

    return run


@pytest.fixture
def gluerun(
    run_gluerun: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the installed gluerun in a temporary folder, or in the one given as `cwd`."""
    return partial(run_gluerun, cwd=tmp_path)


@pytest.fixture
def backlog(tmp_path: Path, gluerun: Callable[..., subprocess.CompletedProcess[str]]) -> Backlog:
    """A repository with a backlog of its own."""
    return Backlog(tmp_path / "repo", gluerun)
