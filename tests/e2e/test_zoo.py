"""Agents that misbehave, let loose on the installed engine: each ends as the table says, and harms nobody."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from tests.e2e.conftest import outside_environment
from tests.patience import until

from gluerun.zoo import ANIMALS, HEALTHY

SCHEMA = Path(__file__).resolve().parents[2] / "schemas/cli/torture.v0.schema.json"
# Some ninety seconds on two cores that do nothing else; those whom a slow machine kept from showing themselves are
# let loose again.
LONG = 1200
UNCHAINED = "from gluerun.torture import torture\nfound = torture(%r, sandbox='off')\n"


@pytest.fixture
def own_tmp(tmp_path, monkeypatch):
    """A folder for temporary files in which everything that is left behind can be seen."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_every_animal_ends_as_promised_and_nothing_is_left(gluerun, own_tmp):
    done = gluerun("doctor", "--torture", "--json", timeout=LONG)

    found = json.loads(done.stdout)
    assert list(Draft7Validator(json.loads(SCHEMA.read_text())).iter_errors(found)) == []
    wrong = [one for one in found["findings"] if one["verdict"] == "fail"]
    assert (wrong, found["harm"]) == ([], [])
    assert done.returncode == 0
    assert sorted({one["animal"] for one in found["findings"]}) == sorted({HEALTHY, *(one.name for one in ANIMALS)})
    skipped = {one["animal"] for one in found["findings"] if one["verdict"] == "skipped"}
    assert skipped == ({one.name for one in ANIMALS if one.needs_sandbox} if found["sandbox"] == "none" else set())
    assert os.listdir(own_tmp) == []


def test_harm_that_is_done_is_seen(wheel_python, own_tmp):
    words = UNCHAINED % (("outsider", "hooker", "burglar"),) + "print([one.harm != '' for one in found.findings])\n"
    words += "print(found.is_good)"
    done = subprocess.run(
        [wheel_python, "-P", "-c", words],
        env={**outside_environment(), "TMPDIR": str(own_tmp)},
        capture_output=True,
        text=True,
        timeout=LONG,
        check=True,
    )

    # A healthy one, an animal, a healthy one, two animals, a healthy one.
    assert done.stdout.splitlines() == ["[False, True, False, True, True, False]", "False"]
    assert os.listdir(own_tmp) == []


def test_whom_a_slow_machine_kept_from_showing_itself_is_let_loose_again(wheel_python, own_tmp, tmp_path):
    slow = tmp_path / "slow"
    slow.write_text(f'#!/bin/sh\ncase "$*" in *animals.py*) sleep 2 ;; esac\nexec {shlex.quote(wheel_python)} "$@"\n')
    slow.chmod(0o755)
    words = f"import sys\nsys.executable = {str(slow)!r}\nfrom gluerun.torture import torture\n"
    words += "found = torture(('smuggler',), longest_tries=(1, 240))\nprint(*(one.verdict for one in found.findings))"

    done = subprocess.run(
        [wheel_python, "-P", "-c", words],
        env={**outside_environment(), "TMPDIR": str(own_tmp)},
        capture_output=True,
        text=True,
        timeout=LONG,
        check=True,
    )

    assert done.stdout.split() == ["ok"] * 4
    assert os.listdir(own_tmp) == []


def test_one_that_is_ended_tidies_up(wheel_python, own_tmp):
    started = subprocess.Popen(
        [wheel_python, "-P", "-m", "gluerun", "doctor", "--torture", "--json"],
        env={**outside_environment(), "TMPDIR": str(own_tmp)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: [*own_tmp.glob("*/repository-1/.gluerun-state/leases/*.json")] or started.poll() is not None)
    started.terminate()

    assert started.wait(LONG) == 130
    assert os.listdir(own_tmp) == []
