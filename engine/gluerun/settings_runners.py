"""What the file says about agent programs: runners, their sandbox, limits and prices, and the declarations we ship.

A declaration is a file of `declarations/` with exactly the keys that a person writes under `runners.<name>`.
"""

from __future__ import annotations

import os

from gluerun.errors import ImpossibleError
from gluerun.records.codec import wire_name
from gluerun.records.config import Independence
from gluerun.records.fault import Fault
from gluerun.records.pause import OnLimit, Span
from gluerun.records.placeholder import OPTIONS, names_in, strange
from gluerun.records.record import replace
from gluerun.records.runner import Dialect, Limits, Price, PromptBy, RunnerKind, RunnerSpec, Sessions
from gluerun.records.sandbox import Network, RoleSandbox, Sandbox, SandboxMode
from gluerun.settings_walk import VARIABLE, Walk, nearest, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gluerun.settings_walk import Place

    Take = Callable[[Walk, Place, Any], Any]

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "declarations")  # noqa: PTH100, PTH118, PTH120 idle path
STOPS = ("INT", "TERM")
CONFINED_ROLES = ("worker", "auditor", "planner", "decider", "critic", "gate")
ON_LIMIT = "onLimit"
# Values of these fields are merged key by key with those of the declaration that an entry stands on.
_MERGED = ("env", "options", "exits", "own_homes", "seeds")


def declared_names() -> tuple[str, ...]:
    """Return the names of all declarations that come with the engine."""
    return tuple(sorted(name.removesuffix(".json") for name in os.listdir(FOLDER) if name.endswith(".json")))  # noqa: PTH208 idle path


def is_declared(name: str) -> bool:
    """Tell whether a declaration of this name comes with the engine."""
    return name.replace("-", "").isalnum() and os.path.exists(f"{FOLDER}/{name}.json")  # noqa: PTH110 idle path


def declaration(name: str) -> RunnerSpec:
    """Return a declaration that comes with the engine."""
    if not is_declared(name):
        raise ImpossibleError(f"there is no declaration {name!r}")
    with open(f"{FOLDER}/{name}.json", "rb") as file:  # noqa: PTH123 idle path
        text, document = parsed(file.read(), f"{name}.json")
    walk = Walk(text, f"{name}.json")
    fields = _fields(walk, (), document) | {"name": name, "declaration": name, "kind": RunnerKind.COMMAND}
    return _checked(walk, (), RunnerSpec(**fields))


def runners(walk: Walk, place: Place, value: Any) -> dict[str, RunnerSpec]:
    """Read all runners of the file."""
    return {name: _runner(walk, (*place, name), name, entry) for name, entry in walk.object(place, value).items()}


def sandbox(walk: Walk, place: Place, value: Any) -> Sandbox:
    """Read how roles are confined: one word for all, or an object."""
    if isinstance(value, str):
        return Sandbox(mode=walk.choice(place, value, SandboxMode, "mode of the sandbox"))
    entry = walk.members(place, value, ("mode", "network", "writable", "roles", "container"))
    found = _confinement(walk, place, entry)
    roles = {
        role: RoleSandbox(**_role_confinement(walk, (*place, "roles", role), inner))
        for role, inner in walk.members((*place, "roles"), entry.get("roles", {}), CONFINED_ROLES).items()
    }
    container = walk.words((*place, "container"), entry.get("container", []))
    return Sandbox(**found, roles=roles, container=container)


def all_limits(walk: Walk, place: Place, value: Any) -> dict[str, Limits | OnLimit]:
    """Read the limits of a try, a task and a day, and what they do, by field of the configuration."""
    found: dict[str, Limits | OnLimit] = {}
    for of, inner in walk.members(place, value, ("try", "task", "day")).items():
        here, entry = (*place, of), walk.object((*place, of), inner)
        if of in tuple(Span) and ON_LIMIT in entry:
            word = entry[ON_LIMIT]
            found[f"on_limit_{of}"] = walk.choice((*here, ON_LIMIT), word, OnLimit, "way to meet a limit")
            entry = {key: item for key, item in entry.items() if key != ON_LIMIT}
        found[f"limits_{of}"] = limits(walk, here, entry, of_try=of == "try")
    return found


