"""The texts that a new repository starts with."""

from __future__ import annotations

from gluerun.records.codec import to_wire
from gluerun.records.graph import Graph
from gluerun.settings_table import KNOBS, SHAPES, Knob

TEMPLATE = """\
# TASK-0000: what is to be done, in a few words

Status: ready
Area: core
Depends on: none

## Objective

What is wrong or missing, and what will be true when the task is done.

## Scope

Owned files:
- `src/one_file.py`
- `tests/`

Forbidden files:
- none

## Acceptance Criteria

- One sentence per line, each of which a test or a reader can check.
"""


def starter_graph() -> dict[str, object]:
    """Return a planning graph without a node: nobody plans before a person has said what for."""
    document: dict[str, object] = to_wire(Graph(nodes=()))
    return document


def default_words(knob: Knob) -> str:
    """Return a knob's default as the file has it; a dash if it has none."""
    if knob.default == "":
        return "–"
    if isinstance(knob.default, bool):
        return "`true`" if knob.default else "`false`"
    return f"`{knob.default:g}`" if isinstance(knob.default, float) else f"`{knob.default}`"


def _guide() -> str:
    shapes = "\n".join(f"- `{shape.key}`: {shape.doc}. Written as `{shape.form}`." for shape in SHAPES)
    knobs = "\n".join(f"- `{knob.key}`: {knob.doc}. Default {default_words(knob)}." for knob in KNOBS)
    return f"""\
# Orchestration

`gluerun` reads this folder. Tasks lie in `tasks/` (copy `TEMPLATE.md`, or type `gluerun task new`), the
planning graph is `dag.v0.json`, and `gates/` holds what proves a node complete.

## First steps

1. Describe your agent in `gluerun.config.json`:

   ```json
   "runners": {{"mine": {{"kind": "command", "argv": ["./agent.sh"], "timeoutSeconds": 900}}}},
   "runner": "mine"
   ```

2. Set `gateCommand` to the command that must be green before anything is merged.
3. Type `gluerun doctor` until nothing fails, then commit these files.
4. Type `gluerun task new --title "…" --objective "…" --owned src --accept "…"`, then `gluerun auto`.

## Keys of `gluerun.config.json`

{shapes}

Plain settings. Each can also be set as `GLUERUN_<NAME>` in the environment, which wins over the file.

{knobs}
"""


GUIDE = _guide()
