"""What `gluerun verify` finds: one test for each kind of damage, each named by its place; nothing where nothing is."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gluerun.core.chain import GENESIS, Head, follow_all, line_of, lines_of, seal, segments
from gluerun.core.provenance import of_message
from gluerun.edge.verifying import verify
from gluerun.errors import UsageError
from gluerun.loop.house import CONTROL_REF, JOURNAL_REF
from gluerun.loop.journal import PATH, SEALED, Journal
from gluerun.sim.files import SimFiles
from gluerun.testing import Move, SimHouse

ONE, TWO = "TASK-0001", "TASK-0002"
HEAD = "refs/heads/main"
TINY = 900


def played(**changes):
    """A house in which two tasks were merged, the first proved by a run because its target moved."""
    house = SimHouse(**{"journal_file_bytes": TINY, **changes}).given(ONE, owned=["a.txt"])
    house.agent(ONE, [Move(writes={"a.txt": "good"})])
    house.cycle()
    house.colleague("b.txt", "hers")
    house.until_quiet()
    house.given(TWO).until_quiet()
    assert house.states() == {ONE: "integrated", TWO: "integrated"}
    return house


@pytest.fixture
def house():
    return played()


@pytest.fixture
def flat():
    """The same in one file."""
    return played(journal_file_bytes=1 << 20)


def seen(house, *commits):
    return verify(house.open(), commits)


def kinds(found):
    return {problem.kind for problem in found.problems}


def files_of(house):
    """The journal's files, in order."""
    sealed = [f"{SEALED}/{one.name}" for one in segments(house.state_files.names(SEALED))]
    return [*sealed, *([PATH] if PATH in house.state_files.files else [])]


def lines(house):
    return [line for path in files_of(house) for line in lines_of(house.state_files.files[path])]


def put(house, path, data):
    house.state_files.write(path, data)


def rewritten(found, change):
    """The same events with one of them changed, and the chain made to hold again."""
    head, out = Head(), []
    for document in map(json.loads, found):
        change(document)
        event = seal(head, datetime.fromisoformat(document["ts"]), document["type"],
                     document["message"], document["data"])  # fmt: skip
        head = Head(seq=event.seq, hash=event.hash)
        out.append(line_of(event))
    return b"".join(out)


def lose_state(house):
    """Take the whole state folder away."""
    house.state_files.__dict__.update(SimFiles(house.fuse.of("state")).__dict__)


def run_of(house, task):
    return house.record(task).run_id


def merge_of(house, task):
    return house.record(task).merge_commit


# --- what is whole ---------------------------------------------------------------------------------------------


def test_a_house_that_nobody_touched_is_whole(house):
    found = seen(house)

    assert found.problems == ()
    assert found.is_whole
    assert found.events == found.head == len(lines(house)) > 5
    assert len(segments(house.state_files.names(SEALED))) > 2
    assert [(one.task, one.evidence, one.not_here) for one in found.merged] == [(TWO, "whole", ()), (ONE, "whole", ())]
    assert found.not_here == ()
    assert found.anchors > 2


def test_one_commit_can_be_asked_for_and_another_is_refused(house):
    found = seen(house, merge_of(house, ONE))

    assert [one.task for one in found.merged] == [ONE]
    with pytest.raises(UsageError, match="no merge of the engine"):
        seen(house, house.git.commits[merge_of(house, ONE)].parents[0])


def test_a_merge_names_all_that_it_rests_on(house):  # FR-016, FR-050
    commit = house.git.commits[merge_of(house, ONE)]
    said = of_message(commit.message)
    packet = json.loads(house.state_files.files[f"runs/{said.run}/packet.json"])
    digests = {one["kind"]: one.get("sha256") for one in packet["evidence"]}

    assert (said.task, said.run, said.packet) == (ONE, run_of(house, ONE), house.record(ONE).packet_sha256)
    assert (said.gate, said.prompt) == (digests["gate-check"], digests["prompt"])
    assert f"configs/{said.config}.json" in house.state_files.files
    assert said.engine
    assert said.journal is not None
    document = json.loads(lines(house)[said.journal.seq - 1])
    assert (document["seq"], document["hash"]) == (said.journal.seq, said.journal.hash)


