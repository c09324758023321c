"""The booby-traps of conftest.py hold."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest


def test_home_is_not_a_persons_home():  # FR-029
    assert Path.home().name.startswith("gluerun-test-home-")
    assert not list(Path.home().glob(".ssh"))


def test_git_knows_no_person():
    done = subprocess.run(["git", "config", "--list", "--global"], capture_output=True, text=True, check=True)

    assert done.stdout == ""
    assert {name for name in os.environ if name.startswith("GLUERUN_")} <= {
        "GLUERUN_TEST_SESSION",
        "GLUERUN_E2E_PYTHON",
        "GLUERUN_AGENT_PROGRAMS",
        "GLUERUN_LOOPBACK_ONLY",
        "GLUERUN_E2E_KILLS",
        "GLUERUN_SOAK_KILLS",
        "GLUERUN_SOAK_FILE",
    }


@pytest.mark.parametrize("reach", ["connect", "connect_ex"])
def test_the_network_is_off(reach):
    with pytest.raises(Exception) as caught, socket.socket() as one:
        getattr(one, reach)(("192.0.2.1", 80))

    assert type(caught.value).__name__ == "YouForgotTheNetworkIsOff"


def test_names_of_other_machines_are_not_looked_up():
    with pytest.raises(Exception) as caught:
        socket.create_connection(("example.invalid", 80))

    assert type(caught.value).__name__ == "YouForgotTheNetworkIsOff"


def test_this_machine_can_be_reached():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert client.getpeername() == server.getsockname()
