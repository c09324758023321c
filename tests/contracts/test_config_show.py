"""`gluerun config show`: what is in force, from where, and over what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from gluerun import settings
from gluerun.cli import main
from gluerun.edge.configuring import HIDDEN, shown
from gluerun.errors import UsageError
from gluerun.records.codec import to_wire
from gluerun.records.config import Config
from gluerun.records.record import fields_of
from gluerun.settings_table import KNOBS, SHAPES

SCHEMA = Path(__file__).resolve().parents[2] / "schemas/cli/config-shown.v0.schema.json"
SECRET = "ghp_" + "a1B2" * 9


@pytest.fixture
def repo(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gluerun-state").mkdir()
    write(tmp_path, {"targetBranch": "main", "maxRetries": 2})
    return tmp_path


def write(repo: Path, document: object) -> None:
    (repo / "gluerun.config.json").write_text(json.dumps(document, indent=2))


def one(repo: Path, key: str, environ: dict[str, str] | None = None, flags: dict[str, object] | None = None):
    (found,) = shown(str(repo), environ or {}, flags or {}, key)
    return found


def test_every_key_is_shown_once(repo):
    keys = [one.key for one in shown(str(repo), {}, {})]

    assert sorted(keys) == sorted({known.key for known in (*KNOBS, *SHAPES)})


def test_a_value_names_its_file_and_line(repo):
    found = one(repo, "maxRetries")

    assert (found.value, found.origin.words, found.instead_of) == (2, "file, gluerun.config.json:3", ())
    assert (one(repo, "sleep").value, one(repo, "sleep").origin.words) == (20.0, "default")


def test_no_source_wins_in_silence(repo):  # A41, FR-009, FR-020
    (repo / ".gluerun-state/config.local.sh").write_text("GLUERUN_MAX_RETRIES=5\n")

    found = one(repo, "maxRetries", {"GLUERUN_MAX_RETRIES": "7"}, {"max_retries": "9"})

    assert (found.value, found.origin.words) == (9, "flag, --max-retries")
    assert [(other.value, other.words) for other in found.instead_of] == [
        (2, "file, gluerun.config.json:3"),
        (5, "local file, .gluerun-state/config.local.sh"),
        (7, "environment, GLUERUN_MAX_RETRIES"),
    ]


def test_two_places_of_one_file_that_disagree_are_both_shown(repo):  # A41
    write(repo, {"env": {"GLUERUN_SLEEP": "3"}, "sleep": 4})

    found = one(repo, "sleep")

    assert (found.value, found.origin.place) == (4, "gluerun.config.json:5")
    assert [(other.value, other.place) for other in found.instead_of] == [(3, "gluerun.config.json:3")]


def test_sources_that_agree_are_no_conflict(repo):
    assert one(repo, "maxRetries", {"GLUERUN_MAX_RETRIES": "2"}).instead_of == ()


def test_what_is_shown_is_what_the_doctor_and_the_cycle_go_by(repo):  # FR-009
    environ = {"GLUERUN_MAX_CONCURRENT": "3"}
    config = settings.load(repo, environ).config

    for knob in KNOBS:
        if knob.field != "runner":
            assert one(repo, knob.key, environ).value == getattr(config, knob.field)


def test_no_secret_is_shown(repo):
    (repo / ".gluerun-state/config.local.sh").write_text(f"GLUERUN_PREWARM_CMD='login {SECRET}'\n")

    found = one(repo, "prewarm")

    assert found.value == HIDDEN
    assert SECRET not in repr(shown(str(repo), {"GLUERUN_PREWARM_CMD": SECRET}, {}))


def test_an_unknown_key_is_refused_with_the_nearest(repo):
    with pytest.raises(UsageError) as caught:
        shown(str(repo), {}, {}, "maxRetrys")
    assert caught.value.hint == "did you mean `maxRetries`?"


# Keys whose parts the configuration keeps apart, and keys that are remarks of the file.
PARTED = {
    "controlState": ("control_state", "control_commit_seconds"),
    "integration": ("push", "integration"),
    "sparse": ("sparse", "sparse_always"),
    "limits": ("limits_try", "limits_task", "limits_day", "on_limit_try", "on_limit_task"),
    "review": ("independence",),
    "identity": ("identity_name", "identity_email", "identity_l1_name", "identity_l1_email"),
}
REMARKS = {"$schema", "schemaVersion", "engineVersion", "_comment"}


def field_of(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


@pytest.mark.parametrize(
    "key", sorted({one.key for one in SHAPES} - {knob.key for knob in KNOBS} - REMARKS - {*PARTED})
)
def test_a_key_that_says_nothing_is_shown_as_what_holds_without_it(repo, key):
    found = one(repo, key)

    assert found.value == json.loads(json.dumps(to_wire(getattr(settings.load(repo, {}).config, field_of(key)))))
    assert found.origin.words == "default"


def test_everything_that_is_configured_is_shown_under_some_key():
    fields = {knob.field for knob in KNOBS} | {field for parts in PARTED.values() for field in parts}
    fields |= {field_of(one.key) for one in SHAPES}

    assert {*fields_of(Config)} - fields == {"sha256"}  # the digest of the whole


def test_the_document_and_the_words(repo, capsys):
    assert main.run(["--repo", str(repo), "config", "show", "--json"]) == 0
    Draft7Validator(json.loads(SCHEMA.read_text())).validate(json.loads(capsys.readouterr().out))

    assert main.run(["--repo", str(repo), "config", "show", "maxRetries", "--origin", "--set", "maxRetries=8"]) == 0
    said = capsys.readouterr().out
    assert "maxRetries: 8 (flag, --max-retries) is used instead of 2 (file, gluerun.config.json:3)" in said


@pytest.mark.parametrize(
    ("key", "said", "value"),
    [
        ("sparse", None, False),
        ("sparse", True, True),
        ("sparse", ["tools"], ["tools"]),
        ("integration", None, {"remote": "none", "mode": "merge", "sign": False}),
        ("integration", {"mode": "squash"}, {"remote": "none", "mode": "squash", "sign": False}),
        ("controlState", "branch", {"mode": "branch", "commitIntervalSeconds": 300}),
        (
            "controlState",
            {"mode": "branch", "commitIntervalSeconds": 60},
            {"mode": "branch", "commitIntervalSeconds": 60},
        ),
        ("controlState", None, "ref"),
    ],
)
def test_a_key_that_the_configuration_keeps_in_parts_is_shown_whole(repo, key, said, value):
    path = Path(repo) / settings.FILE
    document = json.loads(path.read_text()) | ({} if said is None else {key: said})
    path.write_text(json.dumps(document))

    assert one(repo, key).value == value
