"""`gluerun.config.json`, read strictly: an unknown key or a wrong shape is an error with its place."""

from __future__ import annotations

import json

from gluerun import settings_runners
from gluerun.errors import OtherSchemaError
from gluerun.records.config import (
    ApprovalRule,
    AreaPolicy,
    Collection,
    Integration,
    IntegrationMode,
    ProvisionFile,
    Remote,
)
from gluerun.records.record import record
from gluerun.release import SCHEMA
from gluerun.settings_table import BY_ENV, BY_KEY, PREFIX, SHAPES, Knob, from_json, from_text
from gluerun.settings_walk import VARIABLE, Walk, nearest, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gluerun.settings_walk import Place

_MIGRATE = "type `gluerun migrate`"
PLAYED = ("worker", "auditor", "planner", "decider")
ROLES = (*PLAYED, "critic")
KEYS = frozenset([*BY_KEY, *(shape.key for shape in SHAPES)])
# What the predecessor knew and this engine has no use for yet: a better answer than "unknown".
LATER = frozenset(
    {
        "promoter", "capabilityProfiles",
        "roleProfiles", "roleRunners", "evidence", "bootstrap.required", "bootstrap.lockfiles",
        "bootstrap.sharedStoreRoots", "bootstrap.sharedLinks", "resources", "legacyCompatibility",
        "worktreeCopyPaths", "reviewPolicy", "integration.syncInFlight",
    }
)  # fmt: skip


MODULE_HINT = 'for example "company.guards" or "tools/guards/mine.py"'


def wrong_module(name: str) -> str:
    """Say what is wrong with the name of a module; empty if it is a dotted name or a Python file of the repository."""
    import re

    from gluerun.errors import SchemaError
    from gluerun.records.paths import scope_entry

    if name.endswith(".sh"):
        return "is a shell module, which is not run here"
    if re.fullmatch(rf"{VARIABLE}(\.{VARIABLE})*", name) and not name.endswith(".py"):
        return ""
    try:
        return "" if name.endswith(".py") and scope_entry(name) == name else "is neither a dotted name nor a `.py` file"
    except SchemaError as error:
        return f"is no module: {error.message}"


def module_hint(name: str) -> str:
    """Say what to write instead of a name that is no module."""
    if name.endswith(".sh"):
        return "write it as Python with the hooks of `gluerun.kit`, and take this name out until then"
    word = name.replace("-", "_")
    if word != name and word.isidentifier():
        return f'modules are Python here, for example "gluerun_ext.{word}"'
    return MODULE_HINT


@record
class FileValues:
    """What the file says: values by field of the configuration, and the rest that has no field."""

    values: dict[str, Any]
    schema_version: str = ""
    engine_version: str = ""
    text: str = ""
    models: dict[str, str] = {}  # noqa: RUF012 role → the model that it is played with


def read(data: bytes, file: str) -> FileValues:
    """Read the configuration file; ConfigError with line and path for whatever is wrong or unknown."""
    text, document = parsed(data, file)
    return _Reader(text, file).read(document)


