"""The evidence of an accepted run: which documents it is, and what their digests are."""

from __future__ import annotations

import hashlib

from gluerun.errors import GluerunError
from gluerun.loop.store import run_path
from gluerun.records import codec, schema
from gluerun.records.packet import Packet
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.loop.store import Store
    from gluerun.ports import Git
    from gluerun.records.task import Task

PACKET, RECEIPT, AUDIT = "packet.json", "gate-check.json", "audit.json"
# The receipt of the candidate itself, taken over from the prover's run: the merge commit cannot name it.
CANDIDATE = "candidate-gate-check.json"
DOCUMENTS = (PACKET, RECEIPT, AUDIT, CANDIDATE)


@record
class Known:
    """The digests that a merge commit is given; empty where the folder does not know any more."""

    gate: str = ""
    prompt: str = ""
    config: str = ""


def evidence_of(store: Store, task: Task) -> Known:
    """Return what the run's folder and its packet, if it is the one that was accepted, say of an accepted task."""
    if task.run_id is None:
        return Known()
    try:
        document = store.document(task.run_id, PACKET)
        packet = schema.admit(Packet, document)
        dispatch = store.known_dispatch(task.run_id)
    except GluerunError:
        return Known()
    if hashlib.sha256(codec.canonical(document)).hexdigest() != task.packet_sha256:
        return Known()
    digests = {one.kind: one.sha256 or "" for one in packet.evidence}
    config = dispatch.config_sha256 if dispatch else ""
    return Known(gate=digests.get("gate-check", ""), prompt=digests.get("prompt", ""), config=config)


def keep_candidate_receipt(store: Store, task: Task, prover: str) -> str | None:
    """Put the receipt of the candidate's gate beside the other evidence of the task's run; return its digest."""
    data = store.files.read(run_path(prover, RECEIPT))
    if data is None or task.run_id is None:
        return None
    store.files.write(run_path(task.run_id, CANDIDATE), data)
    return hashlib.sha256(codec.canonical(codec.decode(data))).hexdigest()


def drop_other_receipt(store: Store, git: Git, task: Task, commit: str) -> None:
    """Remove the receipt of a candidate that is not the one that has landed: it would speak for other code.

    One about the same code on a target that records alone have moved since is none of another.
    """
    path = run_path(task.run_id, CANDIDATE) if task.run_id is not None else ""
    data = store.files.read(path) if path else None
    about = codec.decode(data) if data is not None else {}
    if data is not None and about.get("commit") != commit and about.get("codeTree") != git.code_tree(commit):
        store.files.remove(path)


def documents(store: Store, run_id: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every document of a run that is evidence, as far as they are there."""
    for name in DOCUMENTS:
        data = store.files.read(run_path(run_id, name))
        if data is not None:
            yield name, data