def test_a_fresh_clone_follows_a_merge_without_the_state_folder(house):  # FR-017
    lose_state(house)

    found = seen(house)

    assert found.is_whole
    assert found.events == 0
    assert {one.evidence for one in found.merged} == {"whole"}
    assert any("journal" in words for words in found.not_here)
    assert any("prompts" in words for words in found.not_here)
    assert house.state_files.files == {}


def test_a_clone_without_our_refs_says_what_to_fetch(house):
    lose_state(house)
    for ref in (CONTROL_REF, JOURNAL_REF):
        del house.git.refs[ref]

    found = seen(house)

    assert found.is_whole
    assert {one.evidence for one in found.merged} == {"incomplete"}
    assert sum("git fetch origin" in words for words in found.not_here) == 2


def test_merges_of_an_older_engine_are_not_held_against_it():
    house = played()
    message = f"integrate({ONE}): x\n\nGluerun-Task: TASK-0009\nGluerun-Run: RUN-20250101T000000Z-00000001\n"
    message += f"Gluerun-Packet: {'0' * 64}\n"
    tip = house.git.refs[HEAD]
    commit = house.git.commit_tree(house.git.tree_of(tip), [tip, tip], message)
    house.git.refs[HEAD] = commit

    found = seen(house)

    assert found.is_whole
    assert found.merged[0].evidence == "incomplete"


# --- what is damaged -------------------------------------------------------------------------------------------

WHOLE = played()
WHOLE_FILES = dict(WHOLE.state_files.files)


def damaged(path, data):
    """The whole house with one file changed."""
    WHOLE.state_files.files = {**WHOLE_FILES, path: data}
    try:
        return seen(WHOLE)
    finally:
        WHOLE.state_files.files = dict(WHOLE_FILES)


@settings(max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_flipped_byte_of_any_line_is_found_by_its_number(data):
    path = data.draw(st.sampled_from(files_of(WHOLE)))
    whole = WHOLE_FILES[path]
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(1, 255))
    before = sum(len(lines_of(WHOLE_FILES[one])) for one in files_of(WHOLE)[: files_of(WHOLE).index(path)])

    found = damaged(path, whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])

    assert not found.is_whole
    assert found.first_bad_event == before + whole[:at].count(b"\n") + 1


def test_a_cut_tail_is_found_by_its_anchor(flat):
    put(flat, PATH, b"".join(line + b"\n" for line in lines(flat)[:-2]))

    found = seen(flat)

    assert kinds(found) == {"cut"}
    assert found.first_bad_event == len(lines(flat)) + 1


def test_a_journal_that_was_taken_away_is_found(flat):
    flat.state_files.remove(PATH)

    assert (kinds(seen(flat)), seen(flat).first_bad_event) == ({"cut"}, 1)


@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_removed_file_is_found_by_its_first_event(house, which):
    gone = segments(house.state_files.names(SEALED))[which]
    house.state_files.remove(f"{SEALED}/{gone.name}")

    found = seen(house)

    assert "segment" in kinds(found)
    assert found.first_bad_event == gone.first


def test_a_chain_that_was_rewritten_from_its_first_event_is_found(flat):
    def change(document):
        if document["seq"] == 1:
            document["message"] = "something else"

    put(flat, PATH, rewritten(lines(flat), change))

    found = seen(flat)

    assert kinds(found) == {"rewritten"}
    assert follow_all(Head(), lines(flat)).seq == found.head, "the chain itself holds"
    assert "from its beginning" in found.problems[0].message


def test_a_chain_that_was_rewritten_later_is_found_after_the_last_anchor_that_holds(flat):
    last = len(lines(flat))

    def change(document):
        if document["seq"] == last:
            document["message"] = "something else"

    put(flat, PATH, rewritten(lines(flat), change))
    found = seen(flat)

    assert kinds(found) == {"rewritten"}
    assert found.first_bad_event == last


