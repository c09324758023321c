"""What each role may touch, and the command lines that hold a program to it. Pure: nothing is looked at.

Nobody may write but where it is said here. A worker writes its work tree, its own git folder and the parts of
the shared one that a commit needs; who only reads and answers writes its answer, its temporary folder and its
program's own state. The engine commits by itself, so what is granted in `.git` is a courtesy.
"""

from __future__ import annotations

from gluerun.records.dispatch import Role
from gluerun.records.record import record, replace
from gluerun.records.sandbox import Confinement, Network, RoleSandbox, SandboxMode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gluerun.records.config import Config
    from gluerun.records.runner import RunnerSpec

GATE = "gate"

# The names of the tiers, best first, as they are recorded with each run.
CONTAINER, BWRAP, LANDLOCK, SEATBELT, NOTHING = "container", "bwrap", "landlock", "seatbelt", "none"

# What a commit in a linked work tree writes of the folder that all work trees share; hooks and config are not in it.
_COMMITTED = ("objects", "refs", "logs")
_OF_BRANCH = ("refs/heads", "logs/refs/heads")
_PROTECTED = ("hooks", "config")

# Where a program may write although nobody asked for it: without these even `git --version` fails.
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts")
SHARED_MEMORY = "/dev/shm"  # noqa: S108 a name in a rule, not a file that is opened

