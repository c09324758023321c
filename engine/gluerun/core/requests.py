"""Pull requests: proved work that a person merges, elsewhere. The engine asks, waits, and notices."""

from __future__ import annotations

import re
import shlex

from gluerun.core.actions import Advance, Propose
from gluerun.core.integration import plan_integration
from gluerun.core.outside import without_moves

_ADDRESS = re.compile(r"https?://[!-~]{1,500}")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.actions import Action
    from gluerun.core.world import World
    from gluerun.records.task import Task


def plan_requests(world: World) -> list[Action]:
    """Say what integration calls for where a person merges: what is proved is proposed, what is proposed waits."""
    found: list[Action] = []
    for action in without_moves(world, plan_integration(world)):
        if isinstance(action, Advance):
            words = "its candidate is proved; a person merges it"
            found += [Propose(task_id=task_id, reason=words) for task_id in action.links]
        else:
            found.append(action)
    return found


def commands(task: Task, remote: str, body: str) -> tuple[str, str]:
    """Return what makes the pull request of a task: the push, and the call of gh; both may be typed again."""
    branch, target = (shlex.quote(one) for one in (task.spec.worker_branch, task.spec.target_branch))
    title = shlex.quote(f"{task.task_id}: {task.spec.title}")
    push = f"git push {shlex.quote(remote or 'origin')} {branch}"
    # An option cannot begin a branch's name: `is_branch` refuses it.
    create = f"gh pr create --base {target} --head {branch} --title {title} --body-file {shlex.quote(body)}"
    return push, create


def asking(branch: str, create: str) -> str:
    """Return the command that prints the address of a branch's pull request; it *creates* one, unless one is open."""
    known = f"gh pr view {shlex.quote(branch)} --json url,state --jq 'select(.state != \"CLOSED\") | .url' 2>/dev/null"
    return f'url=$({known}); if [ -n "$url" ]; then echo "$url"; else {create}; fi'


def address_in(printed: str) -> str:
    """Return the web address that gh printed last; empty if there is none."""
    return next((word for word in reversed(printed.split()) if _ADDRESS.fullmatch(word)), "")


def waits_for(task: Task) -> str:
    """Say in one sentence what a proposed task waits for."""
    where = task.proof.pull_request if task.proof is not None else ""
    return f"a person merges it, by the pull request of {task.spec.worker_branch}{f': {where}' if where else ''}"


def gh_hint(why: str) -> str:
    """Return what helps where gh could not be run, or was refused."""
    if "127" in why or "not found" in why:
        return "gh is not installed: install it, or make the pull request by hand"
    if "auth" in why or "GH_TOKEN" in why:
        return "gh is not logged in: gh auth login"
    return ""
