"""What a module may do: the hooks that it can implement, and what each of them is given.

A module is a Python file with functions marked `@hookimpl`. It is loaded only where a repository lists it under
`modules`. It may hold something back, and it may listen; it never changes anything. A module that fails holds back
what it guards, and is passed over where it only listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pluggy

from gluerun.records.event import Event
from gluerun.records.objection import Objection
from gluerun.records.record import record

PROJECT = "gluerun"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

__all__ = ["PROJECT", "Candidate", "Event", "FinishedNode", "Hooks", "Objection", "hookimpl", "hookspec"]


@record
class Candidate:
    """What a try changed, before it is committed: which paths, and each file as it was and as it is."""

    task_id: str
    area: str
    owned: tuple[str, ...]
    changed: tuple[str, ...]
    before: Callable[[str], bytes | None]
    after: Callable[[str], bytes | None]


@record
class FinishedNode:
    """A node of the graph whose tasks are all integrated and whose gate is green on the target's very tree."""

    id: str
    area: str
    layer: str
    kind: str
    commit: str
    tasks: tuple[str, ...]
    read: Callable[[str], bytes | None]


class Hooks:
    """The hooks; each of them is optional."""

    @hookspec
    def gluerun_check(self, candidate: Candidate) -> Iterable[Objection] | None:
        """Say why a try's changes may not be committed; nothing if they may."""

    @hookspec
    def gluerun_promote(self, node: FinishedNode) -> Iterable[Objection] | None:
        """Say why a finished node is not complete yet; nothing if it is."""

    @hookspec
    def gluerun_told(self, event: Event) -> None:
        """Hear of one event, after it was written down."""
