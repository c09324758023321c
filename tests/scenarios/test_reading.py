"""Who only reads: the report, the logs, the gates and the explanations of a repository that had a busy night."""

from __future__ import annotations

import json
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from gluerun.edge import live, views
from gluerun.edge.gates import gates
from gluerun.edge.graphs import graph, tree
from gluerun.edge.logs import Wanted, follow, logs_of, page
from gluerun.edge.morning import moment_of, report
from gluerun.edge.page import html
from gluerun.errors import ConfigError, UsageError
from gluerun.loop.hosting import holder
from gluerun.records.origin import OriginHolder
from gluerun.testing import GATES, GRAPH, Move, SimHouse, verdict

ONE, TWO, THREE, FOUR = "TASK-0001", "TASK-0002", "TASK-0003", "TASK-0004"
SECRET = "AKIA" + "ABCDEFGHIJKLMNOP"
EVIL = "<script>alert(1)</script>"
DAY = timedelta(days=1)


def busy_house() -> SimHouse:
    """A night: one task lands at the second try, one is parked, one waits for that, one has a file that is refused."""
    house = SimHouse().graph("api", {"id": "ui", "depends_on": ("api",)})
    house.given(ONE, owned=["a.txt"], title=EVIL, node="api")
    house.agent(ONE, [Move(writes={"a.txt": "bad"}, says=f"the key is {SECRET}\n\x1b[31mred\x1b[0m\x07\nfirst\n"),
                      Move(writes={"a.txt": "good"}, says="second\n")])  # fmt: skip
    house.given(TWO, owned=["b.txt"]).auditor(TWO, [verdict("needs-human", rationale="may we?")])
    house.given(THREE, owned=["c.txt"], depends_on=[TWO])
    house.task_file(FOUR, "# TASK-0004: no\n\nNonsense: yes\n")
    house.gate(lambda tree: (1, "a.txt is bad\n") if tree.get("a.txt") == "bad" else (0, "green\n"))
    return house.until_quiet()


def seen_by_a_reader(house: SimHouse):
    return views.health(house.open()), report(house.open(), house.clock.now() - DAY)


def test_the_report_tells_of_the_night():
    house = busy_house()
    found = report(house.open(), house.clock.now() - DAY)

    assert [(one.task, one.title, one.tries) for one in found.integrated] == [(ONE, EVIL, 2)]
    assert [(one.task, one.command) for one in found.parked] == [(TWO, f"gluerun unpark {TWO}")]
    assert "may we?" in found.parked[0].why
    assert [(one.task, one.attempt, one.failure, one.answer) for one in found.retries if one.task == ONE] == [
        (ONE, 1, "gate-red", "retry")
    ]
    assert {one.kind for one in found.matters} == {"parked", "refused", "waits"}
    assert {(one.row, one.role) for one in found.timeline} >= {(ONE, "worker"), (TWO, "worker")}
    assert found.slowest_gates
    assert found.costs.total.programs >= 4
    assert next(one.tasks for one in found.nodes) == {"integrated": 1}


def test_what_was_before_is_not_told_again():
    house = busy_house()
    house.clock.tick(seconds=3 * 86_400)
    found = report(house.open(), house.clock.now() - DAY)

    assert (found.integrated, found.retries, found.timeline, found.slowest_gates) == ((), (), (), ())
    assert [one.task for one in found.parked] == [TWO], "who is parked still is"


