"""Options that many verbs share."""

from __future__ import annotations

import typer

JSON: bool = typer.Option(False, "--json", help="Print one JSON document.")
