"""What a green recovery looked at: whoever starts from a state that does not differ in it ends green as well.

A recovery is a pure function of the state that it starts from. Its first answers are kept: of the state folder
only what it looked at before it wrote there itself, of everything else all. A state that gives the same answers
need not be played again; some are all the same, so that a mistake in here is seen.
"""

from __future__ import annotations

import re

from gluerun.records.dispatch import Life

# Words that no recovery goes by: a look compares these files without them.
UNREAD = {
    "host.json": re.compile(rb'"since": "[^"]*"'),
    "origin-state.json": re.compile(rb'"(runId|generatedAt)": "[^"]*"'),
}


class Segment:
    """One stretch between two moments at which nobody acts: what it looked at, and what stood when it began."""

    def __init__(self, house, key):
        self.key = key
        self.files = dict(house.state_files.files)
        self.folders = set(house.state_files._folders)
        self.inside = dict(house.state_files._inside)
        self.looked = set()
        self.wrote = set()

    def note(self, what, path):
        """Be told what an answer of the state folder depended on, or what was written there."""
        if what == "wrote":
            self.wrote.add(path)
        elif path not in self.wrote or what not in ("read", "mark"):
            self.looked.add((what, path))


class Answers:
    """What a state folder answers, each as a number that is found out once."""

    def __init__(self, files, folders, inside):
        self.files = files
        self.folders = folders
        self.inside = inside
        self._known = {}

    def __call__(self, question):
        """Return the answer to one question: what is asked, and of which path."""
        if question not in self._known:
            self._known[question] = self._answer(*question)
        return self._known[question]

    def _answer(self, what, path):
        match what:
            case "read":
                return hash(_meaning(path, self.files.get(path)))
            case "mark":
                return int(path in self.files or path in self.folders)
            case "leftovers":
                return sum(name.endswith(".tmp") for name in self.files)
        inside = self.inside.get(path, ())
        torn = [name for name in inside if name.startswith(".") and name.endswith(".tmp")]
        return len(torn) if what == "torn" else hash(tuple([name for name in inside if name not in torn]))


def _meaning(path, data):
    """Return what of a file somebody goes by: that which is written for people alone may differ."""
    return UNREAD[path].sub(b"", data) if data is not None and path in UNREAD else data


def everything_else(house, *more):
    """Return all that a recovery can see beside the state folder, as a number."""
    git, runs = house.git, house.processes
    living = {run: life.value for run in runs._lives if (life := runs.life(run)) is not Life.DEAD}
    trees = {
        place: (work.branch, work.commit, work.purpose, work.in_progress, frozenset(work.locks),
                frozenset(work.files.items()))
        for place, work in git.worktrees.items()
    }  # fmt: skip
    known = (
        *(house.clock.moment, house.clock.boots, house.clock._drawn, runs._next_pid, tuple(living.items())),
        *(tuple(sorted(git.refs.items())), tuple(sorted(trees.items())), frozenset(git.branch_locks)),
        *(git.intent and tuple(sorted(vars(git.intent).items())), frozenset((git.remote or {}).items())),
        tuple(run for run in runs.started if run in living),
        frozenset(key for key in house.children._done if key[0] in living),
        frozenset(one for one in house.resumed if one.partition(".")[0] in living),
        frozenset(house.work_files.files.items()),
        frozenset((path, mark.mtime_ns) for path, mark in house.work_files._marks.items()),
        frozenset((path, mark.mtime_ns) for path, mark in house.work_files._folders.items()),
        tuple(sorted(house._played.items())),
        (frozenset(house._held), frozenset(house._cut), frozenset(house.fuse._once), house.state_files.free),
        (house.locks.holder is None, house.locks.git_is_held, house.locks.loop is not None),
        frozenset({(run, path): text for run, path, text in house.written}.items()),
        more,
    )
    return hash(known)


class Known:
    """The green ways that are known."""

    def __init__(self):
        self.ways = {}

    def begin(self, way, *more):
        """Begin a stretch of a way; True if from here it is known how it ends."""
        house = way.house
        key = everything_else(house, *way.place, *more)
        answer = Answers(house.state_files.files, house.state_files._folders, house.state_files._inside)
        for questions, answers in self.ways.get(key, {}).items():
            if hash(tuple([answer(one) for one in questions])) in answers:
                way.was_foretold = True
                if not way.insists:
                    return True
                break
        segment = Segment(house, key)
        way.segments.append(segment)
        house.state_files.onlooker = segment.note
        return False

    def learn(self, segments):
        """Remember a way that was gone to its green end."""
        needs = set()
        for segment in reversed(segments):
            later = {one for one in needs if one[0] not in ("read", "mark") or one[1] not in segment.wrote}
            needs = segment.looked | later
            questions = tuple(sorted(needs))
            answer = Answers(segment.files, segment.folders, segment.inside)
            answers = hash(tuple([answer(one) for one in questions]))
            self.ways.setdefault(segment.key, {}).setdefault(questions, set()).add(answers)
