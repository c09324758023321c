"""demo: try the engine before trusting it with anything."""

from __future__ import annotations

import typer

from gluerun.cli.options import JSON
from gluerun.cli.show import show


def demo(
    folder: str = typer.Option("", "--folder", metavar="PATH", help="Where to build it; else a temporary folder."),
    runner: str = typer.Option(
        "", "--runner", metavar="NAME", help="Let this declared program work on two tasks, on your account."
    ),
    as_json: bool = JSON,
) -> None:
    """Play a small backlog in a repository of its own: real gates and merges, scripted agents or a real one."""
    from gluerun.demo import demo as run_demo

    played = run_demo(folder, quiet=as_json, runner=runner)
    show(played, as_json=as_json, words=lambda: None)
