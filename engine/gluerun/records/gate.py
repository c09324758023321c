"""One run of a gate on one commit, and the completion of a node."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.records.config import Config


class GateVerdict(StrEnum):
    """What a gate's run says. Exit code 20 of a gate is inconclusive: infrastructure, not the work.

    What was skipped was not run at all, and never counts as passed.
    """

    GREEN = "green"
    RED = "red"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"


@record
class GateTests:
    """How many tests a gate ran, by its own report; the skipped ones are among the total."""

    total: int
    failed: int = 0
    skipped: int = 0

    @property
    def ran(self) -> int:
        """Return how many were really run."""
        return self.total - self.skipped


@record
class GateRun:
    """One gate of a pipeline on one commit. `reason` says why it was skipped, or what is odd about it.

    `failures` are the names of tests that failed, as far as a report named them. `quarantined` are those of a run that
    counts as green although its program said red: nothing else failed.
    """

    name: str
    command: str
    result: GateVerdict
    stage: int = 1
    required: bool = True
    exit_code: int | None = None
    duration_ms: int = 0
    log_ref: str = ""
    log_sha256: str = ""
    timed_out: bool = False
    tests: GateTests | None = None
    failures: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()
    reason: str = ""


@record
class DeclaredOutput:
    """A file that set-up put beside the commit before its gate ran."""

    path: str
    sha256: str


@record
class GateCheck:
    """The receipt of one gate run: exactly which commit, which command, and what came of it.

    `environment` is the digest of what the gate found beside the code, `engine` the version that ran it.
    Where a pipeline ran, `gates` says so of each gate; `cmd` is what was run, a line each, and the log sums it up.
    """

    SCHEMA = "gate-check.v0"

    run_id: str
    cmd: str
    exit_code: int
    result: GateVerdict
    log_ref: str
    log_sha256: str
    commit: str
    code_tree: str
    gate_sha256: str
    duration_ms: int
    created_at: datetime
    outputs: tuple[DeclaredOutput, ...] = ()
    timed_out: bool = False
    gates: tuple[GateRun, ...] = ()
    environment: str = ""
    engine: str = ""

    @property
    def quarantined(self) -> tuple[str, ...]:
        """Return the tests in quarantine that failed: such a green speaks for its own commit, and for nothing else."""
        return tuple(f"{run.name}: {test}" for run in self.gates for test in run.quarantined)


class NodeStatus(StrEnum):
    """Where a node's completion stands."""

    PASSED = "passed"
    FAILED = "failed"
    BLOCKED = "blocked"
    PROPOSED = "proposed"


DETERMINISTIC = "deterministic-proof"
COMMAND_LOG = "command-log"
RED_PROOF = "-skip-guard-red"


def proof_wanted(layer: str, node: str, config: Config) -> bool:
    """Tell whether a node of *layer* is complete only with proof that its guard can be red."""
    return layer in config.proof_layers and node not in config.proof_grandfather


@record
class GateEvidence:
    """What a node's completion rests on."""

    kind: str
    ref: str
    description: str | None = None
    task_ids: tuple[str, ...] | None = None
    command: str | None = None
    exit_code: int | None = None
    log_ref: str | None = None
    sha256: str | None = None
    head_sha: str | None = None


@record
class GateResult:
    """The only truth about a node's completion: `gates/<node>.gate-result.json`."""

    SCHEMA = "gate-result.v0"

    node: str
    status: NodeStatus
    authoritative: bool
    evidence_class: str
    evidence: tuple[GateEvidence, ...]
    decided_by: str
    recorded_at: datetime
    upstream_gates: tuple[str, ...] = ()
    rationale: str | None = None
