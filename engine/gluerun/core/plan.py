"""plan_cycle: the phases in their order, folded over one look. The dry run, and the whole promise."""

from __future__ import annotations

from gluerun.core.expect import expect
from gluerun.core.intake import plan_intake, plan_orders
from gluerun.core.integration import plan_integration
from gluerun.core.launch import plan_launch
from gluerun.core.recovery import plan_recovery
from gluerun.records.config import IntegrationMode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gluerun.core.actions import Action
    from gluerun.core.world import World

    Phase = Callable[[World], list[Action]]


def plan_asking(world: World) -> list[Action]:
    """Say which requests for approval have lapsed and which are made before a task is started."""
    if not world.asks_people:
        return []
    from gluerun.core.approvals import plan_approvals  # where nobody is asked, none of it is needed

    return plan_approvals(world)


def plan_integrating(world: World) -> list[Action]:
    """Say what integration calls for, unless it is switched off."""
    return plan_landing(world) if world.config.auto_integrate else []


def plan_landing(world: World) -> list[Action]:
    """Say what integration calls for on the target as it is here; first it follows its remote."""
    if world.config.integration.mode is IntegrationMode.PULL_REQUEST:
        from gluerun.core.requests import plan_requests  # most repositories land by themselves

        return plan_requests(world)
    plan = plan_integration(world)
    if world.outside is None:
        return plan
    from gluerun.core.outside import without_moves  # where nothing is pushed, none of it is needed

    return without_moves(world, plan)


def plan_remote(world: World) -> list[Action]:
    """Say that the target follows what somebody else pushed."""
    if world.outside is None:
        return []
    from gluerun.core.outside import plan_following

    return plan_following(world)


def plan_nights(world: World) -> list[Action]:
    """Say what the gates of the night call for."""
    if not world.has_nights and world.nightly is None:
        return []
    from gluerun.core.nightly import plan_nightly  # few repositories have any

    return plan_nightly(world)


def plan_night_end(world: World) -> list[Action]:
    """Say what has become of the night's gates that run, where no others are begun."""
    if world.nightly is None:
        return []
    from gluerun.core.nightly import plan_ending

    return plan_ending(world)


_BEFORE_LAUNCH = (plan_intake, plan_recovery, plan_asking, plan_remote, plan_integrating)
PHASES: tuple[Phase, ...] = (*_BEFORE_LAUNCH, plan_nights, plan_launch)
# What goes on while nothing new is begun.
DRAINING: tuple[Phase, ...] = (*_BEFORE_LAUNCH, plan_night_end)


def plan_cycle(world: World) -> tuple[Action, ...]:
    """Return everything that a cycle would do, each phase thinking about what the one before would leave."""
    plan: list[Action] = []
    for phase in (*(plan_orders for _ in world.orders), *PHASES):
        for action in phase(world):
            plan.append(action)
            world = expect(world, action)
    return tuple(plan)
