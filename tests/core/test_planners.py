"""Planning: each rule of the import, of the rest of a node and of a critic's word, under the name of its defect."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.core.answering import Host, agent, sick
from tests.core.worlds import (
    CONFIG,
    NOW,
    TARGET,
    accepted,
    after,
    batch,
    graph,
    markdown,
    node,
    node_lease,
    run_id,
    task,
    world,
)

from gluerun.core import batches, planners, prompts_planner
from gluerun.core.actions import StartPlanner
from gluerun.core.drive import DRIVES
from gluerun.core.outlook import outlook
from gluerun.core.prompts_planner import Texts
from gluerun.records.config import PlanCritiqueMode
from gluerun.records.dispatch import Dispatch, Outcome, Role
from gluerun.records.failure import Answer
from gluerun.records.origin import PlannerBackoff
from gluerun.records.planning import PlanNote
from gluerun.records.record import replace
from gluerun.records.task import Status

WORLD = world(task(1), next_task=7)
SAME = markdown(9001, "Area: src", owned="src/thing1", title="Thing 1")
A, B = node("a"), node("b", "a")
GRAPH = graph(A, B)


def admitted(*texts, seen=WORLD, **lease):
    """Say whether a batch is taken in, and under which ids."""
    proposed = batch(*texts)
    why = batches.refusal(proposed, node_lease("api", **lease), seen)
    return why or list(batches.final_ids(proposed, seen).values())


# A table is read by column.
# fmt: off
RULES = [
    ("A2", "an id that was ever given is never given again", lambda: admitted(markdown(9001, "Area: src")),
     ["TASK-0007"]),
    ("A2", "an id of the past is not taken for a temporary one", lambda: admitted(markdown(3, "Area: src")),
     "TASK-0003 is not a temporary id: it is, or may have been, another task's"),
    ("A3", "a duplicate of an active task is refused", lambda: admitted(SAME),
     "TASK-0007: it repeats the active TASK-0001"),
    ("A3", "so is one of accepted work", lambda: admitted(SAME, seen=replace(WORLD, tasks=(accepted(1),))),
     "TASK-0007: it repeats the active TASK-0001"),
    ("A3", "a successor of a blocked task is accepted",
     lambda: admitted(SAME, seen=replace(WORLD, tasks=(task(1, Status.BLOCKED),))), ["TASK-0007"]),
    ("A3", "a follow-up on an integrated task is accepted",
     lambda: admitted(markdown(9001, "Area: src", "Depends on: TASK-0005"),
                      seen=replace(WORLD, done={"TASK-0005": Status.INTEGRATED})), ["TASK-0007"]),
    ("C14", "an unknown dependency is refused, not forgotten",
     lambda: admitted(markdown(9001, "Area: src", "Depends on: TASK-0404")),
     "TASK-0007: it depends on TASK-0404, which nobody knows"),
    ("C14", "nothing is taken in that nobody would ever start",
     lambda: admitted(markdown(9001, "Area: src", "Dispatch mode: manual")),
     "TASK-0007: a proposed task is ready and canonical"),
    ("C15", "a real mention survives the temporary ids",
     lambda: "see TASK-0001" in batches.numbered(batch(markdown(9001, "see TASK-0001")), "api",
                                                  {"TASK-9001": "TASK-0007"})["TASK-0007"], True),
    ("§ 5", "paths outside the area are refused", lambda: admitted(markdown(9001, "Area: src", owned="lib/x")),
     "TASK-0007: lib/x lies outside the area"),
    ("§ 5", "tasks that share files are ordered",
     lambda: admitted(markdown(9001, "Area: src", owned="src/a"), markdown(9002, "Area: src", owned="src/a")),
     "TASK-0007: it shares files with TASK-0008, and neither depends on the other"),
    ("§ 2.10", "a layer of single slices gets one task at a time",
     lambda: admitted(markdown(9001, "Area: src"), markdown(9002, "Area: src"), layer="contract"),
     "it proposes 2 tasks, and layer 'contract' is worked on one task at a time"),
]
# fmt: on


@pytest.mark.parametrize(("defect", "rule", "judge", "said"), RULES, ids=[f"{one[0]} {one[1]}" for one in RULES])
def test_the_import_of_a_batch(defect, rule, judge, said):
    assert judge() == said


def test_what_a_batch_mentions_is_looked_for_among_the_settled_tasks():
    proposed = batch(markdown(9001, "Depends on: TASK-0005", "see XTASK-0009"))

    assert batches.mentions(proposed) == {"TASK-9001", "TASK-0005"}


def note(times=1, seconds=0, *, park=False, run=77):
    return PlanNote(
        node="a", run_id=run_id(run), reason="batch refused: no", noted_at=NOW, until=after(seconds), times=times,
        is_parked=park,
    )  # fmt: skip


def failed(seconds):
    until = NOW + timedelta(seconds=seconds)
    return PlannerBackoff(
        failure_class="planner-failed", run_id=run_id(5), node="b", log_ref="x", started_at=NOW, until=until
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"plan_notes": {"a": note()}}, ""),
        ({"plan_notes": {"a": note(2, 60)}}, "batch refused: no; it is planned again at 12:01:00Z"),
        ({"plan_notes": {"a": note(2, 60)}, "now": after(60)}, ""),
        ({"plan_notes": {"a": note(4, park=True)}}, "batch refused: no; `gluerun plan a` tries again"),
        ({"exhausted": frozenset("a")},
         "its planner had nothing to propose; it is asked again when the target has moved"),
        ({"tasks": (task(1, Status.BLOCKED, of={"dag_node": "a"}),)}, "TASK-0001 of it is parked"),
        ({"tasks": (task(1, of={"dag_node": "a"}),)}, "1 of its tasks is under way"),
        ({"node_tasks": {"a": ("TASK-0001",)}}, "its tasks are integrated; it waits for its gate"),
        ({"node_tasks": {"a": ("TASK-0001",)}, "red_tree": True},
         "its tasks are integrated, but the gate is red on main"),
        ({"node_tasks": {"a": ("TASK-0001",)}, "auto_promote_gates": False},
         "its tasks are integrated, but promotion is switched off; `gluerun promote-gate a` completes it"),
        ({"node_tasks": {"a": ("TASK-0001",)}, "proof_layers": ("base",)},
         "its tasks are integrated, but layer 'base' wants a red proof, which is not there"),
        ({"generate": False}, "planning is switched off"),
        ({"roles": {}}, "no runner plays the planner"),
        ({"backoff": failed(60)}, "planning rests until 2026-01-31 12:01:00Z, since the planner of b failed"),
        ({"node_blocked": frozenset("a"), "node_words": {"a": "it is torn"}}, "it is torn"),
        ({"passed": frozenset("a")}, ""),
    ],
)  # fmt: skip
def test_a_node_that_does_not_move_says_why(changes, why):  # A37
    assert planners.state_of(world(graph=GRAPH, **changes), A) == why


def test_a_finished_node_is_not_planned_again_each_cycle():  # A11
    assert planners.plan_planning(world(graph=graph(A), node_tasks={"a": ("TASK-0001",)})) == []


def test_a_failing_provider_holds_back_the_planner_and_no_worker():  # A19
    seen = world(graph=GRAPH, backoff=failed(60))

    assert planners.plan_planning(seen) == []
    assert outlook(replace(seen, tasks=(task(1),)), 20).seconds < 1, "the worker starts at once"


def test_planners_go_side_by_side_up_to_their_number_and_one_in_each_area():
    wide = graph(*(node(name, area=f"area-{name}") for name in "abcde"), node("f", area="area-a"))
    started = [action.node for action in planners.plan_planning(world(graph=wide))]

    assert started == ["a", "b", "c"]


def test_what_a_person_asks_for_does_not_rest():
    seen = world(graph=GRAPH, plan_notes={"a": note(4, park=True)})

    assert planners.plan_planning(seen) == []
    assert planners.plan_asked(seen, "a") == [StartPlanner(node="a", base=TARGET, reason="a person asked for it")]
    assert planners.plan_asked(seen, "b") == []


@pytest.mark.parametrize(
    ("earlier", "park", "times", "rest", "parked"),
    [
        (None, False, 1, 0, False),
        (note(1), False, 2, 900, False),
        (note(2), False, 3, 1800, False),
        (note(3), False, 4, 3600, True),
        (note(4, park=True), False, 1, 0, False),
        (None, True, 1, 0, True),
        (note(2, 900, run=1), False, 2, 900, False),
    ],
    ids=["first", "second", "third", "spent", "after a person looked", "a critic parks", "taken in once more"],
)
def test_refusals_in_a_row_cost_more_and_more_time_and_end(earlier, park, times, rest, parked):  # A46
    found = planners.rejected(earlier, "a", run_id(1), "why", NOW, CONFIG, park=park)

    assert (found.times, (found.until - NOW).total_seconds(), found.is_parked) == (times, rest, parked)


# --- prompts ---------------------------------------------------------------------------------------------


def test_no_language_of_the_repository_is_assumed():  # A47
    text = prompts_planner.planner(node(), WORLD)

    assert not {"python", "go test", "cargo", "npm", "pytest"} & set(text.lower().split())


def test_the_words_of_the_repository_are_used_and_its_brackets_filled():
    words = "Plan [NODE] of [AREA] ([COUNT], from [NEXT-ID]); [GATE-COMMAND]; [WHAT-IS-THIS]"
    seen = replace(WORLD, plan_notes={"api": replace(note(), node="api")})
    text = prompts_planner.planner(node(), seen, Texts(role=words, contract="The contract.", area="Of the area."))

    assert text.startswith("Plan api of src (1, from TASK-9001); make check; [WHAT-IS-THIS]\n")
    assert "## The contract of this repository\nThe contract." in text
    assert "## Notes about the area\nOf the area." in text
    assert "## Your last plan was not taken in\nbatch refused: no" in text


def test_temporary_ids_lie_above_everything_that_may_be_given_meanwhile():  # C15
    assert prompts_planner.first_temporary(replace(WORLD, next_task=9500)) == "TASK-10500"


# --- the critic ------------------------------------------------------------------------------------------

PLANNER = Dispatch(
    run_id=run_id(1), role=Role.PLANNER, batch_id="b", target_branch="main", base_sha=TARGET, started_at=NOW,
    expires_at=after(60), config_sha256="0" * 64, node="api", prompt="plan this",
)  # fmt: skip
ANSWER = {"tasks": [{"taskId": "TASK-9001", "markdown": markdown(9001, "Area: src")}]}
BETTER = {"tasks": [{"taskId": "TASK-9001", "markdown": markdown(9001, "Area: src", title="Better")}]}
CRITICAL = replace(CONFIG, plan_critique=PlanCritiqueMode.ON, roles={"planner": "fake", "critic": "fake"})


def word(verdict, *severities):
    findings = [{"id": str(at), "severity": one, "claim": f"{one} it is"} for at, one in enumerate(severities)]
    return {"verdict": verdict, "rationale": "So it is.", "findings": findings}


@pytest.mark.parametrize(
    ("critic", "asked", "title", "parked"),
    [
        (word("approve"), 1, "Thing 9001", False),
        (word("revise", "blocking"), 2, "Better", False),
        (word("revise", "should-fix", "note"), 1, "Thing 9001", False),
        (word("revise"), 1, "Thing 9001", False),
        (word("park"), 1, "Thing 9001", True),
        (sick(), 1, "Thing 9001", False),
        (agent(), 1, "Thing 9001", False),
        ({"verdict": "excellent", "rationale": "x"}, 1, "Thing 9001", False),
    ],
    ids=[
        "approved", "sent back once", "A45 nothing blocking is an approval", "A45 nor is a mere word", "parked",
        "a sick critic holds nothing up", "a silent one neither", "nor one that talks nonsense",
    ],
)  # fmt: skip
def test_a_critics_word(critic, asked, title, parked):
    host = Host(planner=[ANSWER, BETTER], critic=[critic])
    ending = host.run(DRIVES[Role.PLANNER](PLANNER, CRITICAL))

    assert (ending.outcome, ending.answer) == (Outcome.PLANNED, Answer.ESCALATE_PARKED if parked else None)
    assert len(host.prompts(Role.PLANNER)) == asked
    assert f": {title}" in host.kept("batch.json")["tasks"][0]["markdown"]
    assert len(host.prompts(Role.CRITIC)) == 1


def test_nobody_criticises_unless_it_is_asked_for_and_an_empty_plan_never():  # A46
    for config, answer in ((CONFIG, ANSWER), (CRITICAL, {"tasks": []})):
        host = Host(planner=[answer], critic=[word("park")])
        host.run(DRIVES[Role.PLANNER](PLANNER, config))

        assert host.prompts(Role.CRITIC) == []


def test_a_plan_that_is_sent_back_is_shown_again_with_the_findings_and_as_a_quotation():
    host = Host(planner=[ANSWER, BETTER], critic=[word("revise", "blocking", "note")])
    host.run(DRIVES[Role.PLANNER](PLANNER, CRITICAL))
    again = host.prompts(Role.PLANNER)[1]

    assert again.startswith("plan this\n")
    assert "- (0, blocking) blocking it is" in again
    assert "note it is" not in again
    assert "\n> # TASK-9001: Thing 9001" in again
