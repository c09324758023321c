"""A module that lets no node of certain layers or kinds be complete before a person has reviewed it.

`docs/orchestration/promote-gate.json` names them: `{"layers": ["release"], "kinds": []}`. The review of a node is
`docs/orchestration/gates/<node>.review.json`: `{"node", "verdict": "accepted", "reviewer"}`. Both are read from the
target branch, where a worker cannot put them. List it as `gluerun_ext.promote_gate` under `modules`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gluerun.kit import Objection, hookimpl

if TYPE_CHECKING:
    from gluerun.kit import FinishedNode

FOLDER = "docs/orchestration"
RULES = f"{FOLDER}/promote-gate.json"


@hookimpl
def gluerun_promote(node: FinishedNode) -> list[Objection]:
    """Object to a node that needs a review and has none that accepts it."""
    rules = _object(node, RULES)
    if rules is None:
        return [Objection(reason=f"there is no {RULES} on the target branch", paths=(RULES,))]
    if node.layer not in rules.get("layers", ()) and node.kind not in rules.get("kinds", ()):
        return []
    path = f"{FOLDER}/gates/{node.id}.review.json"
    review = _object(node, path)
    if review is None:
        return [Objection(reason=f"it needs a review: there is no {path} on the target branch", paths=(path,))]
    if review.get("node") != node.id or review.get("verdict") != "accepted" or not review.get("reviewer"):
        return [Objection(reason=f"{path} does not accept it", paths=(path,))]
    return []


def _object(node: FinishedNode, path: str) -> dict[str, Any] | None:
    data = node.read(path)
    if data is None:
        return None
    found = json.loads(data)
    if not isinstance(found, dict):
        raise TypeError(f"{path} is no object")
    return found
