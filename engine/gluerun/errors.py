"""What can stop us, and the exit code each of these ends a command with."""

from __future__ import annotations

OK = 0
SAYS_NO = 1
REFUSED = 2
PARKED = 3
OUR_BUG = 70
BUSY = 75
TIMED_OUT = 124
MISSING = 127
INTERRUPTED = 130

EXIT_CODES: tuple[tuple[int, str], ...] = (
    (OK, "done; also: stopped or out of budget, in good order"),
    (SAYS_NO, "a judging verb says no, or `reconcile --drain` timed out"),
    (REFUSED, "wrong usage, configuration or schema; refused by policy"),
    (PARKED, "decided: the task is parked or terminal"),
    (OUR_BUG, "a defect of gluerun; a report file is named"),
    (BUSY, "another cycle holds the lock"),
    (TIMED_OUT, "a tool timed out"),
    (MISSING, "a tool is missing"),
    (INTERRUPTED, "interrupted"),
)


class GluerunError(Exception):
    """A problem we expected: one sentence, the next thing to type, and where it is."""

    code = REFUSED
    kind = "error"

    def __init__(self, message: str, hint: str = "", *, file: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.file = file


class UsageError(GluerunError):
    """The command's words are off, or the place is wrong."""

    kind = "usage"


class DecidedError(GluerunError):
    """What was asked about is parked or terminal, and stays so."""

    code = PARKED
    kind = "decided"


class ConfigError(GluerunError):
    """Something a person wrote (configuration, task, graph) cannot be used."""

    kind = "config"


class OtherSchemaError(ConfigError):
    """The repository is written for another data contract than this engine's."""


class SchemaError(GluerunError):
    """A document does not have the shape its schema demands."""

    kind = "schema"


class StateError(GluerunError):
    """One of our own files cannot be used."""

    kind = "state"


class FullDiskError(StateError):
    """The disk takes no more: what helps is room, and a resident loop waits for it."""


class BusyError(GluerunError):
    """Somebody else holds the lock that is needed."""

    code = BUSY
    kind = "busy"


class OtherHostError(BusyError):
    """Another machine works in this state folder: waiting does not help."""


class GitError(GluerunError):
    """git refused, and what it said."""

    kind = "git"


class SigningError(GitError):
    """A commit could not be signed: nothing is wrong with what it holds."""


class NoRoomError(GitError):
    """git found no room on the disk for what it was to store; smaller work may still find some."""


class ToolMissingError(GluerunError):
    """A program that is needed is not installed."""

    code = MISSING
    kind = "missing"


class ImpossibleError(Exception):
    """A state that cannot be: a defect of ours, never a user's mistake."""
