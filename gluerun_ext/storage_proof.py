"""A module that guards what a project keeps: a migration comes with a test, and a test of storage does not skip itself.

A test that is skipped where no database can be reached is green and proves nothing. List it as
`gluerun_ext.storage_proof` under `modules`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gluerun.kit import Objection, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.kit import Candidate

_STORAGE = re.compile(r"(?i)(?:^|[/_.-])(?:storage|store|database|db|migrations?|persistence|repository)(?:$|[/_.-])")
_MIGRATION = re.compile(r"(?i)(?:^|/)migrations?/.+|\.sql$")
_TEST = re.compile(r"(?i)(?:^|/)tests?/|(?:^|/)test_[^/]+$|[_.](?:test|spec)\.[^/]+$")
_SKIP = re.compile(
    rb"\bskip(?:if|unless)?\b\s*\(|@(?:unittest\.|pytest\.mark\.)?skip|\bt\.Skip(?:f|Now)?\(|#\[ignore|@Disabled"
    rb"|\b(?:it|test|describe)\.skip\b|\bx(?:it|describe)\(",
    re.IGNORECASE,
)


@hookimpl
def gluerun_check(candidate: Candidate) -> list[Objection]:
    """Object to migrations without a test, and to tests of storage that learn to skip."""
    return [*_unproved(candidate), *_skipped(candidate)]


def _unproved(candidate: Candidate) -> Iterator[Objection]:
    migrations = tuple(path for path in candidate.changed if _MIGRATION.search(path) and not _TEST.search(path))
    proofs = [path for path in candidate.changed if _TEST.search(path) and candidate.after(path) is not None]
    if migrations and not proofs:
        yield Objection(reason=f"{migrations[0]} comes without a test", paths=migrations)


def _skipped(candidate: Candidate) -> Iterator[Objection]:
    for path in candidate.changed:
        if not (_TEST.search(path) and _STORAGE.search(path)):
            continue
        before, after = (len(_SKIP.findall(read(path) or b"")) for read in (candidate.before, candidate.after))
        if after > before:
            yield Objection(reason=f"{path} can be skipped now, and proves nothing where it is", paths=(path,))
