"""A repository as glueRun-go left it becomes ours: whatever cuts the way short, and only while nobody works in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gluerun import settings
from gluerun.edge import migrating
from gluerun.edge.migrating import Yard, chain, layout_of, migrate
from gluerun.errors import BusyError, ConfigError, OtherSchemaError
from gluerun.records import taskfile
from gluerun.records.config import ControlState
from gluerun.records.record import replace
from gluerun.release import SCHEMA, VERSION
from gluerun.sim.crash import SimCrash
from gluerun.sim.files import SimFiles
from gluerun.testing import SimHouse

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "gluerun-go-v1"
TASKS = "docs/orchestration/tasks"
CONFIG, PIN = "gluerun.config.json", ".gluerun-version"
STARTED = 1781334001.0  # when the sample says that its worker was started
RUN = "RUN-20260613T070001Z-0badcafe"


def sample() -> dict[str, bytes]:
    """Return the frozen repository; what git would ignore in this one has another name there."""
    files = [path for path in SAMPLE.rglob("*") if path.is_file()]
    return {str(path.relative_to(SAMPLE)).replace("dot-", ".", 1): path.read_bytes() for path in files}


def yard(files: dict[str, bytes], born=lambda _: None) -> Yard:
    """Return the doors of a repository in memory."""
    house, disk = SimHouse(), SimFiles()
    for path, data in files.items():
        disk.write(path, data)
    return Yard(root="/nowhere", files=disk, locks=house.locks, processes=house.processes, clock=house.clock, born=born)


def there(place: Yard) -> dict[str, bytes]:
    """Return what is in the repository, without the backups."""
    return {path: data for path, data in place.files.files.items() if not path.startswith(migrating.BACKUPS)}


def test_a_dry_run_says_everything_and_changes_nothing():
    place = yard(sample())

    report = migrate(place, act=False)

    changes = {one.path: one.change for one in report.changes}
    assert (report.before, report.after, report.acted) == ("go1", SCHEMA, False)
    assert there(place) == sample()
    assert changes == {
        CONFIG: "change",
        PIN: "change",
        f"{TASKS}/TASK-0002.md": "change",
        f"{TASKS}/TASK-0004.md": "change",
        f"{TASKS}/TASK-0006.md": "write",
        f"{TASKS}/superseded/TASK-0006.md": "remove",
        ".gluerun-state/leases/TASK-0002.json": "remove",
        ".gluerun-state/dispatch/TASK-0002.json": "remove",
        ".gluerun-state/inbox/RUN-20260613T060000Z-4000.json": "remove",
        **{f".gluerun-state/{name}.json": "remove" for name in ("circuit", "origin-state")},
        **{f".gluerun-state/{name}": "remove" for name in ("events.ndjson", "task-id-counter", "autonomate.pid")},
    }
    assert migrate(place, act=True).changes == report.changes


def test_the_notes_name_what_is_left_out_and_what_helps():
    said = "\n".join(migrate(yard(sample()), act=False).notes)

    for words in (
        "gluerun.config.sh: the shell function gluerun_before_dispatch is not run here",
        "the modules storage-proof.sh are written for glueRun-go",
        "env.GLUERUN_L2_SANDBOX means nothing here",
        "env.not-a-name means nothing here",
        "proofGrandfather names what was complete before: M0.scaffold",
        "controlState is branch: records go on being published on the branch",
        "TASK-0002.md: the header 'Owner' is kept as a note",
        "TASK-0004.md: its status failed is ready here",
        "TASK-0002: was running; it starts anew, and what agent/parser/TASK-0002-read-words holds is rescued first",
        "TASK-0003: its packet was never imported; the task is done again",
    ):
        assert words in said


def test_what_was_migrated_can_be_used_and_a_second_run_does_nothing():
    place = yard(sample())

    report = migrate(place, act=True)

    after = there(place)
    loaded = settings.load("/nowhere", {}, files=lambda _: after[CONFIG], shell=lambda _: {})
    assert (loaded.schema_version, loaded.engine_version, loaded.config.runner_of("worker")) == ("v1", VERSION, "codex")
    assert loaded.config.proof_grandfather == ("M0.scaffold",)
    assert loaded.config.control_state is ControlState.BRANCH
    assert (loaded.config.max_retries, loaded.config.env) == (2, {"GOFLAGS": "-mod=mod"})
    assert after[PIN].decode().strip() == VERSION
    files = {path: data.decode() for path, data in after.items() if path.startswith(f"{TASKS}/TASK-")}
    tasks = [taskfile.parse(text, loaded.config, file=path) for path, text in sorted(files.items())]
    assert [(one.spec.task_id[-1], one.status.value) for one in tasks] == [
        *(("1", "integrated"), ("2", "ready"), ("3", "accepted"), ("4", "ready"), ("5", "blocked"), ("6", "superseded"))
    ]
    # FR-032: an instruction that a parser does not know is not dropped.
    assert "Owner: parser people" in tasks[1].spec.notes
    assert layout_of(place.files) == SCHEMA
    before = dict(place.files.files)
    again = migrate(place, act=True)
    assert (again.before, again.changes, again.acted) == (SCHEMA, (), False)
    assert place.files.files == before
    assert len(report.backups) == 1


def test_the_backup_holds_every_file_that_was_changed():
    place = yard(sample())

    report = migrate(place, act=True)

    kept = {
        path: place.files.read(f"{report.backups[0]}/before/{path}") for path in (one.path for one in report.changes)
    }
    assert {path: data for path, data in kept.items() if data is not None} == {
        path: data for path, data in sample().items() if path in kept
    }


def test_no_path_of_a_machine_is_taken_over_into_what_this_engine_reads():
    # C17: packets and leases of the predecessor name somebody's folders.
    place = yard(sample())
    migrate(place, act=True)

    named = {path for path, data in there(place).items() if b"/home/somebody" in data}
    assert named == {"docs/orchestration/packets/imported/TASK-0001/RUN-20260612T081500Z-4711.json"}


def test_a_migration_that_is_cut_off_anywhere_is_completed_by_the_next():
    whole = yard(sample())
    migrate(whole, act=True)
    points = 0

    class Cut:
        def __init__(self, at):
            self.left = at

        def __call__(self, name):
            self.left -= 1
            if self.left < 0:
                raise SimCrash(name)

    while True:
        place = yard(sample())
        place.files.fault = Cut(points)
        try:
            migrate(place, act=True)
            break
        except SimCrash:
            points += 1
        place.locks.crash()
        place.files.fault = Cut(points // 2)  # and once more, somewhere else
        try:
            migrate(place, act=True)
        except SimCrash:
            place.locks.crash()
        place.files.fault = None
        migrate(place, act=True)
        assert there(place) == there(whole), points
    assert points > 40


def test_what_a_person_changed_in_between_is_not_written_over():
    place = yard(sample())

    def cut(name):
        if name == f"before write {CONFIG}":
            raise SimCrash(name)

    place.files.fault = cut
    with pytest.raises(SimCrash):
        migrate(place, act=True)
    place.files.fault = None
    place.locks.crash()
    place.files.write(f"{TASKS}/TASK-0002.md", b"mine")

    with pytest.raises(ConfigError, match=r"TASK-0002\.md was changed after this migration began"):
        migrate(place, act=True)

    assert place.files.read(f"{TASKS}/TASK-0002.md") == b"mine"


@pytest.mark.parametrize(
    ("pid", "who"), [(4242, "the worker of TASK-0002"), (99, "a cycle"), (99, "the resident loop")]
)
def test_nothing_is_migrated_beside_somebody_who_works(pid, who):
    place = yard(sample(), born=lambda asked: STARTED - 3600 if asked == pid else None)

    with pytest.raises(BusyError, match=who):
        migrate(place, act=True)

    assert there(place) == sample()
    assert migrate(place, act=False).changes


def test_a_number_that_another_process_got_since_holds_nobody_up():
    # C3: theirs took any process with the number of the old one for it.
    files = sample()
    del files[".gluerun-state/autonomate.pid"]

    assert migrate(yard(files, born=lambda _: STARTED + 86_400), act=True).acted


def test_nothing_is_migrated_under_a_loop_of_ours():
    place = yard(sample())
    holder = migrating.OriginHolder(
        owner="auto", run_id="ORIGIN-1", pid=1, started_at=place.clock.now(), expires_at=place.clock.now()
    )
    for lock in (place.locks.resident, place.locks.origin):
        with lock(holder), pytest.raises(BusyError):
            migrate(place, act=True)
    assert there(place) == sample()


class LateLocks:
    """Locks that somebody else has held before: what they did meanwhile is done when the lock is had."""

    def __init__(self, locks, meanwhile):
        self.locks, self.meanwhile = locks, meanwhile

    def resident(self, holder):
        """Let the others do what they do, then be the one."""
        self.meanwhile()
        return self.locks.resident(holder)

    def origin(self, holder):
        """Hold the loop's lock."""
        return self.locks.origin(holder)


