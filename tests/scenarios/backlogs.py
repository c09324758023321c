"""The scenarios of the fault matrix: between them they carry out every action and type every verb that writes."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from tests.scenarios.crashes import Crashing, let_be, let_one_work

from gluerun.core.humangates import default_refs
from gluerun.edge import backlog, importing
from gluerun.edge.approvals import open_one
from gluerun.edge.wishes import wishes_in
from gluerun.errors import DecidedError, UsageError
from gluerun.loop import auto, drive, plotting, promotion
from gluerun.loop.humangates import answer, question
from gluerun.loop.reconcile import drain, reconcile
from gluerun.records.config import ControlState, Integration, IntegrationMode, OnRedMain
from gluerun.records.flake import Flake, Flakes
from gluerun.records.graph import HumanGate
from gluerun.records.order import OrderVerb
from gluerun.records.pause import OnLimit
from gluerun.records.pipeline import GateSpec, Occasion
from gluerun.records.runner import Sessions
from gluerun.records.task import Status
from gluerun.sim.crash import SimCrash
from gluerun.sim.watch import SimWatch
from gluerun.testing import Move, SimHouse, batch, ended, markdown, refused, speaker, verdict

ONE, TWO, THREE, FOUR = "TASK-0001", "TASK-0002", "TASK-0003", "TASK-0004"
# A second fault of infrastructure is still not the work's.
PATIENT = {"worker_infra_max": 3, "max_retries": 6, "max_consec_fails": 99}


def typed(verb, act):
    """Return *act* as what a verb does."""

    def typing(house):
        return act(house)

    typing.verb = verb
    return typing


def one_task(**config):
    """A task whose gate is red once and whose target moves under it, so that it is proved by a run."""
    house = SimHouse(**{**PATIENT, **config}).given(ONE, owned=["a.txt"])
    house.agent(ONE, [Move(writes={"a.txt": "bad"}), Move(writes={"a.txt": "good"})])
    return house.gate(lambda tree: int(tree.get("a.txt") == "bad"))


def on_the_branch():
    """Tasks whose records go to the target branch: in merges, and in commits of their own between them."""
    house = one_task(control_state=ControlState.BRANCH, control_commit_seconds=60)
    return house.given(TWO, depends_on=[ONE]).given(THREE, depends_on=[TWO])


def at_night():
    """A task, and a gate for the night, which comes while it is worked on."""
    deep = GateSpec(name="deep", command="deep", when=(Occasion.NIGHTLY,))
    return one_task(gate_command="", gates=(GateSpec(name="gate", command="true"), deep))


def let_night_fall(house):
    """Let a day pass."""
    house.clock.tick(minutes=24 * 60)


def three_tasks():
    """A task, one that waits for it, and one beside them."""
    return one_task().given(TWO, depends_on=[ONE]).given(THREE)


def chained():
    """Three tasks that are proved one upon another; the first two do not go together until the second is mended."""
    house = SimHouse(**PATIENT).given(ONE, priority=1).given(TWO).given(THREE).gate(_do_not_go_together)
    return house.agent(TWO, [Move(writes={"src/TASK-0002.txt": text}) for text in ("bad\n", "mended\n")])


def _do_not_go_together(tree):
    return int("src/TASK-0001.txt" in tree and tree.get("src/TASK-0002.txt") == "bad\n")


def rotating():
    """One task, with a journal whose files are sealed again and again."""
    return one_task(journal_file_bytes=512)


def ballasted():
    """One task, in a folder with something held back for a full disk: made, removed when it gets full, made again."""
    house = one_task(ballast_mb=16)
    house.state_files.free = 100_000_000
    return house.configure(min_disk_gb=0.01)


def conflict():
    """A task that a colleague overtakes in the same file."""
    house = SimHouse(**PATIENT).given(ONE, owned=["a.txt"])
    return house.agent(ONE, [Move(writes={"a.txt": "mine"}), Move(writes={"a.txt": "both"})])


def widened():
    """A task whose scope is too narrow, so that its files travel to the next run by rescue."""
    house = SimHouse(**PATIENT).given(ONE, owned=["a.txt"])
    return house.agent(ONE, [Move(writes={"a.txt": "a", "b.txt": "b"})])


def proposals(**owned):
    """Return proposals for the node core."""
    return [markdown(task.replace("_", "-"), area="src", node="core", owned=[path]) for task, path in owned.items()]


def planned():
    """A node that a planner fills with two tasks."""
    house = SimHouse(**PATIENT, planner_backoff_seconds=60).graph("core")
    return house.planner("core", [batch(*proposals(TASK_9001="src/one", TASK_9002="src/two"))])


def poisoned():
    """Two tasks, and a target that others break by a push; the revert of it may land by itself."""
    house = SimHouse(**PATIENT, on_red_main=OnRedMain.REVERT).given(ONE, owned=["a.txt"]).given(TWO)
    return house.gate(lambda tree: int("poison.txt" in tree))


def poison(house):
    """Others push something good, and what makes the gate red."""
    house.colleague("c.txt", "hers")
    house.colleague("poison.txt", "his")


def proved_node():
    """A node whose target moves in the moment of its task's landing, and one for which nothing is to be done."""
    house = SimHouse(**PATIENT, planner_backoff_seconds=60).graph("core", {"id": "shell", "depends_on": ("core",)})
    house.planner("core", [batch(*proposals(TASK_9001="src/one"))]).planner("shell", [batch()])
    house.fuse.once("git land:after", partial(house.colleague, "c.txt", "hers"))
    return house


