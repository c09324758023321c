"""Whether what is told of the past is whole: the journal's chain, its anchors, and the evidence of each merge.

Reads only, and takes no lock. What is not here (a state folder, refs that were never fetched) is named and not held
against anybody; what is here must agree with itself and with everything that speaks of it.
"""

from __future__ import annotations

import hashlib

from gluerun.core.chain import BROKEN, LOST, Fault, Head, before, document_of, follow, kind_of, lines_of
from gluerun.core.provenance import JOURNAL, OURS, of_message
from gluerun.edge.evidence import Dossier
from gluerun.errors import SchemaError, UsageError
from gluerun.loop.house import ANCHOR, JOURNAL_REF
from gluerun.loop.journal import PATH, SEALED, journal_files
from gluerun.records import schema
from gluerun.records.event import JournalAnchor
from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gluerun.core.chain import Segment
    from gluerun.core.provenance import Provenance
    from gluerun.loop.house import House
    from gluerun.ports import Logged


@record
class Problem:
    """Something that does not hold: an event by its number, or a commit, and what is wrong with it."""

    kind: str
    message: str
    event: int | None = None
    commit: str | None = None


@record
class MergedCommit:
    """One merge of the target branch: `whole`, `broken` (see the problems), or what of its evidence is not here."""

    commit: str
    task: str
    run: str
    evidence: str
    not_here: tuple[str, ...] = ()


@record
class Verification:
    """What `gluerun verify` answers."""

    SCHEMA = "verification.v0"

    is_whole: bool
    events: int
    head: int
    anchors: int
    problems: tuple[Problem, ...]
    not_here: tuple[str, ...]
    merged: tuple[MergedCommit, ...]
    first_bad_event: int | None = None
    noted: tuple[int, ...] = ()


@record
class Anchor:
    """Where somebody outside the state folder says that the journal stood."""

    head: Head
    place: str


def verify(house: House, commits: Sequence[str] = ()) -> Verification:
    """Recompute everything; of the merges only *commits*, if any are named."""
    git, target = house.doors.git, house.config.target_branch
    history = [(one, of_message(one.message)) for one in git.logged(f"refs/heads/{target}", OURS)]
    merges = [(one, said) for one, said in history if said.task or said.packet or said.faults]
    not_here: list[str] = []
    anchors, problems = _anchors(house, history, not_here)
    chain = Chain(house, anchors)
    chain.follow()
    problems += chain.problems
    not_here += chain.not_here
    problems += _landings(house, chain.landed, {one.commit for one, _ in history})
    chosen = _chosen(house, merges, commits)
    dossier = Dossier(house, chain.proved)
    not_here += dossier.not_here
    merged = []
    for one, said in chosen:
        wrong, missing = dossier.judge(one, said)
        problems += [Problem(kind=kind, message=words, commit=one.commit) for kind, words in wrong]
        evidence = "broken" if wrong else "incomplete" if missing else "whole"
        merged.append(
            MergedCommit(commit=one.commit, task=said.task, run=said.run, evidence=evidence, not_here=tuple(missing))
        )
    bad = [one.event for one in problems if one.event is not None]
    return Verification(
        is_whole=not problems,
        events=chain.events,
        head=chain.head.seq,
        anchors=len(anchors),
        problems=tuple(problems),
        not_here=tuple(not_here),
        merged=tuple(merged),
        first_bad_event=min(bad, default=None),
        noted=tuple(chain.noted),
    )


def _chosen(
    house: House, merges: list[tuple[Logged, Provenance]], wanted: Sequence[str]
) -> list[tuple[Logged, Provenance]]:
    if not wanted:
        return merges
    known = {one.commit: (one, said) for one, said in merges}
    found = []
    for name in wanted:
        commit = house.doors.git.commit_of(name)
        if commit is None:
            raise UsageError(f"{name!r} names no commit here")
        if commit not in known:
            words = f"{name} is no merge of the engine on {house.config.target_branch}"
            raise UsageError(words, "type `gluerun verify` without a commit to see them all")
        found.append(known[commit])
    return found


