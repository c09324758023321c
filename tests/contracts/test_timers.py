"""Timers as the systems' own tools read them, and as the verb writes them."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess

import pytest
from tests.patience import PATIENCE

from gluerun.adapters.files import DiskFiles
from gluerun.core.timers import LOG
from gluerun.edge import timers

ROOT = "/srv/my shop 100%"


def plan_for(home, platform="linux", every=300):
    return timers.plan(ROOT, {"HOME": str(home), "PATH": "/usr/bin:/bin"}, platform, every)


class System:
    """What the system is asked, and what it answers."""

    def __init__(self, code=0, words=""):
        self.asked, self.answer = [], (code, words)

    def __call__(self, argv):
        self.asked.append(" ".join(argv))
        return self.answer


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
@pytest.mark.parametrize("every", [60, 3600, 86_400, 0])
def test_systemd_finds_nothing_wrong(tmp_path, every):
    plan = plan_for(tmp_path, every=every)
    for name, text in plan.files.items():
        (tmp_path / name).write_text(text)

    argv = ["systemd-analyze", "verify", "--user", *(str(tmp_path / name) for name in plan.files)]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_installing_writes_the_files_and_makes_them_known(tmp_path):
    plan, system = plan_for(tmp_path), System()
    files = DiskFiles(plan.folder)

    report = timers.install(plan, files, system)

    assert sorted(report.files) == [f"{plan.name}.service", f"{plan.name}.timer"]
    assert plan.folder == f"{tmp_path}/.config/systemd/user"
    assert system.asked == ["systemctl --user daemon-reload", f"systemctl --user enable --now {plan.name}.timer"]
    assert (report.installed, report.said) == (True, ())


def test_another_kind_takes_the_place_of_the_first(tmp_path):
    files = DiskFiles(plan_for(tmp_path).folder)
    timers.install(plan_for(tmp_path), files, System())

    report = timers.install(plan_for(tmp_path, every=0), files, System())

    assert list(report.files) == [f"{report.name}.service"]


def test_what_the_system_refuses_is_said_with_the_command(tmp_path):
    plan = plan_for(tmp_path)

    report = timers.install(plan, DiskFiles(plan.folder), System(1, "no bus"))

    assert report.installed
    assert report.said[0] == "`systemctl --user daemon-reload` failed (no bus): type it yourself"


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_removing_leaves_nothing_and_does_it_twice(tmp_path, platform):
    plan = plan_for(tmp_path, platform)
    files = DiskFiles(plan.folder)
    timers.install(plan, files, System())

    first, again = (timers.remove(plan, files, System()) for _ in range(2))

    assert (first.applied, first.installed, first.files) == (True, False, {})
    assert again.applied is False
    assert files.names("") == []


def test_a_system_without_timers_says_what_to_do_instead(tmp_path):
    with pytest.raises(timers.ToolMissingError, match="no timers are known on plan9"):
        plan_for(tmp_path, "plan9")


def test_launchd_appends_to_the_log_that_the_loop_bounds(tmp_path):
    (text,) = timers.plan(str(tmp_path), {"HOME": str(tmp_path)}, "darwin", 300).files.values()
    agent = plistlib.loads(text.encode())

    assert agent["StandardOutPath"] == agent["StandardErrorPath"] == f"{tmp_path}/.gluerun-state/{LOG}"
