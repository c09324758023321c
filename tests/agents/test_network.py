"""Whom the programs of this ring can reach: nobody but this machine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CONNECT = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"


def test_no_other_machine_can_be_reached_by_any_process():
    if "GLUERUN_LOOPBACK_ONLY" not in os.environ:
        pytest.skip("the network is open here: run `python3 install.py test --ring agents`, and see what it says")

    done = subprocess.run([sys.executable, "-c", CONNECT], capture_output=True, text=True, check=False)

    assert "Network is unreachable" in done.stderr
