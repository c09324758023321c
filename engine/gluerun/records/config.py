"""The configuration of one repository, resolved: what every room may know of it."""

from __future__ import annotations

from enum import StrEnum

from gluerun.records.pause import OnLimit
from gluerun.records.pipeline import GateSpec
from gluerun.records.record import record
from gluerun.records.runner import Limits, Price, RunnerSpec
from gluerun.records.sandbox import Sandbox


class ControlState(StrEnum):
    """Where the records of tasks are published."""

    REF = "ref"
    BRANCH = "branch"
    OFF = "off"


@record
class ProvisionFile:
    """A file that git ignores and that every work tree needs; both ends must be ignored."""

    source: str
    target: str
    required: bool = True


class Independence(StrEnum):
    """How far the auditor's seat must differ from the worker's."""

    NONE = "none"
    SESSION = "session"
    MODEL = "model"
    PROVIDER = "provider"


class TamperRule(StrEnum):
    """What is done about a try after which the tests prove less than before."""

    WARN = "warn"
    BLOCK = "block"


class ApprovalRule(StrEnum):
    """When a person is asked: never, where something speaks for it, or always."""

    NONE = "none"
    RISK = "risk"
    ALWAYS = "always"


@record
class AreaPolicy:
    """What an area asks of a person; nothing where it leaves that to the rest of the configuration."""

    approve_plan: ApprovalRule | None = None
    approval: ApprovalRule | None = None
    owners: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    expires_hours: float | None = None


class OnRedMain(StrEnum):
    """What is done while the target itself is red: begin nothing, go on, or begin nothing and land a proved revert."""

    PAUSE = "pause"
    GO_ON = "go-on"
    REVERT = "revert"


class PlanCritiqueMode(StrEnum):
    """Whether a critic judges a planner's batch before it is taken in."""

    OFF = "off"
    ON = "on"


class Remote(StrEnum):
    """Whether the target branch is pushed after each merge."""

    PUSH = "push"
    NONE = "none"


class IntegrationMode(StrEnum):
    """As what finished work enters the target: a merge, one plain commit, its branch's commits, or by a person."""

    MERGE = "merge"
    SQUASH = "squash"
    REBASE = "rebase"
    PULL_REQUEST = "pull-request"


@record
class Integration:
    """How finished work enters the target branch; whether it then leaves for the remote is `Config.push`."""

    mode: IntegrationMode = IntegrationMode.MERGE
    sign: bool = False


@record
class Collection:
    """What `gluerun gc` may give up: a `max_mb` of 0 is no limit, and `auto` is the cheap part of it in cycles."""

    keep_days: int = 30
    keep_runs: int = 50
    max_mb: int = 0
    rescue_days: int = 90
    auto: bool = False


@record
class Config:
    """The resolved configuration. Times are in the unit their name says."""

    target_branch: str
    gate_command: str
    runners: dict[str, RunnerSpec] = {}  # noqa: RUF012
    roles: dict[str, str] = {}  # noqa: RUF012
    require_audit: bool = True
    require_packet: bool = False
    areas: dict[str, tuple[str, ...]] = {}  # noqa: RUF012
    area_prefix: str = ""
    provision_files: tuple[ProvisionFile, ...] = ()
    bootstrap: tuple[str, ...] = ()
    prewarm: str = ""
    env_allowlist: tuple[str, ...] = ()
    control_state: ControlState = ControlState.REF
    control_commit_seconds: int = 300
    env: dict[str, str] = {}  # noqa: RUF012
    identity_name: str = "gluerun"
    identity_email: str = "gluerun@localhost"
    identity_l1_name: str = ""
    identity_l1_email: str = ""
    protect_orchestration: bool = True
    look_for_secrets: bool = True
    test_tamper: TamperRule = TamperRule.WARN
    new_tests_on_base: bool = False
    test_paths: tuple[str, ...] = ()
    sha256: str = ""
    modules: tuple[str, ...] = ()
    sandbox: Sandbox = Sandbox()
    limits_try: Limits = Limits()
    limits_task: Limits = Limits()
    limits_day: Limits = Limits()
    on_limit_try: OnLimit = OnLimit.STOP
    on_limit_task: OnLimit = OnLimit.STOP
    prices: dict[str, Price] = {}  # noqa: RUF012
    independence: Independence = Independence.NONE
    proof_layers: tuple[str, ...] = ()
    proof_grandfather: tuple[str, ...] = ()
    single_slice_layers: tuple[str, ...] = ("contract",)
    gc: Collection = Collection()
    integration: Integration = Integration()
    sparse: bool = False
    sparse_always: tuple[str, ...] = ()
    approve_plan: ApprovalRule = ApprovalRule.NONE
    approval: ApprovalRule = ApprovalRule.NONE
    approval_expires_hours: float = 0.0
    area_policy: dict[str, AreaPolicy] = {}  # noqa: RUF012
    risk_paths: tuple[str, ...] = ()
    gates: tuple[GateSpec, ...] = ()
    max_concurrent: int = 5
    max_dispatch: int = 5
    detached_dispatch: bool = True
    auto_integrate: bool = True
    auto_promote_gates: bool = True
    generate: bool = True
    push: bool = False
    max_hours: float = 12.0
    max_usd: float = 0.0
    max_tasks: int = 0
    notify_command: str = ""
    notify_webhook: str = ""
    max_retries: int = 3
    max_consec_fails: int = 5
    stale_minutes: int = 60
    session_affinity: bool = True
    session_max_age_sec: int = 14_400
    fix_prompt_structured: bool = True
    decider_fast: bool = True
    worker_infra_max: int = 1
    audit_infra_max: int = 2
    context_section_max_chars: int = 4000
    preflight_require_acceptance: bool = True
    gate_timeout_sec: int = 3600
    gate_slots: int = 2
    flake_reruns: int = 1
    on_red_main: OnRedMain = OnRedMain.PAUSE
    nightly_at: str = "02:00"
    gate_port_base: int = 20_000
    decider_timeout_sec: int = 1200
    kill_grace_sec: float = 10.0
    orphan_grace: int = 60
    min_disk_gb: float = 2.0
    ballast_mb: int = 16
    max_l1_concurrent: int = 3
    l1_tasks_per_node: int = 1
    planner_backoff_seconds: int = 900
    plan_critique: PlanCritiqueMode = PlanCritiqueMode.OFF
    sleep: float = 20.0
    drain_poll_secs: float = 2.0
    drain_timeout_secs: int = 0
    journal_file_bytes: int = 4_194_304

    @property
    def worker_identity(self) -> tuple[str, str]:
        """Return name and address under which the work of a task's run is committed."""
        return self.identity_l1_name or self.identity_name, self.identity_l1_email or self.identity_email

    @property
    def notifies(self) -> bool:
        """Tell whether a person wants to be told what needs them."""
        return bool(self.notify_command or self.notify_webhook)

    def runner_of(self, role: str) -> str:
        """Return the name of the runner that plays *role*; empty if none is set."""
        return self.roles.get(role, "")
