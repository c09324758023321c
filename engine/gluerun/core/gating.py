"""The gates of one occasion on one commit, as a part of a drive: stage by stage, each gate a step of its own."""

from __future__ import annotations

from gluerun.core import flakes, pipeline
from gluerun.core.asking import ask
from gluerun.core.gate_words import why
from gluerun.core.gates import gate_sha256
from gluerun.core.steps import Compare, Compared, Gated, KeepReceipt, RunGate
from gluerun.errors import ImpossibleError
from gluerun.records.gate import GateVerdict
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Generator

    from gluerun.core.steps import Answered, Step
    from gluerun.records.config import Config
    from gluerun.records.flake import FlakyTest
    from gluerun.records.gate import GateRun
    from gluerun.records.pipeline import Occasion

LONGEST_TAIL = 6_000


def run_gates(
    config: Config,
    command: str,
    occasion: Occasion,
    *,
    attempt: int,
    commit: str,
    changed: Collection[str] | None = None,
    flaky: Collection[FlakyTest] = (),
) -> Generator[Step, Answered, Gated]:
    """Run what judges *commit* on this occasion, in the place prepared for it, and keep the receipt.

    A gate that is red only by those of *flaky* that are in quarantine counts as green, and the receipt says so.
    """
    if not config.gates:
        return (yield from ask(RunGate(attempt=attempt, commit=commit, command=command), Gated))
    plan = pipeline.planned(config, command, occasion, changed)
    runs, troubles, tails = yield from _run(plan, attempt, commit, flaky)
    receipt = KeepReceipt(
        attempt=attempt, commit=commit, gate_sha256=gate_sha256(command, config, plan.gates), runs=runs
    )
    gated = yield from ask(receipt, Gated)
    return replace(gated, tail=_tail(tails), trouble="; ".join(troubles))


def try_gates(
    config: Config,
    command: str,
    occasion: Occasion,
    *,
    attempt: int,
    commit: str,
    changed: Collection[str] | None = None,
) -> Generator[Step, Answered, GateVerdict]:
    """Run the same without a receipt, to know what they say; inconclusive if they cannot be run."""
    if not config.gates:
        step = RunGate(attempt=attempt, commit=commit, command=command, is_receipt=False)
        gated = yield from ask(step, Gated)
        return gated.check.result if gated.check else GateVerdict.INCONCLUSIVE
    runs, _, _ = yield from _run(pipeline.planned(config, command, occasion, changed), attempt, commit)
    return pipeline.result_of(runs)


def changed_paths(
    config: Config, occasion: Occasion, old: str, new: str
) -> Generator[Step, Answered, tuple[str, ...] | None]:
    """Ask what a commit changes, where any gate wants to know; None where none does."""
    # What is compared with itself is judged whole.
    if not old or old == new or not pipeline.compares(config, occasion):
        return None
    compared = yield from ask(Compare(old=old, new=new), Compared)
    return compared.paths


def _run(
    plan: pipeline.Plan, attempt: int, commit: str, flaky: Collection[FlakyTest] = ()
) -> Generator[Step, Answered, tuple[tuple[GateRun, ...], list[str], list[tuple[str, str]]]]:
    runs: list[GateRun] = []
    troubles, tails = [], []
    last = 0
    for stage in plan.stages:
        if last:
            reason = f"stage {last} was not green"
            runs += [pipeline.passed_over(gate, stage.number, reason) for gate in stage.gates]
            continue
        for gate in stage.gates:
            step = RunGate(
                attempt=attempt, commit=commit, command=gate.command, is_receipt=False, gate=gate, stage=stage.number
            )
            gated = yield from ask(step, Gated)
            if gated.run is None:
                raise ImpossibleError(f"nobody says how the gate {gate.name} ended")
            run = flakes.pardoned(gated.run, flaky, gate.min_tests) if flaky else gated.run
            runs.append(run)
            if run.result is not GateVerdict.GREEN:
                tails.append((why(run), gated.tail))
            if gated.trouble and run.required:
                troubles.append(gated.trouble)
        last = stage.number if pipeline.stops(runs) else 0
    return (*runs, *plan.skipped), troubles, tails


def _tail(tails: list[tuple[str, str]]) -> str:
    """Return the ends of the logs of all gates that were not green, the same room for each."""
    room = LONGEST_TAIL // max(len(tails), 1)
    return "\n\n".join(f"{words}\n{tail[-room:].strip()}".strip() for words, tail in tails)
