"""Where schemas and migrations lie, in a checkout or in a wheel."""

from __future__ import annotations

from pathlib import Path


def root() -> Path:
    """Return the folder that holds `schemas/`, `migrations/` and `SCHEMA_VERSION`."""
    here = Path(__file__).resolve().parent
    packed = here / "_assets"
    return packed if packed.is_dir() else here.parent.parent


def schema_version() -> str:
    """Return the version of the data contract, for example ``v1``."""
    return (root() / "SCHEMA_VERSION").read_text(encoding="utf-8").strip()


def engine_version() -> str:
    """Return the version of this engine, as installed or as the checkout's project file says."""
    from importlib import metadata

    try:
        return metadata.version("gluerun")
    except metadata.PackageNotFoundError:
        import tomllib

        project = tomllib.loads((root() / "pyproject.toml").read_text(encoding="utf-8"))
        return str(project["project"]["version"])