def criticised():
    """A node whose first plan is refused, the second one parked; a person then lets it be planned anew."""
    house = SimHouse(**PATIENT, planner_backoff_seconds=60).graph("core")
    good, foreign = proposals(TASK_9001="src/one")[0], proposals(TASK_9001="src/one")[0].replace("core", "shell")
    house.planner("core", [batch(foreign), batch(good), batch(good), batch(good)])
    house.watch = WorkingWatch(house)
    blocking = {"id": "1", "severity": "blocking", "claim": "It is not enough."}
    judgements = [("park", []), ("revise", [blocking])]
    answers = [{"verdict": word, "rationale": "So it is.", "findings": found} for word, found in judgements]
    return house.critic("core", [Move(answer=one) for one in answers])


def cut_off():
    """Two tasks whose story is cut three times, each time where another half of a change is left."""
    house = SimHouse(**PATIENT).given(ONE, owned=["a.txt"]).given(TWO, depends_on=[ONE])
    for point in ("state before remove leases/TASK-0001.json", "state before move tasks/live/TASK-0002.json"):
        house.fuse.once(point, partial(crash, house))
    house.fuse.once("git land:after", partial(crash, house))
    return house


def crash(house):
    """Let the process die here."""
    raise SimCrash(f"in {house.doors().root}")


def refused_first():
    """A task that a person writes in three goes while STOP is set: with a mistake, with another scope, and well."""
    return SimHouse(**PATIENT).task_file(ONE, "# TASK-0001: No scope\n\nStatus: ready\n").stop()


def orphaned():
    """A worker whose wrapper vanishes while its agent lives on."""
    return SimHouse(**PATIENT, orphan_grace=150).given(ONE, owned=["a.txt"]).hold(ONE)


def held():
    """A task whose provider cannot be asked for some hours; what every program cost is said."""
    runners = {"agent": speaker(provider="anthropic"), "judge": speaker("judge", provider="openai")}
    house = SimHouse(**PATIENT, runners=runners, roles={"worker": "agent", "auditor": "judge"})
    done = Move(writes={"a.txt": "good"}, says=ended(0.5, tokens=10))
    return house.given(ONE, owned=["a.txt"]).agent(ONE, [refused(429, "You've hit your usage limit", usd=0.25), done])


def broken():
    """Two tasks, of which the record of one is made unreadable."""
    return SimHouse(**PATIENT).given(ONE, owned=["a.txt"]).given(TWO)


class WorkingWatch(SimWatch):
    """Sleeps, and lets the runs work meanwhile."""

    def __init__(self, house):
        super().__init__(house.clock)
        self.house = house

    def wait(self, run_ids, seconds):
        """Let the runs work and time pass."""
        self.house.let_work()
        super().wait(run_ids, seconds)


def by_hand():
    """Tasks that a person drives verb by verb."""
    house = SimHouse(**PATIENT).graph("core").given(ONE, owned=["a.txt"], node="core", area="src").given(TWO)
    house.watch = WorkingWatch(house)
    return house


# --- what happens in them --------------------------------------------------------------------------------

let_cycle = typed("reconcile", lambda house: house.cycle(work=False))
let_cycle.lets_work = True


