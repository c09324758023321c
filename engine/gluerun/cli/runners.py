"""runners."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gluerun.adapters.probe import probe_at
from gluerun.cli.options import JSON
from gluerun.cli.place import here
from gluerun.cli.show import say, show, table
from gluerun.edge import agents
from gluerun.errors import UsageError

if TYPE_CHECKING:
    from gluerun.cli.place import Place
    from gluerun.records.config import Config

_COLOURS = {
    "proved here": "bold green",
    "proved": "green",
    "configured": "cyan",
    "unproved": "yellow",
    "too old": "red",
    "missing": "dim",
}


def runners(context: typer.Context, as_json: bool = JSON) -> None:
    """List the runners of this repository and all declared agent programs, with what each is fit for."""
    place = here(context)
    root, config = repository_of(place)
    probe = probe_at(root or place.folder())
    found = agents.survey(config, os.environ, probe, root)
    show({"runners": found}, as_json=as_json, words=lambda: _say(found))


def repository_of(place: Place) -> tuple[str, Config | None]:
    """Return root and configuration of the repository we stand in; nothing where there is none."""
    try:
        root = place.root()
    except UsageError:
        if place.repo:
            raise
        return "", None
    if not Path(root, "gluerun.config.json").is_file():
        return root, None
    return root, place.settings().config


def _say(found: tuple[agents.Agent, ...]) -> None:
    columns = ("runner", "state", "version", "program", "roles", "read-only", "resumes", "cost", "schema", "sandbox")
    table(columns, [_row(agent) for agent in found], styles=_COLOURS)
    say()
    say("Try one for real: gluerun doctor --runner NAME. It asks one small question of the account that it uses.")


def _row(agent: agents.Agent) -> tuple[str, ...]:
    fitness = (agent.reads_only, agent.resumes, agent.tells_cost, agent.keeps_schema, agent.own_sandbox)
    where = agent.path or agent.program
    roles = ", ".join(agent.roles)
    return (agent.name, agent.state.value, agent.version, where, roles, *("yes" if one else "-" for one in fitness))
