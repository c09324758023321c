"""What a program may touch: which paths it may write, and whom it may reach over the network."""

from __future__ import annotations

from enum import StrEnum

from gluerun.records.record import record


class SandboxMode(StrEnum):
    """How much it matters that a role is confined."""

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


class Network(StrEnum):
    """Whom a program may reach."""

    OPEN = "open"
    LOOPBACK = "loopback"
    NONE = "none"


@record
class RoleSandbox:
    """The confinement of one role, as configured; None means as for all roles."""

    mode: SandboxMode | None = None
    network: Network | None = None
    writable: tuple[str, ...] = ()


@record
class Sandbox:
    """The confinement of all roles; `container` is a docker or podman command line with its placeholders."""

    mode: SandboxMode = SandboxMode.AUTO
    network: Network = Network.OPEN
    writable: tuple[str, ...] = ()
    roles: dict[str, RoleSandbox] = {}  # noqa: RUF012 a default that is never changed
    container: tuple[str, ...] = ()


@record
class Confinement:
    """What one program may touch, as absolute paths that exist. What is not writable may still be read.

    `protected` are paths below a writable one that stay read-only all the same.
    """

    mode: SandboxMode
    network: Network = Network.OPEN
    writable: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    container: tuple[str, ...] = ()
