"""What a planner proposes: a batch of tasks, admitted whole or refused whole."""

from __future__ import annotations

from gluerun.records.record import record


@record
class ProposedTask:
    """One proposed task: a temporary id and its Markdown."""

    task_id: str
    markdown: str


@record
class TaskBatch:
    """A planner's answer; an empty batch is a success."""

    SCHEMA = "task-batch.v0"

    tasks: tuple[ProposedTask, ...]
    run_id: str | None = None
    task_id: str | None = None
    branch: str | None = None