def speaking(*moves):
    """A task whose worker and auditor are programs of two providers, and tell what they cost."""
    runners = {"agent": speaker(provider="one"), "judge": speaker("judge", provider="two")}
    house = SimHouse(**PATIENT, runners=runners, roles={"worker": "agent", "auditor": "judge"})
    house.given(ONE, owned=["a.txt"]).agent(ONE, moves)
    return house.auditor(ONE, [Move(act=verdict("accepted").act, says=ended(0.25))])


def good():
    return Move(writes={"a.txt": "good"}, says=ended(2.0))


def held_worker():
    """A task whose worker's provider is overloaded when it is asked first."""
    return speaking(refused(529, "Overloaded", usd=0.5), good())


def held_auditor():
    """A task whose work is green and has to wait for its auditor."""
    house = speaking(good())
    return house.auditor(ONE, [refused(529, "Overloaded", usd=0.5), Move(act=verdict("accepted").act, says=ended())])


def limited():
    """A task whose first try runs into a limit, so that what it wrote is rescued and taken back."""
    said = ended(1.0, subtype="error_max_turns", is_error=True, result="Reached max turns")
    return speaking(Move(writes={"a.txt": "half", "b.txt": "half"}, says=said, exit_code=1), good())


def paused():
    """A task whose agent is stopped by a limit at which a person is asked, and one that does not wait for that."""
    resumes = {"sessions": Sessions.CAPTURED, "options": {"resume": ("{session}",)}}
    runners = {"agent": speaker(provider="one", **resumes), "judge": speaker("judge", provider="two")}
    said = ended(1.0, subtype="error_max_turns", is_error=True, result="Reached max turns")
    house = SimHouse(**PATIENT, runners=runners, roles={"worker": "agent", "auditor": "judge"})
    house.configure(on_limit_try=OnLimit.PAUSE, approval_expires_hours=3).given(ONE, owned=["a.txt"]).given(TWO)
    house.agent(ONE, [Move(writes={"a.txt": "half"}, says=said, exit_code=1), good()])
    return house.auditor(ONE, [Move(act=verdict("accepted").act, says=ended(0.25))])


def refusable():
    """Three tasks, of which two cannot become candidates: the branch of one moves, of one the work is there already."""
    return SimHouse(**PATIENT).given(ONE, owned=["a.txt"]).given(TWO).given(THREE)


def move_branch(house):
    """Commit to the branch of an accepted task, where nobody was asked about that."""
    task = house.record(TWO)
    if task is not None and task.status is Status.ACCEPTED:
        with house.fuse.out():
            new = house.git.commit_tree(house.git.tree_of(task.head_sha), [task.head_sha], "more")
            house.git.refs[f"refs/heads/{task.spec.worker_branch}"] = new


def do_it_oneself(house):
    """Commit to the target what a task is about to land."""
    task = house.record(THREE)
    if task is not None and task.status is Status.ACCEPTED:
        path = f"src/{THREE}.txt"
        house.colleague(path, house.git.file_at(task.head_sha, path).decode())


def commit_beside(house):
    house.colleague("b.txt", "hers")


def squashed():
    """A task whose work lands as one plain commit."""
    return one_task(integration=Integration(mode=IntegrationMode.SQUASH))


def rebased():
    """A task whose commits land one by one."""
    return one_task(integration=Integration(mode=IntegrationMode.REBASE))


def proposed():
    """A task whose work a person merges on the remote."""
    house = one_task(push=True, integration=Integration(mode=IntegrationMode.PULL_REQUEST))
    house.git.remote = {"main": house.git.head("main")}
    return house


def merge_request(house):
    """Let a person merge what was asked for on the remote, once."""
    git, task = house.git, house.record(ONE)
    if task is None or task.spec.worker_branch not in git.remote:
        return
    there, head = git.remote["main"], git.remote[task.spec.worker_branch]
    if not git.contains(there, head):
        with house.fuse.out():
            message = f"Merge pull request #1\n\nGluerun-Task: {ONE}\n"
            git.remote["main"] = git.commit_tree(git.merge(there, head).tree, [there, head], message)


def pushed():
    """A task whose target is pushed, to a remote where somebody else pushes meanwhile."""
    house = one_task(push=True)
    house.git.remote = {"main": house.git.head("main")}
    return house