class _Reader(Walk):
    """One walk over the configuration file, which keeps what it finds."""

    later = LATER

    def __init__(self, text: str, file: str) -> None:
        super().__init__(text, file)
        self.values: dict[str, Any] = {}
        self.versions: dict[str, str] = {}
        self.models: dict[str, str] = {}
        self.has_default = False
        self.has_push = False

    def read(self, document: Any) -> FileValues:
        self.judge_schema(document)
        top = self.members((), document, KEYS)
        self.has_default, self.has_push = "runner" in top, "push" in top
        if "env" in top:
            self.take_env(top.pop("env"))
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
            models=self.models,
        )

    def judge_schema(self, document: Any) -> None:
        """Refuse another data contract before anything of it is called unknown."""
        said = document.get("schemaVersion") if isinstance(document, dict) else None
        if isinstance(said, str) and said.strip() and said != SCHEMA:
            is_newer = said[1:].isdigit() and said[0] == "v" and int(said[1:]) > int(SCHEMA[1:])
            hint = f"install an engine that has {said}, then type `gluerun update`" if is_newer else _MIGRATE
            error = self.fail(("schemaVersion",), f"is {said!r}, this engine has {SCHEMA!r}")
            raise OtherSchemaError(error.message, hint, file=self.file)

    def take_knob(self, knob: Knob, place: Place, value: Any) -> None:
        try:
            self.values[knob.field] = from_json(knob, value)
        except ValueError as error:
            hint = "" if knob.default == "" else f"the default is {json.dumps(knob.default)}"
            raise self.fail(place, str(error), hint) from None

    def take_env(self, value: Any) -> None:
        """Take the variables for children, and the settings that stand among them."""
        env = {}
        for name, text in self.object(("env",), value).items():
            place = ("env", name)
            self.named(place, name, VARIABLE, "the name of a variable")
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

    def take_place_of_schema(self, place: Place, value: Any) -> None:
        self.word(place, value)

    def take_comment(self, place: Place, value: Any) -> None:
        if not isinstance(value, str):
            self.words(place, value)

    def take_modules(self, place: Place, value: Any) -> None:
        for at, name in enumerate(self.words(place, value)):
            if wrong := wrong_module(name):
                raise self.fail((*place, at), f"{name!r} {wrong}", module_hint(name))
        self.values["modules"] = tuple(value)

    def take_runners(self, place: Place, value: Any) -> None:
        self.values["runners"] = settings_runners.runners(self, place, value)

    def take_sandbox(self, place: Place, value: Any) -> None:
        self.values["sandbox"] = settings_runners.sandbox(self, place, value)

    def take_limits(self, place: Place, value: Any) -> None:
        self.values |= settings_runners.all_limits(self, place, value)

    def take_prices(self, place: Place, value: Any) -> None:
        self.values["prices"] = settings_runners.prices(self, place, value)

    def take_review(self, place: Place, value: Any) -> None:
        self.values["independence"] = settings_runners.independence(self, place, value)

    def take_gc(self, place: Place, value: Any) -> None:
        names = {"keepDays": "keep_days", "keepRuns": "keep_runs", "maxMb": "max_mb", "rescueDays": "rescue_days"}
        entry = self.members(place, value, (*names, "auto"))
        found: dict[str, Any] = {}
        for key, item in entry.items():
            here = (*place, key)
            found[names.get(key, key)] = self.flag(here, item) if key == "auto" else self.whole(here, item)
        self.values["gc"] = Collection(**found)

    def take_integration(self, place: Place, value: Any) -> None:
        entry = self.members(place, value, ("remote", "mode", "sign"))
        if "remote" in entry:
            if self.has_push:
                raise self.fail((*place, "remote"), "says what `push` says, too", "keep one of them")
            self.values["push"] = (
                self.choice((*place, "remote"), entry["remote"], Remote, "word for the remote") is Remote.PUSH
            )
        found: dict[str, Any] = {}
        if "mode" in entry:
            found["mode"] = self.choice((*place, "mode"), entry["mode"], IntegrationMode, "mode of integration")
        if "sign" in entry:
            found["sign"] = self.flag((*place, "sign"), entry["sign"])
        self.values["integration"] = Integration(**found)

    def take_roles(self, place: Place, value: Any) -> None:
        roles = {}
        for role, what in self.members(place, value, ROLES).items():
            if isinstance(what, str):
                raise self.fail((*place, role), "must be an object", f'write {{"runner": "{what}"}}')
            entry = self.members((*place, role), what, ("runner", "model"))
            if "model" in entry:
                self.models[role] = self.word((*place, role, "model"), entry["model"])
            if "runner" in entry:
                roles[role] = self.word((*place, role, "runner"), entry["runner"])
            elif not (self.has_default and "model" in entry):
                raise self.fail((*place, role), "has no `runner`", 'write {"runner": "<name>"}')
        self.values["roles"] = roles

    def take_gates(self, place: Place, value: Any) -> None:
        from gluerun import settings_gates

        self.values["gates"] = settings_gates.gates(self, place, value)

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

    def take_layers(self, place: Place, value: Any) -> None:
        field = {"proofLayers": "proof_layers", "proofGrandfather": "proof_grandfather"}
        self.values[field.get(str(place[0]), "single_slice_layers")] = tuple(self.words(place, value))

    def take_test_paths(self, place: Place, value: Any) -> None:
        self.values["test_paths"] = tuple(self.words(place, value))

    def take_risk_paths(self, place: Place, value: Any) -> None:
        self.values["risk_paths"] = tuple(self.words(place, value))

    def take_sparse(self, place: Place, value: Any) -> None:
        if isinstance(value, bool):
            self.values["sparse"] = value
            return
        self.values["sparse_always"] = tuple(
            self.path((*place, at), one) for at, one in enumerate(self.list(place, value))
        )
        self.values["sparse"] = True

    def take_area_policy(self, place: Place, value: Any) -> None:
        from gluerun.records.names import AREA

        found = {}
        for area, what in self.object(place, value).items():
            here = (*place, area)
            self.named(here, area, AREA, "the name of an area")
            entry = self.members(here, what, ("approvePlan", "approval", "owner", "questions", "expiresHours"))
            rules = {
                key: self.choice((*here, key), entry[key], ApprovalRule, "rule of approval")
                for key in ("approvePlan", "approval")
                if key in entry
            }
            owner = entry.get("owner", [])
            owners = [owner] if isinstance(owner, str) else owner
            found[area] = AreaPolicy(
                approve_plan=rules.get("approvePlan"),
                approval=rules.get("approval"),
                owners=self.words((*here, "owner"), owners),
                questions=self.words((*here, "questions"), entry.get("questions", [])),
                expires_hours=self.amount((*here, "expiresHours"), entry["expiresHours"])
                if "expiresHours" in entry
                else None,
            )
        self.values["area_policy"] = found

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
        self.values["env_allowlist"] = self.variable_names(place, value)

    def take_identity(self, place: Place, value: Any) -> None:
        entry = self.members(place, value, ("l0", "l1"))
        for level, field in (("l0", "identity"), ("l1", "identity_l1")):
            for key, text in self.members((*place, level), entry.get(level, {}), ("name", "email")).items():
                here = (*place, level, key)
                if set(self.word(here, text)) & set("<>\n\r"):
                    raise self.fail(here, "must be one line without < and >")
                self.values[f"{field}_{key}"] = text

    def take_control(self, place: Place, value: Any) -> None:
        if isinstance(value, dict):
            entry = self.members(place, value, ("mode", "commitIntervalSeconds"))
            if (named := "commitIntervalSeconds") in entry:
                self.values["control_commit_seconds"] = self.seconds((*place, named), entry[named])
            value, place = entry.get("mode", "ref"), (*place, "mode")
        self.take_knob(BY_KEY["controlState"], place, value)