def _anchors(
    house: House, history: list[tuple[Logged, Provenance]], not_here: list[str]
) -> tuple[list[Anchor], list[Problem]]:
    """Return everything that says where the journal stood, and what is wrong with that by itself."""
    logged = house.doors.git.logged(JOURNAL_REF, JOURNAL)
    anchors, problems = [], []
    newer: Head | None = None
    for one in logged:
        said = of_message(one.message)
        where = f"the anchor {one.commit[:12]} on {JOURNAL_REF}"
        if said.journal is None or said.faults:
            problems.append(Problem(kind="anchor", message=f"{where} cannot be read", commit=one.commit))
            continue
        if newer is not None and newer.seq <= said.journal.seq:
            words = (
                f"{where} stands at event {said.journal.seq}, the one after it at {newer.seq}: the journal went back"
            )
            problems.append(Problem(kind="anchor", message=words, event=newer.seq + 1, commit=one.commit))
        newer = said.journal
        anchors.append(Anchor(head=said.journal, place=where))
    problems += _anchor_file(house, anchors)
    in_trailers = [(one, said.journal) for one, said in history if said.journal is not None]
    anchors += [Anchor(head=head, place=f"the trailer of merge {one.commit[:12]}") for one, head in in_trailers]
    if not logged:
        has_state = house.doors.state.mark(PATH) is not None
        if has_state and in_trailers:
            words = f"{JOURNAL_REF} is gone, although merges speak of a journal that was anchored"
            problems.append(Problem(kind="anchor", message=words))
        else:
            not_here.append(f"{JOURNAL_REF} is not here; to have it: git fetch origin 'refs/gluerun/*:refs/gluerun/*'")
    said_of: dict[int, Anchor] = {}
    for anchor in anchors:
        other = said_of.setdefault(anchor.head.seq, anchor)
        if other.head != anchor.head:
            words = f"{anchor.place} and {other.place} do not agree about event {anchor.head.seq}"
            problems.append(Problem(kind="anchor", message=words, event=anchor.head.seq))
    return anchors, problems


def _anchor_file(house: House, anchors: list[Anchor]) -> list[Problem]:
    """Return what is wrong with the file of the newest anchor, which must say what its message says."""
    commit = house.doors.git.commit_of(JOURNAL_REF)
    if commit is None:
        return []
    data = house.doors.git.file_at(commit, ANCHOR)
    try:
        said = schema.load(JournalAnchor, data or b"", file=f"{JOURNAL_REF}:{ANCHOR}")
    except SchemaError as error:
        return [Problem(kind="anchor", message=error.message, commit=commit)]
    if anchors and anchors[0].head == Head(seq=said.seq, hash=said.hash):
        return []
    words = f"{JOURNAL_REF}:{ANCHOR} says event {said.seq}, which its commit's message does not"
    return [Problem(kind="anchor", message=words, event=said.seq, commit=commit)]