def push_beside(house):
    """Let somebody else push another file, if nobody has yet."""
    git = house.git
    with house.fuse.out():
        if "theirs.txt" not in git.trees[git.tree_of(git.remote["main"])]:
            git.keep("refs/gluerun/theirs", git.remote["main"])
            git.remote["main"] = git.publish("refs/gluerun/theirs", {"theirs.txt": b"theirs"}, "theirs")
            git.forget("refs/gluerun/theirs", git.remote["main"])


def overtaken_there():
    """A task whose target is pushed, to a remote where somebody else pushes just before its landing."""
    house = pushed()
    house.fuse.once("git push:before", partial(push_beside, house))
    return house


def commit_over(house):
    house.colleague("a.txt", "hers")


def take_in(house):
    return house.cycle(mode="apply", work=False)


take_in.lets_work = True


def write_it(house):
    house.given(ONE, owned=["b.txt"])


def write_it_better(house):
    house.given(ONE, owned=["a.txt"])


def resume(house):
    house.resume()


def orphan(house):
    if house.lease(ONE) and house.record(ONE).run_id in house.processes.due():
        house.orphan(ONE)


def release(house):
    house.release(ONE)


def spoil(house):
    with house.fuse.out():
        house.state_files.write(f"tasks/live/{ONE}.json", b"{")


def fill_up(house):
    house.state_files.free = 1_000_000


def free_some(house):
    house.state_files.free = 100_000_000


def sleep(house):
    house.clock.tick(hours=6)


def set_back(house):
    house.clock.tick(hours=-400 * 24)


def add_task(house):
    draft = backlog.Draft(title="More", objective="There is more.", owned=("src/more.txt",), accept=("It is there.",))
    opened = house.open()
    if not house.work_files.files.keys() & {"docs/orchestration/tasks/TASK-0003.md"}:
        backlog.add(opened.store, house.work_files, house.config, draft)


def import_list(house):
    words = wishes_in("- [ ] Do more\n  - Owned: src/more.txt\n  - It is there.\n", "list.md")
    opened = house.open()
    known = [task.spec.title for task in opened.store.live_tasks()[0]]
    written = [data for path, data in house.work_files.files.items() if path.startswith("docs/orchestration/tasks/")]
    if "Do more" not in known and not any(b"Do more" in data for data in written):
        importing.bring_in(opened, words, "list.md", backlog.Draft(), dry_run=False)


def promote(house):
    try:
        promotion.promote(house.open(), "core")
    except UsageError:
        pass  # a fault came between; it is promoted later


def plan_again(house):
    try:
        plotting.plot(house.open(), "core")
    except UsageError:
        pass  # a fault came between; or a person has nothing to ask for


def drive_one(house):
    return drive.drive(house.open(), ONE)


SICK = {"test": "sums::adds", "owner": "ada", "days": 7}


def flaky():
    """One task, in a house that knows of a test that flakes."""
    house = SimHouse().given(ONE)
    opened = house.open()
    now = opened.now()
    known = Flake(gate="unit", test="sums::adds", seen=2, runs=9, first_seen=now, last_seen=now)
    opened.store.put_flakes(Flakes(flakes=(known,)))
    return house


def ordering(verb, about="", arguments=None, *, reason="", name=""):
    """Return the verb that gives an order, as it is typed; one that was overtaken is refused, and that is all."""

    def act(house):
        try:
            house.order(verb, about, arguments, reason=reason)
        except (UsageError, DecidedError):
            pass

    return typed(name or verb.value, act)


def queued(verb, about=""):
    """Return an order that is given while a cycle is at work, so that the next cycle carries it out."""

    def act(house):
        with house.busy(), suppress(UsageError, DecidedError):
            house.order(verb, about)

    return act


def start_only(house):
    return house.cycle(work=False)


def orphan_four(house):
    """Let the wrapper of a run vanish after its agent has written something."""
    if house.lease(FOUR) and house.record(FOUR).run_id in house.processes.due():
        house.orphan(FOUR)


def ordered():
    """Tasks that a person orders about, one of them under way and never finished."""
    house = SimHouse(**PATIENT).given(ONE, owned=["a.txt"]).given(TWO).given(THREE, depends_on=[TWO])
    return house.given(FOUR, priority=3)


