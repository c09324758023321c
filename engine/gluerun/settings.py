"""The settings of one repository, resolved: default < file < local file < environment < flag.

Every cycle comes through here, also one that finds nothing to do: what is needed only for a complaint or
for the rare shell file is imported where it is needed.
"""

from __future__ import annotations

import json
import os
import re

from gluerun.core.masking import found_in
from gluerun.errors import ConfigError, OtherSchemaError, UsageError
from gluerun.records import codec
from gluerun.records.config import Config, ControlState, PlanCritiqueMode, TamperRule
from gluerun.records.names import is_branch
from gluerun.records.paths import PREDECESSORS
from gluerun.records.pause import OnLimit, Span
from gluerun.records.pipeline import NEVER
from gluerun.records.record import record, replace
from gluerun.settings_file import PLAYED, FileValues, module_hint, read, wrong_module
from gluerun.settings_runners import declaration, declared_names, is_declared
from gluerun.settings_table import BY_ENV, BY_FIELD, KNOBS, PREFIX, Knob, from_json, from_text
from gluerun.settings_walk import dotted, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from gluerun.records.runner import RunnerSpec

FILE = "gluerun.config.json"
SHELL_FILES = ("gluerun.config.sh", ".gluerun-state/config.local.sh")
MODULES = f"{PREFIX}MODULES"
_LOOKS = "looks like a secret"
_INSTEAD = "put it in the environment or in the git-ignored `.gluerun-state/config.local.sh`"
_NO_FLAGS: dict[str, object] = {}
# Names in the environment that other rooms own: they are no misspelt settings.
_OTHERS = ("RUN", "DISPATCH", "E2E_", "OUTPUT", "STATE_", "ROOT", "ENGINE_HOME", "HOME", "TIMER")


@record
class Settings:
    """The resolved configuration, where each value comes from, and what looks like a slip."""

    config: Config
    sources: dict[str, str]
    warnings: tuple[str, ...] = ()
    schema_version: str = ""
    engine_version: str = ""
    # Every value that some source gave, in order: field, source, place, value. The last one of a field is used.
    given: tuple[tuple[str, str, str, object], ...] = ()