_HANDLERS: dict[str, Callable[[_Reader, Place, Any], None]] = {
    "$schema": _Reader.take_place_of_schema,
    "schemaVersion": _Reader.take_version,
    "engineVersion": _Reader.take_version,
    "_comment": _Reader.take_comment,
    "modules": _Reader.take_modules,
    "runners": _Reader.take_runners,
    "roles": _Reader.take_roles,
    "sandbox": _Reader.take_sandbox,
    "limits": _Reader.take_limits,
    "prices": _Reader.take_prices,
    "review": _Reader.take_review,
    "gc": _Reader.take_gc,
    "integration": _Reader.take_integration,
    "sparse": _Reader.take_sparse,
    "areas": _Reader.take_areas,
    "gates": _Reader.take_gates,
    "proofLayers": _Reader.take_layers,
    "proofGrandfather": _Reader.take_layers,
    "singleSliceLayers": _Reader.take_layers,
    "testPaths": _Reader.take_test_paths,
    "areaPolicy": _Reader.take_area_policy,
    "riskPaths": _Reader.take_risk_paths,
    "provisionFiles": _Reader.take_provision,
    "bootstrap": _Reader.take_bootstrap,
    "envAllowlist": _Reader.take_allowlist,
    "identity": _Reader.take_identity,
    "controlState": _Reader.take_control,
}
