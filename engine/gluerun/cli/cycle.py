"""reconcile, drive, auto, status, integrate, recover."""

from __future__ import annotations

from gluerun.errors import UsageError


def reconcile() -> None:
    """Run one cycle."""
    raise UsageError("`gluerun reconcile` is not built yet")


def drive() -> None:
    """Drive one task."""
    raise UsageError("`gluerun drive` is not built yet")


def auto() -> None:
    """Run cycles."""
    raise UsageError("`gluerun auto` is not built yet")


def status() -> None:
    """Say what runs."""
    raise UsageError("`gluerun status` is not built yet")


def integrate() -> None:
    """Merge accepted work."""
    raise UsageError("`gluerun integrate` is not built yet")


def recover() -> None:
    """Look for lost runs."""
    raise UsageError("`gluerun recover` is not built yet")
