"""The guide from nothing to the first merge, typed as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

from tests.patience import PATIENCE

CHECKOUT = Path(__file__).resolve().parents[2]
# The guide is typed up to the first merge; what follows is for days that went otherwise.
LAST = "## What each status means"


def test_the_guide_leads_to_a_merge(wheel_python, tmp_path):
    guide = (CHECKOUT / "docs" / "day-zero.md").read_text(encoding="utf-8").split(LAST)[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    launcher = f'#!/bin/sh\nexec {shlex.quote(wheel_python)} -P -m gluerun "$@"\n'
    (tmp_path / "gluerun").write_text(launcher, encoding="utf-8")
    (tmp_path / "gluerun").chmod(0o755)
    script = f'set -eu\nPATH="{tmp_path}:$PATH"\n' + "\n".join(blocks)

    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "integrate(TASK-0001): Add a mean" in done.stdout
    assert "TASK-0001 integrated" in done.stdout
