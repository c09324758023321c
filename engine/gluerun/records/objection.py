"""Why a module holds something back."""

from __future__ import annotations

from gluerun.records.record import record


@record
class Objection:
    """One reason of one module against a candidate or a promotion; `broken` means that the module itself failed."""

    reason: str
    module: str = ""
    paths: tuple[str, ...] = ()
    broken: bool = False