def test_what_another_migration_has_just_done_is_not_done_again():
    place = yard(sample())
    own = b'{"schemaVersion": "v1", "runners": {"mine": {"kind": "claude"}}}'

    def others() -> None:
        migrate(place, act=True)
        place.files.write(CONFIG, own)

    report = migrate(replace(place, locks=LateLocks(place.locks, others)), act=True)

    assert (report.acted, place.files.read(CONFIG)) == (False, own)


def test_a_run_that_was_started_just_before_the_lock_is_seen():
    place = yard(sample())

    def others() -> None:
        place.processes.start(RUN)
        place.files.write(f"{migrating.STATE}/leases/TASK-0001.json", json.dumps({"runId": RUN}).encode())

    with pytest.raises(BusyError, match=RUN):
        migrate(replace(place, locks=LateLocks(place.locks, others)), act=True)
    assert place.files.read(CONFIG) == sample()[CONFIG]


def test_a_repository_of_ours_is_none_of_theirs():
    ours = {CONFIG: b'{"schemaVersion": "v1", "runners": {}}', "docs/orchestration/prompts/l0-origin.md": b"mine"}

    assert layout_of(yard(ours).files) == SCHEMA
    assert layout_of(yard({CONFIG: b"{}"}).files) == SCHEMA


@pytest.mark.parametrize(
    ("layout", "said", "hint"),
    [
        ("v9", "is written for schema v9, this engine has v1", "newer engine"),
        ("v0", "no migration leads from schema 'v0' to v1", "schemaVersion"),
        ("odd", "no migration leads from schema 'odd' to v1", "schemaVersion"),
    ],
)
def test_where_no_way_leads_is_said_in_one_sentence(layout, said, hint):
    with pytest.raises(OtherSchemaError, match=said) as caught:
        migrate(yard({CONFIG: json.dumps({"schemaVersion": layout}).encode()}), act=True)
    assert hint in caught.value.hint