def limits(walk: Walk, place: Place, value: Any, *, of_try: bool = True) -> Limits:
    """Read one set of limits; what one program alone can be held to is no limit of a task or a day."""
    takes: dict[str, tuple[str, Take]] = {
        "usd": ("usd", Walk.amount),
        "tokens": ("tokens", Walk.count),
        "turns": ("turns", Walk.count),
        "seconds": ("seconds", Walk.count),
    }
    if of_try:
        takes |= {
            "idleSeconds": ("idle_seconds", Walk.count),
            "outputBytes": ("output_bytes", Walk.count),
            "noWrite": ("no_write", Walk.flag),
        }
    if ON_LIMIT in walk.object(place, value):
        if place[-1:] == ("day",):
            why = "asks nobody: what a day holds up goes on by itself the next day"
            raise walk.fail((*place, ON_LIMIT), why, "take it out")
        raise walk.fail((*place, ON_LIMIT), "is said once, for all runners", "write `limits.try.onLimit`")
    entry = walk.members(place, value, takes)
    return Limits(**{takes[key][0]: takes[key][1](walk, (*place, key), item) for key, item in entry.items()})


def prices(walk: Walk, place: Place, value: Any) -> dict[str, Price]:
    """Read what models cost, by the beginning of their names."""
    found = {}
    for model, entry in walk.object(place, value).items():
        here = (*place, model)
        numbers = walk.members(here, entry, ("fresh", "cached", "output"))
        for key in ("fresh", "cached", "output"):
            if key not in numbers:
                raise walk.fail(here, f"has no `{key}`", "US dollars for a million tokens")
        found[model] = Price(**{key: walk.amount((*here, key), number) for key, number in numbers.items()})
    return found


def independence(walk: Walk, place: Place, value: Any) -> Independence:
    """Read how far the auditor's seat must differ from the worker's."""
    entry = walk.members(place, value, ("independence",))
    word = entry.get("independence", Independence.NONE.value)
    return walk.choice((*place, "independence"), word, Independence, "kind of independence")


def _runner(walk: Walk, place: Place, name: str, value: Any) -> RunnerSpec:
    from gluerun.records.names import AREA

    walk.named(place, name, AREA, "the name of a runner")
    fields = _fields(walk, place, value)
    kind = fields.pop("kind", None)
    if kind is None and is_declared(name):
        kind = name
    if kind in tuple(RunnerKind) or kind is None:
        return _checked(walk, place, RunnerSpec(**{"name": name, **fields, "kind": RunnerKind(kind or "command")}))
    return _checked(walk, place, merged(declaration(kind), name, fields))


def merged(base: RunnerSpec, name: str, fields: dict[str, Any]) -> RunnerSpec:
    """Return the declaration *base* under a name, with an entry's values over its own."""
    over: dict[str, Any] = {f: {**getattr(base, f), **fields[f]} for f in _MERGED if f in fields}
    if fields.get("argv", base.argv)[:1] != base.argv[:1] and "version" not in fields:
        # Another program: how ours tells its version, and which we need, says nothing about it.
        over |= {"version": (), "min_version": fields.get("min_version", "")}
    if "limits" in fields:
        given = {key: value for key, value in fields["limits"].__dict__.items() if value not in (None, False)}
        over["limits"] = replace(base.limits, **given)
    return replace(base, **{**fields, **over, "name": name})


def _fields(walk: Walk, place: Place, value: Any) -> dict[str, Any]:
    """Return what an entry says, by field of the runner's record; the kind stays a word."""
    entry = walk.members(place, value, _TAKES)
    found = {}
    for key, item in entry.items():
        field, take = _TAKES[key]
        found[field] = take(walk, (*place, key), item)
    return found


def _checked(walk: Walk, place: Place, spec: RunnerSpec) -> RunnerSpec:
    """Return a runner that can be called; judges what only the whole entry can tell."""
    if spec.kind is RunnerKind.SCRIPTED and not spec.scenario:
        raise walk.fail(place, "has no `scenario`", 'name its file: "scenario": "scenario.json"')
    if spec.kind is not RunnerKind.COMMAND:
        return spec
    if not spec.argv:
        raise walk.fail(place, "has no `argv`", 'name the program: "argv": ["./agent.sh"]')
    if found := strange(spec):
        hint = f"{nearest(found.word, found.known)} A word meant as it stands is written in double braces."
        raise walk.fail((*place, *found.where), f"names {{{found.word}}}, which nothing can be put for", hint)
    wanted = {PromptBy.ARGUMENT: "prompt", PromptBy.FILE: "prompt_file"}.get(spec.prompt)
    if wanted and not any(wanted in names_in(word) for word in spec.argv):
        raise walk.fail(place, f"takes its prompt by {spec.prompt}, and `argv` has no {{{wanted}}}", "put it there")
    return spec