class Page(HTMLParser):
    """What a browser makes of a page: its elements, and whatever it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href", "xlink:href", "action", "data")]


def test_the_page_of_the_report_obeys_no_title_and_fetches_nothing():
    house = busy_house()
    text = html(report(house.open(), house.clock.now() - DAY))
    seen = Page(text)

    assert "script" not in seen.tags
    assert "&lt;script&gt;" in text
    assert seen.fetched == []
    assert "url(" not in text
    assert "@import" not in text
    assert {"svg", "table", "h1"} <= set(seen.tags)
    assert SECRET not in text


def test_an_empty_night_has_a_page_too():
    house = SimHouse()

    assert "All is well" in html(report(house.open(), house.clock.now() - DAY))


@pytest.mark.parametrize("text", ["", "yesterday", "24", "h", "2026-13-01", "2026-01-31T99:00", "-1h"])
def test_a_moment_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="is no moment"):
        moment_of(text, SimHouse().clock.now())


def test_moments():
    now = SimHouse().clock.now()

    assert [now - moment_of(text, now) for text in ("90m", "24h", "1d", "1w")] == [
        timedelta(minutes=90), DAY, DAY, timedelta(weeks=1)]  # fmt: skip
    assert moment_of("2026-01-31", now) == moment_of("2026-01-31T00:00:00Z", now)


# --- logs --------------------------------------------------------------------------------------------------


def test_logs_are_shown_without_secrets_and_without_what_a_terminal_obeys():
    found = page(busy_house().open(), ONE, Wanted(role="worker", attempt=1), 0)

    assert (found.role, found.attempt) == ("worker", 1)
    assert found.lines[1:] == ("red\x07", "first")
    assert SECRET not in found.lines[0]
    assert found.lines[0].startswith("the key is [")


def test_logs_of_the_latest_program_and_of_any_role():
    house = busy_house().open()

    assert page(house, ONE, Wanted(), 1).role == "gate"
    assert page(house, ONE, Wanted(role="gate"), 9).lines == ("green",)
    assert page(house, ONE, Wanted(role="gate", attempt=1), 9).lines == ("a.txt is bad",)
    assert page(house, ONE, Wanted(role="worker"), 9).lines == ("second",)
    cut = page(house, ONE, Wanted(role="worker", attempt=1), 1)
    assert (cut.lines, cut.is_cut) == (("first",), True)
    roles = [(one.attempt, one.role) for one in logs_of(house, house.store.any_task(ONE), Wanted())]
    assert roles == [(1, "worker"), (1, "gate"), (2, "worker"), (2, "gate")]


def test_logs_that_are_not_there():
    house = SimHouse().given(ONE)

    assert page(house.open(), ONE, Wanted(), 9).lines == ()
    with pytest.raises(UsageError, match="has no log of a worker in try 7"):
        page(house.open(), ONE, Wanted(role="worker", attempt=7), 9)
    with pytest.raises(UsageError, match="nobody knows TASK-0009"):
        page(house.open(), "TASK-0009", Wanted(), 9)


def test_following_goes_on_over_the_tries_until_the_task_has_settled():
    house = SimHouse().given(ONE, owned=["a.txt"]).hold(ONE)
    house.agent(ONE, [Move(writes={"a.txt": "bad"}, says="one\ntwo"), Move(writes={"a.txt": "good"}, says="three\n")])
    house.gate(lambda tree: int(tree.get("a.txt") == "bad"))
    house.watch = Turning(house)
    told = []
    for piece in follow(house.open(), ONE, Wanted(role="worker"), 10):
        told.append(piece.line or (f"{piece.log.role} {piece.log.attempt}" if piece.log else f"over: {piece.over}"))

    assert told == ["worker 1", "one", "two", "worker 2", "three", "over: integrated"]


class Turning:
    """A watch that lets a cycle pass whenever somebody waits, and gives up when that leads nowhere."""

    def __init__(self, house) -> None:
        self.house = house
        self.left = 30

    def wait(self, run_ids, seconds) -> None:
        self.left -= 1
        assert self.left, "followed in vain"
        self.house.release(ONE).cycle()


# --- gates, graph ------------------------------------------------------------------------------------------


def test_gates_name_the_file_that_cannot_be_used_and_the_runs():
    # A13: one corrupt gate file took the whole frontier with it.
    house = busy_house()
    with house.fuse.out():
        house.work_files.write(f"{GATES}/ui.gate-result.json", b"{")
    found = gates(house.open(), 2)

    assert [(one.node, one.state) for one in found.nodes] == [("api", "passed"), ("ui", "blocked")]
    assert "ui.gate-result.json" in found.nodes[1].reason
    assert len(found.runs) == 2
    assert {one.about for one in gates(house.open(), 50).runs} >= {ONE, TWO}
    assert [one.about for one in views.health(house.open()).matters if one.kind == "gate-file"] == ["ui"]


def test_the_tree_of_the_graph_names_every_node_once():
    house = SimHouse().graph("a", {"id": "b", "depends_on": ("a",)}, {"id": "c", "depends_on": ("a", "b")}, "d")

    lines = [(head, one.id, also) for head, one, also in tree(graph(house.open()).nodes)]
    assert lines == [("", "a", ()), ("└─ ", "b", ()), ("   └─ ", "c", ("a",)), ("", "d", ())]


@pytest.mark.parametrize(
    ("data", "words"), [(b"{", "line 1"), (None, "there is no"), (b'{"schema": "x"}', "lacks nodes")]
)
def test_a_bad_graph_is_an_error_and_never_no_work(data, words):
    # A35: a graph that could not be read looked like a graph in which nothing was to be done.
    house = SimHouse().graph("a")
    with house.fuse.out():
        house.work_files.remove(GRAPH) if data is None else house.work_files.write(GRAPH, data)
    with pytest.raises(ConfigError, match=words):
        graph(house.open())
    if data:
        assert [one.kind for one in views.health(house.open()).matters] == ["graph"]
        assert gates(house.open(), 1).trouble


# --- who only reads ----------------------------------------------------------------------------------------


class ReadOnly:
    """A storage door on a disk that takes nothing."""

    def __init__(self, files) -> None:
        self._files = files

    def __getattr__(self, name):
        if name in ("write", "create", "append", "move", "remove", "drop", "sweep"):
            raise AssertionError(f"a reader called {name}")
        return getattr(self._files, name)


def all_views(house) -> None:
    views.board(house), views.health(house), gates(house, 5), graph(house), live.page(house, 5)
    html(report(house, house.now() - DAY))
    for task in (ONE, TWO, THREE, FOUR):
        views.explain(house, task)
    views.task_page(house, ONE)
    page(house, ONE, Wanted(), 5)
    next(follow(house, ONE, Wanted(), 5))


def test_reading_writes_nothing_and_needs_no_lock():  # FR-013
    # FR-025: a look rewrote files of the repository. It works on a disk that takes nothing, and beside a cycle.
    house = busy_house()
    house.state_files, house.work_files = ReadOnly(house.state_files), ReadOnly(house.work_files)
    opened = house.open()
    before = dict(house.git.refs) if hasattr(house.git, "refs") else None

    with opened.doors.locks.origin(holder(opened, "ORIGIN-20260101T000000Z-1")), opened.doors.locks.git():
        all_views(opened)

    assert before is None or before == dict(house.git.refs)


def test_the_health_names_the_loop():
    house = SimHouse().given(ONE)
    who = OriginHolder(owner="auto", run_id="ORIGIN-1", pid=7, started_at=house.clock.now(),
                       expires_at=house.clock.now())  # fmt: skip

    assert [one.kind for one in views.health(house.open()).matters] == ["no-loop"]
    with house.locks.resident(who):
        assert views.health(house.open()).loop == "auto (pid 7)"
        assert views.health(house.open()).is_well


def test_the_explanation_of_a_task_that_was_just_written_and_of_one_that_nobody_knows():
    house = SimHouse().given(ONE)

    assert views.explain(house.open(), ONE).where == "ready"
    for wrong, words in (("TASK-0009", "nobody knows"), ("one", "is no task id")):
        with pytest.raises(UsageError, match=words):
            views.explain(house.open(), wrong)


def test_a_refused_file_is_explained_before_and_after_the_loop_has_seen_it():
    house = SimHouse().task_file(ONE, "# TASK-0001: no\n\nNonsense: yes\n")
    fresh = views.explain(house.open(), ONE)
    house.cycle()

    assert fresh.where == views.explain(house.open(), ONE).where == "refused"
    assert "Nonsense" in json.dumps([one.words for one in fresh.reasons])


def test_what_is_shown_live_is_known_to_have_changed():
    house = SimHouse().given(ONE).hold(ONE)
    first = live.page(house.open(), 5)
    before = live.fingerprint(house.open(), first)
    assert live.fingerprint(house.open(), first) == before

    house.cycle()
    second = live.page(house.open(), 5)

    assert live.fingerprint(house.open(), first) != before
    assert (len(second.runs), second.board.running) == (1, 1)
    assert second.events[-1].words.startswith("origin.dispatch")