class Chain:
    """The journal, followed from its first event to its last, with every anchor beside it."""

    def __init__(self, house: House, anchors: list[Anchor]) -> None:
        self.files = journal_files(house.doors.state)
        self.target = house.config.target_branch
        self.was_used = not house.store.is_new()
        self.anchors: dict[int, list[Anchor]] = {}
        for one in anchors:
            self.anchors.setdefault(one.head.seq, []).append(one)
        self.problems: list[Problem] = []
        self.landed: list[tuple[int, str]] = []
        self.head = Head()
        self.events = 0
        self.agreed = 0
        self.rewritten = False
        self.not_here: list[str] = []
        self.proved: dict[str, str] = {}
        self.noted: list[int] = []

    def follow(self) -> None:
        """Follow the whole of it. After a fault the rest of that file says nothing; the next file is followed."""
        before_it: bytes = b""
        fault: Fault | None = None
        for segment, data in self.files:
            fault = self._follow_file(segment, data, before_it, fault)
            before_it = data
        if self.files or self.was_used:
            if fault is None:
                self._look_beyond()
        else:
            self.not_here.append("there is no journal here: its anchors were compared with each other only")

    def _follow_file(
        self, segment: Segment | None, data: bytes, before_it: bytes, earlier: Fault | None
    ) -> Fault | None:
        """Follow one file, after the bytes of the one before and its fault; return the first fault of this one."""
        name = PATH if segment is None else f"{SEALED}/{segment.name}"
        lines = lines_of(data)
        if lines:
            self._begin(lines[0], name, before_it, earlier)
        fault = self._lines(lines, name)
        if fault is None and not data.endswith(b"\n") and data:
            fault = Fault(seq=self.head.seq + 1, reason="its line is torn")
            self._tell("torn" if segment is None else "event", fault, name)
        if fault is None and segment is not None:
            first = self.head.seq - len(lines) + 1
            if (first, self.head.seq) != (segment.first, segment.last):
                fault = Fault(seq=self.head.seq + 1, reason="the file does not hold what its name says")
                self._tell("segment", fault, name)
        if fault is not None and segment is not None:
            self.head = Head(seq=segment.last, hash="")
        return fault

    def _begin(self, line: bytes, name: str, before_it: bytes, earlier: Fault | None) -> None:
        """Judge what a file's first line follows, where that is not simply the last line of the file before."""
        start, kind = before(line), kind_of(line)
        if start is None or isinstance(follow(start, line), Fault):
            return
        if kind == BROKEN and before_it:
            if start.hash != hashlib.sha256(before_it).hexdigest():
                fault = Fault(seq=start.seq + 1, reason="the broken file before it is not the one that was sealed")
                self._tell("segment", fault, name)
            elif earlier is not None:
                self.noted.append(earlier.seq)
            self.head = start
        elif earlier is not None:
            self.head = start
        elif kind == LOST and not self.head.seq and any(one.head == start for one in self.anchors.get(start.seq, ())):
            self.not_here.append(f"the events 1 to {start.seq} are not here: the journal goes on from its anchor")
            self.head = start
        elif start.seq > self.head.seq:
            self._missing(self.head.seq + 1, start.seq)
            self.head = start
            if start.seq in self.anchors:
                self._compare(start)

    def _lines(self, lines: list[bytes], name: str) -> Fault | None:
        for line in lines:
            found = follow(self.head, line)
            if isinstance(found, Fault):
                self._tell("event", found, name)
                return found
            self.head = found
            self.events += 1
            if found.seq in self.anchors:
                self._compare(found)
            if b'"integration.' in line:
                self._note_landing(line)
        return None

    def _compare(self, head: Head) -> None:
        for anchor in self.anchors[head.seq]:
            if anchor.head == head:
                self.agreed = max(self.agreed, head.seq)
            elif not self.rewritten:
                self.rewritten = True
                since = f"after event {self.agreed}" if self.agreed else "from its beginning"
                words = (
                    f"event {head.seq} is not the one that {anchor.place} names: the journal was rewritten {since} "
                    "and its chain made to hold again, or that anchor was changed"
                )
                self.problems.append(Problem(kind="rewritten", message=words, event=head.seq))

    def _note_landing(self, line: bytes) -> None:
        document = document_of(line)
        if document is None:
            return
        data = document["data"]
        if document["type"] == "integration.proved" and "receipt" in data:
            self.proved[str(data.get("run"))] = str(data["receipt"])
        if document["type"] == "integration.integrated" and document["message"].endswith(f" is in {self.target}"):
            self.landed.append((document["seq"], str(data.get("commit"))))

    def _look_beyond(self) -> None:
        beyond = [anchor for seq, found in self.anchors.items() for anchor in found if seq > self.head.seq]
        if beyond:
            far = max(beyond, key=lambda one: one.head.seq)
            words = f"the journal ends at event {self.head.seq}, but {far.place} knows event {far.head.seq}"
            self.problems.append(Problem(kind="cut", message=f"{words}: its end was cut off", event=self.head.seq + 1))

    def _missing(self, first: int, last: int) -> None:
        words = f"event {first} is" if first == last else f"the events {first} to {last} are"
        message = f"{words} missing: a file of the journal was taken away"
        self.problems.append(Problem(kind="segment", message=message, event=first))

    def _tell(self, kind: str, fault: Fault, name: str) -> None:
        message = f"event {fault.seq}, in {name}: {fault.reason}"
        self.problems.append(Problem(kind=kind, message=message, event=fault.seq))


def _landings(house: House, landed: list[tuple[int, str]], there: set[str]) -> list[Problem]:
    """Return the merges that the journal tells of and that the target branch does not hold."""
    words = f"is told of as merged, but is not on the first-parent line of {house.config.target_branch}"
    return [
        Problem(kind="merge", message=f"{commit[:12]} {words} (event {seq})", commit=commit)
        for seq, commit in landed
        if commit not in there
    ]
