"""`gluerun.config.json`, read strictly: an unknown key or a wrong shape is an error with its place."""

from __future__ import annotations

import json

from gluerun.errors import ConfigError, SchemaError
from gluerun.records.config import ProvisionFile
from gluerun.records.record import record
from gluerun.records.runner import RunnerKind, RunnerSpec
from gluerun.settings_table import BY_ENV, BY_KEY, PREFIX, SHAPES, Knob, from_json, from_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Place = tuple[str | int, ...]

ROLES = ("worker", "auditor", "planner", "decider")
KEYS = frozenset([*BY_KEY, *(shape.key for shape in SHAPES)])
# What the predecessor knew and this engine has no use for yet: a better answer than "unknown".
LATER = frozenset(
    {
        "proofLayers", "proofGrandfather", "singleSliceLayers", "promoter", "identity.l1", "capabilityProfiles",
        "roleProfiles", "roleRunners", "evidence", "bootstrap.required", "bootstrap.lockfiles",
        "bootstrap.sharedStoreRoots", "bootstrap.sharedLinks", "resources", "legacyCompatibility",
        "worktreeCopyPaths", "reviewPolicy",
    }
)  # fmt: skip


@record
class FileValues:
    """What the file says: values by field of the configuration, and the rest that has no field."""

    values: dict[str, Any]
    schema_version: str = ""
    engine_version: str = ""
    text: str = ""


def read(data: bytes, file: str) -> FileValues:
    """Read the configuration file; ConfigError with line and path for whatever is wrong or unknown."""
    try:
        text = data.decode("utf-8-sig")
        document = json.loads(text, object_pairs_hook=_pairs)
    except json.JSONDecodeError as error:
        place = f"{file}:{error.lineno}:{error.colno}"
        raise ConfigError(f"{place}: not JSON: {error.msg.lower()}", "mend the file", file=file) from None
    except (ValueError, RecursionError) as error:
        words = str(error) if isinstance(error, _DoubleKeyError) else "not readable as UTF-8 JSON"
        raise ConfigError(f"{file}: {words}", "mend the file", file=file) from None
    return _Reader(text, file).read(document)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return which of *known* was probably meant, as a hint; else all of them."""
    import difflib

    names = sorted(known)
    lower = {one.lower(): one for one in names}
    close = difflib.get_close_matches(name.lower(), list(lower), 1, 0.6)
    return f"did you mean `{lower[close[0]]}`?" if close else "known here: " + ", ".join(names)


class _DoubleKeyError(ValueError):
    """A key that stands twice in one object."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise _DoubleKeyError(f"key {double!r} stands twice in one object")
    return found


