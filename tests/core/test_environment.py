"""What programs may see of the environment, and what a receipt is keyed by."""

from __future__ import annotations

import pytest
from tests.core.worlds import CONFIG

from gluerun.core.environment import PASSED, of_agent, of_program
from gluerun.core.gates import gate_sha256
from gluerun.records.config import ProvisionFile
from gluerun.records.record import replace
from gluerun.records.runner import RunnerSpec

USUAL = {name: f"my {name}" for name in PASSED} | {"LC_ALL": "C.UTF-8"}
CALM = {
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "gc.auto", "GIT_CONFIG_VALUE_0": "0",
    "GIT_CONFIG_KEY_1": "maintenance.auto", "GIT_CONFIG_VALUE_1": "false",
}  # fmt: skip
ENVIRON = USUAL | {
    "SECRET_TOKEN": "s", "GIT_DIR": "g", "GLUERUN_NONCE": "n", "PYTHONPATH": "p", "API_KEY": "k", "LCX": "x"
}  # fmt: skip


def test_the_usual_names():
    assert PASSED == ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM")


@pytest.mark.parametrize(
    ("own", "config", "env"),
    [
        ({}, {}, USUAL),
        ({"GLUERUN_RUN": "r"}, {}, USUAL | {"GLUERUN_RUN": "r"}),
        ({}, {"env_allowlist": ("PYTHONPATH", "NOT_SET")}, USUAL | {"PYTHONPATH": "p"}),
        ({"PATH": "/bin"}, {"env_allowlist": ("PATH",)}, USUAL | {"PATH": "/bin"}),
        ({}, {"env": {"TZ": "UTC", "MODE": "ci"}}, USUAL | {"TZ": "UTC", "MODE": "ci"}),
        ({"MODE": "own"}, {"env": {"MODE": "ci"}}, USUAL | {"MODE": "own"}),
    ],
)
def test_a_program_sees_the_usual_names_what_was_allowed_and_its_own(own, config, env):  # C21
    assert of_program(ENVIRON, own, replace(CONFIG, **config)) == env | CALM


@pytest.mark.parametrize(("brought", "start"), [("3", 3), ("0", 0), ("", 0), ("-1", 0), ("many", 0), ("99999", 0)])
def test_our_words_to_git_come_after_those_that_somebody_brought(brought, start):
    env = of_program({}, {}, replace(CONFIG, env={"GIT_CONFIG_COUNT": brought, "GIT_CONFIG_KEY_0": "gc.auto"}))

    assert env["GIT_CONFIG_COUNT"] == str(start + 2)
    assert (env[f"GIT_CONFIG_KEY_{start}"], env[f"GIT_CONFIG_VALUE_{start}"]) == ("gc.auto", "0")
    assert env["GIT_CONFIG_KEY_0"] == "gc.auto"


def test_an_agent_sees_also_its_runners_variables_and_declared_credentials():
    runner = RunnerSpec(name="fake", env={"MODE": "fast", "TERM": "dumb", "A": "1"}, credentials=("API_KEY",))

    config = replace(CONFIG, env_allowlist=("PYTHONPATH",), env={"MODE": "slow", "B": "3"})

    assert of_agent(ENVIRON, {"A": "2", "GLUERUN_RUN": "r"}, config, runner) == USUAL | CALM | {
        "B": "3",
        "PYTHONPATH": "p",
        "API_KEY": "k",
        "MODE": "fast",
        "TERM": "dumb",
        "A": "2",
        "GLUERUN_RUN": "r",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"bootstrap": ("npm ci",)},
        {"prewarm": "make deps"},
        {"provision_files": (ProvisionFile(source=".env", target=".env"),)},
        {"provision_files": (ProvisionFile(source=".env", target=".env", required=False),)},
        {"env_allowlist": ("CC",)},
    ],
)
def test_a_receipt_is_of_a_command_and_of_all_that_shapes_its_place(changes):
    assert gate_sha256("make", replace(CONFIG, **changes)) != gate_sha256("make", CONFIG)


def test_a_receipt_knows_nothing_else_of_the_configuration():
    assert gate_sha256("make", replace(CONFIG, max_retries=9, push=True)) == gate_sha256("make", CONFIG)
    assert gate_sha256("make", CONFIG) != gate_sha256("make ", CONFIG)
