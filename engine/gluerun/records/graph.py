"""The planning graph: nodes, what they need, and what completes them."""

from __future__ import annotations

from enum import StrEnum

from gluerun.records.config import ApprovalRule
from gluerun.records.record import record


class NodeAuthority(StrEnum):
    """Who may complete a node."""

    OPERATOR = "operator"
    AGENT_REVIEW_ALLOWED = "agent-review-allowed"


@record
class HumanGate:
    """Where a node's approval by a person is asked and given."""

    request_ref: str
    approval_ref: str


@record
class Node:
    """One node of the planning graph."""

    id: str
    stage: str
    area: str
    layer: str
    kind: str
    required_completion: str
    depends_on: tuple[str, ...]
    description: str | None = None
    authority: NodeAuthority | None = None
    human_gate: HumanGate | None = None
    approve_plan: ApprovalRule | None = None
    approval: ApprovalRule | None = None


@record
class Graph:
    """`docs/orchestration/dag.v0.json`."""

    SCHEMA = "dag.v0"

    nodes: tuple[Node, ...]
    layers: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    required_nodes: tuple[str, ...] | None = None