class _Reader:
    """One walk over the document. Every method that takes a place judges the value found there."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.values: dict[str, Any] = {}
        self.versions: dict[str, str] = {}

    def read(self, document: Any) -> FileValues:
        top = self.members((), document, KEYS)
        self.take_env(top.pop("env", None))
        for key, value in top.items():
            handle = _HANDLERS.get(key)
            if handle:
                handle(self, (key,), value)
            else:
                self.take_knob(BY_KEY[key], (key,), value)
        return FileValues(
            values=self.values,
            schema_version=self.versions.get("schemaVersion", ""),
            engine_version=self.versions.get("engineVersion", ""),
            text=self.text,
        )

    def fail(self, place: Place, message: str, hint: str = "") -> ConfigError:
        from gluerun.settings_place import line_of

        line = line_of(self.text, place)
        where = f"{self.file}:{line}" if line else self.file
        path = f"`{_dotted(place)}` " if place else ""
        return ConfigError(f"{where}: {path}{message}", hint, file=self.file)

    def members(self, place: Place, value: Any, known: Iterable[str]) -> dict[str, Any]:
        """Return an object of which every key is known."""
        found = self.object(place, value)
        for key in found:
            if key not in known:
                raise self._unknown((*place, key), key, known)
        return found

    def _unknown(self, place: Place, key: str, known: Iterable[str]) -> ConfigError:
        if _dotted(place) in LATER:
            return self.fail(place, "is not built yet", "take it out for now")
        return self.fail(place, "is no known key", nearest(key, known))

    def object(self, place: Place, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(place, f"must be an object, not {_kind(value)}", "write it in braces: { … }")
        return dict(value)

    def list(self, place: Place, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.fail(place, f"must be a list, not {_kind(value)}", "write it in brackets: [ … ]")
        return value

    def word(self, place: Place, value: Any, *, empty: bool = False) -> str:
        if not isinstance(value, str):
            raise self.fail(place, f"must be a text, not {_kind(value)}", "write it in quotes")
        if "\0" in value or not (empty or value.strip()):
            raise self.fail(place, "must not be empty" if "\0" not in value else "must not hold NUL")
        return value

    def words(self, place: Place, value: Any) -> tuple[str, ...]:
        return tuple(self.word((*place, at), item) for at, item in enumerate(self.list(place, value)))

    def seconds(self, place: Place, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.fail(place, f"must be a whole number of seconds, not {value!r}", "0 means no limit")
        return value

    def flag(self, place: Place, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self.fail(place, f"must be true or false, not {_kind(value)}")
        return value

    def path(self, place: Place, value: Any) -> str:
        from gluerun.records.paths import scope_entry

        try:
            return scope_entry(self.word(place, value))
        except SchemaError as error:
            raise self.fail(place, error.message, "name a file or folder of this repository") from None

    def named(self, place: Place, name: str, pattern: str, what: str) -> str:
        import re

        if not re.fullmatch(pattern, name):
            raise self.fail(place, f"{name!r} cannot be {what}")
        return name

    def take_knob(self, knob: Knob, place: Place, value: Any) -> None:
        try:
            self.values[knob.field] = from_json(knob, value)
        except ValueError as error:
            hint = "" if knob.default == "" else f"the default is {json.dumps(knob.default)}"
            raise self.fail(place, str(error), hint) from None

    def take_env(self, value: Any) -> None:
        """Take the variables for children, and the settings that stand among them."""
        if value is None:
            return
        env = {}
        for name, text in self.object(("env",), value).items():
            place = ("env", name)
            self.named(place, name, r"[A-Za-z_][A-Za-z0-9_]*", "the name of a variable")
            if name in BY_ENV:
                self._take_text(BY_ENV[name], place, self.word(place, text, empty=True))
            elif name.startswith(PREFIX):
                raise self.fail(place, "is no setting", nearest(name, BY_ENV))
            else:
                env[name] = self.word(place, text, empty=True)
        self.values["env"] = env

    def _take_text(self, knob: Knob, place: Place, text: str) -> None:
        if not text:
            return
        try:
            self.values[knob.field] = from_text(knob, text)
        except ValueError as error:
            raise self.fail(place, str(error)) from None

    def take_version(self, place: Place, value: Any) -> None:
        self.versions[str(place[0])] = self.word(place, value)

    def take_comment(self, place: Place, value: Any) -> None:
        if not isinstance(value, str):
            self.words(place, value)

    def take_modules(self, place: Place, value: Any) -> None:
        if self.list(place, value):
            raise self.fail(place, "names modules, which are not built yet", "write [] for now")

    def take_runners(self, place: Place, value: Any) -> None:
        self.values["runners"] = {
            name: self._runner((*place, name), name, spec) for name, spec in self.object(place, value).items()
        }

    def _runner(self, place: Place, name: str, value: Any) -> RunnerSpec:
        from gluerun.records.names import AREA

        self.named(place, name, AREA, "the name of a runner")
        known = {"kind", "argv", "timeoutSeconds", "idleSeconds", "env", "credentials", "scenario"}
        spec = self.members(place, value, known)
        fields: dict[str, Any] = {"name": name, "kind": self._runner_kind((*place, "kind"), spec.get("kind"))}
        for key, field, take in (
            ("argv", "argv", self.words),
            ("timeoutSeconds", "timeout_seconds", self.seconds),
            ("idleSeconds", "idle_seconds", self.seconds),
            ("env", "env", self._variables),
            ("credentials", "credentials", self.words),
            ("scenario", "scenario", self.word),
        ):
            if key in spec:
                fields[field] = take((*place, key), spec[key])
        runner = RunnerSpec(**fields)
        self._check_runner(place, runner)
        return runner

    def _runner_kind(self, place: Place, value: Any) -> RunnerKind:
        if value is None:
            return RunnerKind.COMMAND
        try:
            return RunnerKind(self.word(place, value))
        except ValueError:
            raise self.fail(place, f"{value!r} is no kind of runner", nearest(value, RunnerKind)) from None

    def _check_runner(self, place: Place, runner: RunnerSpec) -> None:
        if runner.kind is RunnerKind.COMMAND and not runner.argv:
            raise self.fail(place, "has no `argv`", 'name the program: "argv": ["./agent.sh"]')
        if runner.kind is RunnerKind.SCRIPTED and not runner.scenario:
            raise self.fail(place, "has no `scenario`", 'name its file: "scenario": "scenario.json"')

    def _variables(self, place: Place, value: Any) -> dict[str, str]:
        found = {}
        for name, text in self.object(place, value).items():
            self.named((*place, name), name, r"[A-Za-z_][A-Za-z0-9_]*", "the name of a variable")
            found[name] = self.word((*place, name), text, empty=True)
        return found

    def take_roles(self, place: Place, value: Any) -> None:
        roles = {}
        for role, what in self.members(place, value, ROLES).items():
            if isinstance(what, str):
                raise self.fail((*place, role), "must be an object", f'write {{"runner": "{what}"}}')
            entry = self.members((*place, role), what, ("runner",))
            if "runner" not in entry:
                raise self.fail((*place, role), "has no `runner`", 'write {"runner": "<name>"}')
            roles[role] = self.word((*place, role, "runner"), entry["runner"])
        self.values["roles"] = roles

    def take_areas(self, place: Place, value: Any) -> None:
        from gluerun.records.names import AREA

        areas = {}
        for name, paths in self.object(place, value).items():
            here = (*place, name)
            self.named(here, name, AREA, "the name of an area")
            items = [paths] if isinstance(paths, str) else self.list(here, paths)
            areas[name] = tuple(self.path((*here, at), item) for at, item in enumerate(items))
            if not areas[name]:
                raise self.fail(here, "names no path")
        self.values["areas"] = areas

    def take_provision(self, place: Place, value: Any) -> None:
        found = []
        for at, item in enumerate(self.list(place, value)):
            here = (*place, at)
            entry = self.members(here, item, ("source", "target", "required"))
            if "source" not in entry:
                raise self.fail(here, "has no `source`")
            source = self.path((*here, "source"), entry["source"])
            target = self.path((*here, "target"), entry.get("target", source))
            required = self.flag((*here, "required"), entry.get("required", True))
            found.append(ProvisionFile(source=source, target=target, required=required))
        self.values["provision_files"] = tuple(found)

    def take_bootstrap(self, place: Place, value: Any) -> None:
        if isinstance(value, dict):
            value = self.members(place, value, ("commands",)).get("commands", [])
            place = (*place, "commands")
        found = []
        for at, item in enumerate(self.list(place, value)):
            here = (*place, at)
            if isinstance(item, dict):
                entry = self.members(here, item, ("command",))
                found.append(self.word((*here, "command"), entry.get("command")))
            else:
                found.append(self.word(here, item))
        self.values["bootstrap"] = tuple(found)

    def take_allowlist(self, place: Place, value: Any) -> None:
        for at, name in enumerate(self.words(place, value)):
            self.named((*place, at), name, r"[A-Za-z_][A-Za-z0-9_]*", "the name of a variable")
        self.values["env_allowlist"] = tuple(value)

    def take_identity(self, place: Place, value: Any) -> None:
        entry = self.members(place, value, ("l0",))
        for key, text in self.members((*place, "l0"), entry.get("l0", {}), ("name", "email")).items():
            here = (*place, "l0", key)
            if set(self.word(here, text)) & set("<>\n\r"):
                raise self.fail(here, "must be one line without < and >")
            self.values[f"identity_{key}"] = text

    def take_control(self, place: Place, value: Any) -> None:
        if isinstance(value, dict):
            entry = self.members(place, value, ("mode", "commitIntervalSeconds"))
            self.seconds((*place, "commitIntervalSeconds"), entry.get("commitIntervalSeconds", 0))
            value, place = entry.get("mode", "ref"), (*place, "mode")
        self.take_knob(BY_KEY["controlState"], place, value)


_HANDLERS: dict[str, Callable[[_Reader, Place, Any], None]] = {
    "schemaVersion": _Reader.take_version,
    "engineVersion": _Reader.take_version,
    "_comment": _Reader.take_comment,
    "modules": _Reader.take_modules,
    "runners": _Reader.take_runners,
    "roles": _Reader.take_roles,
    "areas": _Reader.take_areas,
    "provisionFiles": _Reader.take_provision,
    "bootstrap": _Reader.take_bootstrap,
    "envAllowlist": _Reader.take_allowlist,
    "identity": _Reader.take_identity,
    "controlState": _Reader.take_control,
}


def _dotted(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return names.get(type(value), "a number")
