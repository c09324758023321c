"""An agent program as data: how it is called, how it is read, what it can and what it may."""

from __future__ import annotations

from enum import StrEnum

from gluerun.records.record import record


class RunnerKind(StrEnum):
    """Who drives: a program of the user's machine, or one of the two that come with the engine for rehearsals."""

    COMMAND = "command"
    SCRIPTED = "scripted"
    REPLAY = "replay"


class Dialect(StrEnum):
    """What a program prints: each one has a reader in `core.stream`."""

    TEXT = "text"
    CLAUDE = "claude-jsonl"
    CODEX = "codex-jsonl"
    GEMINI = "gemini-jsonl"
    OPENCODE = "opencode-jsonl"
    COPILOT = "copilot-jsonl"
    VIBE = "vibe-jsonl"


class PromptBy(StrEnum):
    """How the prompt reaches a program."""

    STDIN = "stdin"
    FILE = "file"
    ARGUMENT = "argument"


class Sessions(StrEnum):
    """Whether a session can be resumed, and who names it."""

    NONE = "none"
    PRESET = "preset"
    CAPTURED = "captured"


@record
class Limits:
    """What a program may use up; None means no limit. Money in US dollars."""

    usd: float | None = None
    tokens: int | None = None
    turns: int | None = None
    seconds: int | None = None
    idle_seconds: int | None = None
    output_bytes: int | None = None
    no_write: bool = False


@record
class Price:
    """What a model costs, in US dollars for a million tokens."""

    fresh: float
    cached: float
    output: float


@record
class RunnerSpec:
    """One agent program as data. Seconds; zero means no limit.

    A word of `argv` in braces with a plus sign, as `{+model}`, stands for that entry of `options`, or for
    nothing where it does not apply; other words in braces are filled in (`core.calling` has the tables).
    """

    name: str
    kind: RunnerKind = RunnerKind.COMMAND
    argv: tuple[str, ...] = ()
    timeout_seconds: int = 1200
    idle_seconds: int = 0
    env: dict[str, str] = {}  # noqa: RUF012 a default that is never changed
    credentials: tuple[str, ...] = ()
    scenario: str = ""
    declaration: str = ""
    provider: str = ""
    model: str = ""
    options: dict[str, tuple[str, ...]] = {}  # noqa: RUF012
    prompt: PromptBy = PromptBy.STDIN
    dialect: Dialect = Dialect.TEXT
    sessions: Sessions = Sessions.NONE
    stop: str = "TERM"
    exits: dict[str, str] = {}  # noqa: RUF012 exit code → fault
    state: tuple[str, ...] = ()
    own_homes: dict[str, str] = {}  # noqa: RUF012 variable → folder below the run's own home
    seeds: dict[str, str] = {}  # noqa: RUF012 file below the run's own home → file of the user's that is copied there
    version: tuple[str, ...] = ()
    min_version: str = ""
    own_sandbox: bool = False
    limits: Limits = Limits()

    @property
    def held_as(self) -> str:
        """Return the name under which this program's provider is held back."""
        return self.provider or self.name

    @property
    def can_read_only(self) -> bool:
        """Tell whether the program has flags that keep it from writing."""
        return bool(self.options.get("readOnly"))

    @property
    def can_resume(self) -> bool:
        """Tell whether a session of the program can be resumed."""
        return self.sessions is not Sessions.NONE and bool(self.options.get("resume"))
