"""The part of `gluerun.config.json` that names gates: read strictly; whether they make a pipeline, `settings` asks."""

from __future__ import annotations

from gluerun.records.pipeline import GATE_NAME, USUAL, GateSpec, Occasion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gluerun.settings_walk import Place, Walk

KEYS = ("name", "command", "when", "paths", "timeout", "slots", "required", "needs", "junit", "minTests")


def gates(walk: Walk, place: Place, value: Any) -> tuple[GateSpec, ...]:
    """Return the gates that stand at *place*; ConfigError with place and hint for whatever is wrong."""
    found = tuple(_gate(walk, (*place, at), item) for at, item in enumerate(walk.list(place, value)))
    if not found:
        raise walk.fail(place, "names no gate", 'take it out, or name one: [{"name", "command"}]')
    return found


def _gate(walk: Walk, place: Place, value: Any) -> GateSpec:
    entry = walk.members(place, value, KEYS)
    for key in ("name", "command"):
        if key not in entry:
            raise walk.fail(place, f"has no `{key}`", 'write {"name": "unit", "command": "make test"}')
    name = walk.word((*place, "name"), entry["name"])
    what = "the name of a gate: lower-case letters, digits and dashes, at most 40"
    return GateSpec(
        name=walk.named((*place, "name"), name, GATE_NAME, what),
        command=_command(walk, (*place, "command"), entry["command"]),
        when=_when(walk, (*place, "when"), entry["when"]) if "when" in entry else USUAL,
        paths=walk.words((*place, "paths"), entry.get("paths", [])),
        timeout=walk.count((*place, "timeout"), entry["timeout"]) if "timeout" in entry else 0,
        slots=walk.count((*place, "slots"), entry["slots"]) if "slots" in entry else 0,
        required=walk.flag((*place, "required"), entry.get("required", True)),
        needs=walk.words((*place, "needs"), entry.get("needs", [])),
        junit=_report(walk, (*place, "junit"), entry["junit"]) if "junit" in entry else "",
        min_tests=walk.count((*place, "minTests"), entry["minTests"]) if "minTests" in entry else 0,
    )


def _command(walk: Walk, place: Place, value: Any) -> str:
    command = walk.word(place, value)
    if "\n" in command.strip():
        raise walk.fail(place, "must be a single line of text", "put more into a script of the repository")
    return command


def _when(walk: Walk, place: Place, value: Any) -> tuple[Occasion, ...]:
    items = [value] if isinstance(value, str) else walk.list(place, value)
    found = tuple(
        walk.choice(place if isinstance(value, str) else (*place, at), item, Occasion, "occasion for a gate")
        for at, item in enumerate(items)
    )
    if not found:
        raise walk.fail(place, "names no occasion", f"leave it out for {', '.join(USUAL)}")
    return tuple(dict.fromkeys(found))


def _report(walk: Walk, place: Place, value: Any) -> str:
    pattern = walk.word(place, value)
    if pattern.startswith(("/", "~")) or ".." in pattern.split("/") or "**" in pattern or not pattern.strip("./"):
        raise walk.fail(place, f"{pattern!r} is no path of the work tree", 'for example "reports/*.xml"')
    return pattern