def ordered_back():
    """A provider that cannot be asked, a breaker that opens, and a task that fails until somebody says how it goes."""
    runners = {"agent": speaker(provider="anthropic"), "judge": speaker("judge", provider="openai")}
    house = SimHouse(**{**PATIENT, "max_retries": 0}, runners=runners, roles={"worker": "agent", "auditor": "judge"})
    bad, good = (Move(writes={"a.txt": word}, says=ended(0.5, tokens=10)) for word in ("bad", "good"))
    house.given(ONE, owned=["a.txt"]).gate(lambda tree: int(tree.get("a.txt") == "bad"))
    return house.agent(ONE, [refused(429, "You've hit your usage limit", usd=0.25), bad, good])


def answering(verb, about=ONE):
    """Return the verb that answers whatever request about a task waits, as it is typed."""

    def act(house):
        try:
            request = open_one(house.open().store, about)
            house.order(verb, about, {"request": request.id}, reason="Look at it again.")
        except (UsageError, DecidedError):
            pass

    return typed({OrderVerb.RENEW: "approval renew"}.get(verb, verb.value), act)


approve, reject, renew = (answering(verb) for verb in (OrderVerb.APPROVE, OrderVerb.REJECT, OrderVerb.RENEW))


def asked_plan():
    """A task whose text a person approves, and one that does not wait for that."""
    house = SimHouse(**PATIENT, approval_expires_hours=3).given(ONE, owned=["a.txt"], approve_plan="always")
    return house.given(TWO)


def asked_landing():
    """A task whose finished work a person approves, and one that does not wait for that."""
    house = SimHouse(**PATIENT).given(ONE, owned=["a.txt"], approval="always").given(TWO)
    return house.agent(ONE, [Move(writes={"a.txt": "one"}), Move(writes={"a.txt": "two"})])


def gated_node():
    """A finished node that a person is asked about, and approves."""
    refs = dict(zip(("request_ref", "approval_ref"), default_refs("core"), strict=True))
    house = SimHouse(**PATIENT).graph({"id": "core", "human_gate": HumanGate(**refs)})
    house.work_files.write("docs/plan.md", b"the plan")
    return house.given(ONE, node="core", area="src")


def asking_about_node(house):
    """Ask about the node, once."""
    if "human-gates" not in "".join(house.work_files.files):
        words = question(house.work_files, "me", {"ok": "Is it?"}, ["docs/plan.md"], hours=99, kind="node", again=False)
        ordering(OrderVerb.GATE_REQUEST, "core", words)(house)


def deciding_about_node(verb):
    """Return the verb that answers what is asked about the node, as it is typed."""

    def act(house):
        words = answer(house.work_files, "core", {"ok": "yes"})
        ordering(verb, "core", words, reason="So it is.")(house)

    return typed(f"human-gate {verb.value.rpartition('-')[2]}", act)


