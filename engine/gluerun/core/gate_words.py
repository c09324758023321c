"""What is said of gates that ran: to a worker, to an auditor, to a person."""

from __future__ import annotations

from gluerun.core import pipeline
from gluerun.records.gate import GateVerdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.records.gate import GateCheck, GateRun

_SHOWN = 10


def summary(runs: Sequence[GateRun]) -> str:
    """Return what came of every gate, a line each, as the log of a whole pipeline."""
    rows = []
    for run in sorted(runs, key=lambda one: one.stage):
        took = f"{run.duration_ms / 1000:.1f} s" if run.result is not GateVerdict.SKIPPED else "-"
        said = [f"stage {run.stage}", f"{run.name:<20}", f"{run.result:<12}", f"{took:>9}", counted(run), run.reason]
        said += [] if run.required else ["not required"]
        rows.append("  ".join(word for word in said if word).rstrip())
        rows += [f"    failed: {name}" for name in run.failures]
        rows += [f"    log: {run.log_ref}"] if run.log_ref and run.result is not GateVerdict.GREEN else []
    return "\n".join(rows) + "\n"


def why(run: GateRun) -> str:
    """Say in a line how a gate ended, and which tests failed."""
    how = "timed out" if run.timed_out else f"ended with {run.exit_code}"
    parts = [f"the gate {run.name} {how}"]
    if not run.required:
        parts.append("it is not required")
    if run.tests is not None:
        parts.append(counted(run))
    if run.reason:
        parts.append(run.reason)
    more = f" and {len(run.failures) - _SHOWN} more" if len(run.failures) > _SHOWN else ""
    failed = f" (failed: {', '.join(run.failures[:_SHOWN])}{more})" if run.failures else ""
    return "; ".join(parts) + failed


def counted(run: GateRun) -> str:
    """Say how many tests a gate ran; empty if nobody counted them."""
    if run.tests is None:
        return ""
    also = [
        f"{count} {word}" for count, word in ((run.tests.failed, "failed"), (run.tests.skipped, "skipped")) if count
    ]
    tests = "1 test" if run.tests.total == 1 else f"{run.tests.total} tests"
    return tests + (f", {', '.join(also)}" if also else "")


def why_red(check: GateCheck) -> str:
    """Say why a receipt is red: the gate that decided it, by name where there are several."""
    found = pipeline.decisive(check.gates) if check.gates else None
    if found is not None:
        others = sum(run.required and run.result is GateVerdict.RED for run in check.gates) - 1
        return why(found) + (f", and {others} other gate{'s' * (others > 1)} red" if others > 0 else "")
    return "the gate timed out" if check.timed_out else f"the gate ended with {check.exit_code}"
