"""The words in braces that stand in a runner's argv, options and variables, and what may be put for them."""

from __future__ import annotations

import re

from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gluerun.records.runner import RunnerSpec

FILLED: dict[str, str] = {
    "model": "the model's name",
    "session": "the id of the session that is begun or resumed",
    "prompt": "the prompt itself",
    "prompt_file": "the file that holds the prompt",
    "schema": "the schema of the answer, as JSON",
    "schema_file": "the file that holds that schema",
    "worktree": "the working folder",
    "home": "the folder that this runner has for itself",
    "tmp": "the folder for temporary files",
    "output": "the file for the answer",
    "last_message": "the file into which the program writes its last message",
    "turns": "the limit of turns",
    "usd": "the limit of money, in US dollars",
}
OPTIONS: dict[str, str] = {
    "model": "a model is named",
    "write": "the role may write",
    "readOnly": "the role may not write",
    "confined": "the engine's own sandbox holds the program: instead of `write`, with `ownSandbox` also of `readOnly`",
    "preset": "a session is begun under an id that the engine chose",
    "resume": "a session is resumed",
    "resumeId": "a session is resumed: the place of its id, where that is not beside `resume`",
    "schema": "the answer has a schema",
    "maxTurns": "turns are limited",
    "maxUsd": "money is limited",
    "meter": "money or tokens are limited",
    "args": "always: the place for words of your own",
}
# `${NAME}` is a shell's; a name in double braces stands for itself in single ones.
_PLACE = re.compile(r"(?<!\$)\{\{([A-Za-z_]+)\}\}|(?<!\$)\{(\+?[A-Za-z_]+)\}")


@record
class Strange:
    """A placeholder that means nothing where it stands, and those that would."""

    where: tuple[str | int, ...]
    word: str
    known: tuple[str, ...]


def names_in(word: str) -> tuple[str, ...]:
    """Return the names in braces in *word*; those of options begin with a plus sign."""
    if "{" not in word:
        return ()
    return tuple(found[2] for found in _PLACE.finditer(word) if found[2])


def filled(word: str, values: Mapping[str, str]) -> str:
    """Return *word* with each name in braces replaced by its value; what has none stays as it is."""
    if "{" not in word:
        return word
    return _PLACE.sub(lambda found: f"{{{found[1]}}}" if found[1] else values.get(found[2], found[0]), word)


def strange(spec: RunnerSpec) -> Strange | None:
    """Return the first placeholder of *spec* that nothing can be put for."""
    options = tuple(f"+{name}" for name in OPTIONS)
    for at, word in enumerate(spec.argv):
        # An option is a word of its own: it stands for any number of words.
        known = (*FILLED, *options) if word.startswith("{+") and word.endswith("}") else tuple(FILLED)
        if found := _first_strange(("argv", at), word, known):
            return found
    for name, words in spec.options.items():
        for at, word in enumerate(words):
            if found := _first_strange(("options", name, at), word, tuple(FILLED)):
                return found
    for name, word in spec.env.items():
        if found := _first_strange(("env", name), word, tuple(FILLED)):
            return found
    return None


def _first_strange(where: tuple[str | int, ...], word: str, known: Iterable[str]) -> Strange | None:
    known = tuple(known)
    name = next((name for name in names_in(word) if name not in known), None)
    return Strange(where=where, word=name, known=known) if name else None