# What root could still turn in a /proc of its own, without any capability, and for the whole machine.
_KERNEL = tuple(f"/proc/{name}" for name in ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi"))

# A stop reaches the program itself, not the process that waits for it outside and tells its exit code.
_SHIELD = "--ignore-signal=TERM,INT,HUP"
_UNSHIELD = "--default-signal=TERM,INT,HUP"

_WORDS = ("argv", "mounts", "network", "env")


@record
class Places:
    """The folders of one run that a confinement speaks of, absolute; an empty one is not there.

    `git_dir` is the folder that all work trees share, `worktree_git_dir` this work tree's own; `run_folder` is
    where the program may leave its answer, `tmp` its own temporary folder, `own_home` what lies below it instead of
    in the user's home.
    """

    worktree: str
    git_dir: str = ""
    worktree_git_dir: str = ""
    branch: str = ""
    run_folder: str = ""
    tmp: str = ""
    cache: str = ""
    home: str = ""
    own_home: str = ""


def confinement(role: Role | str, config: Config, runner: RunnerSpec | None, places: Places) -> Confinement | None:
    """Return what a program that plays *role* may touch; None if it is not confined.

    A gate, or a command that sets a place up, is the user's own program: it is confined only if asked for.
    """
    name, sandbox = str(role), config.sandbox
    own = sandbox.roles.get(name)
    mode = SandboxMode.OFF if name == GATE and own is None else (own and own.mode) or sandbox.mode
    if mode is SandboxMode.OFF:
        return None
    own = own or RoleSandbox()
    state = runner.state if runner is not None else ()
    homes = [f"{places.own_home}/{name}" for name in runner.own_homes.values()] if runner and places.own_home else []
    named = (_expanded(path, places) for path in (*state, *sandbox.writable, *own.writable))
    folders = (*_of_role(name, places), places.run_folder, places.tmp, places.cache, *homes, *named)
    return Confinement(
        mode=mode,
        network=own.network or sandbox.network,
        writable=_outermost(path for path in folders if path),
        protected=tuple(f"{places.git_dir}/{name}" for name in _PROTECTED if places.git_dir),
        container=sandbox.container,
    )


def with_state(runner: RunnerSpec, environ: Mapping[str, str]) -> RunnerSpec:
    """Return *runner* with the folders of its state by path; one that a variable names is there only if that is set."""
    found = []
    for entry in runner.state:
        name, slash, rest = entry.removeprefix("$").partition("/")
        value = runner.env.get(name) or environ.get(name, "")
        if not entry.startswith("$"):
            found.append(entry)
        elif value:
            found.append(f"{value.rstrip('/')}{slash}{rest}")
    return replace(runner, state=tuple(found))


def own_sandbox_applies(tier: str, runner: RunnerSpec, role: Role | str) -> bool:
    """Tell whether a program with a sandbox of its own is to use it in *role*, beside ours or instead of it.

    Two do not nest: a sandbox mounts, and that is what ours forbids. So its own is for where ours does not hold.
    """
    return runner.own_sandbox and tier.partition(",")[0] == NOTHING and str(role) != GATE


def bwrap_argv(
    held: Confinement, argv: Sequence[str], cwd: str, *, bwrap: str = "bwrap", env: str = "env"
) -> tuple[str, ...]:
    """Return the command line that runs *argv* under bubblewrap: a read-only world, pids of its own.

    *env* is one that can ignore signals (empty: there is none): then a stop leaves the outer process alone, which
    tells the program's own exit code afterwards, and dies with the one who waits for it.
    """
    words = [bwrap, "--unshare-pid", "--cap-drop", "ALL", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for path in _KERNEL:
        words += ("--ro-bind-try", path, path)
    for path in held.writable:
        words += ("--bind", path, path)
    for path in _between(held):
        # A folder above something protected could be renamed, and a new one be put in its place: no mount point can.
        words += ("--bind", path, path)
    for path in held.protected:
        words += ("--ro-bind", path, path)
    if held.network is not Network.OPEN:
        words.append("--unshare-net")
    if not env:
        return (*words, "--chdir", cwd, "--", *argv)
    return (env, _SHIELD, *words, "--die-with-parent", "--chdir", cwd, "--", env, _UNSHIELD, *argv)


def seatbelt_profile(held: Confinement) -> str:
    """Return the profile for macOS's sandbox; of its rules the last one that fits counts."""
    lines = ["(version 1)", "(allow default)", "(deny file-write*)"]
    lines += [f"(allow file-write* (literal {_quoted(path)}))" for path in (*DEVICES[:-1], "/dev/dtracehelper")]
    lines.append('(allow file-write* (regex #"^/dev/(tty|pty)"))')
    lines += [f"(allow file-write* (subpath {_quoted(path)}))" for path in held.writable]
    lines += [f"(deny file-write* (subpath {_quoted(path)}))" for path in held.protected]
    lines += [f"(deny file-write-unlink (literal {_quoted(path)}))" for path in _between(held)]
    if held.network is not Network.OPEN:
        lines.append("(deny network*)")
    if held.network is Network.LOOPBACK:
        lines += [
            '(allow network-bind (local ip "localhost:*"))',
            '(allow network-inbound (local ip "localhost:*"))',
            '(allow network-outbound (remote ip "localhost:*"))',
        ]
    return "\n".join(lines) + "\n"


def seatbelt_argv(held: Confinement, argv: Sequence[str], *, program: str = "sandbox-exec") -> tuple[str, ...]:
    """Return the command line that runs *argv* in macOS's sandbox."""
    return (program, "-p", seatbelt_profile(held), *argv)


def container_trouble(template: Sequence[str]) -> str:
    """Return why *template* cannot be the command line of a container; empty if it can."""
    if "{argv}" not in template:
        return "sandbox.container has no word {argv}, so the program would not be started in it"
    if "{mounts}" not in template and not any("{worktree}" in word for word in template):
        return "sandbox.container has neither {mounts} nor {worktree}, so the program would not see its work tree"
    return ""


def container_argv(
    held: Confinement, template: Sequence[str], argv: Sequence[str], cwd: str, env: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return the command line of docker or podman that runs *argv*, from the configured *template*.

    `{argv}`, `{mounts}` (what may be written, and the work tree), `{network}` (nothing if it is open) and `{env}`
    (the variables by name) are words of their own; `{worktree}` may be a part of one.
    """
    covered = any(_is_within(cwd, path) for path in held.writable)
    mounts = [] if covered else [f"{cwd}:{cwd}:ro"]
    mounts += [f"{path}:{path}" for path in held.writable]
    mounts += [f"{path}:{path}:ro" for path in held.protected if any(_is_within(path, top) for top in held.writable)]
    parts: dict[str, tuple[str, ...]] = {
        "argv": tuple(argv),
        "mounts": tuple(word for mount in mounts for word in ("--volume", mount)),
        "network": () if held.network is Network.OPEN else ("--network", "none"),
        "env": tuple(word for name in sorted(env) for word in ("--env", name)),
    }
    words: list[str] = []
    for word in template:
        name = word[1:-1] if word.startswith("{") and word.endswith("}") else ""
        words += parts[name] if name in _WORDS else (word.replace("{worktree}", cwd),)
    return tuple(words)


def _of_role(role: str, places: Places) -> tuple[str, ...]:
    if role == GATE:
        return (places.worktree,)
    if role != Role.WORKER:
        return ()
    if not places.git_dir:
        return (places.worktree, places.worktree_git_dir)
    shared: tuple[str, ...] = _COMMITTED
    if places.branch:
        folder = places.branch.rpartition("/")[0]
        # Git makes these folders as it needs them; one that may be written has to be there before.
        shared = ("objects", *(f"{name}/{folder}/" for name in _OF_BRANCH if folder))
    return (places.worktree, places.worktree_git_dir, *(f"{places.git_dir}/{name}" for name in shared))


def _expanded(path: str, places: Places) -> str:
    """Return a configured path as an absolute one: `~/` is the home, what is relative lies in the work tree."""
    if path.startswith("~/"):
        return f"{places.home}/{path[2:]}" if places.home else ""
    return path if path.startswith("/") or not path else f"{places.worktree}/{path}"


def _outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """Return *paths* sorted, without those that lie within another: who may write there could bend them."""
    found: list[str] = []
    for path in sorted(set(paths), key=lambda path: path.rstrip("/")):
        if not any(_is_within(path, top) for top in found):
            found.append(path)
    return tuple(found)


def _between(held: Confinement) -> tuple[str, ...]:
    """Return the folders that lie below something writable and above something protected, outer ones first."""
    found = set()
    for path in held.protected:
        above = path.rpartition("/")[0]
        while above and above not in held.writable and any(_is_within(above, top) for top in held.writable):
            found.add(above)
            above = above.rpartition("/")[0]
    return tuple(sorted(found))


def _is_within(path: str, top: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{top.rstrip('/')}/")


def _quoted(path: str) -> str:
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'
