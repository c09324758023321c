"""Which paths a task may change, and which tasks stand in each other's way."""

from __future__ import annotations

from gluerun.records.paths import CONTROL, ORCHESTRATION, RECORDS, RUNTIME, covers, overlap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def is_engines_own(path: str) -> bool:
    """Tell whether *path* belongs to the engine: its records, its folders, its configuration."""
    return any(covers(entry, path) for entry in (ORCHESTRATION, *RUNTIME, *CONTROL))


def violations(
    paths: Iterable[str],
    owned: Iterable[str],
    forbidden: Iterable[str],
    *,
    protect_orchestration: bool = True,
) -> tuple[str, ...]:
    """Return those of *paths* that a task may not change; forbidden wins over owned."""
    owned, forbidden = tuple(owned), tuple(forbidden)
    closed = (*RUNTIME, ORCHESTRATION) if protect_orchestration else (*RUNTIME, *RECORDS)
    return tuple(
        path
        for path in paths
        if any(covers(entry, path) for entry in (*closed, *forbidden))
        or not any(covers(entry, path) for entry in owned)
    )


def guarded(modules: Iterable[str]) -> tuple[str, ...]:
    """Return the files that no task may change while *modules* are listed: their own, and those that list them."""
    modules = tuple(modules)
    return (*CONTROL, *(name for name in modules if name.endswith(".py"))) if modules else ()


def clashes(owned: Iterable[str], others: Iterable[str]) -> bool:
    """Tell whether two scopes share a file or folder."""
    others = tuple(others)
    return any(overlap(one, other) for one in owned for other in others)


def may_amend(path: str, *, forbidden: Iterable[str], already: Iterable[str], held: Iterable[str]) -> str:
    """Say why *path* cannot be added to a task's scope; empty if it can."""
    if is_engines_own(path):
        return f"{path} belongs to the engine"
    if any(covers(entry, path) for entry in forbidden):
        return f"{path} is forbidden to this task"
    if path in already:
        return f"{path} was added once already"
    if any(overlap(entry, path) for entry in held):
        return f"{path} is held by another active task"
    return ""
