"""What a node's completion must rest on: logs that are there, whole, and of the right colour."""

from __future__ import annotations

import pytest
from tests.core.worlds import CONFIG, NOW, TARGET

from gluerun.core.proofs import wrong_evidence
from gluerun.records.gate import GateEvidence, GateResult, NodeStatus
from gluerun.records.record import replace

SHA, OTHER = "1" * 64, "2" * 64
GREEN = GateEvidence(
    kind="command-log", ref="api-gate", command="make", exit_code=0, log_ref="gate.log", sha256=SHA, head_sha=TARGET
)
RED = replace(GREEN, ref="api-skip-guard-red", exit_code=1, log_ref="red.log")
TASKS = GateEvidence(kind="task-set", ref="tasks", task_ids=("TASK-0001",))
PROOF = replace(CONFIG, proof_layers=("storage",), proof_grandfather=("old",))


def result(*evidence, node="api", kind="deterministic-proof", status=NodeStatus.PASSED, authoritative=True):
    return GateResult(
        node=node, status=status, authoritative=authoritative, evidence_class=kind, evidence=evidence or (TASKS,),
        decided_by="gluerun", recorded_at=NOW,
    )  # fmt: skip


def sha256_of(path):
    return {"gate.log": SHA, "red.log": SHA}.get(path)


@pytest.mark.parametrize(
    ("given", "layer", "why"),
    [
        (result(GREEN), "code", ""),
        (result(kind="task-set"), "code", ""),
        (result(GREEN, RED), "storage", ""),
        (result(kind="task-set", node="old"), "storage", ""),
        (result(status=NodeStatus.PROPOSED), "storage", ""),
        (result(authoritative=False), "storage", ""),
        (result(kind="task-set"), "storage", "layer 'storage' wants evidence of the class 'deterministic-proof'"),
        (result(GREEN), "storage", "layer 'storage' wants a red command-log whose ref ends in '-skip-guard-red'"),
        (result(RED), "storage", "no command-log shows the gate green"),
        (result(), "code", "evidence of the class 'deterministic-proof' needs a command-log"),
        (result(replace(GREEN, command=None)), "code", "the command-log 'api-gate' has no command"),
        (result(replace(GREEN, exit_code=None)), "code", "the command-log 'api-gate' has no exitCode"),
        (result(replace(GREEN, log_ref=None)), "code", "the command-log 'api-gate' has no logRef"),
        (result(replace(GREEN, sha256=None)), "code", "the command-log 'api-gate' has no sha256"),
        (result(replace(GREEN, head_sha=None)), "code", "the command-log 'api-gate' has no headSha"),
        (result(replace(GREEN, exit_code=1)), "code", "the command-log 'api-gate' ended with 1"),
        (result(GREEN, replace(RED, exit_code=0)), "code",
         "the command-log 'api-skip-guard-red' is green where it must be red"),
        (result(replace(GREEN, log_ref="gone.log")), "code",
         "the command-log 'api-gate' names gone.log, which is not there"),
        (result(replace(GREEN, sha256=OTHER)), "code",
         "the command-log 'api-gate' names gate.log, whose content is another one"),
    ],
)  # fmt: skip
def test_what_a_completion_rests_on(given, layer, why):  # § 2.10
    assert wrong_evidence(given, layer, PROOF, sha256_of) == why
