"""`gluerun verify` as installed: at home, in a clone of strangers, and after somebody has put a hand to it."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft7Validator
from tests.e2e.backlog import git, writes

SCHEMA = Path(__file__).resolve().parents[2] / "schemas/cli/verification.v0.schema.json"


def merged(backlog):
    task = backlog.task(1, writes(1))
    assert backlog.ask("auto")["integrated"] == [task]
    return task


def answer(gluerun, folder, *words):
    done = gluerun("verify", *words, "--json", cwd=folder)
    found = json.loads(done.stdout)
    Draft7Validator(json.loads(SCHEMA.read_text())).validate(found)
    assert done.returncode == (0 if found["isWhole"] else 1)
    return found


def test_a_merge_is_followed_at_home_and_in_a_clone_without_the_state_folder(backlog, gluerun, tmp_path):
    task = merged(backlog)

    home = answer(gluerun, backlog.root)
    clone = tmp_path / "clone"
    git(backlog.root, "clone", "--quiet", str(backlog.root), str(clone))
    bare = answer(gluerun, clone)
    git(clone, "fetch", "--quiet", "origin", "refs/gluerun/*:refs/gluerun/*")
    there = answer(gluerun, clone, "HEAD")

    assert home["isWhole"], home["problems"]
    assert (home["notHere"], home["merged"][0]["evidence"], home["events"] > 2) == ([], "whole", True)
    assert (bare["merged"][0]["evidence"], len(bare["notHere"])) == ("incomplete", 4)
    assert [(one["task"], one["evidence"], one["notHere"]) for one in there["merged"]] == [(task, "whole", [])]
    assert there["isWhole"]
    assert not (clone / ".gluerun-state").exists()


def test_a_flipped_byte_is_named_and_a_torn_line_is_mended(backlog, gluerun):
    merged(backlog)
    journal = backlog.root / ".gluerun-state/events.ndjson"
    whole = journal.read_bytes()
    at = whole.index(b"\n") + 40
    journal.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])

    flipped = answer(gluerun, backlog.root)
    journal.write_bytes(whole + b'{"data":')
    torn = answer(gluerun, backlog.root)
    mended = answer(gluerun, backlog.root, "--mend")

    assert flipped["firstBadEvent"] == 2
    assert [one["kind"] for one in torn["problems"]] == ["torn"]
    assert mended["isWhole"], mended["problems"]
    assert git(backlog.root, "log", "-1", "--format=%(trailers:key=Gluerun-Journal,valueonly)", "refs/gluerun/journal")


def test_a_forged_packet_in_a_clone_is_found(backlog, gluerun, tmp_path):
    task = merged(backlog)
    clone = tmp_path / "clone"
    git(backlog.root, "clone", "--quiet", str(backlog.root), str(clone))
    git(clone, "fetch", "--quiet", "origin", "refs/gluerun/*:refs/gluerun/*")
    path = f"tasks/01/{task}/packet.json"
    packet = json.loads(git(clone, "show", f"refs/gluerun/control:{path}"))
    (tmp_path / "packet.json").write_text(json.dumps({**packet, "summary": "it is all fine"}))
    git(clone, "read-tree", "refs/gluerun/control")
    blob = git(clone, "hash-object", "-w", str(tmp_path / "packet.json"))
    git(clone, "update-index", "--cacheinfo", f"100644,{blob},{path}")
    tree = git(clone, "write-tree")
    forged = git(clone, "commit-tree", "-p", "refs/gluerun/control", "-m", "forged", tree)
    git(clone, "update-ref", "refs/gluerun/control", forged)
    git(clone, "read-tree", "HEAD")

    found = answer(gluerun, clone)

    assert [one["kind"] for one in found["problems"]] == ["packet"]
    assert found["merged"][0]["evidence"] == "broken"
