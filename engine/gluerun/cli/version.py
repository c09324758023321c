"""version: apart from its neighbours because it must answer at once."""

from __future__ import annotations

import platform

from gluerun import assets
from gluerun.cli.options import JSON
from gluerun.cli.show import say, show


def version(as_json: bool = JSON) -> None:
    """Show which engine this is."""
    document = {
        "gluerun": assets.engine_version(),
        "schema": assets.schema_version(),
        "python": platform.python_version(),
    }
    show(document, as_json=as_json, words=lambda: say(f"gluerun {document['gluerun']} (schema {document['schema']})"))
