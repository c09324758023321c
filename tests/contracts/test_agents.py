"""Agent programs on this machine: found, asked for their version, and tried with one small question."""

from __future__ import annotations

import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.patience import PATIENCE

from gluerun import settings
from gluerun.adapters.probe import probe_at
from gluerun.edge.agents import Agent, State, found_at, remember, remembered, spec_of, survey, version_of
from gluerun.edge.probing import FILE, Probed, try_out
from gluerun.errors import ToolMissingError, UsageError
from gluerun.loop.house import House
from gluerun.records.config import Config
from gluerun.settings_runners import declared_names
from gluerun.wiring import doors_of

# An agent that does what its model tells it: a variable holds the Python of what it does.
STUB = f"""#!{sys.executable}
import json, os, sys
if "--version" in sys.argv:
    print(os.environ.get("STUB_VERSION", "stub 2.5.1 (a stub)"))
    raise SystemExit
prompt = sys.stdin.read()
exec(os.environ.get("STUB_DOES", ""))
"""
WORKS = f"open({FILE!r}, 'w').write('gluerun was here')"
SAYS = """
print(json.dumps({"type": "result", "subtype": "success", "is_error": False, "num_turns": 2, "result": "done",
                  "session_id": "s", "total_cost_usd": 0.01,
                  "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 7}}))
"""


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """A folder with a program called claude."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder / "claude")
    return folder


def opened(root: str, config: Config) -> House:
    return House(doors_of(root, config), config)


def program(path: Path, text: str = STUB) -> None:
    path.write_text(text)
    path.chmod(0o755)


def configured(**document: Any) -> Config:
    text = json.dumps(document)
    return settings.load("/repo", {}, files=lambda _: text.encode(), shell=lambda _: {}).config


def looked(folder: Path, config: Config | None = None, limit: float = PATIENCE) -> dict[str, Agent]:
    environ = {"PATH": str(folder)}
    found = survey(config, environ, probe_at(str(folder), limit=limit), str(folder), folder / "home")
    return {agent.name: agent for agent in found}


def test_every_declaration_is_looked_for(stubs):
    found = looked(stubs)

    assert set(found) == set(declared_names())
    claude = found.pop("claude")
    assert (claude.state, claude.version, claude.path) == (State.PROVED, "2.5.1", str(stubs / "claude"))
    assert (claude.reads_only, claude.resumes, claude.tells_cost, claude.keeps_schema) == (True, True, True, True)
    assert {agent.state for agent in found.values()} == {State.MISSING}
    assert found["codex"].own_sandbox
    assert not found["qwen"].tells_cost


def test_what_plays_a_role_comes_first_and_what_is_missing_last(stubs):
    program(stubs / "aider")
    config = configured(runners={"zoe": {"argv": ["./claude"]}}, roles={"worker": {"runner": "zoe"}})

    found = survey(config, {"PATH": str(stubs)}, probe_at(str(stubs)), str(stubs), stubs)

    assert [agent.name for agent in found][:3] == ["zoe", "aider", "claude"]
    zoe = found[0]
    assert (zoe.state, zoe.version, zoe.roles) == (State.CONFIGURED, "", ("worker",))
    assert found[1].state is State.UNPROVED


def test_an_old_program_is_called_too_old(stubs):
    config = configured(runners={"claude": {"minVersion": "2.5.2"}})
    assert looked(stubs, config)["claude"].state is State.TOO_OLD
    config = configured(runners={"claude": {"minVersion": "2.5"}})
    assert looked(stubs, config)["claude"].state is State.PROVED


def test_programs_that_hang_at_their_version_hold_nobody_up(stubs):
    program(stubs / "codex", f"#!{sys.executable}\nimport time\ntime.sleep(600)\n")

    found = looked(stubs, limit=0.2)

    assert (found["codex"].version, found["codex"].state) == ("", State.PROVED)


def test_programs_are_asked_for_their_versions_at_the_same_time(stubs):
    names = ("claude", "codex", "gemini", "qwen", "opencode")
    # Each of them answers once all have been asked.
    waits = f"while [ $(ls {stubs}/asked-* | wc -l) -lt {len(names)} ]; do sleep 0.02; done"
    for name in names:
        program(stubs / name, f"#!/bin/sh\n: > {stubs}/asked-{name}\n{waits}\necho 7.7.7\n")

    found = looked(stubs, limit=PATIENCE)

    assert {found[name].version for name in names} == {"7.7.7"}


def test_a_file_that_is_no_program_has_no_version(stubs):
    program(stubs / "codex", "\x7fELF nonsense")
    spec = spec_of("codex", None)
    path = found_at(spec, {"PATH": str(stubs)}, "")

    assert path
    assert version_of(spec, path, probe_at(str(stubs))) == ""


def test_a_success_is_remembered_for_its_version_only(stubs):
    home = stubs / "home"
    remember("claude", "2.5.1", home)
    remember("codex", "1.0", home)

    assert remembered(home) == {"claude": "2.5.1", "codex": "1.0"}
    assert looked(stubs)["claude"].state is State.PROVED_HERE
    remember("claude", "2.5.0", home)
    assert looked(stubs)["claude"].state is State.PROVED


@pytest.mark.parametrize("text", ["", "{", "[]", '{"claude": 1}', '{"claude": {}}'])
def test_a_broken_memory_is_forgotten(tmp_path, text):
    path = tmp_path / ".gluerun/proved.json"
    path.parent.mkdir()
    path.write_text(text)

    assert remembered(tmp_path) == {}
    if not text.startswith('{"'):
        remember("claude", "1.0", tmp_path)
        assert remembered(tmp_path) == {"claude": "1.0"}


def test_a_runner_is_looked_up_by_its_name():
    config = configured(runners={"claude": {"model": "opus"}})
    assert spec_of("claude", config).model == "opus"
    assert spec_of("claude", None).model == ""
    with pytest.raises(UsageError) as caught:
        spec_of("cluade", None)
    assert "`claude`" in caught.value.hint


def tried(stubs: Path, does: str, config: Config | None = None, **environ: str) -> Probed:
    config = config or configured(runners={"claude": {"credentials": ["STUB_DOES", "STUB_VERSION"]}})
    variables = {"PATH": f"{stubs}:{os.environ['PATH']}", "HOME": os.environ["HOME"], "STUB_DOES": does, **environ}
    probe = probe_at(str(stubs))
    return try_out(
        spec_of("claude", config), variables, probe, opened, config=config, root=str(stubs), home=stubs / "home"
    )


def test_a_program_that_does_its_work_is_proved_here(stubs):
    found = tried(stubs, WORKS + SAYS)

    assert found.is_good, found.verdict
    assert (found.version, found.turns, found.fresh_tokens, found.cost_usd) == ("2.5.1", 2, 10, 0.01)
    assert found.folder == ""
    assert looked(stubs)["claude"].state is State.PROVED_HERE


@pytest.mark.parametrize(
    ("does", "verdict"),
    [
        pytest.param(SAYS, f"{FILE} is not there", id="a liar"),
        pytest.param(
            WORKS + "; open('more.txt', 'w')" + SAYS, "changed more than it was asked to: more.txt", id="more"
        ),
        pytest.param("raise SystemExit(3)", "claude", id="a crash"),
        pytest.param(WORKS, "claude", id="a silent one"),
    ],
)
def test_a_program_that_does_not_is_not(stubs, does, verdict):  # A49
    found = tried(stubs, does)

    assert not found.is_good
    assert verdict in found.verdict
    assert (Path(found.folder) / "repository/README.md").is_file(), "it is kept for a look"
    shutil.rmtree(found.folder)
    assert remembered(stubs / "home") == {}
    assert "\n" not in found.verdict


def test_the_program_is_called_by_its_declaration_and_sees_little(stubs):
    look = "json.dump([sys.argv[1:], dict(os.environ), prompt], open(os.environ['STUB_SAYS'], 'w'));"
    config = configured(
        runners={"claude": {"credentials": ["STUB_DOES", "STUB_SAYS"], "env": {"MINE": "{worktree}"}, "model": "m"}},
        sandbox={"writable": [str(stubs)]},
    )
    said = stubs / "said.json"

    found = tried(stubs, look + WORKS + SAYS, config, STUB_SAYS=str(said), SECRET_OF_ANOTHER="x")

    assert found.is_good, found.verdict
    words, variables, prompt = json.loads(said.read_text())
    assert words[:6] == ["-p", "--output-format", "stream-json", "--verbose", "--model", "m"]
    assert FILE in prompt
    assert variables["DISABLE_AUTOUPDATER"] == "1"
    assert variables["TMPDIR"].endswith("/scratch/001-worker")
    assert variables["MINE"] == variables["GLUERUN_WORKTREE"]
    assert "SECRET_OF_ANOTHER" not in variables


def test_two_that_are_asked_at_once_do_not_end_each_other(stubs):
    waits = "import time; open('began', 'w'); time.sleep(1); os.remove('began');"
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(tried, stubs, waits + WORKS + SAYS)
        fast = [pool.submit(tried, stubs, WORKS + SAYS) for _ in range(2)]

    assert [one.result().verdict for one in (*fast, slow)] == [f"it created {FILE}, as asked"] * 3


def test_the_program_is_held_as_in_a_run_and_not_asked_where_that_cannot_be(stubs):
    box = {"mode": "required", "container": ["no-such-program", "{mounts}", "{argv}"]}
    config = configured(runners={"claude": {"credentials": ["STUB_DOES", "STUB_VERSION"]}}, sandbox=box)

    found = tried(stubs, WORKS + SAYS, config)

    assert (found.is_good, found.fault) == (False, "not-confined")
    assert "no-such-program is not on PATH" in found.verdict


def test_a_program_that_is_not_there_or_too_old_is_not_asked(stubs):
    with pytest.raises(ToolMissingError, match="codex is not there"):
        try_out(spec_of("codex", None), {"PATH": str(stubs)}, probe_at(str(stubs)), opened, home=stubs)
    config = configured(runners={"claude": {"minVersion": "9"}})
    found = tried(stubs, "raise AssertionError", config)
    assert (found.is_good, found.fault) == (False, "too-old")
    assert "2.5.1 is older than 9" in found.verdict


def test_a_rehearsal_is_nothing_to_try(stubs):
    config = configured(runners={"play": {"kind": "scripted", "scenario": "s.json"}})
    with pytest.raises(UsageError, match="scripted runner"):
        try_out(spec_of("play", config), {}, probe_at(str(stubs)), opened, config=config)


def test_seeds_are_copied_for_the_eyes_of_the_user_only(stubs):
    home = stubs / "home"
    home.mkdir()
    (home / "key").write_text("k")
    look = "import stat; p = os.environ['A_HOME'] + '/key'; mode = oct(stat.S_IMODE(os.stat(p).st_mode));"
    look += "assert (open(p).read(), mode) == ('k', '0o600'), mode; assert not os.path.exists(p + '2');"
    look += "open(os.environ['A_HOME'] + '/mine', 'w').write('also where it is confined');"
    config = configured(
        runners={
            "claude": {
                "credentials": ["STUB_DOES"],
                "ownHomes": {"A_HOME": "a"},
                "seeds": {"a/key": "~/key", "a/key2": "~/gone"},
            }
        }
    )

    found = tried(stubs, look + WORKS + SAYS, config, HOME=str(home))

    assert found.is_good, found.verdict
