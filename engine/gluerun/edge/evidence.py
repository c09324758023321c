"""The evidence of a merge commit, from the state folder and from what is published, held against its trailers."""

from __future__ import annotations

import hashlib

from gluerun.core.provenance import NO_GATE
from gluerun.core.recording import archived_path
from gluerun.errors import GluerunError, SchemaError
from gluerun.loop.evidence import AUDIT, CANDIDATE, PACKET, RECEIPT
from gluerun.loop.house import CONTROL_REF, config_path
from gluerun.loop.publishing import evidence_path, record_path
from gluerun.loop.store import run_path
from gluerun.records import codec, schema
from gluerun.records.gate import GateCheck, GateVerdict
from gluerun.records.packet import Packet
from gluerun.records.paths import ARCHIVED
from gluerun.records.record import record
from gluerun.records.task import Status, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gluerun.core.provenance import Provenance
    from gluerun.loop.house import House
    from gluerun.ports import Logged

    Wrong = list[tuple[str, str]]


@record
class Found:
    """A document where it was found."""

    place: str
    data: bytes


class Dossier:
    """What is known of the merges of one repository, wherever it lies.

    *proved* has the digests of the provers' receipts, by run, as the journal tells them.
    """

    def __init__(self, house: House, proved: dict[str, str]) -> None:
        self._house = house
        self._proved = proved
        self._published = house.doors.git.published(CONTROL_REF)
        # Also where records are published elsewhere now: they may have been there once.
        self._branch = house.config.target_branch
        self._archive = house.doors.git.published(f"refs/heads/{self._branch}", ARCHIVED)
        self._has_runs = bool(house.doors.state.names("runs"))
        self.not_here: list[str] = []
        if not self._published and not self._archive:
            fetch = "git fetch origin 'refs/gluerun/*:refs/gluerun/*'"
            self.not_here.append(f"{CONTROL_REF} is not here; to have it: {fetch}")
        if not self._has_runs:
            self.not_here.append("there are no folders of runs here: prompts and configurations were not looked at")

    def judge(self, commit: Logged, said: Provenance) -> tuple[Wrong, list[str]]:
        """Return what is wrong with a merge's evidence, each with its kind, and what of it is not here."""
        wrong: Wrong = [("trailer", f"{commit.commit[:12]}: {words}") for words in said.faults]
        missing: list[str] = []
        if not (said.task and said.run and said.packet):
            missing.append("trailers that name task, run and packet")
            return wrong, missing
        self._record(commit, said, wrong)
        packets = self._found(said, PACKET)
        for found in packets:
            self._packet(commit, said, found, wrong)
        if not packets:
            # Engines that wrote no more trailers than these published no packet either.
            if (self._published or archived_path(said.task) in self._archive) and said.config:
                wrong.append(("packet", f"{commit.commit[:12]}: the packet of {said.run} is nowhere to be found"))
            missing.append(PACKET)
        right = [found for found in packets if _is(found, said.packet)]
        packet = next((one for found in right if (one := _packet_of(found))), None)
        digests = {one.kind: one.sha256 for one in packet.evidence} if packet else {"gate-check": said.gate or None}
        self._document(said, RECEIPT, digests.get("gate-check"), wrong, missing)
        self._document(said, AUDIT, digests.get("audit"), wrong, missing)
        self._trailers(commit, said, digests, wrong)
        self._receipts(commit, said, packet, wrong)
        refs = [one.ref for one in packet.evidence if one.kind == "prompt"] if packet else []
        self._files(said, refs[0] if refs else "", wrong, missing)
        return wrong, missing

    def _found(self, said: Provenance, name: str) -> list[Found]:
        """Return a document of a merge's run wherever it lies."""
        own, published = run_path(said.run, name), evidence_path(said.task, name)
        archived = archived_path(said.task, name)
        found = [
            (own, self._house.doors.state.read(own)),
            (f"{CONTROL_REF}:{published}", self._published.get(published)),
            (f"{self._branch}:{archived}", self._archive.get(archived)),
        ]
        return [Found(place=place, data=data) for place, data in found if data is not None]

    def _record(self, commit: Logged, said: Provenance, wrong: Wrong) -> None:
        """Compare the published record of the task."""
        path, archived = record_path(said.task), archived_path(said.task)
        self._one_record(commit, said, f"{CONTROL_REF}:{path}", self._published.get(path), wrong)
        self._one_record(commit, said, f"{self._branch}:{archived}", self._archive.get(archived), wrong)

    def _one_record(self, commit: Logged, said: Provenance, place: str, data: bytes | None, wrong: Wrong) -> None:
        if data is None:
            return
        try:
            task = schema.load(Task, data, file=place)
        except GluerunError as error:
            wrong.append(("record", error.message))
            return
        # A record that rides in the merge itself cannot name it.
        if task.status is Status.INTEGRATED and task.merge_commit in (None, commit.commit):
            for what, theirs, ours in (("run", task.run_id, said.run), ("packet", task.packet_sha256, said.packet)):
                if theirs is not None and theirs != ours:
                    wrong.append(("record", f"{place} names another {what} than merge {commit.commit[:12]}"))

    def _packet(self, commit: Logged, said: Provenance, found: Found, wrong: Wrong) -> None:
        if not _is(found, said.packet):
            wrong.append(("packet", f"{found.place} is not the packet that merge {commit.commit[:12]} names"))
            return
        packet = _packet_of(found)
        if packet is None or (packet.task_id, packet.run_id) != (said.task, said.run):
            wrong.append(("packet", f"{found.place} is the packet of another run or task"))
        elif packet.head_sha != _brought(commit, said):
            wrong.append(("packet", f"{found.place} is about another commit than merge {commit.commit[:12]} brought"))

    def _document(self, said: Provenance, name: str, digest: str | None, wrong: Wrong, missing: list[str]) -> None:
        """Compare a document with the digest that the packet gives it."""
        if digest in (None, NO_GATE):
            return
        places = self._found(said, name)
        for found in places:
            document = _json(found)
            # What an older engine put there is the digest of the gate's log.
            if document is not None and name == RECEIPT and not said.config and document.get("logSha256") == digest:
                continue
            if not _is(found, digest):
                wrong.append(("receipt", f"{found.place} is not what the packet of {said.run} names"))
        if not places:
            missing.append(name)

    def _trailers(self, commit: Logged, said: Provenance, digests: dict[str, str | None], wrong: Wrong) -> None:
        """Compare what the trailers and the packet say of the same things."""
        pairs = (("gate-check", said.gate), ("prompt", said.prompt))
        for kind, ours in pairs:
            theirs = digests.get(kind)
            if ours not in ("", NO_GATE) and theirs is not None and ours != theirs:
                wrong.append(("trailer", f"merge {commit.commit[:12]} names another {kind} than its packet"))

    def _receipts(self, commit: Logged, said: Provenance, packet: Packet | None, wrong: Wrong) -> None:
        """Look whether the receipts are about these commits, and green."""
        for name, about in ((RECEIPT, packet.head_sha if packet else None), (CANDIDATE, commit.commit)):
            for found in self._found(said, name):
                try:
                    check = schema.load(GateCheck, found.data, file=found.place)
                except SchemaError as error:
                    wrong.append(("receipt", error.message))
                    continue
                if about is not None and check.commit != about and not self._is_same_code(name, about, check):
                    wrong.append(("receipt", f"{found.place} is about commit {check.commit[:12]}, not {about[:12]}"))
                told = self._proved.get(check.run_id) if name == CANDIDATE else None
                if told is not None and not _is(found, told):
                    wrong.append(("receipt", f"{found.place} is not the receipt that the journal tells of"))
                # Where no gate was concerned, nothing was passed; that it says so is no fault of the receipt.
                if check.result not in (GateVerdict.GREEN, GateVerdict.SKIPPED):
                    wrong.append(("receipt", f"{found.place} is {check.result}, not green"))

    def _is_same_code(self, name: str, commit: str, check: GateCheck) -> bool:
        """Tell whether a candidate's receipt is about the same code, on a target that records have moved since."""
        return name == CANDIDATE and self._house.doors.git.code_tree(commit) == check.code_tree

    def _files(self, said: Provenance, prompts: str, wrong: Wrong, missing: list[str]) -> None:
        """Compare what only the state folder has: the configuration and the prompt."""
        if not self._has_runs:
            return
        state = self._house.doors.state
        if said.config:
            data = state.read(config_path(said.config))
            if data is None:
                missing.append(config_path(said.config))
            elif hashlib.sha256(data).hexdigest() != said.config:
                wrong.append(("config", f"{config_path(said.config)} is not what its name says"))
        if said.prompt:
            names = [name for name in state.names(prompts) if name.endswith("-worker-prompt.md")] if prompts else []
            texts = [state.read(f"{prompts}/{name}") or b"" for name in names]
            if not texts:
                missing.append("the prompt")
            elif not any(hashlib.sha256(text).hexdigest() == said.prompt for text in texts):
                wrong.append(("prompt", f"no prompt in {prompts} is the one that the merge of {said.task} names"))


def _brought(commit: Logged, said: Provenance) -> str:
    """Return the commit of the branch that landed: the second parent, or what was squashed or replayed."""
    if len(commit.parents) == 2:
        return commit.parents[1]
    return said.head if len(commit.parents) == 1 else ""


def _json(found: Found) -> dict[str, Any] | None:
    try:
        document = codec.decode(found.data)
    except SchemaError:
        return None
    return document if isinstance(document, dict) else None


def _packet_of(found: Found) -> Packet | None:
    try:
        return schema.load(Packet, found.data, file=found.place)
    except SchemaError:
        return None


def _is(found: Found, digest: str | None) -> bool:
    document = _json(found)
    return document is not None and hashlib.sha256(codec.canonical(document)).hexdigest() == digest
