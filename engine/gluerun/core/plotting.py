"""What a planner's run does: one prompt, one batch and, where that is asked for, a critic and one revision."""

from __future__ import annotations

from gluerun.core import answers, prompts_planner
from gluerun.core.asking import agent, ask, ending_of, held_of, must_wait, now_of_day, prepare
from gluerun.core.steps import AgentDone, Clear, Keep, KeepText, OpenDispatch, Opened, Place
from gluerun.records import codec
from gluerun.records.config import PlanCritiqueMode
from gluerun.records.dispatch import Ending, Outcome, Role
from gluerun.records.failure import Answer, Authority, Failure
from gluerun.records.planning import PlanVerdict
from gluerun.records.record import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from gluerun.core.asking import Drive
    from gluerun.core.steps import Answered, Step
    from gluerun.records.config import Config
    from gluerun.records.dispatch import Dispatch
    from gluerun.records.planning import PlanCritique
    from gluerun.records.proposal import TaskBatch

    Asked = Generator[Step, Answered, tuple[TaskBatch | None, AgentDone, str]]


def planner(dispatch: Dispatch, config: Config) -> Drive:
    """Drive one planner over one node: a read-only place at the target, one prompt, one batch."""
    trouble = yield from prepare(Place.AUDIT, dispatch.base_sha, 0)
    batch, done, critique = None, None, None
    if not trouble:
        batch, done, trouble = yield from _asked(dispatch, 0, dispatch.prompt)
    if batch is not None and batch.tasks and config.plan_critique is PlanCritiqueMode.ON:
        critique = yield from _criticised(dispatch, batch)
    if batch is not None and critique is not None and critique.verdict is PlanVerdict.REVISE:
        batch, done, trouble = yield from _asked(dispatch, 1, prompts_planner.revised(dispatch.prompt, batch, critique))
    yield Clear(place=Place.AUDIT, reason="planned")
    now = yield from now_of_day()
    if done is not None and must_wait(done):
        ending = ending_of(dispatch, Outcome.HELD, now, reason=done.trouble)
        return replace(ending, held=held_of(config, Role.PLANNER, done))
    if batch is None:
        return ending_of(dispatch, Outcome.FAILED, now, failure=Failure.PACKET_INVALID, reason=trouble)
    yield Keep(name="batch.json", document=codec.to_wire(batch))
    if critique is not None and critique.verdict is PlanVerdict.PARK:
        return _parked(ending_of(dispatch, Outcome.PLANNED, now), critique)
    return ending_of(dispatch, Outcome.PLANNED, now)


def _asked(dispatch: Dispatch, attempt: int, prompt: str) -> Asked:
    """Ask the planner once."""
    opened = yield from ask(OpenDispatch(role=Role.PLANNER, attempt=attempt), Opened)
    done = yield from ask(agent(Role.PLANNER, attempt, Place.AUDIT, opened, prompt), AgentDone)
    batch, trouble = answers.batch_of(done, dispatch)
    return batch, done, trouble


def _criticised(dispatch: Dispatch, batch: TaskBatch) -> Generator[Step, Answered, PlanCritique | None]:
    """Ask the critic once; a critic that fails, for whatever reason, holds nothing up."""
    opened = yield from ask(OpenDispatch(role=Role.CRITIC, attempt=0), Opened)
    prompt = prompts_planner.critic(dispatch.prompt, batch, dispatch.critic_prompt)
    done = yield from ask(agent(Role.CRITIC, 0, Place.AUDIT, opened, prompt), AgentDone)
    critique, trouble = answers.critique_of(done, dispatch, batch)
    if critique is None:
        yield KeepText(name="plan-critique.txt", text=f"the plan was not criticised: {trouble}\n")
        return None
    yield Keep(name="plan-critique.json", document=codec.to_wire(critique))
    return critique


def _parked(ending: Ending, critique: PlanCritique) -> Ending:
    """Return the ending of a plan that a person has to decide about."""
    reason = f"the critic parks the plan: {critique.rationale}"
    return replace(ending, answer=Answer.ESCALATE_PARKED, authority=Authority.DECIDER, reason=reason)
