#!/usr/bin/env python3
"""Put gluerun on this machine, show it, or test it. Needs Python 3.11 or newer, and git for the tests.

    python3 install.py                  install this version under ~/.gluerun and make it the current one
    python3 install.py --list           show the versions that are installed
    python3 install.py --uninstall [VER]  take one away, or all of them; none that is in use
    python3 install.py release FOLDER   make wheel, source archive and SHA256SUMS
    python3 install.py demo [ARG...]    run `gluerun demo ARG...` from this checkout in a private environment
    python3 install.py test [ARG...]    lint, build and test; ARGs go to pytest (see `test --help`)

Private environments live in the user's cache folder, each named after a hash of what is in it, so that a
second run finds everything in place. An environment cannot be moved once it is made (its scripts carry its
path), so it is built where it stays, under a lock, and a marker written last says that it is whole.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

CHECKOUT = Path(__file__).resolve().parent
SOURCES = (
    "engine",
    "gluerun_ext",
    "schemas",
    "migrations",
    "SCHEMA_VERSION",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)

VERSION_FILE = "engine/gluerun/release.py"

RINGS = ("house", "records", "core", "contracts", "scenarios", "e2e", "agents")
WHEEL_RINGS = {"e2e", "agents"}
COVERED_RINGS = {"core": "gluerun.core", "records": "gluerun.records"}
PYTEST_FAILED, PYTEST_NO_TESTS = 1, 5
SOAKED = (
    "tests/core/test_odd_documents.py",
    "tests/contracts/test_stopping.py",
    "tests/scenarios/test_days.py",
    "tests/e2e/test_kills.py",
)
SOAKING = {
    "GLUERUN_SOAK_KILLS": "1000",
    "GLUERUN_E2E_KILLS": "1000",
    "GLUERUN_SOAK_FILE": str(CHECKOUT / "benchmarks" / "soak.json"),
    "ODD_DOCUMENTS": "1000000",
    "DAYS": "10000",
}
LOOPBACK = CHECKOUT / "tests" / "agents" / "loopback.py"

LAYOUT = "1"  # part of every environment's name: raise it when environments are built in another way
MARKER = ".complete"
STALE_AFTER = 14 * 24 * 3600  # seconds after which an unused environment is removed
UV_PROBE_SECONDS, PROBE_SECONDS = 7, 18  # the second is for all probes: silence must end within 20
INSTALL_SECONDS = 30 * 60
REFUSED, MISSING, INTERRUPTED = 2, 127, 130


class SkipError(Exception):
    """What cannot be had on this machine: one sentence, for the summary."""


class StopError(Exception):
    """An expected end: one sentence for the person, and the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def say(message: str) -> None:
    """Tell what is being done; on stderr, because stdout belongs to what was asked for."""
    print(f"install: {message}", file=sys.stderr, flush=True)


# --- what is in this checkout -------------------------------------------------------------------------


class Project(NamedTuple):
    """The part of pyproject.toml that matters here."""

    version: str
    dependencies: tuple[str, ...]
    dev: tuple[str, ...]


def read_project(checkout: Path = CHECKOUT) -> Project:
    """Read version and requirements, each from its only source."""
    import tomllib

    document = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    project = document["project"]
    told = (checkout / VERSION_FILE).read_text(encoding="utf-8")
    version = re.search(r'^VERSION = "(.+)"$', told, re.MULTILINE)
    if version is None:
        raise StopError(f"{VERSION_FILE} names no version")
    return Project(version[1], tuple(project["dependencies"]), tuple(document["dependency-groups"]["dev"]))


