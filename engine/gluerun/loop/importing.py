"""Many task files at once, all or none: the intent is written first, and whoever comes by finishes it."""

from __future__ import annotations

from gluerun.errors import BusyError, SchemaError, UsageError
from gluerun.loop.hosting import claim, holder, new_origin_run
from gluerun.loop.observe import TASKS
from gluerun.records import names, schema
from gluerun.records.planning import ImportIntent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gluerun.loop.house import House

INTENTS = "imports"
_PATIENCE, _LOOKS = 0.2, 10


def take_in(house: House, source: str, compose: Callable[[], dict[str, str]]) -> dict[str, str]:
    """Write the task files that *compose* returns, by path, while no cycle runs; BusyError if one does for long."""
    for left in range(_LOOKS, -1, -1):
        try:
            with house.doors.locks.origin(holder(house, new_origin_run(house))):
                return _take_in(house, source, compose)
        except BusyError:
            if not left:
                raise
            house.doors.watch.wait((), _PATIENCE)
    return {}


def _take_in(house: House, source: str, compose: Callable[[], dict[str, str]]) -> dict[str, str]:
    claim(house)
    house.journal.mend(house.now())
    finish_imports(house)
    files = compose()
    if not files:
        return files
    intent = ImportIntent(source=source, created_at=house.now(), files=files)
    path = f"{INTENTS}/{house.doors.clock.token(4)}.json"
    taken = [one for one in files if house.doors.work.mark(one) is not None]
    if taken:
        raise UsageError(f"{taken[0]} has appeared meanwhile", "type it again: another id will be taken")
    house.store.files.write(path, schema.dump(intent))
    _carry_out(house, intent)
    house.store.files.remove(path)
    ids = [one.rpartition("/")[2].removesuffix(".md") for one in files]
    house.tell("import.taken", f"{source}: {', '.join(ids)}", tasks=ids)
    house.journal.flush()
    house.anchor()
    return files


def finish_imports(house: House) -> None:
    """Write what a crash kept from being written. The origin lock is held."""
    for name in house.store.files.names(INTENTS):
        path = f"{INTENTS}/{name}"
        try:
            intent = schema.load(ImportIntent, house.store.files.read(path) or b"", file=path)
        except SchemaError as error:
            house.store.copy_aside(path)
            house.tell("record.set_aside", f"{path}: {error.message}", path=path)
        else:
            _carry_out(house, intent)
        house.store.files.remove(path)


def _carry_out(house: House, intent: ImportIntent) -> None:
    house.doors.work.sweep(TASKS)
    for path, text in intent.files.items():
        task_id = path.removeprefix(f"{TASKS}/").removesuffix(".md")
        if names.is_task(task_id) and house.store.any_task(task_id) is None:
            house.doors.work.create(path, text.encode())
