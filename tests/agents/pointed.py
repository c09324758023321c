"""How each program is pointed at the fake model: what a person writes in the configuration, and nothing else.

How it is called and how it is read is the engine's own: its declarations, `core.calling`, `core.reading`.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.agents.model.server import FakeModel

from gluerun.records.runner import RunnerSpec
from gluerun.settings_runners import runners
from gluerun.settings_walk import Walk

# A key must look like one to nobody but the program.
KEY = "test" + "-key"
CLAUDE_MODEL, CODEX_MODEL, GEMINI_MODEL = "claude-sonnet-4-5", "fake-model", "gemini-2.5-pro"

Entry = dict[str, object]


def spec_of(name: str, model: FakeModel, **more: object) -> RunnerSpec:
    """Return the shipped declaration of this name, pointed at the model, with more of an entry over it."""
    entry = ENTRIES[name](model)
    return runners(Walk("", "a test"), ("runners",), {name: {**entry, **more}})[name]


def claude(model: FakeModel, model_name: str = CLAUDE_MODEL) -> Entry:
    """Point claude at the model."""
    return {"model": model_name, "env": {"ANTHROPIC_BASE_URL": model.url, "ANTHROPIC_API_KEY": KEY}}


def codex(model: FakeModel, model_name: str = CODEX_MODEL, provider: str = "fake") -> Entry:
    """Point codex at the model, as a provider of this name."""
    return {"model": model_name, "env": {"FAKE_KEY": KEY}, "options": {"args": codex_words(model, provider)}}


def codex_settings(model: FakeModel, home: Path) -> None:
    """Point codex at the model for whoever has this home, as its own settings do."""
    (home / ".codex").mkdir(exist_ok=True)
    (home / ".codex/config.toml").write_text(
        f'model = "{CODEX_MODEL}"\nmodel_provider = "fake"\n[model_providers.fake]\nname = "fake"\n'
        f'base_url = "{model.url}/v1"\nenv_key = "OPENAI_API_KEY"\nwire_api = "responses"\n'
    )


def codex_words(model: FakeModel, provider: str = "fake") -> list[str]:
    """Return the words that point codex at the model."""
    settings = {
        "model_provider": provider,
        f"model_providers.{provider}.name": provider,
        f"model_providers.{provider}.base_url": f"{model.url}/v1",
        f"model_providers.{provider}.env_key": "FAKE_KEY",
        f"model_providers.{provider}.wire_api": "responses",
        f"model_providers.{provider}.request_max_retries": 0,
        f"model_providers.{provider}.stream_max_retries": 2,
    }
    return [word for key, value in settings.items() for word in ("-c", f"{key}={json.dumps(value)}")]


def _gemini(model: FakeModel) -> Entry:
    return {"model": GEMINI_MODEL, "env": {"GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": model.url}}


def _opencode(model: FakeModel) -> Entry:
    one = {
        "name": "fake",
        "tool_call": True,
        "limit": {"context": 200000, "output": 8000},
        "cost": {"input": 3, "output": 15, "cache_read": 0.3},
    }
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "fake", "models": {"fake-model": one}}
    settings = {
        "share": "disabled",
        "small_model": "fake/fake-model",
        "provider": {"fake": {**provider, "options": {"baseURL": f"{model.url}/v1", "apiKey": KEY}}},
    }
    quiet = {f"OPENCODE_DISABLE_{switch}": "1" for switch in ("MODELS_FETCH", "DEFAULT_PLUGINS", "SHARE")}
    return {
        "model": "fake/fake-model",
        "env": {"OPENCODE_CONFIG_CONTENT": json.dumps(settings), **quiet},
        "options": {"args": ["--pure"]},
    }


ENTRIES = {"claude": claude, "codex": codex, "gemini": _gemini, "opencode": _opencode}


def lay_out(name: str, home: Path) -> None:
    """Write what a person has in a home beside the configuration."""
    if name == "codex":
        (home / ".codex").mkdir(exist_ok=True)
    if name == "claude":
        (home / ".claude").mkdir(exist_ok=True)
    if name == "gemini":
        settings = {
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False, "maxAttempts": 3},
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {"enabled": False},
        }
        (home / ".gemini").mkdir(exist_ok=True)
        (home / ".gemini/settings.json").write_text(json.dumps(settings))
