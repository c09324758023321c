"""Pull requests: proved work that a person merges, elsewhere. The engine asks, waits, and notices."""

from __future__ import annotations

import shlex

from gluerun.core.actions import Advance, Propose
from gluerun.core.integration import plan_integration
from gluerun.core.outside import without_moves

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


def waits_for(task: Task) -> str:
    """Say in one sentence what a proposed task waits for."""
    return f"a person merges it, by the pull request of {task.spec.worker_branch}"


def gh_hint(why: str) -> str:
    """Return what helps where gh could not be run, or was refused."""
    if "127" in why or "not found" in why:
        return "gh is not installed: install it, or make the pull request by hand"
    if "auth" in why or "GH_TOKEN" in why:
        return "gh is not logged in: gh auth login"
    return ""