def packet_path(house):
    return f"runs/{run_of(house, ONE)}/packet.json"


@pytest.mark.parametrize("name", ["packet.json", "gate-check.json", "audit.json", "candidate-gate-check.json"])
@pytest.mark.parametrize("where", ["state", "published"])
def test_a_changed_document_is_found_and_named(house, name, where):
    path = f"runs/{run_of(house, ONE)}/{name}" if where == "state" else f"tasks/01/{ONE}/{name}"
    data = house.state_files.files[path] if where == "state" else house.git.published(CONTROL_REF)[path]
    document = json.loads(data)
    key = {"packet.json": "nextAction", "audit.json": "rationale"}.get(name, "cmd")
    changed = json.dumps({**document, key: "nothing at all"}).encode()
    if where == "state":
        put(house, path, changed)
    else:
        house.git.publish(CONTROL_REF, {path: changed}, "forged")

    found = seen(house)

    assert kinds(found) == {"packet" if name == "packet.json" else "receipt"}
    assert path in found.problems[0].message
    assert {one.task: one.evidence for one in found.merged} == {ONE: "broken", TWO: "whole"}


def test_a_packet_that_is_nowhere_is_found(house):
    house.state_files.remove(packet_path(house))
    house.git.publish(CONTROL_REF, {f"tasks/01/{ONE}/packet.json": None}, "gone")

    assert kinds(seen(house)) == {"packet"}


def test_a_changed_published_record_is_found(house):
    path = f"tasks/01/{ONE}.json"
    document = json.loads(house.git.published(CONTROL_REF)[path])
    house.git.publish(CONTROL_REF, {path: json.dumps({**document, "packetSha256": "1" * 64}).encode()}, "forged")

    assert kinds(seen(house)) == {"record"}


def test_a_changed_prompt_and_a_changed_configuration_are_found(house):
    said = of_message(house.git.commits[merge_of(house, ONE)].message)
    prompt = next(path for path in house.state_files.files if said.run in path and path.endswith("worker-prompt.md"))
    put(house, prompt, b"do something else")
    put(house, f"configs/{said.config}.json", b"{}")

    assert kinds(seen(house)) == {"prompt", "config"}


def anchored(house):
    return json.loads(house.git.published(JOURNAL_REF)["journal.json"])


def test_a_changed_anchor_is_found(house):
    known = anchored(house)
    digest = "1" * 64
    message = f"journal {known['seq']}\n\nGluerun-Journal: {known['seq']} {digest}\n"
    del house.git.refs[JOURNAL_REF]
    house.git.publish(JOURNAL_REF, {"journal.json": json.dumps({**known, "hash": digest}).encode()}, message)

    found = seen(house)

    assert kinds(found) == {"rewritten"}
    assert (found.first_bad_event, JOURNAL_REF in found.problems[0].message) == (known["seq"], True)


def test_an_anchor_whose_file_says_something_else_is_found(house):
    known = anchored(house)
    message = f"journal {known['seq']}\n\nGluerun-Journal: {known['seq']} {known['hash']}\n"
    del house.git.refs[JOURNAL_REF]
    house.git.publish(JOURNAL_REF, {"journal.json": json.dumps({**known, "hash": "1" * 64}).encode()}, message)

    assert kinds(seen(house)) == {"anchor"}


def test_an_anchor_that_was_taken_away_is_found(house):
    del house.git.refs[JOURNAL_REF]

    assert kinds(seen(house)) == {"anchor"}


def test_a_journal_that_began_anew_after_its_tail_was_cut_is_found_by_the_anchor_that_went_back(flat):
    put(flat, PATH, b"".join(line + b"\n" for line in lines(flat)[:3]))
    flat.given("TASK-0003", depends_on=["TASK-0009"]).cycle()

    assert "the journal went back" in " ".join(problem.message for problem in seen(flat).problems)


