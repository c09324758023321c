"""The tests of a try on the base that it began with: what is green there, too, does not show that anything was done.

It costs a gate run for each try that comes so far, so a repository asks for it (`newTestsOnBase`). What comes of it is
one more fact beside the others: told, graded low, and never a verdict.
"""

from __future__ import annotations

from gluerun.core import gating, tamper
from gluerun.core.asking import prepare
from gluerun.core.steps import Clear, KeepText, Place, Restore
from gluerun.records.gate import GateVerdict
from gluerun.records.pipeline import Occasion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from gluerun.core.notebook import Notebook
    from gluerun.core.steps import Answered, Step


def try_on_base(me: Notebook, attempt: int, head: str) -> Generator[Step, Answered, None]:
    """Run the gate on the base with the tests of *head*, where both changed, and note what it says."""
    tests = tamper.tests_among(me.changed, me.config.test_paths)
    # A change of nothing but tests is green on the base by its nature.
    if not me.config.new_tests_on_base or not tests or me.tamper is None or set(tests) == set(me.changed):
        return
    base = me.dispatch.base_sha
    result = GateVerdict.INCONCLUSIVE
    if not (yield from prepare(Place.GATE, base, attempt)):
        yield Restore(attempt=attempt, commit=head, paths=tests, place=Place.GATE)
        result = yield from gating.try_gates(
            me.config, me.dispatch.gate_command, Occasion.TASK, attempt=attempt, commit=base, changed=me.changed
        )
    yield Clear(place=Place.GATE, reason="tests were tried on the base")
    if result not in (GateVerdict.GREEN, GateVerdict.RED):
        return
    me.tamper = tamper.on_base(me.tamper, is_green=result is GateVerdict.GREEN)
    yield KeepText(name=tamper.note_path(attempt), text=f"{tamper.facts(me.tamper)}\n")