def test_a_chain_is_walked_step_by_step_and_never_in_a_circle():
    known = {"a": ("b", "a_to_b"), "b": ("c", "b_to_c")}

    assert chain("a", known, "c") == ("a_to_b", "b_to_c")
    assert chain("c", known, "c") == ()
    with pytest.raises(OtherSchemaError):
        chain("a", {"a": ("b", "a_to_b"), "b": ("a", "b_to_a")}, "c")


@pytest.mark.parametrize(("text", "said"), [(b"[]", "no object"), (b"{", "JSON"), (None, "type `gluerun init`")])
def test_a_configuration_that_cannot_be_read_is_said(text, said):
    with pytest.raises(ConfigError) as caught:
        migrate(yard({CONFIG: text} if text else {}), act=True)
    assert said.lower() in f"{caught.value.message} {caught.value.hint}".lower()


def test_the_loop_does_not_start_in_a_repository_of_theirs(tmp_path):
    for path, data in sample().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)

    with pytest.raises(OtherSchemaError, match="laid out for glueRun-go") as caught:
        settings.load(tmp_path, {})
    assert caught.value.hint == "type `gluerun migrate`"


@pytest.mark.parametrize(("version", "hint"), [("v2", "install an engine that has v2"), ("v0", "`gluerun migrate`")])
def test_another_schema_is_said_before_any_key_is_called_unknown(version, hint):
    data = json.dumps({"schemaVersion": version, "unheardOf": 1}).encode()

    with pytest.raises(OtherSchemaError, match=f"`schemaVersion` is '{version}', this engine has 'v1'") as caught:
        settings.load("/nowhere", {}, files=lambda _: data)
    assert hint in caught.value.hint
