"""What a planner and its critic are told about one node of the graph. No language of the repository is assumed."""

from __future__ import annotations

import re

from gluerun.core import pipeline
from gluerun.core.planners import tasks_wanted
from gluerun.core.prompts import bullets, clipped
from gluerun.records.pipeline import Occasion
from gluerun.records.planning import Severity
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.records.graph import Node
    from gluerun.records.planning import PlanCritique
    from gluerun.records.proposal import TaskBatch

_PLANNER = """You plan work on one node of a graph; other agents will carry it out, one task each, in parallel.
You may read everything and change nothing."""

_ANSWER = """Write one JSON object to the file named by the environment variable GLUERUN_OUTPUT (or print it as the last
thing you say). Its one key is tasks: a list of objects with taskId and markdown. Use temporary ids that no
existing task has, beginning with {first}. An empty list says that nothing is left to do.

Each markdown reads: a heading `# TASK-NNNN: title`; header lines `Area:`, `DAG node:` and, if needed,
`Depends on:`; sections `## Objective`; `## Scope` with the lists `Owned files:` and `Forbidden files:`
(repository-relative files or folders, no patterns); and `## Acceptance Criteria` as bullets that a reviewer
can check. Tasks that may run side by side must not share files.
"""

_CRITIC = """You judge a plan before anybody works on it: tasks that a planner proposes for one node of a graph.
You may read everything and change nothing. Ask whether the tasks, done as they are written, bring the node
closer to what completes it; whether each can be done within its owned paths; and whether its criteria can be
checked. Look at the repository where the plan claims something about it."""

_JUDGEMENT = """Write one JSON object to the file named by the environment variable GLUERUN_OUTPUT (or print it as the
last thing you say). Required keys: verdict (approve, revise or park) and rationale. Optional keys: findings (a list
of objects with id, severity, claim and, if you like, evidence and suggestedChange), assumptionsChallenged (a
list of sentences), nonce. Severities: blocking (the plan cannot be carried out as it is), should-fix, note.
Only a blocking finding sends a plan back; park is for what a person must decide. No other keys.
"""

_PLACE = re.compile(r"\[([A-Z][A-Z-]*)\]")


@record
class Texts:
    """What the repository itself has to say to planners; empty where it says nothing."""

    role: str = ""
    contract: str = ""
    area: str = ""


NO_TEXTS = Texts()


def first_temporary(world: World) -> str:
    """Return an id that no task gets before the planner is done."""
    return f"TASK-{max(9001, world.next_task + 1000)}"


def planner(node: Node, world: World, texts: Texts = NO_TEXTS) -> str:
    """Return a planner's prompt for *node*."""
    limit = 4 * world.config.context_section_max_chars
    existing = [f"{task.task_id} {task.status}: {task.spec.title}" for task in world.tasks]
    note = world.plan_notes.get(node.id)
    parts = [
        _filled(texts.role, node, world) or _PLANNER,
        _ANSWER.format(first=first_temporary(world)),
        f"## The contract of this repository\n{clipped(texts.contract, limit)}" if texts.contract else "",
        _about(node),
        f"## Paths of the area\n{bullets(world.config.areas.get(node.area, ()))}",
        f"## Notes about the area\n{clipped(texts.area, limit)}" if texts.area else "",
        f"## Gate\n{_gate(world)}",
        f"At most {tasks_wanted(node, world.config)} tasks.",
        f"## Existing tasks\n{bullets(existing)}",
        f"## Your last plan was not taken in\n{clipped(note.reason, limit)}" if note else "",
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def critic(prompt: str, batch: TaskBatch, words: str) -> str:
    """Return what a critic is told about a batch: what the planner was asked, and what it proposes."""
    tasks = "\n\n".join(f"### {one.task_id}\n\n{quoted(one.markdown)}" for one in batch.tasks)
    return "\n\n".join(
        [words or _CRITIC, _JUDGEMENT, f"## What the planner was asked\n{quoted(prompt)}", f"## Its plan\n{tasks}", ""]
    )


def revised(prompt: str, batch: TaskBatch, critique: PlanCritique) -> str:
    """Return what a planner is told whose plan was sent back: the question again, its plan and the findings."""
    findings = [
        f"({one.id}, {one.severity}) {one.claim}"
        + (f" Suggested: {one.suggested_change}" if one.suggested_change else "")
        for one in critique.findings
        if one.severity is not Severity.NOTE
    ]
    tasks = "\n\n".join(f"### {one.task_id}\n\n{quoted(one.markdown)}" for one in batch.tasks)
    return "\n\n".join(
        [
            prompt.rstrip(),
            f"## Your plan so far\n{tasks}",
            f"## It was sent back\n{critique.rationale}\n\n{bullets(findings)}",
            "Answer once more with the whole plan; it is taken as it is then.",
            "",
        ]
    )


def _gate(world: World) -> str:
    """Return the commands that will judge a task of the plan."""
    gates = pipeline.known(world.config, world.config.gate_command, Occasion.TASK)
    return "; ".join(gate.command for gate in gates) or "(none)"


def quoted(text: str) -> str:
    """Return *text* as a quotation, so that nothing in it reads as a part of what it is quoted in."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def _about(node: Node) -> str:
    lines = [f"# Node {node.id}", f"Area: {node.area}", f"Stage: {node.stage}", f"Layer: {node.layer}"]
    lines += [f"Kind: {node.kind}", "", "## What completes it", node.required_completion]
    return "\n".join([*lines, *([node.description] if node.description else [])])


def _filled(template: str, node: Node, world: World) -> str:
    """Return a repository's own words with what stands in brackets filled in; what nobody knows stays as it is."""
    count, first = tasks_wanted(node, world.config), first_temporary(world)
    number = int(first.removeprefix("TASK-"))
    known = {
        "AREA": node.area,
        "TARGET": world.config.target_branch,
        "NEXT-ID": first,
        "NEXT-IDS": ", ".join(f"TASK-{number + place}" for place in range(count)),
        "COUNT": str(count),
        "NODE": node.id,
        "STAGE": node.stage,
        "LAYER": node.layer,
        "KIND": node.kind,
        "REQUIRED-COMPLETION": node.required_completion,
        "SLICE-BUDGET": str(count),
        "GATE-COMMAND": _gate(world),
        "AREA-PATHS": ", ".join(world.config.areas.get(node.area, ())) or "(any)",
    }
    return _PLACE.sub(lambda found: known.get(found[1], found[0]), template)