def _kind(walk: Walk, place: Place, value: Any) -> str:
    word = walk.word(place, value)
    if word not in tuple(RunnerKind) and not is_declared(word):
        raise walk.fail(place, f"{word!r} is no kind of runner", nearest(word, (*RunnerKind, *declared_names())))
    return word


def _options(walk: Walk, place: Place, value: Any) -> dict[str, tuple[str, ...]]:
    entry = walk.members(place, value, OPTIONS)
    return {name: walk.words((*place, name), words) for name, words in entry.items()}


def _exits(walk: Walk, place: Place, value: Any) -> dict[str, str]:
    found = {}
    for code, fault in walk.object(place, value).items():
        here = (*place, code)
        walk.named(here, code, r"-?[0-9]{1,3}", "an exit code")
        found[code] = walk.choice(here, fault, Fault, "fault").value
    return found


def _stop(walk: Walk, place: Place, value: Any) -> str:
    word = walk.word(place, value)
    if word not in STOPS:
        raise walk.fail(place, f"must be one of 'INT', 'TERM', not {word!r}")
    return word


def _version_number(walk: Walk, place: Place, value: Any) -> str:
    return walk.named(place, walk.word(place, value), r"\d+(\.\d+)*", "a version")


def _own_homes(walk: Walk, place: Place, value: Any) -> dict[str, str]:
    homes = walk.variables(place, value)
    return {name: walk.path((*place, name), folder) for name, folder in homes.items()}


def _seeds(walk: Walk, place: Place, value: Any) -> dict[str, str]:
    found = {}
    for target, source in walk.object(place, value).items():
        here = (*place, target)
        found[walk.path(here, target)] = _outside(walk, here, source)
    return found


def _outside(walk: Walk, place: Place, value: Any, starts: tuple[str, ...] = ("/", "~/")) -> str:
    path = walk.word(place, value)
    if not path.startswith(starts):
        raise walk.fail(place, f"{path!r} is no absolute path", f"begin it with {' or '.join(starts)}")
    return path


def _state(walk: Walk, place: Place, value: Any) -> tuple[str, ...]:
    found = []
    for at, item in enumerate(walk.list(place, value)):
        path = _outside(walk, (*place, at), item, ("/", "~/", "$"))
        if path.startswith("$"):
            walk.named((*place, at), path[1:].partition("/")[0], VARIABLE, "the name of a variable")
        found.append(path)
    return tuple(found)


def _mode(walk: Walk, place: Place, value: Any) -> SandboxMode:
    return walk.choice(place, value, SandboxMode, "mode of the sandbox")


def _network(walk: Walk, place: Place, value: Any) -> Network:
    return walk.choice(place, value, Network, "kind of network")


def _confinement(walk: Walk, place: Place, entry: dict[str, Any]) -> dict[str, Any]:
    takes: dict[str, Take] = {"mode": _mode, "network": _network, "writable": Walk.words}
    return {key: take(walk, (*place, key), entry[key]) for key, take in takes.items() if key in entry}


def _role_confinement(walk: Walk, place: Place, value: Any) -> dict[str, Any]:
    return _confinement(walk, place, walk.members(place, value, ("mode", "network", "writable")))


def _dialect(walk: Walk, place: Place, value: Any) -> Dialect:
    return walk.choice(place, value, Dialect, "dialect")


def _prompt(walk: Walk, place: Place, value: Any) -> PromptBy:
    return walk.choice(place, value, PromptBy, "way of a prompt")


def _sessions(walk: Walk, place: Place, value: Any) -> Sessions:
    return walk.choice(place, value, Sessions, "way of sessions")


_TAKES: dict[str, tuple[str, Take]] = {
    wire_name(field): (field, take)
    for field, take in (
        ("kind", _kind),
        ("argv", Walk.words),
        ("timeout_seconds", Walk.seconds),
        ("idle_seconds", Walk.seconds),
        ("env", Walk.variables),
        ("credentials", Walk.variable_names),
        ("scenario", Walk.word),
        ("provider", Walk.word),
        ("model", Walk.word),
        ("options", _options),
        ("prompt", _prompt),
        ("dialect", _dialect),
        ("sessions", _sessions),
        ("stop", _stop),
        ("exits", _exits),
        ("state", _state),
        ("own_homes", _own_homes),
        ("seeds", _seeds),
        ("version", Walk.words),
        ("min_version", _version_number),
        ("own_sandbox", Walk.flag),
        ("limits", limits),
    )
}
RUNNER_KEYS = tuple(_TAKES)
