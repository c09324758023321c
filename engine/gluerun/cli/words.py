"""What a cycle did, as lines for a person."""

from __future__ import annotations

from gluerun.cli.show import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.loop.report import CycleReport, Line


def action_lines(actions: Sequence[Line]) -> list[str]:
    """Return one line for each action."""
    return [f"{line.kind:<12} {line.task:<10} {line.reason}" for line in actions] or ["nothing to do"]


def cycle_text(report: CycleReport) -> str:
    """Return what `reconcile` prints; what went wrong is told elsewhere."""
    lines = action_lines(report.actions)
    lines += [f"integrated {task} into {report.target_branch}" for task in report.integrated]
    if report.dispatch_gate:
        lines.append(f"nothing is started: {report.dispatch_gate}")
    if report.mode == "plan" and report.actions:
        lines.append("nothing was done yet: `gluerun auto` does it, `gluerun reconcile --actuate` one cycle of it")
    lines.append(f"{report.target_branch} at {report.head[:12] or 'nothing'}; {report.running} running")
    return plain("\n".join(lines) + "\n")
