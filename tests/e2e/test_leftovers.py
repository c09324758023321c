"""A test run that leaves a process or a file behind fails, and says what it left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"

LEAVES_A_PROCESS = """
import subprocess, sys
def test_it():
    with open({names!r}, "a") as names:
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        child.returncode = 0  # keeps Popen from warning, as a detached child would
        names.write(str(child.pid))
"""


LEAVES_A_FILE = """
def test_it():
    with open({name!r}, "w"):
        pass
"""


@pytest.fixture
def checkout(tmp_path):
    """A repository with our conftest and no tests yet."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text(CONFTEST.read_text())
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    return tmp_path


def run_pytest(checkout: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the tests in *checkout* as a new session would start: not as a worker of this one."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env["GLUERUN_TEST_LEAVING"] = "0.2"  # seconds; who does not leave here never does
    argv = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={checkout}", *options]
    return subprocess.run(argv, cwd=checkout, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_process_that_is_left_behind_fails_the_run(checkout, tmp_path_factory, workers):
    names = tmp_path_factory.mktemp("names") / "pid"
    (checkout / "tests" / "test_leaver.py").write_text(LEAVES_A_PROCESS.format(names=str(names)))

    done = run_pytest(checkout, workers)

    assert done.returncode == 1, done.stdout
    assert f"process {names.read_text()} is still alive" in done.stdout
    assert "1 passed" in done.stdout


def test_a_file_that_is_left_in_the_checkout_fails_the_run(checkout):
    (checkout / "tests" / "test_leaver.py").write_text(LEAVES_A_FILE.format(name=str(checkout / "litter.txt")))

    done = run_pytest(checkout)

    assert done.returncode == 1, done.stdout
    assert "new file in the checkout: litter.txt" in done.stdout
