"""Every setting that is in force and where it comes from; what another source said of it stands beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gluerun import settings, settings_runners
from gluerun.core.masking import found_in
from gluerun.errors import UsageError
from gluerun.records.codec import to_wire
from gluerun.records.config import ControlState, Remote
from gluerun.records.record import record
from gluerun.settings_place import line_of
from gluerun.settings_table import KNOBS, SHAPES, Knob, from_text
from gluerun.settings_walk import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from gluerun.records.config import Config
    from gluerun.settings import Settings

HIDDEN = "(a secret)"
_DEFAULT = "default"


@record
class Origin:
    """Who gave a value, and where it stands: a file with its line, the name of a variable, or a flag."""

    source: str
    place: str = ""
    value: object = None

    @property
    def words(self) -> str:
        """Return the origin as people read it."""
        return f"{self.source}, {self.place}" if self.place else self.source

    @property
    def said(self) -> str:
        """Return the value as the file has it."""
        return _words(self.value)


@record
class Shown:
    """One setting: its effective value, its origin, and the sources that it goes over."""

    key: str
    value: object
    origin: Origin
    instead_of: tuple[Origin, ...] = ()

    @property
    def words(self) -> str:
        """Return the value as the file has it."""
        return _words(self.value)


def shown(root: str, environ: Mapping[str, str], flags: Mapping[str, object], key: str = "") -> tuple[Shown, ...]:
    """Return the settings in force at *root*, or that of one *key*; UsageError for a key that is none."""
    known = [*(knob.key for knob in KNOBS), *(shape.key for shape in SHAPES)]
    if key and key not in known:
        raise UsageError(f"{key!r} is no key of {settings.FILE}", nearest(key, known))
    loaded = settings.load(root, environ, flags)
    text = (settings.read_file(f"{root}/{settings.FILE}") or b"{}").decode("utf-8-sig")
    document = json.loads(text)
    found = [_of_knob(knob, loaded, document, text) for knob in KNOBS]
    plain = {knob.key for knob in KNOBS}
    found += [_of_shape(one.key, loaded, document, text) for one in SHAPES if one.key not in plain]
    return tuple(one for one in found if key in ("", one.key))


def _of_knob(knob: Knob, loaded: Settings, document: dict[str, Any], text: str) -> Shown:
    origins = []
    inner = document.get("env", {}).get(knob.env, "")
    if inner and (knob.key in document or (knob.field == "push" and "remote" in document.get("integration", {}))):
        # Both in one file: the key goes over the variable, and neither is lost from sight.
        origins.append(Origin(source="file", place=_line(text, ("env", knob.env)), value=from_text(knob, inner)))
    for field, source, place, value in loaded.given:
        if field == knob.field:
            at: tuple[str, ...] = (knob.key,) if knob.key in document else ("env", knob.env)
            if knob.field == "push" and "remote" in document.get("integration", {}):
                at = ("integration", "remote")
            named = _line(text, at) if place == settings.FILE else place
            origins.append(Origin(source=source, place=named, value=value))
    fallback = getattr(loaded.config, knob.field, knob.default)
    origins = [
        Origin(source=one.source, place=one.place, value=_masked(knob.key, to_wire(one.value)))
        for one in (origins or [Origin(source=_DEFAULT, value=fallback)])
    ]
    used, value = origins[-1], origins[-1].value
    # Sources that say the same are no conflict.
    others = tuple(one for one in origins[:-1] if one.value != value)
    if knob.field == "control_state" and loaded.config.control_state is ControlState.BRANCH:
        value = {"mode": value, "commitIntervalSeconds": loaded.config.control_commit_seconds}
    return Shown(key=knob.key, value=value, origin=used, instead_of=others)


def _of_shape(key: str, loaded: Settings, document: dict[str, Any], text: str) -> Shown:
    value = _masked(key, to_wire(_effective(key, loaded, document)))
    given = [(source, place) for field, source, place, _ in loaded.given if field == _FIELDS.get(key)]
    if given and given[-1][1] != settings.FILE:
        origin = Origin(source=given[-1][0], place=given[-1][1], value=value)
    elif key in document:
        origin = Origin(source="file", place=_line(text, (key,)), value=value)
    else:
        origin = Origin(source=_DEFAULT, value=value)
    return Shown(key=key, value=value, origin=origin)


# Where the configuration keeps what a structured key says, by field; other keys are remarks of the file.
_FIELDS = {
    "runners": "runners", "roles": "roles", "sandbox": "sandbox", "prices": "prices", "gc": "gc", "areas": "areas",
    "testPaths": "test_paths", "provisionFiles": "provision_files", "bootstrap": "bootstrap",
    "areaPolicy": "area_policy", "riskPaths": "risk_paths", "gates": "gates",
    "envAllowlist": "env_allowlist", "env": "env", "modules": "modules",
    "proofLayers": "proof_layers", "proofGrandfather": "proof_grandfather", "singleSliceLayers": "single_slice_layers",
}  # fmt: skip


def _effective(key: str, loaded: Settings, document: dict[str, Any]) -> object:
    config: Config = loaded.config
    if key == "integration":
        how = config.integration
        return {"remote": Remote.PUSH if config.push else Remote.NONE, "mode": how.mode, "sign": how.sign}
    if key == "limits":
        spans = {"try": config.limits_try, "task": config.limits_task}
        asks = {"try": config.on_limit_try, "task": config.on_limit_task}
        said = {of: {**to_wire(one), settings_runners.ON_LIMIT: asks[of]} for of, one in spans.items()}
        return {**said, "day": config.limits_day}
    if key == "sparse":
        return config.sparse_always or config.sparse
    if key == "review":
        return {"independence": config.independence}
    if key == "identity":
        name, email = config.worker_identity
        l0 = {"name": config.identity_name, "email": config.identity_email}
        return {"l0": l0, "l1": {"name": name, "email": email}}
    field = _FIELDS.get(key)
    return getattr(config, field, None) if field else document.get(key)


def _masked(key: str, value: Any) -> Any:
    """Return *value* without anything that is, or by its name must be, a secret."""
    if isinstance(value, str):
        named = f"{key}: {value}".encode("utf-8", "surrogatepass")
        return HIDDEN if found_in(named) or found_in(value.encode("utf-8", "surrogatepass")) else value
    if isinstance(value, dict):
        return {name: _masked(str(name), one) for name, one in value.items()}
    return [_masked(key, one) for one in value] if isinstance(value, list | tuple) else value


def _line(text: str, place: tuple[str, ...]) -> str:
    return f"{settings.FILE}:{line_of(text, place)}"


def _words(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
