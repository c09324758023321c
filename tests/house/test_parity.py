"""The page about the predecessor misses no word, and every test that it names is there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from gluerun.cli.verbs import VERBS
from gluerun.settings_table import KNOBS, SHAPES

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "parity.md"
ROW = re.compile(r"^\| `([^`]+)` \| (.*?) \| (.*?) \| (.*?) \|$")
SAID = ("same", "better", "left out")

# What the predecessor had, as its own description lists it.
_VERBS_THERE = """
    reconcile auto drive integrate status recover validate-dag next-area next-areas node-fields area-gate
    promote-gate init doctor version help console stop resume wake park unpark retry cancel supersede reprioritize
    breaker clear-backoff lease timer health explain logs report watch gates graph plan import update migrate
    approve reject human-gate gc gate ask accept-packet setup test metrics experiment-report campaign
    review-policy context memory manifest
"""
VERBS_THERE = _VERBS_THERE.split()
_KEYS_THERE = """
    targetBranch gateCommand runner areaPrefix prewarm areas proofLayers proofGrandfather singleSliceLayers
    modules provisionFiles envAllowlist promoter identity env engineVersion schemaVersion capabilityProfiles
    roleProfiles roleRunners evidence bootstrap resources controlState legacyCompatibility worktreeCopyPaths
    reviewPolicy
"""
KEYS_THERE = _KEYS_THERE.split()
_KNOBS_THERE = """
    MAX_CONCURRENT MAX_DISPATCH DETACHED_DISPATCH AUTO_INTEGRATE PUSH GENERATE AUTO_PROMOTE_GATES MAX_HOURS
    MAX_RETRIES MAX_CONSEC_FAILS STALE_MINUTES LOCK_MINUTES SLEEP QUOTA_SLEEP_CAP QUOTA_WAIT_BUDGET
    PLANNER_BACKOFF_SECONDS PLANNER_QUOTA_BACKOFF_SECONDS LIMIT_SCAN_WINDOW_SEC SESSION_AFFINITY
    SESSION_MAX_AGE_SEC FIX_PROMPT_STRUCTURED CONTEXT_SECTION_MAX_CHARS DECIDER_FAST DECIDER_TIMEOUT_SEC
    WORKER_INFRA_MAX AUDIT_INFRA_MAX REQUIRE_AUDIT PREFLIGHT_REQUIRE_ACCEPTANCE SKIP_DUPLICATE_READY_TASKS
    ENABLE_L1_PARALLEL MAX_L1_CONCURRENT L1_TASKS_PER_NODE L1_STALE_MINUTES L2_SLICE_BUDGET MIN_DISK_GB
    DRAIN_POLL_SECS DRAIN_TIMEOUT_SECS CLAUDE_TIMEOUT_SEC CLAUDE_MAX_BUDGET_USD GATE_TIMEOUT_SEC KILL_GRACE_SEC
    CODEX_TIMEOUT_SEC CODEX_IDLE_SEC STALE_HARD_MINUTES REFUSAL_PARK_THRESHOLD OVERLOAD_WAIT_BUDGET RUNS_KEEP
    EVENTS_MAX_MB SLEEP_POLL_SEC READONLY_GUARD_MODE AUDIT_VERIFY REVIEW_MAX_AGE_HOURS PROMOTE_PROOF_TTL_SEC
    TARGET_BRANCH DEFAULT_GATE_CMD RUNNER AREA_PREFIX PREWARM_CMD AREA_PATHS MODULES
    AUDIT_VERDICT_VALIDATE PLAN_REVISE_MAX L2_SANDBOX CODEX_MODEL GATE_REPORT_FILE DISPATCH_BATCH_ID DISPATCH_BASE_SHA
    L1_DRIVER L1_PLAN_NODE L1_PLANNER RECOVERY_DECIDER RECONCILE_SCRIPT ROOT ENGINE_HOME STATE_DIR ORCH_DIR TASKS_DIR
    LEASES_DIR
"""
KNOBS_THERE = _KNOBS_THERE.split()
RECORDS_THERE = [
    "task file",
    "dag.v0",
    "task-batch.v0",
    "lease",
    "l1-lease.v0",
    "lock.v0",
    "dispatch record",
    "exit file",
    "state-packet.v0",
    "audit verdict",
    "gate-check",
    "gate-result.v0",
    "gate-result.v1",
    "gate-report.v0",
    "gate-observation.v0",
    "decider verdict",
    "findings-ledger.v0",
    "context-capsule.v0",
    "reviewer capsule",
    "attempts-index.v0",
    "session-meta.v0",
    "event line",
    "planner-backoff.v0",
    "origin-state.v0",
    "runner-result.v0",
    "provider-error.v0",
    "run-status.v0",
    "human-gate.v0",
    "human-approval.v0",
    "operator-failure.v0",
    "plan-critique.v0",
    "evidence-manifest.v0",
]

# What it did beyond its words: files that mattered, and how it was installed, pinned and moved.
BEHAVIOUR_THERE = [
    *("config precedence", "gluerun.config.sh, config.local.sh", "shell modules", ".gitignore", ".gluerun-evidence"),
    *("worktree-env.sh", "role prompts", "project-state.md", "STOP", "WAKE", "inbox", "decisions.md"),
    *("packets/imported", "autonomate.pid", "recover-orphans.json", "circuit.json", "STATUS.md", "leases/superseded"),
    *("work trees", "liveness", "scope", "failing integration", "secret scan", "control-state commit", "exit codes"),
    *("planner in the main checkout", "ids of tasks", "finding ids", "ten resume gates", "no-progress guard"),
    *("install", "which engine runs", "migrations"),
]


def rows(title: str) -> dict[str, tuple[str, str, str]]:
    """Return the rows of one table by their word."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    found = [match.groups() for line in section.splitlines() if (match := ROW.match(line))]
    assert len({word for word, *_ in found}) == len(found), "a word stands twice"
    return {word: (said, why, test) for word, said, why, test in found}


@cache
def named_in(path: str) -> frozenset[str]:
    return frozenset(re.findall(r"^ *def (test_\w+)\(", (CHECKOUT / path).read_text(encoding="utf-8"), re.MULTILINE))


TITLES = ("Verbs", "Keys of the configuration", "Knobs", "Records", "Behaviour")
ALL = [(title, word, *row) for title in TITLES for word, row in rows(title).items()]


@pytest.mark.parametrize(("title", "word", "said", "why", "test"), ALL, ids=[f"{row[0]} {row[1]}" for row in ALL])
def test_a_row_says_how_why_and_by_which_test(title, word, said, why, test):
    assert said in SAID
    assert why
    path, _, name = test.strip("`").partition("::")
    assert (CHECKOUT / path).is_file(), path
    assert name in named_in(path), test


WANTED = [
    ("Verbs", {*VERBS_THERE, *(verb.name for verb in VERBS)}),
    ("Keys of the configuration", {*KEYS_THERE, *(shape.key for shape in SHAPES)}),
    ("Knobs", {*KNOBS_THERE, *(knob.name for knob in KNOBS)}),
    ("Records", set(RECORDS_THERE)),
    ("Behaviour", set(BEHAVIOUR_THERE)),
]


@pytest.mark.parametrize(("title", "words"), WANTED, ids=[title for title, _ in WANTED])
def test_no_word_is_missing(title, words):
    assert sorted(words - rows(title).keys()) == []
