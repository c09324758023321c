"""The shell files of a repository, read by a real bash."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.patience import spans

from gluerun import settings
from gluerun.errors import ConfigError
from gluerun.settings_shell import read_shell

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_but_our_names_comes_out(tmp_path: Path) -> None:
    (tmp_path / ".gluerun-state").mkdir()
    (tmp_path / "gluerun.config.json").write_text("{}")
    (tmp_path / "gluerun.config.sh").write_text("echo noise\nGLUERUN_MAX_RETRIES=4\nexport GLUERUN_SLEEP=1\nX=1\n")
    (tmp_path / ".gluerun-state/config.local.sh").write_text('GLUERUN_SLEEP=2\nGLUERUN_PREWARM_CMD="a=b c"\n')
    found = settings.load(tmp_path, {})
    assert (found.config.max_retries, found.config.sleep, found.config.prewarm) == (4, 2.0, "a=b c")
    assert (found.sources["max_retries"], found.sources["sleep"]) == ("file", "local file")


def test_the_environment_does_not_leak_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLUERUN_MAX_RETRIES", "9")
    (tmp_path / "x.sh").write_text("GLUERUN_SLEEP=${GLUERUN_MAX_RETRIES:-1}\n")
    assert read_shell(str(tmp_path), ["x.sh"]) == {"x.sh": {"GLUERUN_SLEEP": "1"}}


@pytest.mark.parametrize("script", ["false\nGLUERUN_SLEEP=1\n", "exit 3\n", "exit 0\n", "if then\n", "no-such-thing\n"])
def test_a_script_that_fails_is_named(tmp_path: Path, script: str) -> None:
    (tmp_path / "good.sh").write_text("GLUERUN_SLEEP=1\n")
    (tmp_path / "bad.sh").write_text(script)
    with pytest.raises(ConfigError) as caught:
        read_shell(str(tmp_path), ["good.sh", "bad.sh"])
    assert caught.value.message.startswith("bad.sh: the script fails: ")
    assert caught.value.file == "bad.sh"


def test_a_script_that_hangs_is_ended(tmp_path: Path) -> None:
    (tmp_path / "slow.sh").write_text("sleep 600\n")
    with pytest.raises(ConfigError, match=r"did not end within 0\.2 seconds"):
        read_shell(str(tmp_path), ["slow.sh"], 0.2)


# The first script is done at once, the second one never; what both leave behind has left their session.
@pytest.mark.parametrize("ending", ["", "sleep 600\n"])
def test_who_leaves_the_script_and_holds_its_output_holds_nobody_up(tmp_path: Path, ending: str) -> None:
    leaver = "import os; os.setsid(); open('pid', 'w').write(str(os.getpid())); os.execvp('sleep', ['sleep', '600'])"
    (tmp_path / "leaves.sh").write_text(f'python3 -c "{leaver}" &\n{ending}')
    pid = tmp_path / "pid"
    try:
        for limit in spans(0.5):
            with pytest.raises(ConfigError, match=f"did not end within {limit:g} seconds"):
                read_shell(str(tmp_path), ["leaves.sh"], limit)
            if pid.exists() and pid.read_text():
                break
        assert pid.exists()
    finally:
        with suppress(ProcessLookupError, FileNotFoundError, ValueError):
            os.kill(int(pid.read_text()), signal.SIGKILL)