def test_a_merge_that_was_rewritten_is_found(house):
    old = merge_of(house, TWO)
    commit = house.git.commits[old]
    other = house.git.commit_tree(commit.tree, commit.parents, commit.message.replace(TWO, "TASK-0007"))
    house.git.refs[HEAD] = other

    found = seen(house)

    assert {"merge"} <= kinds(found)
    assert old[:12] in " ".join(problem.message for problem in found.problems)


@pytest.mark.parametrize(
    "line", ["Gluerun-Task: TASK-1", "Gluerun-Tusk: TASK-0001", "Gluerun-Gate: green", f"Gluerun-Journal: 0 {GENESIS}"]
)
def test_a_trailer_that_is_none_of_ours_is_a_fault(line):
    assert len(of_message(f"title\n\nSigned-off-by: x\n{line}\n").faults) == 1


def test_a_trailer_counts_only_in_the_last_paragraph_and_only_once():
    assert of_message(f"title\n\nGluerun-Task: {ONE}\n\nmore words\n").task == ""
    assert of_message(f"Gluerun-Task: {ONE}\n").task == ""
    assert of_message(f"title\n\nGluerun-Task: {ONE}\nGluerun-Task: {TWO}\n").faults == (
        "the trailer Gluerun-Task stands there twice",
    )


# --- mending ---------------------------------------------------------------------------------------------------


def test_the_next_cycle_cuts_a_torn_tail_also_if_it_has_nothing_else_to_say(flat):
    flat.state_files.append(PATH, b'{"seq":')
    assert kinds(seen(flat)) == {"torn"}

    flat.cycle()

    assert seen(flat).is_whole
    assert len(flat.events("events.mended")) == 1


def spoil(house, path, number):
    """Change a word in one line of a file."""
    found = lines_of(house.state_files.files[path])
    found[number] = found[number].replace(b'"message":"', b'"message":"not ')
    put(house, path, b"".join(line + b"\n" for line in found))


def test_a_chain_that_broke_is_never_mended_but_goes_on_in_a_new_file_that_says_so(flat):
    spoil(flat, PATH, 2)
    before = flat.state_files.files[PATH]

    flat.given("TASK-0003").until_quiet()

    sealed = f"{SEALED}/{segments(flat.state_files.names(SEALED))[0].name}"
    assert sealed.endswith(".broken.ndjson")
    assert flat.state_files.files[sealed] == before
    assert json.loads(lines_of(flat.state_files.files[PATH])[0])["type"] == "events.broken"
    found = seen(flat)
    assert (kinds(found), found.first_bad_event, found.noted) == ({"event"}, 3, (3,))


def test_what_was_sealed_as_broken_cannot_be_changed_once_more(flat):
    spoil(flat, PATH, 2)
    flat.given("TASK-0003").until_quiet()
    sealed = f"{SEALED}/{segments(flat.state_files.names(SEALED))[0].name}"
    spoil(flat, sealed, 3)

    assert kinds(seen(flat)) == {"event", "segment"}


def test_a_break_is_told_also_if_a_crash_comes_between(flat):
    spoil(flat, PATH, 2)
    house = flat.open()
    house.doors.state.move(PATH, f"{SEALED}/1-{len(lines(flat))}.broken.ndjson")

    flat.given("TASK-0003").until_quiet()

    assert json.loads(lines_of(flat.state_files.files[PATH])[0])["type"] == "events.broken"


def test_a_break_far_from_the_end_is_noted_when_somebody_asks():
    house = SimHouse(journal_file_bytes=1 << 20)
    journal = house.open().journal
    for number in range(1500):
        journal.tell(house.clock.now(), "test.line", f"line {number}")
    journal.flush()
    spoil(house, PATH, 2)
    journal.tell(house.clock.now(), "test.line", "the tail is fine")
    journal.flush()
    assert house.events("events.broken") == []

    fault = house.open().journal.note_break(house.clock.now())

    assert fault.seq == 3
    assert [event["seq"] for event in house.events("events.broken")] == [1502]
    assert house.open().journal.note_break(house.clock.now()) is None