def source_hash(checkout: Path = CHECKOUT) -> str:
    """Return a hash over every file that ends up in the wheel."""
    digest = hashlib.sha256()
    for top in (checkout / name for name in SOURCES):
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                data = path.read_bytes()
                digest.update(f"{path.relative_to(checkout)}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


# --- where things are kept ----------------------------------------------------------------------------


def is_usable(folder: Path) -> bool:
    """Tell whether files can be made in *folder*, making it if needed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def cache_folder(environ: Mapping[str, str], checkout: Path = CHECKOUT) -> Path:
    """Return the user's cache folder for gluerun, or one in the checkout where there is no usable home."""
    candidates = []
    if Path(environ.get("XDG_CACHE_HOME", "")).is_absolute():
        candidates.append(Path(environ["XDG_CACHE_HOME"]) / "gluerun")
    elif environ.get("HOME"):
        caches = "Library/Caches" if sys.platform == "darwin" else ".cache"
        candidates.append(Path(environ["HOME"], caches, "gluerun"))
    candidates.append(checkout / ".gluerun-cache")
    for folder in candidates:
        if is_usable(folder):
            return folder
    raise StopError(f"no folder can be written to: neither {' nor '.join(map(str, candidates))}")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at *path*; wait, and say so, while another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another install to finish")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def write_atomic(path: Path, text: str, mode: int = 0o644) -> None:
    """Put *text* at *path* so that a reader sees all of it or none."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.chmod(mode)
    draft.replace(path)


# --- environments -------------------------------------------------------------------------------------


class Content(NamedTuple):
    """What an environment is to hold: named requirements, and at most one path (a checkout or a wheel)."""

    requirements: tuple[str, ...]
    path: Path | None = None
    path_hash: str = ""

    def fingerprint(self) -> str:
        """Return what distinguishes this content, on this machine's Python, from any other."""
        about = [LAYOUT, platform.python_implementation(), platform.python_version(), sys.platform]
        about += [platform.machine(), self.path_hash, *sorted(self.requirements)]
        return hashlib.sha256("\n".join(about).encode()).hexdigest()


def python_of(environment: Path) -> Path:
    """Return the interpreter of an environment."""
    return environment / "bin" / "python"


def fingerprint_of(environment: Path, *executables: str) -> str:
    """Return the fingerprint of a whole, working environment; empty when it is not one."""
    try:
        marker = json.loads((environment / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    # The base interpreter may have been removed since: then the link to it leads nowhere.
    works = all(os.access(environment / "bin" / name, os.X_OK) for name in executables or ("python",))
    return str(marker.get("fingerprint", "")) if works else ""


def ensure_environment(cache: Path, kind: str, content: Content) -> Path:
    """Return the interpreter of the environment with this content, building it on first use."""

    def build(home: Path) -> None:
        build_environment(home, content, cache)

    return python_of(ensure_built(cache, kind, content.fingerprint(), build))


def ensure_built(
    cache: Path, kind: str, fingerprint: str, build: Callable[[Path], None], executables: Sequence[str] = ()
) -> Path:
    """Return the folder of the environment with this fingerprint, having it built on first use."""
    home = cache / "environments" / f"{kind}-{fingerprint[:16]}"
    if fingerprint_of(home, *executables) != fingerprint:
        with locked(home.with_name(f"{home.name}.lock")):
            # Another process may have built it while we waited.
            if fingerprint_of(home, *executables) != fingerprint:
                remove_stale(home.parent, kind)
                build(home)
                return home
    say(f"{kind} environment is complete, nothing was installed")
    (home / MARKER).touch()
    return home


def build_environment(home: Path, content: Content, cache: Path) -> None:
    """Make an environment at *home*; the caller holds its lock."""
    say(f"building {home}")
    started = time.monotonic()
    client_env = environment_for_client(cache)
    installer = create_environment(home, content.requirements[0], client_env)
    what = [*content.requirements, *([str(content.path)] if content.path else [])]
    code, output = run_watched([*installer.install, *what], client_env, INSTALL_SECONDS)
    if code:
        raise StopError(f"{installer.name} could not install what is needed; it said:\n{output.strip()}")
    write_atomic(home / MARKER, json.dumps({"fingerprint": content.fingerprint(), "installed": what}, indent=1))
    say(f"installed {len(what)} requirements with {installer.name} in {time.monotonic() - started:.0f} s")


def remove_stale(folder: Path, kind: str) -> None:
    """Remove environments of this kind that nobody has used for long: each change of the source makes one."""
    for marker in folder.glob(f"{kind}-*/{MARKER}"):
        if marker.stat().st_mtime < time.time() - STALE_AFTER:
            say(f"removing {marker.parent}, unused for two weeks")
            marker.unlink()  # first, so that a removal that is cut short leaves nothing that looks whole
            shutil.rmtree(marker.parent, ignore_errors=True)


# --- uv or pip ----------------------------------------------------------------------------------------


class Installer(NamedTuple):
    """A package client, with the commands that work on one environment."""

    name: str
    create: list[str]
    install: list[str]
    probe: list[str]  # asks the index for one requirement and installs nothing


def uv_installer(uv: str, home: Path) -> Installer:
    """Return uv, told never to trust a wheel that it once built from another state of the checkout."""
    pip = [uv, "pip", "install", "--quiet", "--no-progress", f"--python={python_of(home)}"]
    return Installer(
        "uv",
        [uv, "venv", "--quiet", "--no-project", f"--python={sys.executable}", str(home)],
        [*pip, "--compile-bytecode", "--refresh-package=gluerun", "--reinstall-package=gluerun"],
        [*pip, "--dry-run", "--no-deps"],
    )


def pip_installer(home: Path) -> Installer:
    """Return pip: this interpreter's own, which saves seconds, or else one put into the environment."""
    create = [sys.executable, "-m", "venv", str(home)]
    if has_module("pip"):
        create.insert(3, "--without-pip")
        pip = [sys.executable, "-m", "pip", f"--python={python_of(home)}"]
    elif has_module("ensurepip"):
        pip = [str(python_of(home)), "-m", "pip"]
    else:
        raise StopError("this Python has neither pip nor ensurepip: install python3-venv or pip", MISSING)
    patience = ["--quiet", "--disable-pip-version-check", "--no-input", "--retries=1", "--timeout=8"]
    probe = [*pip, "download", *patience, "--no-deps", f"--dest={home}"]
    return Installer("pip", create, [*pip, "install", *patience, "--compile"], probe)


def has_module(name: str) -> bool:
    """Tell whether this interpreter can import *name*."""
    return importlib.util.find_spec(name) is not None


def create_environment(home: Path, requirement: str, client_env: Mapping[str, str]) -> Installer:
    """Make an empty environment with the first client that reaches an index, and return that client.

    uv does not read pip's configuration, so pip is asked too where uv finds no index.
    """
    uv = shutil.which("uv")
    deadline = time.monotonic() + PROBE_SECONDS
    for make in [*([lambda: uv_installer(uv, home)] if uv else []), lambda: pip_installer(home)]:
        installer = make()
        shutil.rmtree(home, ignore_errors=True)
        code, output = run_watched(installer.create, client_env, INSTALL_SECONDS)
        if code:
            raise StopError(f"{installer.name} could not make an environment in {home}; it said:\n{output.strip()}")
        patience = UV_PROBE_SECONDS if installer.name == "uv" else deadline - time.monotonic()
        code, _ = run_watched([*installer.probe, requirement], client_env, patience)
        if not code:
            return installer
        say(f"{installer.name} reaches no package index")
    shutil.rmtree(home, ignore_errors=True)
    raise StopError("no package index can be reached: check the network, or the index that pip is set up to use")


def environment_for_client(cache: Path) -> dict[str, str]:
    """Return variables under which a client writes only where we say, whatever the user's shell holds."""
    leads_astray = {
        "PIP_USER",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_REQUIRE_VIRTUALENV",
        "PYTHONDONTWRITEBYTECODE",
    }
    clean = {key: value for key, value in child_environment().items() if key not in leads_astray}
    defaults = {"PIP_CACHE_DIR": str(cache / "downloads/pip"), "UV_CACHE_DIR": str(cache / "downloads/uv")}
    return {**defaults, "UV_HTTP_TIMEOUT": "8", "UV_HTTP_RETRIES": "1", **clean}


def child_environment() -> dict[str, str]:
    """Return our variables without those that would let a child import from elsewhere."""
    leaks = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
    return {key: value for key, value in os.environ.items() if key not in leaks}


def run_watched(argv: Sequence[str], env: Mapping[str, str], seconds: float) -> tuple[int, str]:
    """Run a command and return its code and output; end it, and its children, when its time is over."""
    # A group of its own, because pip works through a child that would survive it and keep the pipe open.
    with subprocess.Popen(
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    ) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return 124, process.communicate()[0]
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output


# --- agent programs -----------------------------------------------------------------------------------


class Programs(NamedTuple):
    """Agent programs that npm installs together, and where below `node_modules` each one's executable lies.

    The native programs are started themselves, not through their launchers, which would live beside them and
    leave them running when they are killed.
    """

    kind: str
    lock: Path
    executables: Mapping[str, str]

    def fingerprint(self) -> str:
        """Return what distinguishes these programs, on this machine, from any other."""
        about = [LAYOUT, self.lock.read_text(encoding="utf-8"), *self.executables.items(), platform_of_npm()]
        return hashlib.sha256(repr(about).encode()).hexdigest()


AGENTS = Programs(
    "agents",
    CHECKOUT / "tests/agents/programs/package-lock.json",
    {
        "claude": "@anthropic-ai/claude-code-{platform}*/claude",
        "codex": "@openai/codex-{platform}*/vendor/*/bin/codex",
    },
)
MORE_AGENTS = Programs(
    "more-agents",
    CHECKOUT / "tests/agents/programs/more/package-lock.json",
    {"gemini": "@google/gemini-cli/bundle/gemini.js", "opencode": "opencode-{platform}*/bin/opencode"},
)


def platform_of_npm() -> str:
    """Return the name that npm's packages have for this platform."""
    machines = {"x86_64": "x64", "aarch64": "arm64"}
    if not sys.platform.startswith("linux") or platform.machine() not in machines:
        raise SkipError(f"the agent programs are driven on Linux only, not on {sys.platform} {platform.machine()}")
    return f"linux-{machines[platform.machine()]}"


def ensure_programs(cache: Path, programs: Programs) -> Path:
    """Return the folder with the executables, installing them on first use; SkipError where they cannot be had."""

    def build(home: Path) -> None:
        install_programs(home, programs, cache)

    return ensure_built(cache, programs.kind, programs.fingerprint(), build, tuple(programs.executables)) / "bin"


def install_programs(home: Path, programs: Programs, cache: Path) -> None:
    """Install what the lock file names into *home*; the caller holds its lock."""
    npm = shutil.which("npm")
    if not npm or not shutil.which("node"):
        raise SkipError("npm or Node.js is not installed")
    say(f"building {home}")
    started = time.monotonic()
    shutil.rmtree(home, ignore_errors=True)
    (home / "bin").mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(programs.lock.with_name(name), home)
    patience = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error", "--fetch-retries=1"]
    # No script of a package runs: one of them would write into the user's home.
    argv = [npm, "ci", f"--prefix={home}", "--global=false", "--ignore-scripts", *patience]
    env = {**child_environment(), "npm_config_cache": str(cache / "downloads/npm")}
    code, output = run_watched(argv, env, INSTALL_SECONDS)
    if code:
        reasons = [line for line in output.splitlines() if line.strip()] or ["it said nothing"]
        raise SkipError(f"npm could not install {', '.join(programs.executables)}: {' / '.join(reasons[:3])}")
    for name, pattern in programs.executables.items():
        found = sorted((home / "node_modules").glob(pattern.format(platform=platform_of_npm())))
        if not found:
            raise SkipError(f"{name} is not where it should be among what npm installed")
        (home / "bin" / name).symlink_to(found[0])
    write_atomic(home / MARKER, json.dumps({"fingerprint": programs.fingerprint()}))
    say(f"installed {', '.join(programs.executables)} with npm in {time.monotonic() - started:.0f} s")


# --- versions -----------------------------------------------------------------------------------------

LAUNCHER = """\
#!/bin/sh
# Starts the engine that is asked for: GLUERUN_ENGINE_HOME, else this repository's pin, else the current one.
# The pin is the file .gluerun-version, else engineVersion in gluerun.config.json, of the nearest folder with either,
# seen from here or from the folder that --repo names.
set -eu
root={root}
line='
'

refuse() {{
    printf 'gluerun: %s\\n' "$1" >&2
    exit 2
}}

# Which repository it is about, and the verb: options that are for every verb may stand anywhere.
about= verb= open=
for word in "$@"; do
    case $open in
    --repo) about=$word open='' && continue ;;
    --set) open='' && continue ;;
    esac
    case $word in
    --) break ;;
    --repo | --set) open=$word ;;
    --repo=*) about=${{word#*=}} ;;
    -*) ;;
    *) verb=${{verb:-$word}} ;;
    esac
done

cd -P . # so that PWD is the real path
where=$PWD
if [ -d "$about" ]; then
    case $about in /*) ;; *) about=./$about ;; esac
    # The dot keeps a line break at the end of a name.
    where=$(CDPATH='' cd -P "$about" && printf '%s.' "$PWD") && where=${{where%.}} || where=$PWD
fi
case $where in
*"$line"*) refuse 'the name of this folder holds a line break, so no repository can be told here' ;;
esac
folder=${{where%/}}
until [ -f "$folder/.gluerun-version" ] || [ -f "$folder/gluerun.config.json" ]; do
    if [ -z "$folder" ]; then
        folder=none
        break
    fi
    folder=${{folder%/*}}
done

pin= pin_file=
unset GLUERUN_ROOT
if [ "$folder" != none ]; then
    export GLUERUN_ROOT="${{folder:-/}}"
    wanted=
    if [ -f "$folder/gluerun.config.json" ]; then
        # Read here and not by a program: to start one takes longer than all the rest.
        while IFS= read -r words || [ -n "$words" ]; do
            case $words in *'"engineVersion"'*)
                wanted=${{words#*'"engineVersion"'}}
                wanted=${{wanted#*:}}
                wanted=${{wanted#"${{wanted%%[![:space:]]*}}"}}
                case $wanted in
                '"'*)
                    wanted=${{wanted#'"'}}
                    wanted=${{wanted%%'"'*}}
                    ;;
                *) wanted= ;;
                esac
                # Whoever wrote this file writes nothing else into a terminal.
                case $wanted in *[!A-Za-z0-9._+!-]*) wanted='no version' ;; esac
                break
                ;;
            esac
        done <"$folder/gluerun.config.json"
    fi
    if [ -f "$folder/.gluerun-version" ]; then
        pin_file=$folder/.gluerun-version
        read -r pin _ <"$pin_file" || :
        case $pin in
        '' | .* | *[!A-Za-z0-9._+!-]*) refuse "$pin_file names no version" ;;
        esac
        if [ -n "$wanted" ] && [ "$wanted" != "$pin" ]; then
            printf 'gluerun: %s\\n' "$pin_file names $pin and engineVersion in gluerun.config.json $wanted;\\
 $pin is taken; \\`gluerun update\\` makes them agree" >&2
        fi
    elif [ -n "$wanted" ]; then
        pin=$wanted pin_file=$folder/gluerun.config.json
        case $pin in
        .* | *[!A-Za-z0-9._+!-]*) refuse "engineVersion in $pin_file names no version" ;;
        esac
    fi
fi

current=$root/current
if [ -n "${{GLUERUN_ENGINE_HOME:-}}" ]; then
    engine=$GLUERUN_ENGINE_HOME
    [ -x "$engine/bin/python" ] || refuse "GLUERUN_ENGINE_HOME names $engine, where no engine is installed"
elif [ -n "$pin" ] && [ -f "$root/versions/$pin/{marker}" ]; then
    engine=$root/versions/$pin
else
    engine=$current
    case $pin:$verb in
    :* | *:update | *:migrate | *:doctor) ;; # what mends a pin must not need it
    *)
        refuse "$pin_file pins version $pin, which is not installed: run install.py from a checkout of $pin,\\
 or \\`gluerun update\\` to pin the current one"
        ;;
    esac
    [ -f "$engine/{marker}" ] || refuse "no engine is installed: run install.py from a checkout of gluerun"
fi

# The real path, so that a flip of `current` never changes the code under a running command.
engine=$(cd "$engine" && pwd -P)
export GLUERUN_HOME="$root"
exec "$engine/bin/python" -P -m gluerun "$@"
"""

# Every version is a link to a build: links change at once, and a build stays where it is, whole, while it is used.
VERSIONS, BUILDS = "versions", "builds"
SELF_STARTER = '#!/bin/sh\nexec "$(dirname -- "$0")/python" -P -m gluerun "$@"\n'


def engine_root(environ: Mapping[str, str]) -> Path:
    """Return the folder that holds the versions: GLUERUN_HOME, else `.gluerun` in the home."""
    named = environ.get("GLUERUN_HOME", "")
    if named and not Path(named).is_absolute():
        raise StopError(f"GLUERUN_HOME must be an absolute path, not {named!r}", REFUSED)
    home = environ.get("HOME")
    if not named and not home:
        raise StopError("the engine is installed in your home folder, and HOME names none")
    return Path(named) if named else Path(str(home)) / ".gluerun"


def usable_root(environ: Mapping[str, str]) -> Path:
    """Return the folder that holds the versions, made if needed."""
    root = engine_root(environ)
    if not is_usable(root):
        raise StopError("the engine is installed in your home folder, and that cannot be written to")
    return root


def install_engine() -> int:
    """Install this checkout under ~/.gluerun, make it current and write the launcher."""
    root = usable_root(os.environ)
    project = read_project()
    content = Content(project.dependencies, CHECKOUT, source_hash())

    def build(folder: Path) -> None:
        build_environment(folder, content, cache_folder(os.environ))

    with locked(root / "install.lock"):
        folder = install_version(root, project.version, content.fingerprint(), build)
        make_current(root, folder)
    launcher = root / "bin" / "gluerun"
    print(f"gluerun {folder.name} is the current version; start it with {launcher}")
    if str(launcher.parent) not in os.environ.get("PATH", "").split(os.pathsep):
        print(f'To type just `gluerun`: export PATH="{launcher.parent}:$PATH"')
    return 0


def install_version(root: Path, version: str, fingerprint: str, build: Callable[[Path], None]) -> Path:
    """Return the folder of a version, having it built unless it is there; the caller holds the lock.

    The version is complete or absent, whenever this is cut short: a build is nobody's until its link is made.
    """
    if not re.fullmatch(r"[A-Za-z0-9_+!-][A-Za-z0-9._+!-]*", version):
        raise StopError(f"{version!r} cannot be a version", REFUSED)
    folder = root / VERSIONS / version
    folder.parent.mkdir(parents=True, exist_ok=True)
    known = fingerprint_of(folder)
    if known == fingerprint:
        say(f"{folder} is complete, nothing was installed")
        remove_unused(root)
        write_launcher(root)
        return folder
    if known and (pids := users_of(folder)):
        raise StopError(
            f"another build of {version} is installed and in use by {processes(pids)}: it is not touched;"
            " give this one a version of its own, or wait until nothing runs",
            REFUSED,
        )
    home = root / BUILDS / f"{version}-{fingerprint[:16]}"
    if fingerprint_of(home) != fingerprint:
        home.parent.mkdir(exist_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        build(home)
    # Also of one that is there already: an install that was cut off may not have come this far.
    check_build(home, version)
    os.sync()  # what the link is about to name must outlive a loss of power
    if folder.is_dir() and not folder.is_symlink():
        set_aside(root, folder)  # of another installer: links came later
    link(folder, home)
    remove_unused(root)
    write_launcher(root)
    return folder


def check_build(home: Path, version: str) -> None:
    """Refuse a build that does not start, or is another version than it should be; make it start by itself."""
    write_atomic(home / "bin" / "gluerun", SELF_STARTER, mode=0o755)
    argv = [str(home / "bin" / "gluerun"), "version", "--json"]
    code, output = run_watched(argv, child_environment(), INSTALL_SECONDS)
    try:
        said = json.loads(output)["gluerun"] if not code else ""
    except (ValueError, KeyError, TypeError):
        said = ""
    if said != version:
        (home / MARKER).unlink()
        last = (output.strip().splitlines() or ["nothing"])[-1]
        raise StopError(f"the new build of {version} does not work and was not installed; it said: {last}")


def link(path: Path, target: Path) -> None:
    """Make *path* a link to *target*; at no moment is there no link, if there was one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(os.path.relpath(target, path.parent))
    draft.replace(path)


def make_current(root: Path, folder: Path) -> None:
    """Point `current` at a version; at no moment is there no current version."""
    link(root / "current", folder)


def write_launcher(root: Path) -> Path:
    """Write the script that picks a version and hands over to it."""
    launcher = root / "bin" / "gluerun"
    text = LAUNCHER.format(root=shlex.quote(str(root)), marker=MARKER)
    launcher.parent.mkdir(parents=True, exist_ok=True)
    if not launcher.is_file() or launcher.read_text(encoding="utf-8") != text:
        write_atomic(launcher, text, mode=0o755)
    return launcher


def installed(root: Path) -> list[Path]:
    """Return the folders of the versions that are whole."""
    return sorted(one for one in (root / VERSIONS).glob("[!.]*") if fingerprint_of(one))


def users_of(folder: Path) -> list[int]:
    """Return the processes that were started from a version: commands, loops, runs and those who wait for agents.

    All of them are started by the interpreter's path within the build, which stays in their command line.
    """
    start = f"{folder.resolve()}/"
    return sorted(pid for pid, program in running_programs() if program.startswith(start) and pid != os.getpid())


def running_programs() -> Iterator[tuple[int, str]]:
    """Yield every process that can be seen, and the program that it was started as."""
    if Path("/proc/self/cmdline").exists():
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    yield int(entry.name), os.fsdecode((entry / "cmdline").read_bytes().split(b"\0")[0])
        return
    done = subprocess.run(["ps", "-axww", "-o", "pid=,args="], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        pid, _, program = line.strip().partition(" ")
        if pid.isdigit():
            yield int(pid), program.strip()


def processes(pids: Sequence[int]) -> str:
    """Return processes as a sentence names them."""
    return f"{'process' if len(pids) == 1 else 'processes'} {', '.join(map(str, pids[:5]))}"


def set_aside(root: Path, folder: Path) -> None:
    """Put a version that is no link where builds are, for removal."""
    (root / BUILDS).mkdir(exist_ok=True)
    folder.replace(root / BUILDS / f"{folder.name}-{os.getpid()}")


def remove_unused(root: Path) -> None:
    """Remove the builds that no version names and nobody runs: replaced, uninstalled, or cut short."""
    named = {one.resolve() for one in [*(root / VERSIONS).glob("*"), root / "current"]}
    for build in (root / BUILDS).glob("*"):
        if build.resolve() not in named and not users_of(build):
            (build / MARKER).unlink(missing_ok=True)  # first, so that what is cut short looks like it
            shutil.rmtree(build, ignore_errors=True)
    for left in [*root.glob(".current.*"), *(root / VERSIONS).glob(".*.*"), *(root / "bin").glob(".gluerun.*")]:
        left.unlink(missing_ok=True)


def list_versions() -> int:
    """Print the versions that are installed, the current one marked, and who uses each."""
    root = engine_root(os.environ)
    current = (root / "current").resolve()
    for folder in installed(root):
        pids = users_of(folder)
        about = ["current"] if folder.resolve() == current else []
        about += [f"in use by {processes(pids)}"] if pids else []
        print(f"{folder.name}{'  ' if about else ''}{', '.join(about)}")
    return 0


def uninstall(version: str) -> int:
    """Take a version away, or all of them; none that is in use is touched."""
    root = usable_root(os.environ)
    with locked(root / "install.lock"):
        found = installed(root)
        chosen = [one for one in found if version in ("", one.name)]
        if not chosen:
            names = ", ".join(one.name for one in found) or "none"
            raise StopError(f"version {version or 'any'} is not installed; installed: {names}", REFUSED)
        for one in chosen:
            if pids := users_of(one):
                raise StopError(f"{one.name} is in use by {processes(pids)}: nothing was removed", REFUSED)
        if version and len(found) > 1 and chosen[0].resolve() == (root / "current").resolve():
            words = f"{version} is the current version: install another one first, which becomes the current one"
            raise StopError(words, REFUSED)
        # The way in first: whatever is left when this is cut short is not found by anybody.
        if len(chosen) == len(found):
            (root / "bin" / "gluerun").unlink(missing_ok=True)
            (root / "current").unlink(missing_ok=True)
        for one in chosen:
            if one.is_symlink():
                one.unlink()
            else:
                set_aside(root, one)
            print(f"gluerun {one.name} is uninstalled")
        remove_unused(root)
    return 0


def release(words: Sequence[str]) -> int:
    """Make the wheel, the source archive and their checksums in a folder; the same from the same commit."""
    if len(words) != 1:
        raise StopError("name the folder for the release: python3 install.py release FOLDER", REFUSED)
    cache = cache_folder(os.environ)
    project = read_project()
    python = ensure_environment(cache, "dev", Content(project.dependencies + project.dev))
    build_release(python, Path(words[0]), tool_environment(cache))
    return 0


def build_release(python: Path, folder: Path, env: Mapping[str, str]) -> None:
    """Build the artefacts of a release into *folder*, which must be new or empty."""
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StopError(f"{folder} is there and not empty: a release is made into a new folder", REFUSED)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        made = Path(scratch, "release")
        argv = [str(python), "-P", "-m", "hatchling", "build", "--target=wheel", "--target=sdist"]
        env = {**env, "SOURCE_DATE_EPOCH": moment_of_source()}
        done = subprocess.run(
            [*argv, f"--directory={made}"], cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StopError(f"the release could not be built; hatchling said:\n{(done.stdout + done.stderr).strip()}")
        files = sorted(path for path in made.iterdir() if path.is_file() and not path.name.startswith("."))
        sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
        write_atomic(made / "SHA256SUMS", "".join(sums))
        if folder.exists():
            folder.rmdir()
        made.replace(folder)
    print("".join(sums), end="")


def moment_of_source() -> str:
    """Return the time that the artefacts carry: SOURCE_DATE_EPOCH, else that of the commit, else 1980."""
    if os.environ.get("SOURCE_DATE_EPOCH", "").isdigit():
        return os.environ["SOURCE_DATE_EPOCH"]
    argv = ["git", "-C", str(CHECKOUT), "log", "-1", "--format=%ct"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False) if shutil.which("git") else None
    return done.stdout.strip() if done and done.returncode == 0 and done.stdout.strip() else "315532800"


# --- demo ---------------------------------------------------------------------------------------------


def run_demo(arguments: Sequence[str]) -> int:
    """Hand this process over to `gluerun demo`, installed from this checkout."""
    content = Content(read_project().dependencies, CHECKOUT, source_hash())
    python = ensure_environment(cache_folder(os.environ), "demo", content)
    argv = [str(python), "-P", "-m", "gluerun", "demo", *arguments]
    say(f"running gluerun {shlex.join(argv[4:])}")
    sys.stdout.flush()
    os.execve(python, argv, child_environment())  # exit code, signals and terminal are the demo's own


# --- test ---------------------------------------------------------------------------------------------


class Tally(NamedTuple):
    """What became of the tests of one ring."""

    ring: str
    seconds: float
    passed: int = 0
    failed: int = 0
    skips: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = f"{self.passed:5} passed {self.failed:4} failed {len(self.skips):4} skipped"
        return f"{self.ring:10} {self.seconds:6.1f} s {counts}"


def run_tests(arguments: Sequence[str]) -> int:
    """Lint, then run the rings of tests from the inside out; 0 when all is well."""
    options, pytest_arguments = parse_test_arguments(arguments)
    cache = cache_folder(os.environ)
    project = read_project()
    dev = ensure_environment(cache, "dev", Content(project.dependencies + project.dev))
    lint_failures = [] if options.no_lint else run_linters(dev, cache)
    if options.lint_only:
        return report([], lint_failures)
    env = tool_environment(cache)
    if options.soak:
        env |= SOAKING
    rings = rings_asked_for(options.ring, pytest_arguments)
    if WHEEL_RINGS.intersection(rings):
        env["GLUERUN_E2E_PYTHON"] = str(wheel_environment(cache, project, dev))
    tallies = []
    for ring in rings:
        run = RingRun(dev, ring, tuple(pytest_arguments), env, with_coverage=options.cov)
        tallies.append(run_agents_ring(run, cache, with_all=options.all_agents) if ring == "agents" else run_ring(run))
    return report(tallies, lint_failures)


def parse_test_arguments(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split our own options from those of pytest."""
    parser = argparse.ArgumentParser("install.py test", allow_abbrev=False, epilog="Anything else goes to pytest.")
    parser.add_argument("--lint-only", action="store_true", help="run the linters, no tests")
    parser.add_argument("--no-lint", action="store_true", help="run the tests, no linters")
    parser.add_argument("--ring", action="append", choices=RINGS, help="run only this ring; may be repeated")
    parser.add_argument(
        "--all-agents", action="store_true", help="drive gemini and opencode too, not only claude, codex"
    )
    parser.add_argument(
        "--soak", action="store_true", help="kill processes for long; alone, run only the tests that do"
    )
    parser.add_argument("--cov", action="store_true", help="report branch coverage of core and records")
    options, rest = parser.parse_known_args(arguments)
    if options.soak and not options.ring and not test_paths(rest):
        rest += SOAKED
    return options, rest


def rings_asked_for(named: Sequence[str] | None, pytest_arguments: Sequence[str]) -> list[str]:
    """Return the rings to run: those named, else those that a path among the arguments lies in, else all."""
    paths = [Path(argument.split("::")[0]).resolve() for argument in test_paths(pytest_arguments)]
    touched = [ring for ring in RINGS if any(path.is_relative_to(CHECKOUT / "tests" / ring) for path in paths)]
    return [ring for ring in RINGS if ring in (named or touched or RINGS)]


def test_paths(pytest_arguments: Sequence[str]) -> list[str]:
    """Return the arguments that name tests by their path."""
    return [a for a in pytest_arguments if not a.startswith("-") and Path(a.split("::")[0]).exists()]


def wheel_environment(cache: Path, project: Project, dev: Path) -> Path:
    """Build the wheel, once for each state of the source, and return the Python that has it installed."""
    content_hash = source_hash()
    folder = cache / "wheels" / content_hash[:16]
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            say("building the wheel")
            shutil.rmtree(f"{folder}.new", ignore_errors=True)
            build = [
                str(dev),
                "-P",
                "-m",
                "hatchling",
                "build",
                "--target=wheel",
                f"--directory={folder}.new",
            ]
            subprocess.run(build, cwd=CHECKOUT, env=tool_environment(cache), stdout=sys.stderr, check=True)
            Path(f"{folder}.new").replace(folder)
    wheel = next(folder.glob("*.whl"))
    return ensure_environment(cache, "wheel", Content(project.dependencies, wheel, content_hash))


def tool_environment(cache: Path) -> dict[str, str]:
    """Return variables under which the tools leave nothing behind in the checkout."""
    return child_environment() | {
        "PYTHONDONTWRITEBYTECODE": "1",
        "RUFF_CACHE_DIR": str(cache / "ruff"),
        "MYPY_CACHE_DIR": str(cache / "mypy"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(cache / "hypothesis"),
    }


def run_linters(dev: Path, cache: Path) -> list[str]:
    """Run every linter and return the names of those that complain."""
    commands = {
        "ruff check": ["ruff", "check", "--quiet", "."],
        "ruff format": ["ruff", "format", "--quiet", "--check", "."],
        "mypy --strict": ["mypy", "--strict", "--no-error-summary"],
        "lint-imports": ["lint-imports", "--no-cache"],
    }
    source_path = os.pathsep.join([str(CHECKOUT / "engine"), str(CHECKOUT)])  # only lint-imports looks there
    failures = []
    for name, (program, *options) in commands.items():
        started = time.monotonic()
        env = tool_environment(cache) | ({"PYTHONPATH": source_path} if program == "lint-imports" else {})
        argv = [str(dev.with_name(program)), *options]
        done = subprocess.run(argv, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False)
        print(
            f"{name:14} {time.monotonic() - started:6.1f} s {'failed' if done.returncode else 'ok'}",
            flush=True,
        )
        if done.returncode:
            failures.append(name)
            print(done.stdout + done.stderr, flush=True)
    return failures


class RingRun(NamedTuple):
    """What is needed to run one ring of tests; `within` is a command that runs pytest in a place of its own."""

    dev: Path
    ring: str
    pytest_arguments: Sequence[str]
    env: Mapping[str, str]
    with_coverage: bool = False
    within: Sequence[str] = ()


def run_ring(run: RingRun) -> Tally:
    """Run one ring of tests and count what pytest reports."""
    folder = CHECKOUT / "tests" / run.ring
    named = test_paths(run.pytest_arguments)
    options = [argument for argument in run.pytest_arguments if argument not in named]
    inside = [argument for argument in named if Path(argument).resolve().is_relative_to(folder)]
    if not folder.is_dir():
        return Tally(run.ring, 0.0)
    print(f"\n--- {run.ring}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gluerun-report-") as scratch:
        xml = Path(scratch, "report.xml")
        argv = [*run.within, str(run.dev), "-P", "-m", "pytest", "--quiet", f"--junitxml={xml}"]
        argv += ["-n2", "--dist=worksteal"]  # a runner of the CI has two cores
        argv += coverage_options(run.ring) if run.with_coverage else []
        argv += [*options, *(inside or [str(folder)])]
        measured = {**run.env, "COVERAGE_FILE": str(Path(scratch, "coverage"))}
        done = subprocess.run(argv, cwd=CHECKOUT, env=measured, check=False)
        return tally_report(xml, run.ring, time.monotonic() - started, done.returncode)


def run_agents_ring(run: RingRun, cache: Path, *, with_all: bool) -> Tally:
    """Run the ring of real agent programs, where these can be had, with nothing to reach but this machine."""
    folders, reasons = [], []
    for programs in (AGENTS, MORE_AGENTS) if with_all else (AGENTS,):
        try:
            folders.append(str(ensure_programs(cache, programs)))
        except SkipError as skip:
            reasons.append(f"{run.ring}: {skip}")
            print(f"skipped: {reasons[-1]}", flush=True)
    if not folders:
        return Tally(run.ring, 0.0, skips=tuple(reasons))
    within, why_open = loopback_only(run.dev, run.env)
    print(f"network: {f'open, because {why_open}' if why_open else 'loopback only'}", flush=True)
    env = {**run.env, "GLUERUN_AGENT_PROGRAMS": os.pathsep.join(folders)}
    env |= {} if why_open else {"GLUERUN_LOOPBACK_ONLY": "1"}
    tally = run_ring(run._replace(env=env, within=within))
    return tally._replace(skips=(*reasons, *tally.skips))


def loopback_only(python: Path, env: Mapping[str, str]) -> tuple[list[str], str]:
    """Return the command under which only this machine can be reached; or none, and why it cannot be had."""
    within = [str(python), "-P", str(LOOPBACK)]
    code, output = run_watched([*within, str(python), "-c", ""], env, PROBE_SECONDS)
    return (within, "") if not code else ([], output.strip() or f"the attempt ended with {code}")


def coverage_options(ring: str) -> list[str]:
    """Return what makes pytest measure the package that this ring is about, if there is one."""
    package = COVERED_RINGS.get(ring)
    return [f"--cov={package}", "--cov-branch", "--cov-report=term-missing"] if package else []


def tally_report(xml: Path, ring: str, seconds: float, code: int) -> Tally:
    """Count the tests in pytest's report; a run that fails outside any test counts as one failure."""
    passed, failed, skips = 0, 0, []
    for case in ElementTree.parse(xml).iter("testcase") if xml.exists() else ():
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skip is not None:
            skips.append(f"{case.get('classname')}::{case.get('name')}: {reason_of(skip)}".removeprefix("::"))
        else:
            passed += 1
    if code not in (0, PYTEST_NO_TESTS) and not failed:
        failed = 1
    return Tally(ring, seconds, passed, failed, tuple(skips))


def reason_of(skip: ElementTree.Element) -> str:
    """Return why a test was skipped; for a whole module pytest hides that in the text."""
    message = skip.get("message", "")
    return (skip.text or "").rpartition("Skipped: ")[2].rstrip("')") if message == "collection skipped" else message


def report(tallies: Sequence[Tally], lint_failures: Sequence[str]) -> int:
    """Print what happened and return the exit code."""
    print()
    for tally in tallies:
        print(tally)
    for skip in (skip for tally in tallies for skip in tally.skips):
        print(f"skipped: {skip}")
    if lint_failures:
        print(f"linters that complain: {', '.join(lint_failures)}")
    passed, failed = sum(tally.passed for tally in tallies), sum(tally.failed for tally in tallies)
    skipped = sum(len(tally.skips) for tally in tallies)
    nothing_ran = bool(tallies) and passed + failed + skipped == 0
    if nothing_ran:
        print("no test was run")
    if tallies:
        print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return int(bool(failed or lint_failures or nothing_ran))


# --- the door -----------------------------------------------------------------------------------------


def run(arguments: Sequence[str]) -> int:
    """Do what the command line asks for and return the exit code."""
    # No `match` here: an older Python has to get as far as being told that it is too old.
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if not verb:
        return install_engine()
    if verb == "demo":
        return run_demo(rest)
    if verb == "test":
        return run_tests(rest)
    if verb == "release":
        return release(rest)
    if verb == "--list" and not rest:
        return list_versions()
    if verb == "--uninstall" and len(rest) <= 1:
        return uninstall("".join(rest))
    if verb in ("-h", "--help"):
        print(__doc__)
        return 0
    raise StopError(
        f"`{shlex.join(arguments)}` is none of demo, test, release, --list, --uninstall and --help", REFUSED
    )


def main() -> int:
    """Run, and turn every expected end into one sentence and an exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs this may have an older Python
        print("install: Python 3.11 or newer is needed", file=sys.stderr)
        return 1
    try:
        return run(sys.argv[1:])
    except StopError as stop:
        say(str(stop))
        return stop.code
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
