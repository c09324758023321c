"""Where schemas and migrations lie, in a checkout or in a wheel."""

from __future__ import annotations

from gluerun.release import SCHEMA, VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def root() -> Path:
    """Return the folder that holds `schemas/`, `migrations/` and `SCHEMA_VERSION`."""
    from pathlib import Path  # every process of a run imports this module, and most of them ask for no asset

    here = Path(__file__).resolve().parent
    packed = here / "_assets"
    return packed if packed.is_dir() else here.parent.parent


def answer_schema(name: str) -> dict[str, Any]:
    """Return the schema of an answer as a program is told it: its shape only, in words that every program knows.

    What is checked is the whole schema, by us; patterns and bounds would only make some programs refuse it.
    """
    import json

    document = json.loads((root() / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = _plain(document)
    return found


_TOLD = ("type", "properties", "required", "additionalProperties", "items", "enum", "const", "definitions", "$ref")


def _plain(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    found = {key: value for key, value in schema.items() if key in _TOLD}
    for key in ("properties", "definitions"):
        if key in found:
            found[key] = {name: _plain(one) for name, one in found[key].items()}
    for key in ("items", "additionalProperties"):
        if key in found:
            found[key] = _plain(found[key])
    return found


def schema_version() -> str:
    """Return the version of the data contract, for example ``v1``."""
    return SCHEMA


def engine_version() -> str:
    """Return the version of this engine."""
    return VERSION
