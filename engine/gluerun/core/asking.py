"""What all drives have in common: a question and its answer, a place made ready, the ending of a run."""

from __future__ import annotations

from gluerun.core import consequences
from gluerun.core.steps import AgentDone, Done, Opened, Place, Prepare, Prepared, RunAgent, RunSetup, Tell, Told
from gluerun.errors import ImpossibleError
from gluerun.records import codec
from gluerun.records.dispatch import Ending, Held, Outcome, Role
from gluerun.records.failure import Failure
from gluerun.records.fault import Fault, Limit
from gluerun.records.pause import OnLimit, Span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime
    from typing import TypeVar

    from gluerun.core.steps import Answered, Step
    from gluerun.records.config import Config
    from gluerun.records.dispatch import Dispatch

    Drive = Generator[Step, Answered, Ending]
    Part = Generator[Step, Answered, None]
    T = TypeVar("T")


def ask(step: Step, kind: type[T]) -> Generator[Step, Answered, T]:
    """Yield *step* and return its answer, which is a *kind* by the protocol of runs."""
    answer = yield step
    if not isinstance(answer, kind):
        raise ImpossibleError(f"{type(step).__name__} was answered by {type(answer).__name__}")
    return answer


def prepare(
    place: Place, commit: str, attempt: int, *, seed: str | None = None, again: int = 0
) -> Generator[Step, Answered, str]:
    """Make a place ready, if need be *again* so often; return the trouble, empty if there is none."""
    for _ in range(again + 1):
        trouble = yield from _prepare_once(place, commit, attempt, seed)
        if not trouble:
            break
    return trouble


def _prepare_once(place: Place, commit: str, attempt: int, seed: str | None) -> Generator[Step, Answered, str]:
    prepared = yield from ask(Prepare(place=place, commit=commit, seed=seed), Prepared)
    if prepared.trouble:
        return prepared.trouble
    for index, command in enumerate(prepared.setup):
        done = yield from ask(RunSetup(place=place, attempt=attempt, index=index, command=command), Done)
        if done.trouble:
            return done.trouble
    return ""


def agent(role: Role, attempt: int, place: Place, opened: Opened, prompt: str) -> RunAgent:
    """Return the step that lets an agent play a role in a place."""
    return RunAgent(
        role=role, attempt=attempt, place=place, dispatch_id=opened.dispatch_id, nonce=opened.nonce, prompt=prompt
    )


def now_of_day() -> Generator[Step, Answered, datetime]:
    """Ask for the time of day."""
    told = yield from ask(Tell(), Told)
    return codec.moment(told.now)


def ending_of(
    dispatch: Dispatch,
    outcome: Outcome,
    now: datetime,
    *,
    tries: int = 0,
    failure: Failure | None = None,
    reason: str = "",
    detail: str = "",
) -> Ending:
    """Return how a run ended, with what every ending has."""
    return Ending(
        run_id=dispatch.run_id,
        role=dispatch.role,
        epoch=dispatch.epoch,
        outcome=outcome,
        finished_at=now,
        tries=tries,
        task_id=dispatch.task_id,
        node=dispatch.node,
        failure=failure,
        reason=reason,
        detail=detail,
    )


def must_wait(done: AgentDone) -> bool:
    """Tell whether a program's trouble is its provider's, so that asking again now is of no use."""
    return consequences.consequence(done.fault) is consequences.Consequence.HOLD


# A program that is silent, floods its log or writes where it may only read is never asked about: it is ended.
_ASKED_ABOUT = frozenset({Limit.MONEY, Limit.TOKENS, Limit.TURNS, Limit.SECONDS, Limit.TASK})


def must_ask(config: Config, done: AgentDone) -> bool:
    """Tell whether a program met a limit at which a person is asked whether it may go on."""
    if done.fault is not Fault.LIMIT or done.limit not in _ASKED_ABOUT:
        return False
    rule = config.on_limit_task if done.span is Span.TASK else config.on_limit_try
    return rule is OnLimit.PAUSE


def held_of(config: Config, role: Role, done: AgentDone) -> Held:
    """Return why a run is broken off: the provider of a role, and the fault that it met."""
    runner = config.runners.get(config.runner_of(role))
    if runner is None or done.fault is None:
        raise ImpossibleError(f"the {role} is held back without a fault")
    until = codec.moment(done.until) if done.until else None
    return Held(provider=runner.held_as, fault=done.fault, reason=done.trouble, role=role, until=until)
