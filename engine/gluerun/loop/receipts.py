"""Receipts: what gates have said of code, found again by the code. The same question is never asked twice.

A receipt lies under the tree that it is about, beside those of other gates and other environments. The run keeps its
own copy as evidence; this one only spares gate runs, and may be lost.
"""

from __future__ import annotations

from gluerun.core.environment import environment_sha256
from gluerun.errors import GluerunError
from gluerun.loop.evidence import RECEIPT
from gluerun.records import names, schema
from gluerun.records.gate import GateCheck, GateVerdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from gluerun.loop.house import House

RECEIPTS = "receipts"


def environment(house: House) -> str:
    """Return the digest of what a gate would find here beside the code: variables, and the machine."""
    return environment_sha256(house.doors.environ, house.config, house.doors.clock.host_id())


def file_receipt(house: House, run_id: str, code_tree: str | None = None) -> None:
    """Put what the gate of a run said where it is found by its code; with *code_tree* only if it is about that."""
    check = house.store.known(GateCheck, run_id, RECEIPT)
    if check is None or (code_tree is not None and check.code_tree != code_tree):
        return
    house.store.files.sweep(_folder(check.code_tree))
    house.store.files.write(_path(check), schema.dump(check), durable=False)


def is_green(house: House, code_tree: str, gate_sha256: str) -> bool:
    """Tell whether this gate was green on just this code, in an environment like this one.

    A green that tests in quarantine were let off from speaks for nothing but the run that has it.
    """
    here = environment(house)
    return any(
        one.result is GateVerdict.GREEN
        and not one.quarantined
        and (one.gate_sha256, one.environment) == (gate_sha256, here)
        for one in receipts_of(house, code_tree)
    )


def receipts_of(house: House, code_tree: str) -> list[GateCheck]:
    """Return every receipt about a code tree, the newest first; what cannot be read is none."""
    folder = _folder(code_tree)
    names_here = (name for name in house.store.files.names(folder) if name.startswith(code_tree))
    checks = (_read(house, f"{folder}/{name}") for name in names_here if name.endswith(".json"))
    found = [check for check in checks if check is not None and check.code_tree == code_tree]
    return sorted(found, key=lambda one: one.created_at, reverse=True)


def written_at(house: House, path: str) -> datetime | None:
    """Return when a receipt was written, by its own word; None if it cannot be read."""
    check = _read(house, path)
    return check.created_at if check is not None else None


def _read(house: House, path: str) -> GateCheck | None:
    try:
        data = house.store.files.read(path)
        return schema.load(GateCheck, data, file=path) if data is not None else None
    except GluerunError:
        return None


def sweep(house: House) -> None:
    """Remove what a crash left half-written among the receipts."""
    for name in house.store.files.names(RECEIPTS):
        house.store.files.sweep(f"{RECEIPTS}/{name}")


def _folder(code_tree: str) -> str:
    return f"{RECEIPTS}/{names.check(code_tree, names.SHA, 'tree')[:2]}"


def _path(check: GateCheck) -> str:
    name = f"{check.code_tree}-{check.gate_sha256[:16]}-{check.environment[:16] or 'unknown'}.json"
    return f"{_folder(check.code_tree)}/{name}"
