"""The decision table: what is done about each failure, as data a person can read."""

from __future__ import annotations

from gluerun.records.failure import Answer, Authority, Decision, Failure
from gluerun.records.record import record

RETRIES = frozenset(
    {
        Answer.RETRY,
        Answer.RERUN_TESTS,
        Answer.REBUILD_CONTEXT,
        Answer.REVALIDATE_EVIDENCE,
        Answer.REBASE,
        Answer.FORK,
    }
)
PARKS = frozenset({Answer.ESCALATE_PARKED, Answer.ESCALATE_INFRA, Answer.SPLIT_TASK})
NEVER_WAIVED = frozenset(
    {
        Failure.GATE_RED,
        Failure.INTEGRATION_GATE_RED,
        Failure.SECRET_DETECTED,
        Failure.SCOPE_VIOLATION,
        Failure.WORKER_NO_PACKET,
        Failure.PACKET_INVALID,
        Failure.NO_CHANGES,
        Failure.COMMIT_FAILED,
        Failure.WORKER_INFRA,
        Failure.STALE_LEASE,
        Failure.LIMIT_REACHED,
        Failure.INTEGRATION_CONFLICT,
        Failure.PROOF_SKIP_DETECTED,
    }
)
# A vanished worker and a moved target say nothing about the work: the same failure twice is no reason
# to ask a model (docs/decisions/0006).
_NOT_THE_WORK = frozenset(
    {
        Failure.STALE_LEASE,
        Failure.LIMIT_REACHED,
        Failure.INTEGRATION_CONFLICT,
        Failure.INTEGRATION_GATE_RED,
        Failure.SCOPE_VIOLATION,
    }
)


@record
class Row:
    """What is done about one failure."""

    failure: Failure
    while_left: Answer
    when_spent: Answer
    why: str


def _row(failure: Failure, while_left: Answer, when_spent: Answer, why: str) -> Row:
    return Row(failure=failure, while_left=while_left, when_spent=when_spent, why=why)


_PARK, _ASK, _RETRY = Answer.ESCALATE_PARKED, Answer.ASK_MODEL, Answer.RETRY

# A table is read by column.
# fmt: off
TABLE: tuple[Row, ...] = (
    #    failure                       while left           when spent  why
    _row(Failure.GATE_RED,             _RETRY,              _PARK,      "the log is the best prompt"),
    _row(Failure.WORKER_NO_PACKET,     _RETRY,              _PARK,      "ask once more for the answer"),
    _row(Failure.PACKET_INVALID,       _RETRY,              _PARK,      "a form error is cheap to mend"),
    _row(Failure.NO_CHANGES,           _RETRY,              _PARK,      "ask once more, with the reason"),
    _row(Failure.COMMIT_FAILED,        _RETRY,              _PARK,      "git said why"),
    _row(Failure.SCOPE_VIOLATION,      Answer.AMEND_SCOPE,  _PARK,      "the plan may be too narrow"),
    _row(Failure.WORKER_INFRA,         _PARK,               _PARK,      "infrastructure has its own tries; they are spent"),
    _row(Failure.AUDIT_INFRA,          _PARK,               _PARK,      "infrastructure has its own tries; they are spent"),
    _row(Failure.AUDIT_NEEDS_FIX,      _RETRY,              _ASK,       "findings go into the next try"),
    _row(Failure.AUDIT_BLOCKED,        _ASK,                _ASK,       "a judgement, not a rule"),
    _row(Failure.AUDIT_NEEDS_HUMAN,    _ASK,                _ASK,       "a judgement, not a rule"),
    _row(Failure.AUDIT_UNKNOWN,        _ASK,                _ASK,       "a judgement, not a rule"),
    _row(Failure.SECRET_DETECTED,      _ASK,                _ASK,       "a judgement, not a rule"),
    _row(Failure.PROOF_SKIP_DETECTED,  _ASK,                _ASK,       "a judgement, not a rule"),
    _row(Failure.LIMIT_REACHED,        _RETRY,              _PARK,      "the next try starts at the base and knows why"),
    _row(Failure.STALE_LEASE,          _RETRY,              _PARK,      "the machine failed, not the agent"),
    _row(Failure.INTEGRATION_CONFLICT, _RETRY,              _PARK,      "the worker gets both sides on the new base"),
    _row(Failure.INTEGRATION_GATE_RED, _RETRY,              _PARK,      "the worker gets the log on the new base"),
)
# fmt: on


def decide(failure: Failure, left: int, *, previous: Failure | None = None, fast: bool = True) -> Decision:
    """Return the table's answer to *failure* with *left* tries left; ASK_MODEL where it has none.

    The same failure twice in a row goes to a model while tries are left: the table's answer did not help.
    """
    row = next(row for row in TABLE if row.failure is failure)
    answer = row.while_left if left > 0 else row.when_spent
    repeated = failure is previous and failure not in _NOT_THE_WORK
    if left > 0 and (repeated or not fast) and answer is not _PARK and failure not in _NOT_THE_WORK:
        return Decision(failure_class=failure, action=_ASK, rationale="the table's answer did not help")
    return Decision(failure_class=failure, action=answer, rationale=row.why)


def judged(claimed: Decision, left: int) -> Decision:
    """Return a model's decision as the house carries it out: no waiver of a rule, no retry without a try."""
    if claimed.action is Answer.ACCEPT_WAIVER and claimed.failure_class in NEVER_WAIVED:
        return park(claimed.failure_class, f"a waiver of {claimed.failure_class} is refused")
    if claimed.action in RETRIES | {Answer.AMEND_SCOPE, Answer.RELEASE} and left <= 0:
        return park(claimed.failure_class, f"no tries are left ({claimed.rationale})")
    return claimed


def park(failure: Failure, why: str) -> Decision:
    """Return the decision to park, taken by the loop because nothing else is left."""
    return Decision(failure_class=failure, action=Answer.ESCALATE_PARKED, rationale=why, authority=Authority.L1)