MAIN = Crashing(one_task, let_cycle, commit_beside, wants={ONE: "integrated"}, files=("a.txt", "b.txt"))
# Every fault inside the journal's own steps: sealing, appending, anchoring.
ROTATING = Crashing(rotating, let_cycle, commit_beside, wants={ONE: "integrated"}, files=("a.txt", "b.txt"))
SCENARIOS = {
    "rotating": ROTATING,
    "three tasks": Crashing(
        three_tasks,
        let_cycle,
        commit_beside,
        wants=dict.fromkeys((ONE, TWO, THREE), "integrated"),
        files=("a.txt", "b.txt", "src/TASK-0002.txt", "src/TASK-0003.txt"),
    ),
    "on the branch": Crashing(
        on_the_branch,
        *(let_cycle, commit_beside, let_cycle, ordering(OrderVerb.CANCEL, THREE), *[let_cycle] * 8),
        wants={ONE: "integrated", TWO: "integrated", THREE: ("cancelled", "integrated")},
        files=("a.txt", "b.txt", "src/TASK-0002.txt"),
    ),
    "chained": Crashing(
        chained,
        let_cycle,
        let_be,
        commit_beside,
        # A crash may let the second be first; then the first is the one that does not fit.
        wants={ONE: ("integrated", "parked"), TWO: "integrated", THREE: "integrated"},
        files=("b.txt", "src/TASK-0002.txt", "src/TASK-0003.txt"),
    ),
    "poisoned": Crashing(
        poisoned,
        *(let_cycle, poison),
        # A crash may let a worker begin on the red target; its own gate is red then, and that is its try.
        wants=dict.fromkeys((ONE, TWO), ("integrated", "parked")),
        files=("c.txt",),
    ),
    "ballast": Crashing(
        ballasted, let_cycle, fill_up, let_cycle, free_some, let_cycle, wants={ONE: "integrated"}, files=("a.txt",)
    ),
    "squashed": Crashing(
        squashed,
        let_cycle,
        commit_beside,
        wants={ONE: "integrated"},
        files=("a.txt", "b.txt"),
    ),
    "rebased": Crashing(
        rebased,
        let_cycle,
        commit_beside,
        wants={ONE: "integrated"},
        files=("a.txt", "b.txt"),
    ),
    "proposed": Crashing(proposed, *[let_cycle, merge_request] * 8, wants={ONE: "integrated"}, files=("a.txt",)),
    "followed": Crashing(pushed, let_cycle, push_beside, wants={ONE: "integrated"}, files=("a.txt", "theirs.txt")),
    "overtaken there": Crashing(
        overtaken_there, let_cycle, let_cycle, wants={ONE: "integrated"}, files=("a.txt", "theirs.txt")
    ),
    "conflict": Crashing(conflict, let_cycle, commit_over, wants={ONE: "integrated"}, files=("a.txt",)),
    "refused branches": Crashing(
        refusable,
        *(let_cycle, take_in, move_branch, do_it_oneself),
        # Cut short and made good, a cycle may have landed them before that befell them.
        wants={ONE: "integrated", TWO: ("parked", "integrated"), THREE: ("parked", "integrated")},
        files=("a.txt", "src/TASK-0003.txt"),
    ),
    "widened": Crashing(widened, wants={ONE: "integrated"}, files=("a.txt", "b.txt")),
    "planned": Crashing(
        planned, wants={ONE: "integrated", TWO: "integrated"}, files=("src/one", "src/two"), nodes=("core",)
    ),
    "proved node": Crashing(proved_node, wants={ONE: "integrated"}, files=("src/one",), nodes=("core",)),
    "criticised": Crashing(
        criticised,
        *[let_cycle] * 4,
        typed("plan", plan_again),
        *[let_cycle, plan_again] * 6,
        wants={ONE: "integrated"},
        files=("src/one",),
        nodes=("core",),
    ),
    "cut off": Crashing(
        cut_off,
        *(let_cycle, let_cycle, take_in, let_cycle, let_cycle),
        wants={ONE: "integrated", TWO: "integrated"},
        files=("a.txt", "src/TASK-0002.txt"),
    ),
    "refused first": Crashing(
        refused_first,
        *(let_cycle, write_it, let_cycle, write_it_better, let_cycle, resume),
        wants={ONE: "integrated"},
        files=("a.txt",),
    ),
    "orphaned": Crashing(
        orphaned,
        *(let_cycle, orphan, let_cycle, release, let_cycle),
        wants={ONE: "integrated"},
        files=("a.txt",),
    ),
    "held": Crashing(
        held,
        *[let_cycle] * 5,
        sleep,
        *[let_cycle] * 5,
        sleep,
        wants={ONE: "integrated"},
        files=("a.txt",),
    ),
    "set back": Crashing(
        held,
        *[let_cycle] * 5,
        set_back,
        let_cycle,
        sleep,
        *[let_cycle] * 5,
        wants={ONE: "integrated"},
        files=("a.txt",),
    ),
    "broken": Crashing(
        broken, let_cycle, spoil, wants={ONE: "integrated", TWO: "integrated"}, files=("a.txt", "src/TASK-0002.txt")
    ),
    "held worker": Crashing(held_worker, wants={ONE: "integrated"}, files=("a.txt",)),
    "held auditor": Crashing(
        held_auditor, let_cycle, commit_beside, wants={ONE: "integrated"}, files=("a.txt", "b.txt")
    ),
    "limited try": Crashing(limited, wants={ONE: "integrated"}, files=("a.txt",)),
    "paused": Crashing(
        paused,
        *(*[let_cycle] * 3, sleep, *[renew] * 2, *[let_cycle] * 2, *[approve, let_cycle] * 6),
        wants={ONE: "integrated", TWO: "integrated"},
        files=("a.txt", "src/TASK-0002.txt"),
    ),
    "imported": Crashing(
        SimHouse,
        typed("import", import_list),
        import_list,
        import_list,
        wants={ONE: "integrated"},
        files=("src/more.txt",),
    ),
    # Whoever's verb was cut short types it again; what was cut short where he does not is there or not.
    "ordered": Crashing(
        ordered,
        *(queued(OrderVerb.STOP), let_cycle, ordering(OrderVerb.PARK, ONE, reason="not yet")),
        *(ordering(OrderVerb.REPRIORITIZE, TWO, {"priority": 2}), ordering(OrderVerb.RESUME), start_only, orphan_four),
        *(ordering(OrderVerb.CANCEL, FOUR), ordering(OrderVerb.STOP), ordering(OrderVerb.WAKE)),
        ordering(OrderVerb.SUPERSEDE, TWO, {"by": ONE}),
        *[ordering(OrderVerb.RESUME)] * 5,
        *[ordering(OrderVerb.UNPARK, ONE)] * 5,
        wants={
            ONE: "integrated",
            TWO: ("superseded", "integrated"),
            THREE: "integrated",
            FOUR: ("cancelled", "integrated"),
        },
        files=("a.txt", "src/TASK-0003.txt"),
        # The try that a person breaks off does not count.
        forgiven={TWO: 1, FOUR: 1},
    ),
    "quarantined": Crashing(
        flaky,
        let_cycle,
        *[ordering(OrderVerb.FLAKE_QUARANTINE, "unit", SICK, name="flake quarantine")] * 5,
        *[let_cycle] * 3,
        *[ordering(OrderVerb.FLAKE_RELEASE, "unit", SICK, name="flake release")] * 5,
        wants={ONE: "integrated"},
    ),
    "ordered back": Crashing(
        ordered_back,
        *[let_cycle] * 3,
        *[ordering(OrderVerb.CLEAR_BACKOFF)] * 2,
        *[let_cycle] * 6,
        *[ordering(OrderVerb.BREAKER_RESET, name="breaker reset")] * 5,
        ordering(OrderVerb.RETRY, ONE, reason="It must be good."),
        *[let_cycle] * 3,
        sleep,
        wants={ONE: ("integrated", "parked")},
        # Who may not try again at all gets the try that a person orders.
        forgiven={ONE: 1},
    ),
    "at night": Crashing(
        at_night,
        *(let_cycle, let_cycle, let_night_fall, let_be, let_one_work, let_cycle, let_night_fall, let_cycle),
        wants={ONE: "integrated"},
        files=("a.txt",),
    ),
    "approved plan": Crashing(
        asked_plan,
        *(let_cycle, let_cycle, sleep, *[renew] * 2, *[let_cycle] * 2, *[approve, let_cycle] * 6),
        wants={ONE: "integrated", TWO: "integrated"},
        files=("a.txt", "src/TASK-0002.txt"),
    ),
    # The target moves while a person takes his time; what he approved lands on the newer one.
    "approved landing": Crashing(
        asked_landing,
        *(*[let_cycle] * 4, commit_beside, let_cycle, *[approve] * 3, let_cycle, approve, let_cycle, approve),
        wants={ONE: "integrated", TWO: "integrated"},
        files=("a.txt", "b.txt", "src/TASK-0002.txt"),
    ),
    "rejected": Crashing(
        asked_landing,
        # A full disk may last longer than he is patient; then he looks again.
        *(*[let_cycle] * 4, reject, *[let_cycle] * 4, *[approve] * 3, *[let_cycle, approve, approve] * 3),
        wants={ONE: "integrated", TWO: "integrated"},
        files=("a.txt", "src/TASK-0002.txt"),
    ),
    "by hand": Crashing(
        by_hand,
        typed("drive", drive_one),
        typed("recover", lambda house: reconcile(house.open(), "recover")),
        typed("integrate", lambda house: drain(house.open(), mode="integrate")),
        # Whoever is told that it failed types it again, also while the disk is full.
        typed("task new", add_task),
        *[add_task] * 5,
        typed("promote-gate", promote),
        typed("auto", lambda house: auto.auto(house.open())),
        wants=dict.fromkeys((ONE, TWO, THREE), "integrated"),
        files=("a.txt", "src/TASK-0002.txt", "src/more.txt"),
    ),
    "gated node": Crashing(
        gated_node,
        *(let_cycle, typed("human-gate request", asking_about_node), *[asking_about_node] * 4),
        deciding_about_node(OrderVerb.GATE_REJECT),
        *(let_cycle, *[deciding_about_node(OrderVerb.GATE_APPROVE)] * 5),
        wants={ONE: "integrated"},
        files=("src/TASK-0001.txt",),
        nodes=("core",),
    ),
}