def read_file(path: str) -> bytes | None:
    """Return a file's bytes; None if there is no such file."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 pathlib is not imported on the idle path
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{os.path.basename(path)}: {error.strerror or error}", file=path) from None  # noqa: PTH119


def load(
    root: Path | str,
    environ: Mapping[str, str],
    flags: Mapping[str, object] = _NO_FLAGS,
    *,
    default_push: bool = False,
    files: Callable[[str], bytes | None] = read_file,
    shell: Callable[[str], dict[str, dict[str, str]]] | None = None,
) -> Settings:
    """Resolve the settings of the repository at *root*; ConfigError with place and hint for bad input."""
    data = files(f"{root}/{FILE}")
    if data is None:
        raise ConfigError(f"no {FILE} in {root}", "type `gluerun init` to write one", file=FILE)
    if found_in(data):
        raise _secret_in_file(data)  # before any complaint could quote it
    if b'"runners"' not in data:  # its configuration has no such key, and ours has it from `init` on
        _refuse_predecessor(root)
    found = read(data, FILE)
    layers = _Layers(default_push)
    layers.take(found.values, "file", FILE)
    for file, variables in (shell or read_shell_files)(str(root)).items():
        if file == SHELL_FILES[0]:
            _refuse_secrets(file, files(f"{root}/{file}") or b"", variables)
        layers.take_shell(file, variables)
    layers.take_environment(environ)
    layers.take_flags(flags)
    return layers.resolve(found)


def require_actable(config: Config) -> None:
    """Raise ConfigError unless the settings suffice to run and merge work."""
    if not config.target_branch:
        raise ConfigError("no target branch is set", f'add "targetBranch": "main" to {FILE}', file=FILE)
    if not config.runner_of("worker"):
        hint = "`gluerun runners` lists the programs that can; name one: `gluerun config set runner NAME`"
        raise ConfigError("no runner plays the worker", hint, file=FILE)
    if config.require_audit and not config.runner_of("auditor"):
        hint = f'add "roles": {{"auditor": {{"runner": "<name>"}}}} or "requireAudit": false to {FILE}'
        raise ConfigError("no runner plays the auditor, and an audit is required", hint, file=FILE)


def read_shell_files(root: str) -> dict[str, dict[str, str]]:
    """Return the `GLUERUN_` variables that each shell file sets, by file; nothing if there is no file."""
    present = [name for name in SHELL_FILES if os.path.isfile(f"{root}/{name}")]  # noqa: PTH113 idle path
    if not present:
        return {}
    from gluerun.settings_shell import read_shell

    return read_shell(root, present)


class _Layers:
    """The values so far. Each layer that is taken goes over those before it."""

    def __init__(self, default_push: bool) -> None:  # noqa: FBT001 its one caller names it
        self.values: dict[str, Any] = {knob.field: knob.default for knob in KNOBS}
        self.values["push"] = default_push
        self.sources: dict[str, str] = dict.fromkeys(self.values, "default")
        self.warnings: list[str] = []
        self.given: list[tuple[str, str, str, object]] = []

    def take(self, values: Mapping[str, Any], source: str, place: str) -> None:
        self.values.update(values)
        for field, value in values.items():
            self.sources[field] = source
            self.given.append((field, source, place, value))

    def take_shell(self, file: str, variables: Mapping[str, str]) -> None:
        source = "local file" if file.startswith(".gluerun-state/") else "file"
        for name, text in variables.items():
            if name == MODULES:
                self._take_modules(text, source, f"{file}: {name}", file)
            elif name in BY_ENV:
                self._take_text(BY_ENV[name], text, source, f"{file}: {name}", file)
            else:
                self.warnings.append(f"{file}: {name} is no setting; {nearest(name, BY_ENV)}")

    def take_environment(self, environ: Mapping[str, str]) -> None:
        for name, text in environ.items():
            if not name.startswith(PREFIX):
                continue
            if name == MODULES:
                self._take_modules(text, "environment", f"{name} in the environment", name)
            if name in BY_ENV:
                self._take_text(BY_ENV[name], text, "environment", f"{name} in the environment", "")
            elif name != MODULES and not name[len(PREFIX) :].startswith(_OTHERS):
                self._warn_of_slip(name)

    def _take_modules(self, text: str, source: str, where: str, place: str) -> None:
        names = tuple(name for name in text.replace(",", " ").split() if name)
        for name in names:
            if wrong := wrong_module(name):
                raise ConfigError(f"{where}: {name!r} {wrong}", module_hint(name))
        if names:
            self.take({"modules": names}, source, place)

    def _take_text(self, knob: Knob, text: str, source: str, place: str, file: str) -> None:
        if not text:
            return  # an empty variable means "not set", as everywhere in a shell
        try:
            self.take({knob.field: from_text(knob, text)}, source, file or knob.env)
        except ValueError as error:
            example = "main" if knob.type is str else json.dumps(knob.default)
            raise ConfigError(f"{place} {error}", f"for example {knob.env}={example}", file=file) from None

    def _warn_of_slip(self, name: str) -> None:
        import difflib

        known = [env[len(PREFIX) :] for env in BY_ENV]
        close = difflib.get_close_matches(name[len(PREFIX) :], known, 1, 0.8)
        if close:
            self.warnings.append(f"{name} in the environment is no setting; did you mean {PREFIX}{close[0]}?")

    def take_flags(self, flags: Mapping[str, object]) -> None:
        for field, value in flags.items():
            knob = BY_FIELD.get(field)
            if knob is None:
                raise UsageError(f"{field!r} is no setting", nearest(field, BY_FIELD))
            if value is None:
                continue
            flag = "--" + field.replace("_", "-")
            try:
                text = isinstance(value, str)
                self.take({field: from_text(knob, str(value)) if text else from_json(knob, value)}, "flag", flag)
            except ValueError as error:
                raise UsageError(f"{flag} {error}", f"see `gluerun --help` for {flag}") from None

    def resolve(self, found: FileValues) -> Settings:
        """Judge what only the whole can tell, and return it."""
        self._check_branch()
        self._check_words()
        self._play_roles(found)
        config = Config(**{name: value for name, value in self.values.items() if name != "runner"})
        _check_money(config, found.text)
        _check_container(config, found.text)
        _check_gates(config, found.text)
        if config.gates and config.gate_command:
            raise _two_gates(self._where("gate_command"))
        _check_pause(config, found.text)
        return Settings(
            config=replace(config, sha256=_digest(config)),
            sources=self.sources,
            warnings=tuple(self.warnings),
            schema_version=found.schema_version,
            engine_version=found.engine_version,
            given=tuple(self.given),
        )

    def _check_branch(self) -> None:
        name = self.values["target_branch"]
        if name and not is_branch(name):
            where = self._where("target_branch")
            raise ConfigError(f"{where}: {name!r} cannot be a branch name", 'for example "main"', file=FILE)

    def _check_words(self) -> None:
        self.values["control_state"] = ControlState(self.values["control_state"])
        self.values["plan_critique"] = PlanCritiqueMode(self.values["plan_critique"])
        self.values["test_tamper"] = TamperRule(self.values["test_tamper"])
        if not re.fullmatch(rf"([01][0-9]|2[0-3]):[0-5][0-9]|{NEVER}", at := self.values["nightly_at"]):
            where = self._where("nightly_at")
            raise ConfigError(
                f"{where}: `nightlyAt` {at!r} is no time of day", f'for example "02:00", or "{NEVER}"', file=FILE
            )

    def _play_roles(self, found: FileValues) -> None:
        runners: dict[str, RunnerSpec] = dict(self.values.get("runners", {}))
        own: dict[str, str] = self.values.get("roles", {})
        default = self.values["runner"]
        roles = dict.fromkeys(PLAYED, default) if default else {}
        named: list[tuple[str, tuple[str, ...], str]] = []
        if default:
            named.append((self._where("runner"), ("runner",), default))
        named += [(FILE, ("roles", role, "runner"), name) for role, name in own.items()]
        for where, place, name in named:
            if name not in runners:
                if not is_declared(name):
                    raise _no_runner(where, place, name, runners, found.text)
                runners[name] = declaration(name)
        roles |= own
        if self.values["plan_critique"] is PlanCritiqueMode.ON and "planner" in roles:
            roles.setdefault("critic", roles["planner"])
        for role, model in found.models.items():
            base = runners[roles[role]]
            # The same program and provider under a name of its own: what holds one back holds back the other.
            roles[role] = f"{base.name}@{role}"
            runners[roles[role]] = replace(base, name=roles[role], model=model, provider=base.held_as)
        self.values["roles"] = roles
        self.values["runners"] = runners

    def _where(self, field: str) -> str:
        source = self.sources[field]
        knob = BY_FIELD[field]
        return {"environment": f"{knob.env} in the environment", "flag": f"--{field.replace('_', '-')}"}.get(
            source, ".gluerun-state/config.local.sh" if source == "local file" else FILE
        )


def _check_money(config: Config, text: str) -> None:
    spans = (config.limits_try, config.limits_task, config.limits_day)
    if all(one.usd is None for one in (*spans, *(runner.limits for runner in config.runners.values()))):
        return
    from gluerun.core.money import unkept
    from gluerun.settings_place import line_of

    if wrong := unkept(config):
        where = f"{FILE}:{line_of(text, wrong.place)}: `{'.'.join(wrong.place)}`"
        raise ConfigError(f"{where} {wrong.message}", wrong.hint, file=FILE)


def _check_gates(config: Config, text: str) -> None:
    if not config.gates:
        return
    from gluerun.core.gate_faults import fault
    from gluerun.settings_place import line_of

    if wrong := fault(config.gates):
        place = ("gates", wrong.at, wrong.key) if wrong.key else ("gates", wrong.at)
        hint = nearest(wrong.wrong, wrong.known) if wrong.wrong else ""
        raise ConfigError(f"{FILE}:{line_of(text, place)}: `{dotted(place)}` {wrong.message}", hint, file=FILE)


def _two_gates(where: str) -> ConfigError:
    """Refuse two answers to one question: the single gate beside a pipeline."""
    words = f"{where}: `gateCommand` is set, and `gates`, too: which of them would judge a change?"
    hint = 'take one out; among the others it would be {"name": "gate", "command": …}'
    return ConfigError(words, hint, file=FILE)


def _check_pause(config: Config, text: str) -> None:
    """Refuse to ask about limits that nobody has set."""
    asks = {Span.TRY: config.on_limit_try, Span.TASK: config.on_limit_task}
    if all(one is OnLimit.STOP for one in asks.values()):
        return
    from gluerun.settings_place import line_of

    own = [runner.limits for runner in config.runners.values()]
    for span, limits in ((Span.TRY, [config.limits_try, *own]), (Span.TASK, [config.limits_task])):
        counted = ((one.usd, one.tokens, one.turns, one.seconds) for one in limits)
        if asks[span] is OnLimit.PAUSE and all(number is None for numbers in counted for number in numbers):
            place = ("limits", span.value, "onLimit")
            where = f"{FILE}:{line_of(text, place)}: `{'.'.join(place)}`"
            hint = f"write `usd`, `tokens`, `turns` or `seconds` under `limits.{span}`, or take it out"
            raise ConfigError(f"{where} has no limit to pause at", hint, file=FILE)


def _check_container(config: Config, text: str) -> None:
    if not config.sandbox.container:
        return
    from gluerun.core.sandbox import container_trouble
    from gluerun.settings_place import line_of

    if said := container_trouble(config.sandbox.container):
        example = '["podman", "run", "--rm", "{network}", "{mounts}", "{env}", "--workdir", "{worktree}", "<image>", '
        where = f"{FILE}:{line_of(text, ('sandbox', 'container'))}: `sandbox.container`"
        hint = f'for example {example}"{{argv}}"]'
        raise ConfigError(f"{where} {said.removeprefix('sandbox.container ')}", hint, file=FILE)


def _refuse_predecessor(root: Path | str) -> None:
    for path in PREDECESSORS:
        if os.path.exists(f"{root}/{path}"):  # noqa: PTH110 idle path
            words = f"this repository is laid out for glueRun-go: there is {path}"
            raise OtherSchemaError(words, "type `gluerun migrate`", file=FILE)


def _secret_in_file(data: bytes) -> ConfigError:
    """Say where a committed file holds what looks like a secret: line, key and kind, never the secret."""
    from gluerun.settings_place import line_of

    start, _, kind = found_in(data)[0]
    line = data.count(b"\n", 0, start) + 1
    place: tuple[str | int, ...] = ()
    try:
        text = data.decode("utf-8-sig")
        place, kind = next(_secrets_at((), json.loads(text)), ((), kind))
        line = line_of(text, place) if place else line
    except (ValueError, RecursionError):
        pass  # not even readable, which is said once the secret is gone
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    named = f"`{words}` " if words and not found_in(words.encode("utf-8", "surrogatepass")) else ""
    return ConfigError(f"{FILE}:{line}: {named}{_LOOKS} ({kind})", _INSTEAD, file=FILE)


def _secrets_at(place: tuple[str | int, ...], value: object) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield from ((place, kind) for _, _, kind in found_in(value.encode("utf-8", "surrogatepass"))[:1])
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _secrets_at((*place, at), item)
    elif isinstance(value, dict):
        for key, item in value.items():
            # A value may be known for a secret only by its name.
            yield from _secrets_at((*place, key), key)
            yield from _secrets_at((*place, key), item)
            if isinstance(item, str) and (found := found_in(f"{key}: {item}".encode("utf-8", "surrogatepass"))):
                yield (*place, key), found[0][2]


def _refuse_secrets(file: str, data: bytes, variables: Mapping[str, str]) -> None:
    for number, line in enumerate(data.split(b"\n"), 1):
        if found := found_in(line):
            words = line[: found[0][0]].decode("utf-8", "replace").rpartition("=")[0].split()
            named = f"`{words[-1]}` " if words else ""
            raise ConfigError(f"{file}:{number}: {named}{_LOOKS} ({found[0][2]})", _INSTEAD, file=file)
    for name, text in variables.items():
        if found := found_in(text.encode("utf-8", "surrogateescape")):
            raise ConfigError(f"{file}: `{name}` {_LOOKS} ({found[0][2]})", _INSTEAD, file=file)


def _no_runner(where: str, place: tuple[str, ...], name: str, runners: Mapping[str, object], text: str) -> ConfigError:
    from gluerun.settings_place import line_of

    where = f"{FILE}:{line_of(text, place)}" if where == FILE else where
    near = nearest(name, runners) if runners else ""
    hint = near if near.startswith("did") else f'describe it under "runners"; {nearest(name, declared_names())}'
    return ConfigError(f"{where}: `{'.'.join(place)}` names the runner {name!r}, which is not there", hint, file=FILE)


def _digest(config: Config) -> str:
    import hashlib

    return hashlib.sha256(codec.canonical(codec.to_wire(replace(config, sha256="")))).hexdigest()
