"""What a planner is told about one node of the graph. No language of the repository is assumed."""

from __future__ import annotations

from gluerun.core.prompts import bullets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.records.graph import Node

_PLANNER = """You plan work on one node of a graph; other agents will carry it out, one task each, in parallel.
You may read everything and change nothing.

Write one JSON object to the file named by the environment variable GLUERUN_OUTPUT (or print it as the last
thing you say). Its one key is tasks: a list of objects with taskId and markdown. Use temporary ids that no
existing task has, such as TASK-9001. An empty list says that nothing is left to do.

Each markdown reads: a heading `# TASK-NNNN: title`; header lines `Area:`, `DAG node:` and, if needed,
`Depends on:`; sections `## Objective`; `## Scope` with the lists `Owned files:` and `Forbidden files:`
(repository-relative files or folders, no patterns); and `## Acceptance Criteria` as bullets that a reviewer
can check. Tasks that may run side by side must not share files.
"""


def planner(node: Node, world: World) -> str:
    """Return a planner's prompt for *node*."""
    scopes = world.config.areas.get(node.area, ())
    existing = [f"{task.task_id} {task.status}: {task.spec.title}" for task in world.tasks]
    return "\n\n".join(
        [
            _PLANNER,
            f"# Node {node.id}\nArea: {node.area}\nStage: {node.stage}\nLayer: {node.layer}\nKind: {node.kind}",
            f"## What completes it\n{node.required_completion}\n{node.description or ''}",
            f"## Paths of the area\n{bullets(scopes)}",
            f"## Gate\n{world.config.gate_command or '(none)'}",
            f"At most {max(1, world.config.l1_tasks_per_node)} tasks.",
            f"## Existing tasks\n{bullets(existing)}",
            "",
        ]
    )
