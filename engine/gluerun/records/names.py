"""The names of things, and the patterns that every one of them keeps before it becomes part of a path."""

from __future__ import annotations

import re

from gluerun.errors import SchemaError

TASK = r"^TASK-[0-9]{4,12}$"
RUN = r"^RUN-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$"
ORIGIN = r"^ORIGIN-[0-9]{8}T[0-9]{6}Z-[0-9]{1,10}$"
ORDER = r"^ORD-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$"
APPROVAL = r"^APR-[0-9]{4,12}$"
DISPATCH = r"^RUN-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}\.[0-9]{1,4}$"
NODE = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}(\.[A-Za-z0-9_-]{1,40}){0,3}$"
AREA = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"
NONCE = r"^[0-9a-f]{32}$"
SHA = r"^[0-9a-f]{40}([0-9a-f]{24})?$"
SHA256 = r"^[0-9a-f]{64}$"
STAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"
PRIORITY = r"^[+-]?[0-9]{1,6}$"
FINDING = r"^f-[0-9a-f]{12}$"
BRANCH = r"^(?!.*(\.\.|//|/\.|\.lock(/|$)|[./]$))[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}$"


def check(name: str, pattern: str, what: str) -> str:
    """Return *name* if it keeps *pattern*; SchemaError otherwise."""
    if not re.fullmatch(pattern, name):
        raise SchemaError(f"{name!r} is no {what}")
    return name


def is_task(name: str) -> bool:
    """Tell whether *name* can be a task id."""
    return re.fullmatch(TASK, name) is not None


def is_approval(name: str) -> bool:
    """Tell whether *name* can be the id of a request for approval."""
    return re.fullmatch(APPROVAL, name) is not None


def is_run(name: str) -> bool:
    """Tell whether *name* can be the id of a run."""
    return re.fullmatch(RUN, name) is not None


def is_branch(name: str) -> bool:
    """Tell whether *name* is a branch name that no tool reads as something else."""
    return re.fullmatch(BRANCH, name) is not None


def slug(title: str) -> str:
    """Return *title* as it may stand in a branch name, at most forty characters."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40].rstrip("-") or "task"
