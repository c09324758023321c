"""The one way in which the target branch moves to a commit of the engine's own: its remote first, then here (0025)."""

from __future__ import annotations

from gluerun.ports import Landed, Landing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gluerun.core.world import World
    from gluerun.loop.house import House
    from gluerun.loop.report import Notes


def move_target(house: House, world: World, new: str, old: str, notes: Notes) -> Landed:
    """Move the target from *old* to *new*; where it is pushed, and its remote answers, nobody ever has both moved.

    After a crash between the two the remote is ahead by just our commit, and the next look follows it.
    """
    branch, has_left = house.config.target_branch, False
    if house.config.push and notes.sends:
        from gluerun.loop.outside import send  # where nothing is pushed, none of it is needed

        answer = send(house, world, new, old)
        if isinstance(answer, Landed):
            return answer
        has_left = answer
    with house.doors.locks.git():
        landed = house.doors.git.land(branch, new, old)
    if has_left and landed.landing is Landing.BLOCKED:
        return Landed(landing=Landing.MOVED)  # it came between: the next look finds a remote that cannot be followed
    return landed
