"""The modules that a repository lists: loaded on first use, asked one by one, so that who fails can be named.

A module is a dotted name of the installed Python, or a `.py` file of the repository. Such a file is read from a commit
of the target branch and never from a work tree: what guards an agent is what people have merged.
"""

from __future__ import annotations

from gluerun.records.objection import Objection
from gluerun.records.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from gluerun.records.event import Event

# A module that calls `sys.exit` ends nothing but itself.
_FAILURES = (Exception, SystemExit)
CHECK, PROMOTE = "gluerun_check", "gluerun_promote"


@record
class Loaded:
    """One module by its name: its hooks, or why there are none."""

    name: str
    manager: Any = None
    hooks: tuple[str, ...] = ()
    trouble: str = ""


def load(names: Iterable[str], read: Callable[[str], bytes | None]) -> tuple[Loaded, ...]:
    """Load modules by name; *read* returns a file of the commit that the files among them are taken from."""
    return tuple(_load(name, read) for name in names)


def objections(loaded: Iterable[Loaded], hook: str, **given: object) -> tuple[Objection, ...]:
    """Return what the modules have against what they are given; one that fails objects."""
    found: list[Objection] = []
    for one in loaded:
        if one.trouble:
            found.append(Objection(module=one.name, reason=f"cannot be loaded: {one.trouble}", broken=True))
            continue
        try:
            for answer in getattr(one.manager.hook, hook)(**given):
                found += [replace(_judged(item), module=one.name) for item in answer or ()]
        except _FAILURES as error:  # whatever a module does, it does not end the run
            found.append(Objection(module=one.name, reason=f"failed: {_words(error)}", broken=True))
    return tuple(found)


class Listeners:
    """The modules that hear of events; one that fails is told of once, by *tell*, and left alone."""

    def __init__(self, loaded: tuple[Loaded, ...], tell: Callable[..., None]) -> None:
        self._loaded = loaded
        self._tell = tell
        self._failed: set[str] = set()

    def hear(self, events: list[Event]) -> None:
        """Pass events on."""
        for one in self._loaded:
            if one.name in self._failed:
                continue
            trouble = one.trouble and f"cannot be loaded: {one.trouble}"
            try:
                for event in events if not trouble else ():
                    one.manager.hook.gluerun_told(event=event)
            except _FAILURES as error:  # who only listens cannot hold anything up
                trouble = f"failed: {_words(error)}"
            if trouble:
                self._failed.add(one.name)
                self._tell("module.failed", f"the module {one.name} {trouble}", module=one.name)


def _load(name: str, read: Callable[[str], bytes | None]) -> Loaded:
    import pluggy

    from gluerun.kit import PROJECT, Hooks

    try:
        module = _of_file(name, read) if name.endswith(".py") else _of_python(name)
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(Hooks)
        manager.register(module, name)
        manager.check_pending()
        hooks = tuple(sorted(caller.name for caller in manager.get_hookcallers(module) or ()))
        if not hooks:
            return Loaded(name=name, trouble="it implements no hook")
        return Loaded(name=name, manager=manager, hooks=hooks)
    except _FAILURES as error:  # a module may fail in any way while it is imported
        return Loaded(name=name, trouble=_words(error))


def _of_python(name: str) -> object:
    import importlib

    return importlib.import_module(name)


def _of_file(path: str, read: Callable[[str], bytes | None]) -> object:
    import types

    source = read(path)
    if source is None:
        raise FileNotFoundError(f"{path} is not in that commit")
    module = types.ModuleType(path.removesuffix(".py").replace("/", "."))
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 people listed and merged it
    return module


def _judged(item: object) -> Objection:
    if not isinstance(item, Objection):
        raise TypeError(f"it answered with {type(item).__name__} instead of Objection")
    return item


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
