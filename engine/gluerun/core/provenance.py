"""What a merge commit says of where it comes from: trailers, written by one hand and read strictly.

A trailer is a line of the message's last paragraph. Commits of older engines carry the first three only.
"""

from __future__ import annotations

import re

from gluerun.core.chain import Head
from gluerun.records import names
from gluerun.records.record import record

TASK, RUN, PACKET = "Gluerun-Task", "Gluerun-Run", "Gluerun-Packet"
GATE, PROMPT, CONFIG = "Gluerun-Gate", "Gluerun-Prompt", "Gluerun-Config"
ENGINE, JOURNAL = "Gluerun-Engine", "Gluerun-Journal"
# Whose work it is where no parent tells: the commit of the branch that was squashed or replayed.
HEAD = "Gluerun-Head"
# What a commit takes back that was made red by it; its run and gate are those that showed it red.
REVERTS = "Gluerun-Reverts"
OURS = "Gluerun-"
# The word for the receipt of a task that has no gate.
NO_GATE = "none"

_COMMIT = r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$"
_FORMS = {
    TASK: names.TASK,
    RUN: names.RUN,
    PACKET: names.SHA256,
    HEAD: _COMMIT,
    REVERTS: _COMMIT,
    GATE: rf"{names.SHA256}|^{NO_GATE}$",
    PROMPT: names.SHA256,
    CONFIG: names.SHA256,
    ENGINE: r"^[0-9A-Za-z][0-9A-Za-z.+!_-]{0,59}$",
    JOURNAL: r"^[1-9][0-9]{0,14} [0-9a-f]{64}$",
}
_LINE = re.compile(r"([A-Za-z0-9-]+):[ \t]*(.*)")


@record
class Provenance:
    """What the trailers of one commit say; what they do not say is empty."""

    task: str = ""
    run: str = ""
    packet: str = ""
    head: str = ""
    reverts: str = ""
    gate: str = ""
    prompt: str = ""
    config: str = ""
    engine: str = ""
    journal: Head | None = None
    faults: tuple[str, ...] = ()


def merge_message(title: str, said: Provenance) -> str:
    """Return the message of a merge commit: its title, and a trailer for everything that is known."""
    return f"integrate({said.task}): {title}\n\n{_lines(said)}"


def revert_message(subject: str, said: Provenance) -> str:
    """Return the message of a commit that takes back what made the target red."""
    words = f"This reverts commit {said.reverts}, on which the gate is red for the first time."
    return f'Revert "{subject}"\n\n{words}\n\n{_lines(said)}'


def _lines(said: Provenance) -> str:
    journal = f"{said.journal.seq} {said.journal.hash}" if said.journal and said.journal.seq else ""
    pairs = (
        (TASK, said.task),
        (RUN, said.run),
        (PACKET, said.packet),
        (HEAD, said.head),
        (REVERTS, said.reverts),
        (GATE, said.gate),
        (PROMPT, said.prompt),
        (CONFIG, said.config),
        (ENGINE, said.engine),
        (JOURNAL, journal),
    )
    return "".join(f"{key}: {value}\n" for key, value in pairs if value)


def anchor_message(head: Head) -> str:
    """Return the message of a commit that anchors the journal."""
    return f"journal {head.seq}\n\n{JOURNAL}: {head.seq} {head.hash}\n"


def without_trailers(message: str) -> str:
    """Return a message without the paragraph of trailers in which ours stand."""
    if not any(key.startswith(OURS) for key, _ in _trailers(message)):
        return message
    return message.strip("\n").rsplit("\n\n", 1)[0].rstrip() + "\n"


def of_message(message: str) -> Provenance:
    """Read the trailers of a message; one of ours that is unknown, said twice or malformed is a fault."""
    found: dict[str, str] = {}
    faults: list[str] = []
    for key, value in _trailers(message):
        if not key.startswith(OURS):
            continue
        if key not in _FORMS:
            faults.append(f"the trailer {key} is none of ours")
        elif key in found:
            faults.append(f"the trailer {key} stands there twice")
        elif not re.fullmatch(_FORMS[key], value):
            faults.append(f"the trailer {key} is malformed")
        else:
            found[key] = value
    seq, _, digest = found.get(JOURNAL, "").partition(" ")
    return Provenance(
        task=found.get(TASK, ""),
        run=found.get(RUN, ""),
        packet=found.get(PACKET, ""),
        head=found.get(HEAD, ""),
        reverts=found.get(REVERTS, ""),
        gate=found.get(GATE, ""),
        prompt=found.get(PROMPT, ""),
        config=found.get(CONFIG, ""),
        engine=found.get(ENGINE, ""),
        journal=Head(seq=int(seq), hash=digest) if seq else None,
        faults=tuple(faults),
    )


def _trailers(message: str) -> list[tuple[str, str]]:
    """Return the trailers of a message's last paragraph; none unless every line of it is one."""
    paragraphs = [part for part in re.split(r"\n[ \t]*\n", message.strip("\n")) if part.strip()]
    if len(paragraphs) < 2:
        return []  # a title is no trailer
    lines = [_LINE.fullmatch(line) for line in paragraphs[-1].split("\n")]
    return [(line[1], line[2].strip()) for line in lines if line] if all(lines) else []