def test_a_lost_state_folder_goes_on_from_its_anchor(flat):
    known = anchored(flat)
    lose_state(flat)

    flat.given("TASK-0003").until_quiet()

    first = json.loads(lines(flat)[0])
    assert (first["type"], first["seq"], first["prev"]) == ("events.lost", known["seq"] + 1, known["hash"])
    found = seen(flat)
    assert found.is_whole
    assert any(f"the events 1 to {known['seq']} are not here" in words for words in found.not_here)


# --- files -----------------------------------------------------------------------------------------------------


def test_a_sealed_file_is_never_written_again_and_the_chain_goes_over_the_border(house):
    sealed = {path: data for path, data in house.state_files.files.items() if path.startswith(f"{SEALED}/")}
    house.given("TASK-0003").until_quiet()

    assert all(house.state_files.files[path] == data for path, data in sealed.items())
    ranges = [(one.first, one.last) for one in segments(house.state_files.names(SEALED))]
    assert ranges[0][0] == 1
    assert all(after[0] == one[1] + 1 for one, after in pairwise(ranges))
    assert isinstance(follow_all(Head(), lines(house)), Head)


def test_the_last_events_are_read_over_the_border(house):
    every = [json.loads(line)["seq"] for line in lines(house)]
    journal = house.open().journal

    for count in (1, 3, len(every) - 1, len(every), len(every) + 5):
        assert [event["seq"] for event in journal.last(count)] == every[-count:]


def test_whoever_looks_back_sees_as_much_as_is_enough_or_all():
    journal, now = Journal(SimFiles(), limit=20_000), datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(2600):
        journal.tell(now, "a.word", str(number))
    journal.flush()

    def back_to(first):
        return journal.back_to(lambda found: found[0]["seq"] <= first)[0]["seq"]

    assert [back_to(first) for first in (2300, 2050, 601, 0)] == [2101, 601, 601, 1]


def test_the_head_is_right_when_a_crash_left_only_sealed_files(house):
    seq = json.loads(lines(house)[-1])["seq"]
    house.state_files.move(PATH, f"{SEALED}/{segments(house.state_files.names(SEALED))[-1].last + 1}-{seq}.ndjson")

    assert house.open().journal.head().seq == seq
    house.given("TASK-0003").until_quiet()
    assert seen(house).is_whole


def test_a_line_that_is_longer_than_what_is_read_at_once_is_read():
    files = SimFiles()
    journal = Journal(files)
    house = SimHouse()
    for _ in range(3):
        journal.tell(house.clock.now(), "test.line", "x" * 100_000)
        journal.flush()

    assert Journal(files).head().seq == 3


# --- transitions only ------------------------------------------------------------------------------------------


def test_a_quiet_cycle_tells_nothing_and_anchors_nothing(house):
    before = dict(house.state_files.files), house.git.refs.copy()

    house.cycles(3)

    assert {path: data for path, data in house.state_files.files.items() if path.startswith("events")} == {
        path: data for path, data in before[0].items() if path.startswith("events")
    }
    assert house.git.refs == before[1]


def test_one_cycle_anchors_at_most_once():
    house = SimHouse().given(ONE).given(TWO)
    counts = []
    for _ in range(12):
        before = len(house.open().doors.git.logged(JOURNAL_REF, "Gluerun-Journal"))
        told = len(lines(house))
        house.cycle()
        after = len(house.open().doors.git.logged(JOURNAL_REF, "Gluerun-Journal"))
        counts.append((after - before, len(lines(house)) > told))

    assert {grown for grown, told in counts if told} == {1}
    assert {grown for grown, told in counts if not told} == {0}


def test_a_random_line_of_bytes_is_no_event():
    noise = random.Random(0)
    for _ in range(200):
        line = bytes(noise.randrange(256) for _ in range(noise.randrange(1, 80))).replace(b"\n", b"")
        assert not isinstance(follow_all(Head(), [line]), Head)
