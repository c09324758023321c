"""The gates of a repository, as its configuration names them: which command, on which occasion, after which others."""

from __future__ import annotations

from enum import StrEnum

from gluerun.records.record import record


class Occasion(StrEnum):
    """When a gate runs: on a worker's commit, on a candidate, on a finished node's head, or at night."""

    TASK = "task"
    MERGE = "merge"
    NODE = "node"
    NIGHTLY = "nightly"


# What `nightlyAt` says where nobody but a person asks the gates of the night.
NEVER = "never"
# It is a part of the names of files.
GATE_NAME = r"[a-z0-9][a-z0-9-]{0,39}"
MOST_GATES = 100
USUAL = (Occasion.TASK, Occasion.MERGE, Occasion.NODE)


@record
class GateSpec:
    """One gate of a pipeline.

    `paths` are patterns: on a task or a merge that changed none of them the gate is skipped. A `timeout` of 0 is that
    of the configuration, `slots` of 0 no limit to how many run at once on this machine. It runs after the gates that
    it `needs`. `junit` is where its programs leave JUnit XML, and fewer tests than `min_tests` are red.
    """

    name: str
    command: str
    when: tuple[Occasion, ...] = USUAL
    paths: tuple[str, ...] = ()
    timeout: int = 0
    slots: int = 0
    required: bool = True
    needs: tuple[str, ...] = ()
    junit: str = ""
    min_tests: int = 0
