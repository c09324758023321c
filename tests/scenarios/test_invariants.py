"""Each invariant of the fault matrix sees what it is there for: one is spoilt at a time, and the judge must say so."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from functools import cache

import pytest
from tests.scenarios import crashes
from tests.scenarios.backlogs import MAIN, ONE, SCENARIOS
from tests.scenarios.crashes import Way, error_of

from gluerun.errors import StateError
from gluerun.records import codec

STORIES = {"main": MAIN, **SCENARIOS}
JUDGES = (
    *(crashes.Crashing._ends, crashes._once_each, crashes._booked_once, crashes._leavings, crashes._lost),
    *(crashes.Watch.survive, crashes.Watch._judge, crashes.Watch.look, crashes.Way.faults),
)


@cache
def ended(name):
    """A story that has come to its end, for copies."""
    return Way(STORIES[name]).go_on()


@cache
def midway(name, folder):
    """A story in the moment when something is in a folder of its state, for copies."""
    way = Way(STORIES[name])
    while not way.house.state_files.names(folder):
        way.turn()
    return way


def files(way):
    return way.house.state_files.files


def path_of(way, start, end=""):
    return next(path for path in sorted(files(way)) if path.startswith(start) and path.endswith(end))


def put(way, path, data):
    way.house.fuse.chooses = None
    way.house.state_files.write(path, data)


def forget_record(way):
    way.house.state_files.remove(path_of(way, "tasks/", f"{ONE}.json"))


def take_out(way):
    way.house.git.publish("refs/heads/main", {"a.txt": None}, "A colleague's a.txt")


def forget_evidence(way):
    path = next(path for path in way.house.work_files.files if path.endswith("core.gate-result.json"))
    said = codec.decode(way.house.work_files.files[path])
    said["evidence"][0]["taskIds"] = []
    way.house.work_files.write(path, codec.encode(said))


def flip(way):
    files(way)["events.ndjson"] = files(way)["events.ndjson"].replace(b"TASK-0001", b"TASK-0009", 1)


def land_again(way):
    way.house.git.publish("refs/heads/main", {"z": b"z"}, f"again\n\nGluerun-Task: {ONE}\n")


def live_again(way):
    put(way, f"tasks/live/{ONE}.json", files(way)[path_of(way, "tasks/", f"{ONE}.json")])


def tell_again(way):
    lines = files(way)["events.ndjson"].splitlines(keepends=True)
    told = [line for line in lines if json.loads(line)["type"] == "integration.integrated"]
    way.house.state_files.append("events.ndjson", told[0])


def give_again(way):
    runs = (run for run in way.house.state_files.names("runs") if way.house.open().store.dispatch(run).spec)
    run = next(runs)
    other = f"{run[:-8]}00000000"
    put(
        way,
        f"runs/{other}/dispatch.json",
        files(way)[f"runs/{run}/dispatch.json"].replace(run.encode(), other.encode()),
    )


def book_again(way):
    path = path_of(way, "costs/")
    put(way, f"costs/2001-01-01/{path.rpartition('/')[2]}", files(way)[path])


def book_nothing(way):
    put(way, "costs/2001-01-01/RUN-20010101T000000Z-00000000.json", files(way)[path_of(way, "costs/")])


def book_not(way):
    way.house.state_files.remove(path_of(way, "costs/"))


def keep_lease(way):
    put(way, f"leases/{ONE}.json", files(midway("main", "leases"))[f"leases/{ONE}.json"])


def keep_node_lease(way):
    before = midway("planned", "l1-leases")
    path = path_of(before, "l1-leases/")
    put(way, path, files(before)[path])


def leave_defect(way):
    put(way, f"runs/{way.house.state_files.names('runs')[0]}/crash.txt", b"it broke")


def write_unkept(way):
    way.house.written.append((way.house.state_files.names("runs")[0], "z.txt", "nobody keeps this"))


def set_epoch_back(way):
    forget = midway("main", "leases")
    put(way, f"tasks/live/{ONE}.json", files(forget)[f"tasks/live/{ONE}.json"])
    way.watch.seen[ONE] = 99
    way.watch.look(way.house)


def fail_unclearly(way):
    def act(house):
        raise StateError("it broke\nsomewhere")

    way.watch.survive(way.house, act)


def fail_with_lock(way):
    def act(house):
        house.locks.git_is_held = True
        raise error_of("EIO", "state before write x")

    way.watch.survive(way.house, act)


def break_down(way):
    way.watch.survive(way.house, lambda house: house.nothing_of_that_name)


def never_rest(way):
    way.quiet = 0


# What an invariant says, the story in which it is taken out, and how.
CONTROLS = {
    "states are": ("main", forget_record),
    "is not in the target": ("main", take_out),
    "rests on": ("planned", forget_evidence),
    "the chain breaks at event": ("main", flip),
    "the target holds": ("main", land_again),
    "lives and is settled": ("main", live_again),
    "was told twice": ("main", tell_again),
    "was given twice": ("main", give_again),
    "is booked 2 times": ("held worker", book_again),
    "is booked as if it had used something": ("held worker", book_nothing),
    "is not booked": ("held worker", book_not),
    "TASK-0001 is still leased": ("main", keep_lease),
    "core is still leased": ("planned", keep_node_lease),
    "a temporary ": ("main", lambda way: put(way, "runs/.half.tmp", b"")),
    "a work tree ": ("main", lambda way: way.house.git.add_worktree("/sim/.worktrees/x", way.house.git.head("main"))),
    "a lock ": ("main", lambda way: way.house.git.branch_locks.add("refs/heads/x.lock")),
    "is not as committed": ("main", lambda way: way.house.dirty("a.txt")),
    "a branch ": (
        "main",
        lambda way: way.house.git.refs.update({f"refs/heads/agent/{ONE}": way.house.git.head("main")}),
    ),
    "a landing or a lock is left": ("main", lambda way: vars(way.house.locks).update(git_is_held=True)),
    "a defect in ": ("main", leave_defect),
    "what RUN-": ("main", write_unkept),
    "went back to": ("main", set_epoch_back),
    "an error that is not clear": ("main", fail_unclearly),
    "an error left a lock": ("main", fail_with_lock),
    "a defect: ": ("main", break_down),
    "it never comes to rest": ("main", never_rest),
}


@pytest.mark.parametrize("says", CONTROLS)
def test_no_invariant_is_blind(says):
    name, spoil = CONTROLS[says]
    way = ended(name).copy()
    assert way.faults() == []

    spoil(way)

    assert any(says in fault for fault in way.faults())


def sentences(judge):
    """Return what a judge may say, with a gap for what it fills in."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(judge))).body[0]
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "{}".join(one.value for one in node.values if isinstance(one, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value


@pytest.mark.parametrize("judge", JUDGES, ids=lambda judge: judge.__qualname__)
def test_every_invariant_has_a_negative_control(judge):
    names = ("TASK-0001", "core", "RUN-", "2 times")
    plain = [control for says in CONTROLS if (control := _without(says, names))]
    said = [one for one in sentences(judge) if " " in one.strip() and one != judge.__doc__]

    assert [one for one in said if not any(control in one for control in plain)] == []


def _without(says, names):
    for name in names:
        says = says.replace(name, "")
    return says.strip()
