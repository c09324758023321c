"""Who may write what, and the command lines that hold a program to it: by exact value."""

import pytest

from gluerun.core import sandbox
from gluerun.core.sandbox import Places, confinement, with_state
from gluerun.records.config import Config
from gluerun.records.dispatch import Role
from gluerun.records.record import replace
from gluerun.records.runner import RunnerSpec
from gluerun.records.sandbox import Confinement, Network, RoleSandbox, Sandbox, SandboxMode

PLACES = Places(
    worktree="/r/.worktrees/T1",
    git_dir="/r/.git",
    worktree_git_dir="/r/.git/worktrees/T1",
    run_folder="/r/.gluerun-state/runs/R1/outputs",
    tmp="/r/.gluerun-state/runs/R1/tmp",
    home="/home/ann",
)
AGENT = RunnerSpec(name="agent", state=("~/.agent/", "/var/agent"), own_sandbox=True)
OWN = ("/home/ann/.agent/", "/r/.gluerun-state/runs/R1/outputs", "/r/.gluerun-state/runs/R1/tmp", "/var/agent")
GIT = tuple(f"/r/.git/{name}" for name in ("logs", "objects", "refs", "worktrees/T1"))
WORKER = (*OWN[:1], *GIT, *OWN[1:3], "/r/.worktrees/T1", OWN[3])


def config(**changes):
    return Config(target_branch="main", gate_command="true", sandbox=Sandbox(**changes))


class TestWhoMayWriteWhat:
    def test_a_worker_writes_its_work_tree_and_what_a_commit_needs(self):
        held = confinement(Role.WORKER, config(), AGENT, PLACES)
        assert held == Confinement(
            mode=SandboxMode.AUTO, writable=WORKER, protected=("/r/.git/hooks", "/r/.git/config")
        )

    @pytest.mark.parametrize(
        ("branch", "refs"),
        [
            ("agent/root/T1-x", ("logs/refs/heads/agent/root/", "objects", "refs/heads/agent/root/")),
            ("replay/T1", ("logs/refs/heads/replay/", "objects", "refs/heads/replay/")),
            ("T1", ("objects",)),
        ],
    )
    def test_a_worker_whose_branch_is_known_moves_no_other_folder_of_branches(self, branch, refs):
        held = confinement("worker", config(), AGENT, replace(PLACES, branch=branch))
        found = [path for path in held.writable if path.startswith("/r/.git/")]
        assert found == [*(f"/r/.git/{name}" for name in refs), "/r/.git/worktrees/T1"]

    @pytest.mark.parametrize("role", [Role.PLANNER, Role.AUDITOR, Role.DECIDER, "auditor", "somebody"])
    def test_who_only_reads_writes_its_answer_and_its_own_state(self, role):
        assert confinement(role, config(), AGENT, PLACES).writable == OWN

    @pytest.mark.parametrize("role", ["worker", "planner"])
    def test_the_main_checkout_hooks_settings_and_home_are_nobody_s(self, role):
        held = confinement(role, config(), AGENT, PLACES)
        for path in ("/r", "/r/.git", "/r/.git/hooks", "/r/.git/config", "/r/src", "/home/ann", "/r/.worktrees/T2"):
            assert not any(f"{path}/".startswith(f"{top.rstrip('/')}/") for top in held.writable), path

    def test_a_gate_is_not_confined_unless_that_is_asked_for(self):
        assert confinement("gate", config(mode=SandboxMode.REQUIRED), None, PLACES) is None
        held = confinement("gate", config(roles={"gate": RoleSandbox(writable=("~/.cache",))}), None, PLACES)
        assert held.writable == ("/home/ann/.cache", *OWN[1:3], "/r/.worktrees/T1")
        assert held.mode is SandboxMode.AUTO

    @pytest.mark.parametrize(
        ("whole", "own", "expected"),
        [
            ({}, None, (SandboxMode.AUTO, Network.OPEN)),
            ({"mode": SandboxMode.OFF}, None, None),
            ({"mode": SandboxMode.OFF}, {"network": Network.NONE}, None),
            ({"mode": SandboxMode.OFF}, {"mode": SandboxMode.REQUIRED}, (SandboxMode.REQUIRED, Network.OPEN)),
            ({"mode": SandboxMode.REQUIRED}, {"mode": SandboxMode.OFF}, None),
            ({"network": Network.NONE}, {}, (SandboxMode.AUTO, Network.NONE)),
            ({"network": Network.NONE}, {"network": Network.OPEN}, (SandboxMode.AUTO, Network.OPEN)),
        ],
    )
    def test_what_is_said_of_a_role_wins(self, whole, own, expected):
        roles = {} if own is None else {"worker": RoleSandbox(**own)}
        held = confinement("worker", config(**whole, roles=roles), AGENT, PLACES)
        assert (held and (held.mode, held.network)) == expected

    def test_configured_paths_add_up_and_may_be_relative(self):
        named = config(writable=("/srv/a", "~/b"), roles={"planner": RoleSandbox(writable=("out", "/srv/a/deep"))})
        held = confinement("planner", named, None, PLACES)
        assert held.writable == ("/home/ann/b", *OWN[1:3], "/r/.worktrees/T1/out", "/srv/a")

    @pytest.mark.parametrize("path", ["", "~/x"])
    def test_a_path_that_means_nothing_opens_nothing(self, path):
        places = Places(worktree="/w", tmp="/t")
        assert confinement("planner", config(writable=(path,)), None, places).writable == ("/t",)

    def test_the_root_covers_everything(self):
        assert confinement("worker", config(writable=("/",)), AGENT, PLACES).writable == ("/",)

    def test_neighbours_with_a_common_beginning_are_two(self):
        assert confinement("planner", config(writable=("/a", "/ab", "/a/")), None, Places(worktree="/w")).writable in (
            ("/a", "/ab"),
            ("/a/", "/ab"),
        )

    def test_the_container_is_handed_on(self):
        held = confinement("worker", config(container=("podman", "run", "{argv}")), AGENT, PLACES)
        assert held.container == ("podman", "run", "{argv}")


