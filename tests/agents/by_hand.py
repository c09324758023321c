"""How each program is called, and what its output says: written out by hand, without the engine's declarations."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gluerun.records.child import ChildDone, How

Json = dict[str, Any]
PROMPT = "Create hello.txt with a greeting, then say done."
# A key must look like one to nobody but the program.
KEY = "test" + "-key"


class Ask(NamedTuple):
    """What is asked of a program."""

    prompt: str = PROMPT
    session: str = ""  # to be gone on with
    schema: Json | None = None
    read_only: bool = False
    extra: tuple[str, ...] = ()


class Call(NamedTuple):
    """How a program is started: words, variables, files that must be there before, and how it is asked to stop."""

    argv: tuple[str, ...]
    env: dict[str, str] = {}  # noqa: RUF012 never changed
    files: dict[Path, str] = {}  # noqa: RUF012
    stop: str = "TERM"


class Reading(NamedTuple):
    """What a program's output says."""

    session: str = ""
    text: str = ""
    structured: Json | None = None
    is_ended: bool = False  # by the program's own mark, and without its error flag
    status: int | None = None  # of HTTP, where the program tells it
    error: str = ""
    fresh: int = 0
    cached: int = 0
    output: int = 0


def call_of(name: str, ask: Ask, *, url: str, home: Path, folder: Path) -> Call:
    """Return how the program of this name is asked."""
    return _CALLS[name](ask, url, home, folder)


def read(name: str, done: ChildDone, log: str, folder: Path) -> Reading:
    """Read what the program of this name said; only a clean exit is an end."""
    reading = _READERS[name](_lines(log), folder)
    return reading if (done.how, done.exit_code) == (How.EXITED, 0) else reading._replace(is_ended=False)


def _lines(log: str) -> list[Json]:
    """Return the lines that are JSON objects; the others are words of warning."""
    return [json.loads(line) for line in log.splitlines() if line.startswith("{") and line.endswith("}")]


# --- calls ------------------------------------------------------------------------------------------------


def _claude(ask: Ask, url: str, home: Path, folder: Path) -> Call:
    env = {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": KEY,
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "CLAUDE_CODE_MAX_RETRIES": "2",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "IS_SANDBOX": "1",  # as root it refuses to skip its questions otherwise
    }
    argv = ["-p", "--output-format", "stream-json", "--verbose", "--model", "claude-sonnet-4-5"]
    argv += ["--tools", "Read,Grep,Glob"] if ask.read_only else ["--dangerously-skip-permissions"]
    argv += ["--resume", ask.session] if ask.session else ["--session-id", str(uuid.uuid4())]
    argv += ["--json-schema", json.dumps(ask.schema)] if ask.schema else []
    return Call((*argv, *ask.extra), env, stop="INT")


def _codex(ask: Ask, url: str, home: Path, folder: Path) -> Call:
    sandbox = "read-only" if ask.read_only else "workspace-write"
    argv = ["exec", *(["resume"] if ask.session else [])]
    argv += ["--json", "--skip-git-repo-check", "--model", "fake-model", "--disable", "plugins"]
    provider = "model_providers.fake"
    settings = {
        "sandbox_mode": sandbox,
        "model_provider": "fake",
        f"{provider}.name": "fake",
        f"{provider}.base_url": f"{url}/v1",
        f"{provider}.env_key": "FAKE_KEY",
        f"{provider}.wire_api": "responses",
        f"{provider}.request_max_retries": 0,
        f"{provider}.stream_max_retries": 2,
        "check_for_update_on_startup": False,
        "analytics.enabled": False,
        "web_search": "disabled",
    }
    for key, value in settings.items():
        argv += ["-c", f"{key}={json.dumps(value)}"]
    argv += ["-o", str(folder / "last.txt")]
    argv += ["--output-schema", str(folder / "schema.json")] if ask.schema else []
    argv += [*ask.extra, *([ask.session] if ask.session else []), "-"]
    files = {home / ".codex/config.toml": ""}
    files |= {folder / "schema.json": json.dumps(ask.schema)} if ask.schema else {}
    return Call(tuple(argv), {"CODEX_HOME": str(home / ".codex"), "FAKE_KEY": KEY}, files, stop="INT")


def _gemini(ask: Ask, url: str, home: Path, folder: Path) -> Call:
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False, "maxAttempts": 3},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
    }
    env = {
        "GEMINI_API_KEY": KEY,
        "GOOGLE_GEMINI_BASE_URL": url,
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
        "GEMINI_CLI_NO_RELAUNCH": "true",
    }
    argv = ["--output-format", "stream-json", "-m", "gemini-2.5-pro"]
    argv += ["--approval-mode", "plan" if ask.read_only else "yolo"]
    argv += ["--resume", ask.session] if ask.session else []
    return Call((*argv, *ask.extra), env, {home / ".gemini/settings.json": json.dumps(settings)})


