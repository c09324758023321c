"""The table of verbs, and the one place where an error becomes an exit code."""

from __future__ import annotations

import json
from pathlib import Path


def run(argv: list[str]) -> int:
    """Run the command line and return its exit code."""
    from gluerun import assets

    if argv and argv[0] == "run":
        from gluerun.loop.run import perform
        from gluerun.wiring import open_house

        perform(open_house(str(Path.cwd())), argv[1])
        return 0
    if argv and argv[0] == "reconcile":
        from gluerun.loop.reconcile import plan, reconcile
        from gluerun.records.codec import to_wire
        from gluerun.wiring import open_house

        house = open_house(str(Path.cwd()))
        report = plan(house) if len(argv) == 1 else reconcile(house, argv[1].lstrip("-"))
        print(json.dumps(to_wire(report), indent=1))
        return 0
    print(f"gluerun {assets.engine_version()} (schema {assets.schema_version()})")
    return 0 if argv in ([], ["version"]) else 2
