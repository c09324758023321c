"""From a repository as glueRun-go 0.3 leaves it to this engine's first data contract.

`up` is pure: paths and bytes in, paths and bytes out; `notes` says what a person should know; `processes` names
who may be at work. What is no key or setting of the engine is of no use in any version, so its tables are asked.
"""

from __future__ import annotations

import json
import re

from gluerun.records.taskfile import HEADERS
from gluerun.release import VERSION
from gluerun.settings_file import KEYS, LATER
from gluerun.settings_runners import is_declared
from gluerun.settings_table import BY_ENV

CONFIG, PIN, SHELL = "gluerun.config.json", ".gluerun-version", "gluerun.config.sh"
TASKS, BURIED = "docs/orchestration/tasks/", "docs/orchestration/tasks/superseded/"
GATES = "docs/orchestration/gates/"
STATE = ".gluerun-state/"
# What the engine may show to `up`: files, and folders that end in a slash.
READS = (
    *(CONFIG, PIN, SHELL, TASKS, GATES),
    *(f"{STATE}{name}/" for name in ("leases", "l1-leases", "dispatch", "inbox")),
    *(
        f"{STATE}{name}"
        for name in (
            *("events.ndjson", "origin-state.json", "circuit.json", "planner-backoff.json", "task-id-counter"),
            *("recover-orphans.json", "autonomate.pid", "autonomate.log", "STATUS.md"),
        )
    ),
)
LOCK = f"{STATE}locks/origin.lock.json"
STATUSES = ("ready", "accepted", "integrated", "blocked", "cancelled", "superseded")
_HEADER = re.compile(r"^(?:[-*]\s+)?\**([A-Za-z][A-Za-z0-9 _-]{1,30}?)\**\s*:\**(\s*)(.*)$")
_STATUS = re.compile(r"^((?:[-*]\s+)?\**Status\**\s*:\**\s*)`?([A-Za-z-]*)`?\s*$", re.IGNORECASE)
_FUNCTION = re.compile(r"^\s*(?:function\s+([A-Za-z_][\w-]*)|([A-Za-z_][\w-]*)\s*\(\))", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LISTS = ("owned files", "forbidden files")


def up(documents: dict[str, bytes]) -> dict[str, bytes]:
    """Return the documents as this engine has them; what is left out is taken away."""
    after = {path: data for path, data in documents.items() if not path.startswith(STATE)}
    after[CONFIG] = _config(documents)[0]
    if PIN in after:
        after[PIN] = f"{VERSION}\n".encode()
    for path in sorted(documents):
        if path.startswith(BURIED) and _is_task(path):
            data = after.pop(path)
            after.setdefault(TASKS + path.removeprefix(BURIED), _with_status(data, "superseded"))
    for path in list(after):
        if path.startswith(TASKS) and "/" not in path.removeprefix(TASKS) and _is_task(path):
            after[path] = _task(after[path])[0]
    return after


def notes(documents: dict[str, bytes]) -> list[str]:
    """Return what a person should know, in sentences."""
    found = _config(documents)[1]
    shell = documents.get(SHELL, b"").decode("utf-8", "replace")
    for one in _FUNCTION.findall(shell):
        name = one[0] or one[1]
        found.append(
            f"{SHELL}: the shell function {name} is not run here; what it did belongs to gate, prewarm or a module"
        )
    for path, data in sorted(documents.items()):
        if path.startswith(TASKS) and _is_task(path):
            found += [f"{path}: {words}" for words in _task(data)[1]]
        lease = _object(data) if path.startswith(f"{STATE}leases/") else {}
        if lease.get("status") in ("planned", "running", "needs-review"):
            words = f"was {lease['status']}; it starts anew, and what {lease.get('branch')} holds is rescued first"
            found.append(f"{lease.get('taskId')}: {words}")
    for path, data in sorted(documents.items()):
        if path.startswith(f"{STATE}inbox/") and (packet := _object(data)) and packet.get("taskId"):
            found.append(f"{packet['taskId']}: its packet was never imported; the task is done again")
    return found


def processes(documents: dict[str, bytes]) -> list[tuple[str, int, str]]:
    """Return who may be at work: who it is, the process, and when that was started as far as it is known."""
    found = []
    for path, data in sorted(documents.items()):
        one = _object(data)
        if path.startswith(f"{STATE}dispatch/") and one.get("state") == "launched":
            found.append((f"the worker of {one.get('taskId')}", one.get("pid"), one.get("startedAt")))
        elif path == LOCK:
            found.append(("a cycle", one.get("pid"), one.get("startedAt")))
        elif path == f"{STATE}autonomate.pid" and data.strip().isdigit():
            found.append(("the resident loop", int(data), ""))
    return [(who, pid, str(since or "")) for who, pid, since in found if isinstance(pid, int) and pid > 0]


def _config(documents: dict[str, bytes]) -> tuple[bytes, list[str]]:
    before = _object(documents[CONFIG])
    after, found = {}, []
    for key, value in before.items():
        if key in (
            "schemaVersion",
            "engineVersion",
            "modules",
            "controlState",
            "env",
            "identity",
            "bootstrap",
            "runner",
        ):
            continue
        if key in KEYS:
            after[key] = value
        else:
            found.append(f"{CONFIG}: {key} means nothing here and is left out")
    if before.get("modules"):
        names = ", ".join(map(str, before["modules"]))
        found.append(f"{CONFIG}: the modules {names} are written for glueRun-go and are not loaded here")
    for key in ("identity", "bootstrap"):
        if isinstance(before.get(key), dict):
            kept = {name: one for name, one in before[key].items() if f"{key}.{name}" not in LATER}
            found += [
                f"{CONFIG}: {key}.{name} means nothing here and is left out" for name in before[key].keys() - kept
            ]
            after |= {key: kept} if kept else {}
        elif key in before:
            after[key] = before[key]
    if before.get("proofLayers") and (complete := _complete(documents)):
        already = before.get("proofGrandfather")
        old = [*(already if isinstance(already, list) else []), *complete]
        after["proofGrandfather"] = list(dict.fromkeys(old))
        found.append(f"{CONFIG}: proofGrandfather names what was complete before: {', '.join(complete)}")
    env, left = _env(before.get("env"))
    after |= {"env": env} if env else {}
    found += left
    runner = before.get("runner")
    if isinstance(runner, str) and is_declared(runner):
        after["runner"] = runner
    elif runner:
        found.append(f'{CONFIG}: the runner {runner} is not known here; describe it under "runners", then set "runner"')
    after["controlState"] = _control(before.get("controlState"))
    words = "records go on being published on the branch, in the merge commits"
    found.append(f'{CONFIG}: controlState is branch: {words}; "ref" keeps them off it')
    after = {"schemaVersion": "v1", **after, "runners": {}}
    if "engineVersion" in before:
        after["engineVersion"] = VERSION
    return (json.dumps(after, indent=2, ensure_ascii=False) + "\n").encode(), found


def _control(state: object) -> object:
    """Return where records are published: where they were, and as often."""
    seconds = state.get("commitIntervalSeconds") if isinstance(state, dict) else None
    is_whole = isinstance(seconds, int) and not isinstance(seconds, bool) and seconds >= 0
    return {"mode": "branch", "commitIntervalSeconds": seconds} if is_whole else "branch"


def _complete(documents: dict[str, bytes]) -> list[str]:
    """Return the nodes that were complete: proof that nobody asked for then is not asked for now."""
    gates = [_object(data) for path, data in sorted(documents.items()) if path.startswith(GATES)]
    return [str(one["node"]) for one in gates if one.get("status") == "passed" and one.get("authoritative") is True]


def _env(value: object) -> tuple[dict[str, object], list[str]]:
    kept, found = {}, []
    for name, text in (value if isinstance(value, dict) else {}).items():
        known = name in BY_ENV or not name.startswith("GLUERUN_")
        if name == "GLUERUN_RUNNER":
            known = isinstance(text, str) and is_declared(text)
        if _NAME.fullmatch(name) and known and isinstance(text, str):
            kept[name] = text
        else:
            found.append(f"{CONFIG}: env.{name} means nothing here and is left out")
    return kept, found


def _task(data: bytes) -> tuple[bytes, list[str]]:
    """Return a task whose headers this engine knows; what else stood there becomes a section, so that it is obeyed."""
    lines, kept, strange, found = data.decode("utf-8", "replace").splitlines(), [], [], []
    known = {name.lower() for name in HEADERS}
    at = next((at for at, line in enumerate(lines) if line.startswith("## ")), len(lines))
    for line in lines[:at]:
        header = _HEADER.match(line)
        if header and header[1].strip().lower() not in (*known, *_LISTS) and header[1][0].isupper():
            strange.append(line)
            found.append(f"the header {header[1]!r} is kept as a note")
        else:
            kept.append(line)
    text = "\n".join([*kept, *lines[at:]])
    if strange:
        text = text.rstrip("\n") + "\n\n## Notes\n\n" + "\n".join(f"- {line.lstrip('-* ')}" for line in strange)
    status = next((m[2].lower() for line in kept if (m := _STATUS.match(line))), "ready")
    if status not in STATUSES:
        found.append(f"its status {status} is ready here")
        text = _with_status(text.encode(), "ready").decode()
    changed = strange or status not in STATUSES
    return ((text.rstrip("\n") + "\n").encode() if changed else data), found


def _with_status(data: bytes, status: str) -> bytes:
    lines = data.decode("utf-8", "replace").splitlines()
    for at, line in enumerate(lines):
        if line.startswith("## "):
            break
        if found := _STATUS.match(line):
            lines[at] = f"{found[1]}{status}"
            return ("\n".join(lines) + "\n").encode()
    title = next((at for at, line in enumerate(lines) if line.startswith("# ")), -1)
    return ("\n".join([*lines[: title + 1], "", f"Status: {status}", *lines[title + 1 :]]) + "\n").encode()


def _is_task(path: str) -> bool:
    return re.fullmatch(r"TASK-[0-9]{4,12}(?:[.-].*)?\.md", path.rpartition("/")[2]) is not None


def _object(data: bytes) -> dict[str, object]:
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