class TestOwnSandbox:
    @pytest.mark.parametrize(
        ("tier", "role", "applies"),
        [
            ("none", "worker", True),
            ("none", "auditor", True),
            ("none", "gate", False),
            ("bwrap", "worker", False),
            ("landlock", "worker", False),
            ("landlock, network open", "auditor", False),
            ("container", "worker", False),
            ("seatbelt", "worker", False),
        ],
    )
    def test_two_sandboxes_do_not_nest(self, tier, role, applies):
        assert sandbox.own_sandbox_applies(tier, AGENT, role) is applies
        assert sandbox.own_sandbox_applies(tier, RunnerSpec(name="plain"), role) is False


KERNEL = tuple(
    word
    for name in ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi")
    for word in ("--ro-bind-try", f"/proc/{name}", f"/proc/{name}")
)
HELD = Confinement(mode=SandboxMode.AUTO, writable=("/t", "/w"), protected=("/w/.git",))


class TestCommandLines:
    def test_bubblewrap(self):
        assert sandbox.bwrap_argv(HELD, ("agent", "-p"), "/w", env="") == (
            *("bwrap", "--unshare-pid", "--cap-drop", "ALL", "--ro-bind", "/", "/", "--dev", "/dev"),
            *("--proc", "/proc", *KERNEL, "--bind", "/t", "/t", "--bind", "/w", "/w"),
            *("--ro-bind", "/w/.git", "/w/.git", "--chdir", "/w", "--", "agent", "-p"),
        )

    def test_what_lies_above_something_protected_cannot_be_exchanged(self):
        held = Confinement(mode=SandboxMode.AUTO, writable=("/w",), protected=("/w/a/b/c", "/w/d", "/x/y/z"))
        words = sandbox.bwrap_argv(held, ("agent",), "/w")
        assert words[words.index("--bind") : words.index("--die-with-parent")] == (
            *("--bind", "/w", "/w", "--bind", "/w/a", "/w/a", "--bind", "/w/a/b", "/w/a/b"),
            *("--ro-bind", "/w/a/b/c", "/w/a/b/c", "--ro-bind", "/w/d", "/w/d", "--ro-bind", "/x/y/z", "/x/y/z"),
        )
        assert [line for line in sandbox.seatbelt_profile(held).splitlines() if "unlink" in line] == [
            '(deny file-write-unlink (literal "/w/a"))',
            '(deny file-write-unlink (literal "/w/a/b"))',
        ]

    def test_bubblewrap_with_a_shield_against_stops(self):
        held = Confinement(mode=SandboxMode.AUTO)
        assert sandbox.bwrap_argv(held, ("agent",), "/w", bwrap="/b", env="/e") == (
            *("/e", "--ignore-signal=TERM,INT,HUP", "/b", "--unshare-pid", "--cap-drop", "ALL"),
            *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", *KERNEL),
            *("--die-with-parent", "--chdir", "/w", "--", "/e", "--default-signal=TERM,INT,HUP", "agent"),
        )

    @pytest.mark.parametrize(("network", "words"), [("open", 0), ("loopback", 1), ("none", 1)])
    def test_bubblewrap_cuts_the_network(self, network, words):
        held = Confinement(mode=SandboxMode.AUTO, network=Network(network))
        assert sandbox.bwrap_argv(held, ("agent",), "/w").count("--unshare-net") == words

    def test_seatbelt(self):
        held = Confinement(mode=SandboxMode.AUTO, writable=('/a "b"\\',), protected=("/c",))
        assert sandbox.seatbelt_argv(held, ("agent", "-p")) == (
            "sandbox-exec",
            "-p",
            "(version 1)\n"
            "(allow default)\n"
            "(deny file-write*)\n"
            '(allow file-write* (literal "/dev/null"))\n'
            '(allow file-write* (literal "/dev/zero"))\n'
            '(allow file-write* (literal "/dev/full"))\n'
            '(allow file-write* (literal "/dev/random"))\n'
            '(allow file-write* (literal "/dev/urandom"))\n'
            '(allow file-write* (literal "/dev/tty"))\n'
            '(allow file-write* (literal "/dev/ptmx"))\n'
            '(allow file-write* (literal "/dev/dtracehelper"))\n'
            '(allow file-write* (regex #"^/dev/(tty|pty)"))\n'
            '(allow file-write* (subpath "/a \\"b\\"\\\\"))\n'
            '(deny file-write* (subpath "/c"))\n',
            "agent",
            "-p",
        )

    @pytest.mark.parametrize(
        ("network", "lines"),
        [
            ("open", []),
            ("none", ["(deny network*)"]),
            (
                "loopback",
                [
                    "(deny network*)",
                    '(allow network-bind (local ip "localhost:*"))',
                    '(allow network-inbound (local ip "localhost:*"))',
                    '(allow network-outbound (remote ip "localhost:*"))',
                ],
            ),
        ],
    )
    def test_seatbelt_cuts_the_network(self, network, lines):
        profile = sandbox.seatbelt_profile(Confinement(mode=SandboxMode.AUTO, network=Network(network)))
        assert [line for line in profile.splitlines() if "network" in line] == lines

    def test_a_container(self):
        template = ("docker", "run", "--rm", "{network}", "{mounts}", "{env}", "-w", "{worktree}", "image", "{argv}")
        held = Confinement(
            mode=SandboxMode.AUTO, network=Network.LOOPBACK, writable=("/t", "/w"), protected=("/w/.git", "/r/.git")
        )
        assert sandbox.container_argv(held, template, ("agent", "{mounts}"), "/w/deep", ("B", "A")) == (
            *("docker", "run", "--rm", "--network", "none", "--volume", "/t:/t", "--volume", "/w:/w"),
            *("--volume", "/w/.git:/w/.git:ro", "--env", "A", "--env", "B", "-w", "/w/deep", "image"),
            *("agent", "{mounts}"),
        )

    def test_a_container_of_who_only_reads_has_the_work_tree_read_only(self):
        held = Confinement(mode=SandboxMode.AUTO, writable=("/t",))
        assert sandbox.container_argv(held, ("podman", "{mounts}", "{argv}"), ("a",), "/w") == (
            *("podman", "--volume", "/w:/w:ro", "--volume", "/t:/t", "a"),
        )

    @pytest.mark.parametrize(
        ("template", "word"),
        [
            (("docker", "run", "{mounts}", "image", "{argv}"), ""),
            (("docker", "run", "-v{worktree}:/w", "image", "{argv}"), ""),
            (("docker", "run", "{mounts}", "image"), "{argv}"),
            (("docker", "run", "image", "{argv}"), "{mounts}"),
        ],
    )
    def test_a_container_that_cannot_work_is_told(self, template, word):
        trouble = sandbox.container_trouble(template)
        assert (word in trouble) if word else not trouble


@pytest.mark.parametrize("role", [Role.WORKER, Role.AUDITOR])
def test_what_a_program_has_instead_of_the_users_home_is_its_own(role):
    agent = RunnerSpec(name="agent", own_homes={"AGENT_DATA": "data"})
    places = replace(PLACES, own_home="/r/.gluerun-state/runs/R1/home")

    assert "/r/.gluerun-state/runs/R1/home/data" in confinement(role, config(), agent, places).writable
    assert not [path for path in confinement(role, config(), AGENT, places).writable if "/R1/home" in path]


def test_a_folder_of_a_programs_state_may_be_named_by_a_variable():
    agent = RunnerSpec(name="agent", state=("~/.agent/", "$HERE/", "$THERE/in/", "$NOWHERE/"), env={"THERE": "/own/"})

    found = with_state(agent, {"HERE": "/here", "THERE": "/there"})

    assert found.state == ("~/.agent/", "/here/", "/own/in/")
