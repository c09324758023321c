"""How an agent program is called for one question: its words, its variables, and what must lie ready before."""

from __future__ import annotations

import hashlib

from gluerun.records import codec
from gluerun.records.placeholder import filled, names_in
from gluerun.records.record import record
from gluerun.records.runner import PromptBy, Sessions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gluerun.records.dispatch import Role
    from gluerun.records.runner import RunnerSpec

# The kernel gives one argument 128 KiB; some of that is for what stands around the prompt.
ARGUMENT_BYTES = 100_000


@record
class Ask:
    """One question to an agent program. All paths are absolute.

    `home` and `tmp` are folders of the program's own. `session` is the id under which a session may be begun,
    `resume` that of one to go on with. `confined` says that the engine's own sandbox holds the program.
    """

    role: Role
    writes: bool
    prompt: str
    prompt_file: str
    worktree: str
    home: str
    tmp: str
    output: str
    last_message: str
    schema: dict[str, Any] | None = None
    schema_file: str = ""
    session: str = ""
    resume: str = ""
    max_turns: int | None = None
    max_usd: float | None = None
    max_tokens: int | None = None
    confined: bool = False


@record
class Call:
    """How the question is put.

    `folders` must be there, `files` (path → text) must be written and `seeds` (path → file of the user's, which
    may be missing and may begin with `~/`) copied before the program starts. `session` is the id of its
    session, where that is known beforehand. A `trouble` says why it cannot be called at all.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    stdin: bool
    folders: tuple[str, ...] = ()
    files: dict[str, str] = {}  # noqa: RUF012 a default that is never changed
    seeds: dict[str, str] = {}  # noqa: RUF012
    session: str = ""
    resumed: bool = False
    trouble: str = ""


def call_of(spec: RunnerSpec, ask: Ask) -> Call:
    """Return how *spec* is called to answer *ask*."""
    resumed = bool(ask.resume) and spec.can_resume
    begun = bool(ask.session) and not resumed and spec.sessions is Sessions.PRESET and "preset" in spec.options
    session = ask.resume if resumed else ask.session if begun else ""
    schema = codec.canonical(ask.schema).decode() if ask.schema is not None else ""
    values = {
        "model": spec.model,
        "session": session,
        "prompt": ask.prompt,
        "prompt_file": ask.prompt_file,
        "schema": schema,
        "schema_file": ask.schema_file,
        "worktree": ask.worktree,
        "home": ask.home,
        "tmp": ask.tmp,
        "output": ask.output,
        "last_message": ask.last_message,
        "turns": str(ask.max_turns or ""),
        "usd": f"{ask.max_usd or 0:.4f}".rstrip("0").rstrip("."),
    }
    words = _words(spec, _options(spec, ask, resumed=resumed, begun=begun))
    argv = tuple(filled(word, values) for word in words)
    homes = {name: f"{ask.home}/{folder}" for name, folder in spec.own_homes.items()}
    needs_file = bool(schema) and any("schema_file" in names_in(word) for word in words)
    return Call(
        argv=argv,
        env={name: filled(text, values) for name, text in spec.env.items()} | homes,
        stdin=spec.prompt is PromptBy.STDIN,
        folders=tuple(dict.fromkeys((ask.home, ask.tmp, *homes.values()))),
        files={ask.schema_file: schema} if needs_file else {},
        seeds={f"{ask.home}/{target}": source for target, source in spec.seeds.items()},
        session=session,
        resumed=resumed,
        trouble=_trouble(spec, ask),
    )


def session_of(dispatch_id: str) -> str:
    """Return the session id that belongs to one question: always the same, in the form of a random UUID."""
    digits = list(hashlib.sha256(dispatch_id.encode()).hexdigest()[:32])
    digits[12], digits[16] = "4", "89ab"[int(digits[16], 16) % 4]
    text = "".join(digits)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _options(spec: RunnerSpec, ask: Ask, *, resumed: bool, begun: bool) -> frozenset[str]:
    """Return the names of the options that apply."""
    # What holds it already cannot be nested: a sandbox of its own would fail every command in ours.
    confined = ask.confined and "confined" in spec.options and (ask.writes or spec.own_sandbox)
    applies = {
        "model": bool(spec.model),
        "confined": confined,
        "write": ask.writes and not confined,
        "readOnly": not ask.writes and not confined,
        "preset": begun,
        "resume": resumed,
        "resumeId": resumed,
        "schema": ask.schema is not None,
        "maxTurns": ask.max_turns is not None,
        "maxUsd": ask.max_usd is not None,
        "meter": ask.max_usd is not None or ask.max_tokens is not None,
        "args": True,
    }
    return frozenset(name for name, does in applies.items() if does)


def _words(spec: RunnerSpec, options: frozenset[str]) -> tuple[str, ...]:
    """Return the words of a call, each option's in its place; nothing is filled in yet."""
    words: list[str] = []
    for word in spec.argv:
        if word.startswith("{+") and word.endswith("}"):
            name = word[2:-1]
            words += spec.options.get(name, ()) if name in options else ()
        else:
            words.append(word)
    return tuple(words)


def _trouble(spec: RunnerSpec, ask: Ask) -> str:
    size = len(ask.prompt.encode())
    if spec.prompt is not PromptBy.ARGUMENT or size <= ARGUMENT_BYTES:
        return ""
    return (
        f"the {ask.role}'s prompt has {size} bytes, and {spec.name} takes it as an argument, "
        f"which may have {ARGUMENT_BYTES}"
    )
