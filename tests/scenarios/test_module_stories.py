"""Stories about modules: who guards fails closed, who listens fails open, and no agent changes who guards it."""

from __future__ import annotations

import pytest

from gluerun.testing import Move, SimHouse

ONE = "TASK-0001"
HEAD = "from gluerun.kit import Objection, hookimpl\n\n\n@hookimpl\n"
STRICT = HEAD + "def gluerun_check(candidate):\n    return [Objection(reason='never', paths=candidate.changed)]\n"
KIND = HEAD + "def gluerun_check(candidate):\n    assert candidate.after('a.txt') != candidate.before('a.txt')\n"
BROKEN = HEAD + "def gluerun_check(candidate):\n    raise RuntimeError('no such table')\n"
LOUD = HEAD + "def gluerun_told(event):\n    raise RuntimeError('nobody home')\n"
STUBBORN = (
    HEAD + "def gluerun_promote(node):\n    return [] if node.read('REVIEWED') else [Objection(reason='no review')]\n"
)
FILE = "tools/guard.py"


def house_with(source: str | None, *names: str, **config: object) -> SimHouse:
    house = SimHouse(modules=names or (FILE,), max_retries=0, **config)
    if source is not None:
        house.colleague(FILE, source)
    return house.given(ONE, owned=["a.txt", "tools"]).agent(ONE, [Move(writes={"a.txt": "x"})])


def why(house: SimHouse) -> str:
    record = house.record(ONE)
    assert record is not None
    return record.last_failure.reason if record.last_failure else ""


def test_what_a_module_objects_to_does_not_land():
    house = house_with(STRICT).until_quiet()

    assert house.state(ONE) == "parked"
    assert why(house) == f"the module {FILE} objects: never"
    assert "a.txt" not in house.target_files()


def test_what_no_module_objects_to_lands():
    house = house_with(KIND).until_quiet()

    assert house.target_files()["a.txt"] == "x"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (BROKEN, "failed: RuntimeError: no such table"),
        (HEAD + "def gluerun_check(candidate):\n    raise SystemExit(0)\n", "failed: SystemExit: 0"),
        ("raise SystemExit(0)\n", "cannot be loaded: SystemExit: 0"),
        (None, "is not in that commit"),
        ("def", "SyntaxError"),
        ("x = 1\n", "it implements no hook"),
        (HEAD + "def gluerun_chek(candidate):\n    pass\n", "unknown hook"),
        (HEAD + "def gluerun_check(candidate):\n    return ['no']\n", "answered with str"),
    ],
    ids=[
        "raises",
        "leaves",
        "leaves at once",
        "is gone",
        "is no Python",
        "does nothing",
        "is misspelt",
        "answers nonsense",
    ],
)
def test_a_guard_that_fails_is_named_and_lets_nothing_pass(source, words):
    house = house_with(source).until_quiet()

    assert house.state(ONE) == "parked"
    assert f"the module {FILE}" in why(house)
    assert words in why(house)
    assert "a.txt" not in house.target_files()


def test_an_agent_cannot_change_the_module_that_guards_it():
    house = house_with(STRICT).agent(ONE, [Move(writes={"a.txt": "x", FILE: KIND})]).until_quiet()

    assert house.state(ONE) == "parked"
    assert house.target_files()[FILE] == STRICT
    assert FILE in why(house), "the file is outside of every scope, although the task owns its folder"


@pytest.mark.parametrize("path", ["gluerun.config.json", "gluerun.config.sh"])
def test_an_agent_cannot_strike_its_guard_off_the_list(path):
    house = SimHouse(modules=(FILE,), max_retries=0).colleague(FILE, KIND)
    house.given(ONE, owned=["a.txt", path]).agent(ONE, [Move(writes={"a.txt": "x", path: "{}"})]).until_quiet()

    assert house.state(ONE) == "parked"
    assert path in why(house)


@pytest.mark.parametrize("kind", ["RuntimeError", "SystemExit"])
def test_a_module_that_only_listens_holds_nothing_up_and_is_told_of_once(kind):
    house = house_with(LOUD.replace("RuntimeError", kind)).until_quiet()

    assert house.target_files()["a.txt"] == "x"
    told = house.events("module.failed")
    assert {event["message"] for event in told} == {f"the module {FILE} failed: {kind}: nobody home"}
    assert not any(after["seq"] == one["seq"] + 1 for one in told for after in told), "no echo of its own failure"


def test_a_module_holds_a_node_back_until_it_is_content():
    house = house_with(STUBBORN).graph("N1").given(ONE, owned=["a.txt"], node="N1").until_quiet()
    assert house.node_file("N1") is None
    assert [event["data"]["node"] for event in house.events("node.held")] == ["N1"], "told once, not each cycle"

    house.colleague("REVIEWED", "yes").until_quiet()

    assert house.node_file("N1")["status"] == "passed"