def _opencode(ask: Ask, url: str, home: Path, folder: Path) -> Call:
    model = {
        "name": "fake",
        "tool_call": True,
        "limit": {"context": 200000, "output": 8000},
        "cost": {"input": 3, "output": 15, "cache_read": 0.3},
    }
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "fake", "models": {"fake-model": model}}
    settings: Json = {
        "autoupdate": False,
        "share": "disabled",
        "model": "fake/fake-model",
        "small_model": "fake/fake-model",
        "provider": {"fake": {**provider, "options": {"baseURL": f"{url}/v1", "apiKey": KEY}}},
    }
    if ask.read_only:
        settings["permission"] = {"edit": "deny", "bash": "deny", "webfetch": "deny"}
    switches = ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS", "SHARE")
    env = {
        "OPENCODE_CONFIG_CONTENT": json.dumps(settings),
        **{f"OPENCODE_DISABLE_{switch}": "1" for switch in switches},
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_STATE_HOME": str(home / ".local/state"),
    }
    argv = ["run", "--format", "json", "--pure", "-m", "fake/fake-model", "--title", "A test"]
    argv += [] if ask.read_only else ["--auto"]
    argv += ["--session", ask.session] if ask.session else []
    return Call((*argv, *ask.extra), env)


_CALLS: dict[str, Callable[[Ask, str, Path, Path], Call]] = {
    "claude": _claude,
    "codex": _codex,
    "gemini": _gemini,
    "opencode": _opencode,
}


# --- readings ---------------------------------------------------------------------------------------------


def _read_claude(lines: list[Json], folder: Path) -> Reading:
    result: Json = next((line for line in reversed(lines) if line.get("type") == "result"), {})
    usage = result.get("usage", {})
    return Reading(
        session=next((line["session_id"] for line in lines if "session_id" in line), ""),
        text=result.get("result", ""),
        structured=result.get("structured_output"),
        is_ended=bool(result) and not result["is_error"],
        status=result.get("api_error_status"),
        error=result.get("result", "") if result.get("is_error") else "",
        fresh=usage.get("input_tokens", 0),
        cached=usage.get("cache_read_input_tokens", 0),
        output=usage.get("output_tokens", 0),
    )


def _read_codex(lines: list[Json], folder: Path) -> Reading:
    ends: list[Json] = [line for line in lines if line["type"] in ("turn.completed", "turn.failed")]
    end: Json = ends[-1] if ends else {"type": ""}
    items = [line["item"] for line in lines if line["type"] == "item.completed"]
    text = next((item["text"] for item in reversed(items) if item["type"] == "agent_message"), "")
    usage = end.get("usage", {})
    cached = usage.get("cached_input_tokens", 0)
    return Reading(
        session=next((line["thread_id"] for line in lines if line["type"] == "thread.started"), ""),
        text=text,
        structured=json.loads(text) if text.startswith("{") else None,
        is_ended=end["type"] == "turn.completed",
        error=end.get("error", {}).get("message", ""),
        fresh=usage.get("input_tokens", 0) - cached,
        cached=cached,
        output=usage.get("output_tokens", 0),
    )


def _read_gemini(lines: list[Json], folder: Path) -> Reading:
    result: Json = next((line for line in reversed(lines) if line["type"] == "result"), {})
    said = [line for line in lines if line["type"] == "message" and line.get("role") == "assistant"]
    stats = result.get("stats", {})
    return Reading(
        session=next((line["session_id"] for line in lines if line["type"] == "init"), ""),
        text="".join(line["content"] for line in said),
        is_ended=result.get("status") == "success",
        error=result.get("error", {}).get("message", ""),
        fresh=stats.get("input_tokens", 0) - stats.get("cached", 0),
        cached=stats.get("cached", 0),
        output=stats.get("output_tokens", 0),
    )


def _read_opencode(lines: list[Json], folder: Path) -> Reading:
    steps: list[Json] = [line["part"] for line in lines if line["type"] == "step_finish"]
    error: Json = next((line["error"]["data"] for line in lines if line["type"] == "error"), {})
    return Reading(
        session=next((line["sessionID"] for line in lines if "sessionID" in line), ""),
        text="".join(line["part"]["text"] for line in lines if line["type"] == "text"),
        is_ended=bool(steps) and steps[-1]["reason"] == "stop",
        status=error.get("statusCode"),
        error=error.get("message", ""),
        fresh=sum(step["tokens"]["input"] for step in steps),
        cached=sum(step["tokens"]["cache"]["read"] for step in steps),
        output=sum(step["tokens"]["output"] for step in steps),
    )


_READERS: dict[str, Callable[[list[Json], Path], Reading]] = {
    "claude": _read_claude,
    "codex": _read_codex,
    "gemini": _read_gemini,
    "opencode": _read_opencode,
}
