"""A secret that an agent wrote is found and taken out again on a real disk, whatever its file is called."""

from __future__ import annotations

import os

import pytest
from tests.contracts.test_git import home, real  # noqa: F401 fixtures
from tests.core.test_drive import DISPATCH

from gluerun import wiring
from gluerun.core import secrets
from gluerun.core.spelling import name_of
from gluerun.core.steps import Inspect, Restore
from gluerun.loop.bench import Bench
from gluerun.loop.house import House
from gluerun.records.config import Config
from gluerun.records.record import replace

KEY = "AKIA" + "ABCDEFGH12345678"
NAMES = [
    b"plain.txt", b"a b.txt", "ä/ö 日本.txt".encode(), b'quo"te.txt', b"back\\slash", b"\\x41", b"tab\tname",
    b"new\nline", b"caf\xe9.txt", b'caf\xe9 "and" \\x41', b"bell\x07", b"esc\x1b[31m", b"end ", b"c/b/b",
    b"co:lon:7", b"dev/null",
]  # fmt: skip


@pytest.fixture
def bench(real):  # noqa: F811
    config = Config(target_branch="main", gate_command="", runners={})
    house = House(wiring.doors_of(real.root, config), config)
    return Bench(house, replace(DISPATCH, base_sha=real.base))


def put(real, place: str, name: bytes, data: bytes) -> bytes:  # noqa: F811
    path = os.path.join(os.fsencode(place), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    return path


@pytest.mark.parametrize("is_known", [False, True], ids=["new", "changed"])
@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_what_holds_a_secret_is_as_it_was(real, bench, name, is_known):  # noqa: F811
    place = real.place("TASK-0001")
    base = real.base
    if is_known:
        put(real, real.root, name, b"one\ntwo\n")
        base = real.commit(real.root)
    real.git.add_worktree(place, base, branch="agent/x")
    path = put(real, place, name, f"one\n{KEY}\n".encode())

    seen = bench.act(1, Inspect(attempt=1, base=base))
    paths = tuple(hit.rsplit(":", 1)[0] for hit in seen.secrets)
    assert (seen.secrets, seen.changed) == ((f"{name_of(name)}:2",), (name_of(name),))
    assert paths == seen.changed

    bench.act(2, Restore(attempt=1, commit=base, paths=paths))
    assert not bench.act(3, Inspect(attempt=1, base=base)).changed
    if is_known:
        with open(path, "rb") as file:
            assert file.read() == b"one\ntwo\n"
    else:
        assert not os.path.lexists(path)


def test_renamed_removed_and_binary_files(real):  # noqa: F811
    text = "".join(f"{number}\n" for number in range(50))
    real.write(real.root, "old", f"{KEY}\n{text}".encode())
    real.write(real.root, "gone", f"{KEY}\n".encode())
    before = real.commit(real.root)
    os.rename(f"{real.root}/old", f"{real.root}/new")
    real.delete(real.root, "gone")
    real.write(real.root, "image", b"\0\1\2" + KEY.encode())
    moved = real.commit(real.root)
    real.write(real.root, "new", f"{KEY}\n{text}{KEY}\n".encode())
    later = real.commit(real.root)

    assert list(secrets.in_patch(real.git.patch(before, moved, limit=10_000))) == []
    assert list(map(str, secrets.in_patch(real.git.patch(moved, later, limit=10_000)))) == ["new:52 (cloud access key)"]
    both = secrets.in_patch(real.git.patch(before, later, limit=10_000))
    assert list(map(str, both)) == ["new:52 (cloud access key)"]


def test_dotenv_files_that_an_agent_adds(real):  # noqa: F811
    files = (
        ".env",
        "app/.env.local",
        ".env.example",
        "app/.env.sample",
        ".env.template",
        "x.env",
        ".envrc",
        ".env.test",
    )
    for path in (*files, ".env.test"):
        real.write(real.root, path, b"# settings\nexport PORT='3000'\nEMPTY=\n")
    real.write(real.root, "c/.env", b"# nothing\nEMPTY=\nALSO=''\n")
    real.write(real.root, "ä b/.env", b"A=1\n")
    first = real.commit(real.root)
    real.write(real.root, ".env", b"# settings\nPORT=3001\nDB_PASSWORD=hunter2\nAPI_KEY=${FROM_VAULT}\n")
    second = real.commit(real.root)

    found = [str(hit) for hit in secrets.in_patch(real.git.patch(real.base, first, limit=10_000))]
    expected = {".env": 2, "app/.env.local": 2, ".env.test": 2, "ä b/.env": 1}
    assert sorted(found) == sorted(f"{path}:{line} (dotenv file)" for path, line in expected.items())
    found = [str(hit) for hit in secrets.in_patch(real.git.patch(first, second, limit=10_000))]
    assert found == [".env:3 (dotenv value)"]
