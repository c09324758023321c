"""What the model says: scripts of turns, written without regard to the program that will play them.

    {"turns": [{"tool": "write", "path": "a.txt", "content": "…"},   the program's own tool, else its shell
               {"tool": "read", "path": "a.txt"},
               {"tool": "shell", "command": "make test"},
               {"json": {…}},                      the tool for structured answers if there is one, else as text
               {"call": "ToolName", "args": {…}},  exactly this call
               {"text": "done"}],
     "cases": [{"when": REGEX, "turns": […]}],     other turns for prompts that match: several roles, one server
     "bind": {"nonce": REGEX},                     "$nonce" in a turn becomes what the first group found in the prompt
     "usage": {"input": 1000, "cached": 200, "output": 50}}

Any turn may add "usage" and "delay" (seconds). In the test's own process a turn may also be a function from what
was asked to such a turn. Which turn is played follows from the request alone, so that a repeated request gets the
same one, and a session can be resumed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

Json = dict[str, Any]
Turn = Json | Callable[["Asked"], Json]
Script = Mapping[str, Any]

HELLO: Script = {"turns": [{"tool": "write", "path": "hello.txt", "content": "hello\n"}, {"text": "done"}]}
USAGE = {"input": 1000, "cached": 200, "output": 50}

SHELLS = ("Bash", "bash", "exec_command", "shell_command", "shell", "run_shell_command", "local_shell")
WRITERS = ("Write", "write", "write_file", "create", "create_file")
READERS = ("Read", "read", "read_file", "view")
ANSWERERS = ("StructuredOutput", "structured_output")

# Programs tell the model somewhere where they work.
PLACES = (
    r"<cwd>",
    r"[Ww]orking directory:\s*",
    r"current working directory(?: is)?:?\s*",
    r"\*\*Workspace Directories:\*\*[^/]*",
)


class Asked(NamedTuple):
    """What one request asks, whatever its dialect: tools with their schemas, the prompt, replies since then."""

    tools: Mapping[str, Json]
    steps: int
    prompt: str
    place: str = ""


class Say(NamedTuple):
    """A reply in words."""

    text: str


class Use(NamedTuple):
    """A reply that calls a tool."""

    tool: str
    arguments: Json
    kind: str = "function"


Reply = Say | Use


def turn_for(script: Script, asked: Asked) -> tuple[int, Json]:
    """Return the number of the turn that is due, and the turn itself with all that is bound filled in."""
    case: Script = next((c for c in script.get("cases", ()) if re.search(c["when"], asked.prompt, re.DOTALL)), script)
    turns: Sequence[Turn] = case.get("turns") or HELLO["turns"]
    number = min(asked.steps, len(turns) - 1)
    turn = turns[number]
    if callable(turn):
        return number, turn(asked)
    filled: Json = _fill_in(turn, {**script.get("bind", {}), **case.get("bind", {})}, asked.prompt)
    return number, filled


def _fill_in(value: Any, bind: Mapping[str, str], prompt: str) -> Any:
    """Replace every `$name` that is bound, at any depth."""
    if isinstance(value, dict):
        return {key: _fill_in(inner, bind, prompt) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill_in(inner, bind, prompt) for inner in value]
    if isinstance(value, str):
        for name, pattern in bind.items():
            if f"${name}" in value:
                found = re.search(pattern, prompt)
                value = value.replace(f"${name}", found[1] if found else f"<{name} is not in the prompt>")
    return value


def place_in(text: str) -> str:
    """Return the folder that a program says it works in."""
    for before in PLACES:
        found = re.search(before + r"""`?(/[^\s\\"<`]+)""", text)
        if found:
            return found[1].rstrip(".,;")
    return ""


# --- from a turn to the tools that this program has -------------------------------------------------------


def reply_to(asked: Asked, turn: Json) -> Reply:
    """Translate a turn into the tools that the program announced; without tools it is always words."""
    if not asked.tools:
        return Say(turn.get("text", "A title"))
    if "call" in turn:
        return Use(turn["call"], turn.get("args", {}))
    if "json" in turn:
        name = _first(ANSWERERS, asked.tools)
        return Use(name, turn["json"]) if name else Say(json.dumps(turn["json"]))
    if turn.get("tool") == "write":
        return _write(asked, turn["path"], turn["content"])
    if turn.get("tool") == "read":
        return _read(asked, turn["path"])
    if turn.get("tool") == "shell":
        return _shell(asked, turn["command"])
    return Say(turn["text"])


def _write(asked: Asked, path: str, content: str) -> Reply:
    name = _first(WRITERS, asked.tools)
    if not name:
        return _shell(asked, f"cat > {path} <<'END_OF_FILE'\n{content}END_OF_FILE")
    schema = asked.tools[name]
    arguments = {
        _property(schema, "file_path", "filePath", "path"): str(PurePosixPath(asked.place, path)),
        _property(schema, "content", "file_text", "text"): content,
    }
    return Use(name, _complete(schema, arguments))


def _read(asked: Asked, path: str) -> Reply:
    name = _first(READERS, asked.tools)
    if not name:
        return _shell(asked, f"cat {path}")
    schema = asked.tools[name]
    full = str(PurePosixPath(asked.place, path))
    return Use(name, _complete(schema, {_property(schema, "file_path", "filePath", "absolute_path", "path"): full}))


def _shell(asked: Asked, command: str) -> Reply:
    name = _first(SHELLS, asked.tools)
    if not name:
        return Say("There is no shell here.")
    schema = asked.tools[name]
    if schema.get("x-kind") == "local_shell":
        return Use(name, {"command": ["bash", "-lc", command]}, "local_shell")
    if schema.get("x-kind") == "custom":
        return Use(name, {"input": command}, "custom")
    key = _property(schema, "command", "cmd")
    as_list = "array" in str(schema.get("properties", {}).get(key, {}).get("type", "")).lower()
    return Use(name, _complete(schema, {key: ["bash", "-lc", command] if as_list else command}))


def _first(names: Sequence[str], tools: Mapping[str, Json]) -> str:
    return next((name for name in names if name in tools), "")


def _property(schema: Json, *names: str) -> str:
    """Return the first of the names that the tool's schema knows."""
    return next((name for name in names if name in schema.get("properties", {})), names[0])


def _complete(schema: Json, arguments: Json) -> Json:
    """Add a value for everything else that the tool demands."""
    plain = {"integer": 1, "number": 1, "boolean": False, "array": [], "object": {}}
    for name in schema.get("required", ()):
        about = schema.get("properties", {}).get(name, {})
        kind = about.get("type", "string")
        kind = str(kind[0] if isinstance(kind, list) else kind).lower()
        arguments.setdefault(name, about["enum"][0] if about.get("enum") else plain.get(kind, "something"))
    return arguments
