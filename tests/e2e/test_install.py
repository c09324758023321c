"""install.py keeps its promises: nothing twice, nothing outside its folders, one sentence where it cannot."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.patience import PATIENCE

CHECKOUT = Path(__file__).resolve().parents[2]
INSTALL = CHECKOUT / "install.py"
NO_INDEX = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "UV_INDEX_URL": "http://127.0.0.1:9/"}
OFFLINE = {
    "PIP_CONFIG_FILE": os.devnull,
    "UV_NO_CONFIG": "1",
}  # no mirror that this machine's settings may name
MADE_BY_OTHERS = {".rustup"}  # pip asks the machine's Rust for its version, which may leave this
TINY = ("pluggy>=1.5",)


def load_install():
    """Return install.py as a module; it is a script, on nobody's path."""
    spec = importlib.util.spec_from_file_location("gluerun_install", INSTALL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


install = load_install()


def run_install(*arguments: str, home: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run install.py as a person with this home would."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "PIP_FIND"))}
    argv = [sys.executable, str(INSTALL), *arguments]
    variables = {**clean, "HOME": str(home), **env}
    return subprocess.run(argv, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=False)


def fake_engine(folder: Path, fingerprint: str = "") -> Path:
    """Make a version folder whose Python says only which one it is."""
    python = install.python_of(folder)
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "{folder.name}: $*"\n')
    python.chmod(0o755)
    (folder / install.MARKER).write_text(f'{{"fingerprint": "{fingerprint}"}}')
    return folder


@pytest.fixture
def root(tmp_path):
    """An installation with two versions, of which 2.0 is current, and a launcher."""
    root = tmp_path / "home" / ".gluerun"
    fake_engine(root / "versions" / "1.0", fingerprint="1")
    install.make_current(root, fake_engine(root / "versions" / "2.0", fingerprint="2"))
    install.write_launcher(root)
    return root


def launch(root: Path, cwd: Path, words=("status", "a b"), *, shell: str = "", **env: str) -> tuple[int, str, str]:
    """Run the launcher in a folder, perhaps in another shell, and return code, output and complaint."""
    cwd.mkdir(parents=True, exist_ok=True)
    argv = [*([shell] if shell else []), str(root / "bin" / "gluerun"), *words]
    done = subprocess.run(argv, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


# --- the launcher ---------------------------------------------------------------------------------------


def test_the_launcher_starts_the_current_version(root, tmp_path):
    assert launch(root, tmp_path / "repo") == (0, "2.0: -P -m gluerun status a b", "")


def test_the_launcher_obeys_the_pin_of_the_repository_from_any_folder_in_it(root, tmp_path):
    (tmp_path / ".gluerun-version").write_text("1.0\n")

    assert launch(root, tmp_path / "deep" / "down") == (0, "1.0: -P -m gluerun status a b", "")


@pytest.mark.parametrize(
    "words",
    [
        ("--repo", "../other repo/deep", "status"),
        ("status", "--repo=../other repo"),
        ("--set", "--repo", "--repo", "../other repo", "status"),
        ("--repo", ".", "status", "--json", "--repo=../other repo"),
    ],
)
@pytest.mark.parametrize("shell", ["dash", "bash", "sh"])
def test_the_launcher_obeys_the_pin_of_the_repository_that_is_named(root, tmp_path, words, shell):
    here, other = tmp_path / "repo", tmp_path / "other repo"
    (other / "deep").mkdir(parents=True)
    (other / ".gluerun-version").write_text("1.0\n")

    assert launch(root, here, words, shell=shell) == (0, f"1.0: -P -m gluerun {' '.join(words)}", "")
    (here / ".gluerun-version").write_text("1.0\n")
    (other / ".gluerun-version").unlink()
    (other / "gluerun.config.json").write_text("{}")
    assert launch(root, here, words, shell=shell)[1] == f"2.0: -P -m gluerun {' '.join(words)}"


@pytest.mark.parametrize(
    "words", [("--repo", "none", "status"), ("status", "--", "--repo", "../other"), ("status", "--repo"), ()]
)
def test_where_no_folder_is_named_the_pin_of_this_one_is_obeyed(root, tmp_path, words):
    (tmp_path / "other").mkdir()
    here = tmp_path / "repo"
    here.mkdir()
    (here / ".gluerun-version").write_text("1.0\n")

    assert launch(root, here, words)[:2] == (0, f"1.0: -P -m gluerun {' '.join(words)}".rstrip())


def test_what_mends_the_pin_of_a_named_repository_does_not_need_it(root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / ".gluerun-version").write_text("9.9\n")

    assert launch(root, tmp_path, ("--repo", "other", "update"))[1] == "2.0: -P -m gluerun --repo other update"
    assert launch(root, tmp_path, ("--repo", "other", "status"))[0] == 2
    assert launch(root, other, ("status", "update"))[0] == 2


def test_the_engine_home_wins_over_the_pin(root, tmp_path):
    (tmp_path / ".gluerun-version").write_text("1.0\n")
    other = fake_engine(tmp_path / "other")

    assert launch(root, tmp_path, GLUERUN_ENGINE_HOME=str(other)) == (
        0,
        "other: -P -m gluerun status a b",
        "",
    )


@pytest.mark.parametrize(
    ("pin", "said"),
    [
        ("9.9", "pins version 9.9, which is not installed"),
        ("", "names no version"),
        ("../1.0", "names no version"),
        ("1.0\x1b]0;mine\x07", "names no version"),
    ],
)
def test_a_pin_that_cannot_be_obeyed_is_refused_in_one_sentence(root, tmp_path, pin, said):
    (tmp_path / ".gluerun-version").write_text(pin)

    code, output, complaint = launch(root, tmp_path)

    assert (code, output) == (2, "")
    assert said in complaint
    assert len(complaint.splitlines()) == 1
    assert complaint.isprintable()


@pytest.mark.parametrize("pin", ["", "1.0"])
def test_what_a_configuration_names_as_its_version_is_not_written_into_the_terminal(root, tmp_path, pin):
    (tmp_path / "gluerun.config.json").write_text('{"engineVersion": "9\x1b]0;mine\x07"}')
    if pin:
        (tmp_path / ".gluerun-version").write_text(pin)

    code, _, complaint = launch(root, tmp_path)

    assert (code, complaint.isprintable()) == (0 if pin else 2, True)


@pytest.mark.parametrize("shell", ["dash", "bash", "sh"])
def test_the_launcher_takes_the_version_that_the_configuration_names(root, tmp_path, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    repo = tmp_path / "a repo; with $odd 'names'"
    (repo / "deep").mkdir(parents=True)
    (repo / "gluerun.config.json").write_text('{\n  "engineVersion" : "1.0",\n  "targetBranch": "main"\n}\n')
    (tmp_path / "link").symlink_to(repo / "deep")
    argv = [shell, str(root / "bin" / "gluerun"), "status", "a b"]

    for folder in (repo, repo / "deep", tmp_path / "link"):
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "1.0: -P -m gluerun status a b\n", "")


@pytest.mark.parametrize(
    ("text", "started"),
    [
        ('{"targetBranch":"main","engineVersion":"1.0","x":"y"}', "1.0"),
        ('{"engineVersion" :\t"1.0"}\n', "1.0"),
        ('{"engineVersion": null, "x": "1.0"}', "2.0"),
        ('{"engineVersion":\n"1.0"}', "2.0"),
        ("", "2.0"),
        ("not JSON at all", "2.0"),
    ],
)
def test_the_launcher_reads_the_configuration_however_it_is_written(root, tmp_path, text, started):
    (tmp_path / "gluerun.config.json").write_text(text)

    assert launch(root, tmp_path) == (0, f"{started}: -P -m gluerun status a b", "")


def test_the_pin_wins_over_the_configuration_and_the_disagreement_is_said_once(root, tmp_path):
    (tmp_path / "gluerun.config.json").write_text('{"targetBranch": "main", "engineVersion": "2.0"}')
    (tmp_path / ".gluerun-version").write_text("1.0\n")

    code, output, complaint = launch(root, tmp_path)

    assert (code, output) == (0, "1.0: -P -m gluerun status a b")
    assert len(complaint.splitlines()) == 1
    assert "names 1.0 and engineVersion in gluerun.config.json 2.0; 1.0 is taken" in complaint


def test_the_launcher_says_which_repository_it_is_in_whatever_it_inherits(root, tmp_path):
    # FR-030: a command that a gate starts must not act on the repository that its environment names.
    python = install.python_of(root / "versions" / "2.0")
    python.write_text('#!/bin/sh\necho "${GLUERUN_ROOT-none}" "$GLUERUN_HOME"\n')
    repo = tmp_path / "repo"
    (repo / "deep").mkdir(parents=True)
    (repo / "gluerun.config.json").write_text("{}")

    assert launch(root, repo / "deep", GLUERUN_ROOT="elsewhere")[1] == f"{repo} {root}"
    assert launch(root, tmp_path / "other", GLUERUN_ROOT="elsewhere")[1] == f"none {root}"


@pytest.mark.parametrize("verb", ["update", "migrate", "doctor"])
def test_what_mends_a_pin_starts_without_the_version_that_is_pinned(root, tmp_path, verb):
    (tmp_path / ".gluerun-version").write_text("0.3.1\n")

    assert launch(root, tmp_path, words=(verb,)) == (0, f"2.0: -P -m gluerun {verb}", "")
    code, _, complaint = launch(root, tmp_path)
    assert (code, "`gluerun update`" in complaint, "install.py" in complaint) == (2, True, True)


def test_a_folder_whose_name_holds_a_line_break_is_refused(root, tmp_path):
    code, output, complaint = launch(root, tmp_path / "two\nlines\n")

    assert (code, output, complaint.count("\n")) == (2, "", 0)
    assert "line break" in complaint


def test_an_engine_that_is_not_whole_is_not_started(root, tmp_path):
    (root / "current" / install.MARKER).unlink()

    assert launch(root, tmp_path)[0] == 2


# --- versions -------------------------------------------------------------------------------------------

# Installs 2.0 over 1.0, once for each step at which it is stopped; each time in a process and a folder of its own.
STOPPED_AT_EVERY_STEP = """
import os, pathlib, shutil, sys
sys.path.insert(0, sys.argv[1])
import install

STEPS = {"os.rename", "os.symlink", "os.remove", "os.rmdir", "os.mkdir", "os.chmod"}

def build(text):
    def make(home):
        python = install.python_of(home)
        python.parent.mkdir(parents=True)
        (home / "told").write_text(text)
        python.write_text(f'#!/bin/sh\\necho \\'{{"gluerun": "{text[:3]}"}}\\'\\n')
        python.chmod(0o755)
        install.write_atomic(home / install.MARKER, '{"fingerprint": "%s"}' % text)
    return make

def put(root, version, text):
    with install.locked(root / "install.lock"):
        install.make_current(root, install.install_version(root, version, text, build(text)))

def stopped(root, version, text, step):
    pid = os.fork()
    if not pid:
        left = step
        def hook(event, _):
            nonlocal left
            if event in STEPS:
                left -= 1
                if left < 0:
                    os._exit(9)
        sys.addaudithook(hook)
        put(root, version, text)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def told(folder):
    return (folder / "told").read_text() if folder.exists() else None

first = pathlib.Path(sys.argv[2])
put(first, "1.0", "1.0 one")
for step in range(200):
    root = first.with_name(f"step{step}")
    shutil.copytree(first, root, symlinks=True)
    code = stopped(root, sys.argv[3], sys.argv[4], step)
    seen = [told(root / "versions" / "1.0"), told(root / "versions" / "2.0"), told(root / "current")]
    put(root, sys.argv[3], sys.argv[4])
    left = sorted(str(path.relative_to(root)) for path in [*root.glob("*"), *root.glob("*/*")])
    print(code, seen, told(root / "current"), left, sep="|")
    if not code:
        break
"""


@pytest.mark.parametrize(("version", "text"), [("2.0", "2.0 two"), ("1.0", "1.0 other")])
def test_an_install_that_is_cut_off_anywhere_leaves_the_old_or_the_new_whole(tmp_path, version, text):
    # A21: theirs stopped half-way and left a version that was neither.
    argv = [sys.executable, "-B", "-c", STOPPED_AT_EVERY_STEP, str(CHECKOUT), str(tmp_path / "first"), version, text]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env={**os.environ, "PATH": "/bin:/usr/bin"})
    rows = [line.split("|") for line in done.stdout.splitlines()]

    assert [code for code, *_ in rows] == ["9"] * (len(rows) - 1) + ["0"]
    assert len(rows) > 5
    for _, seen, after, left in rows:
        one, two, current = ast.literal_eval(seen)
        assert one in ({"1.0 one"} | ({text} if version == "1.0" else set()))
        assert two in (None, text)
        assert current in ("1.0 one", text)
        assert after == text
        assert left == rows[-1][3], "what was cut off is tidied up by the next install"


def test_a_build_that_was_never_seen_to_work_is_not_installed(root):
    # Cut off between the end of the build and the first look at it.
    home = fake_engine(root / install.BUILDS / f"3.0-{'f' * 16}", fingerprint="f" * 64)

    with pytest.raises(install.StopError, match="does not work and was not installed"):
        install.install_version(root, "3.0", "f" * 64, lambda folder: pytest.fail(f"{folder} was built"))
    assert not (root / "versions" / "3.0").exists()
    assert not (home / install.MARKER).exists()


def test_a_version_that_is_in_use_is_never_touched(root, tmp_path, monkeypatch, capsys):
    def build(folder: Path) -> None:
        raise AssertionError(f"{folder} was built")

    monkeypatch.setenv("GLUERUN_HOME", str(root))
    fake_engine(root / "versions" / "3.0", fingerprint="a" * 64)
    python = install.python_of(root / "versions" / "3.0")
    python.unlink()
    python.symlink_to(sys.executable)
    code = "print('up', flush=True); input()"
    user = subprocess.Popen([python, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    user.stdout.readline()
    try:
        assert install.install_version(root, "3.0", "a" * 64, build) == root / "versions" / "3.0"
        for refused in (
            lambda: install.install_version(root, "3.0", "b" * 64, build),
            lambda: install.uninstall("3.0"),
        ):
            with pytest.raises(install.StopError, match=f"in use by process {user.pid}") as caught:
                refused()
            assert caught.value.code == 2
        assert install.list_versions() == 0
        assert f"3.0  in use by process {user.pid}" in capsys.readouterr().out
    finally:
        user.communicate("over\n")

    assert install.uninstall("3.0") == 0
    assert [folder.name for folder in install.installed(root)] == ["1.0", "2.0"]


def test_a_build_that_does_not_start_is_not_installed(root):
    def build(folder: Path) -> None:
        fake_engine(folder, fingerprint="f")

    with pytest.raises(install.StopError, match=r"the new build of 4\.0 does not work"):
        install.install_version(root, "4.0", "f", build)

    assert not (root / "versions" / "4.0").exists()


def test_what_is_uninstalled_is_gone_and_the_current_version_stays(root, monkeypatch, capsys):
    monkeypatch.setenv("GLUERUN_HOME", str(root))
    (root / "builds").mkdir()
    install.list_versions()
    with pytest.raises(install.StopError, match=r"2\.0 is the current version"):
        install.uninstall("2.0")
    with pytest.raises(install.StopError, match=r"version 9 is not installed; installed: 1\.0, 2\.0"):
        install.uninstall("9")
    install.uninstall("1.0")
    install.uninstall("")

    said = capsys.readouterr().out.splitlines()
    assert said == ["1.0", "2.0  current", "gluerun 1.0 is uninstalled", "gluerun 2.0 is uninstalled"]
    assert [path.name for path in root.rglob("*") if not path.is_dir()] == ["install.lock"]


def test_a_release_is_the_same_each_time_it_is_made(tmp_path, capsys):
    env = {**install.child_environment(), "PYTHONDONTWRITEBYTECODE": "1"}

    for name in ("one", "two"):
        install.build_release(Path(sys.executable), tmp_path / name, env)

    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two
    version = install.read_project().version
    names = [f"gluerun-{version}-py3-none-any.whl", f"gluerun-{version}.tar.gz"]
    assert sorted(one) == ["SHA256SUMS", *names]
    sums = [f"{hashlib.sha256(one[name]).hexdigest()}  {name}" for name in names]
    assert one["SHA256SUMS"].decode().splitlines() == sums
    assert capsys.readouterr().out.splitlines() == sums * 2
    with pytest.raises(install.StopError, match="a release is made into a new folder"):
        install.build_release(Path(sys.executable), tmp_path / "one", env)


def test_an_environment_is_whole_only_while_its_interpreter_is_there(tmp_path):
    home = fake_engine(tmp_path / "one", fingerprint="f")
    assert install.fingerprint_of(home) == "f"

    install.python_of(home).unlink()

    assert install.fingerprint_of(home) == ""


def test_a_changed_source_is_other_content(tmp_path):
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "one.py").write_text("1")
    for name in install.SOURCES[4:]:
        (tmp_path / name).touch()
    before = install.source_hash(tmp_path)

    (tmp_path / "engine" / "one.py").write_text("2")

    assert install.source_hash(tmp_path) != before


# --- where things are kept ------------------------------------------------------------------------------


def test_the_cache_is_the_users(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")

    assert install.cache_folder({"HOME": str(tmp_path)}) == tmp_path / ".cache/gluerun"
    assert install.cache_folder({"XDG_CACHE_HOME": str(tmp_path / "c")}) == tmp_path / "c/gluerun"

    monkeypatch.setattr(sys, "platform", "darwin")

    assert install.cache_folder({"HOME": str(tmp_path)}) == tmp_path / "Library/Caches/gluerun"


@pytest.mark.parametrize("environ", [{}, {"HOME": os.devnull}, {"HOME": "", "XDG_CACHE_HOME": "relative"}])
def test_without_a_usable_home_the_cache_is_in_the_checkout(tmp_path, environ):
    assert install.cache_folder(environ, tmp_path) == tmp_path / ".gluerun-cache"


def test_where_nothing_can_be_written_that_is_said():
    with pytest.raises(install.StopError, match="no folder can be written to"):
        install.cache_folder({}, Path(os.devnull))


def test_without_a_home_nothing_is_installed():
    done = run_install(home=Path(os.devnull))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1


def test_a_version_is_installed_once_and_its_launcher_runs_it(tmp_path):
    first = run_install(home=tmp_path)
    if "no package index" in first.stderr:
        pytest.skip("no package index can be reached")

    second = run_install(home=tmp_path)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "building" in first.stderr
    assert second.stderr.endswith("is complete, nothing was installed\n")
    code, output, _ = launch(tmp_path / ".gluerun", tmp_path, words=("version",))
    assert code == 0, output
    assert {path.name for path in tmp_path.iterdir()} <= {".gluerun", ".cache", *MADE_BY_OTHERS}
    assert {path.name for path in (tmp_path / ".cache").iterdir()} <= {"gluerun"}


# --- environments ---------------------------------------------------------------------------------------


def build_tiny(cache: Path) -> subprocess.CompletedProcess[str]:
    """Ask, in a process of its own, for an environment with one small requirement."""
    code = (
        f"import sys, pathlib; sys.path.insert(0, {str(CHECKOUT)!r}); import install\n"
        f"content = install.Content({TINY!r})\n"
        f"print(install.ensure_environment(pathlib.Path({str(cache)!r}), 'tiny', content))"
    )
    return subprocess.Popen([sys.executable, "-B", "-c", code], stdout=-1, stderr=-1, text=True)


def test_two_runs_at_once_build_one_environment_and_a_third_installs_nothing(tmp_path):
    results = [process.communicate() for process in [build_tiny(tmp_path), build_tiny(tmp_path)]]
    if "no package index" in results[0][1]:
        pytest.skip("no package index can be reached")

    third = build_tiny(tmp_path).communicate()

    assert len({output for output, _ in [*results, third]}) == 1
    assert sum("building" in complaint for _, complaint in results) == 1
    assert "nothing was installed" in third[1]
    subprocess.run([third[0].strip(), "-c", "import pluggy"], check=True)
    assert {path.name for path in tmp_path.iterdir()} <= {"environments", "downloads"}


def test_environments_that_nobody_uses_are_removed(tmp_path):
    old, new = fake_engine(tmp_path / "dev-old"), fake_engine(tmp_path / "dev-new")
    os.utime(old / install.MARKER, (0, 0))

    install.remove_stale(tmp_path, "dev")

    assert (old.exists(), new.exists()) == (False, True)


def test_an_index_that_cannot_be_reached_is_said_in_one_sentence(tmp_path):
    done = run_install("demo", home=tmp_path, **NO_INDEX, **OFFLINE)

    assert (done.returncode, done.stdout) == (1, "")
    assert "no package index can be reached" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / ".cache/gluerun/environments").glob(f"*/{install.MARKER}"))


def test_an_index_that_never_answers_is_given_up(tmp_path):
    code, _ = install.run_watched(["sh", "-c", "sleep 600 & wait"], dict(os.environ), seconds=0.2)

    assert code == 124
    assert install.UV_PROBE_SECONDS < install.PROBE_SECONDS < 20, "silence ends within twenty seconds"


def test_a_python_with_neither_pip_nor_ensurepip_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "has_module", lambda _: False)

    with pytest.raises(install.StopError, match="install python3-venv or pip") as caught:
        install.pip_installer(tmp_path)

    assert caught.value.code == 127


@pytest.mark.parametrize(("has", "without_pip"), [("pip", True), ("ensurepip", False)])
def test_either_pip_or_ensurepip_is_enough(tmp_path, monkeypatch, has, without_pip):
    monkeypatch.setattr(install, "has_module", lambda name: name == has)

    installer = install.pip_installer(tmp_path)

    assert ("--without-pip" in installer.create) is without_pip
    assert installer.install[0] == (sys.executable if has == "pip" else str(install.python_of(tmp_path)))


# --- agent programs -------------------------------------------------------------------------------------

LOCKS = {programs.kind: programs for programs in (install.AGENTS, install.MORE_AGENTS)}


def fake_npm(folder: Path, script: str) -> str:
    """Return a PATH whose npm is a script of ours and whose Node.js is there."""
    for name, text in {"npm": script, "node": ""}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture
def one_program(tmp_path):
    """A lock file in a folder of its own, and the one program that it stands for."""
    (tmp_path / "lock").mkdir()
    for name in ("package.json", "package-lock.json"):
        (tmp_path / "lock" / name).write_text("{}")
    return install.Programs("one", tmp_path / "lock/package-lock.json", {"agent": "agent-{platform}*/agent"})


INSTALLS = """
for folder in agent-linux-x64 agent-linux-arm64; do
    mkdir -p node_modules/$folder
    echo > node_modules/$folder/agent && chmod +x node_modules/$folder/agent
done
"""


@pytest.mark.parametrize("kind", LOCKS)
def test_the_locks_of_the_agent_programs_name_versions_and_checksums_but_no_registry(kind):
    lock = LOCKS[kind].lock
    packages = json.loads(lock.read_text())["packages"]
    wanted = json.loads(lock.with_name("package.json").read_text())["dependencies"]

    assert {f"node_modules/{name}": version for name, version in wanted.items()}.items() <= {
        name: one.get("version") for name, one in packages.items()
    }.items()
    assert all(one["integrity"].startswith("sha512-") for name, one in packages.items() if name)
    assert [name for name, one in packages.items() if "resolved" in one] == []


def test_agent_programs_are_installed_once(tmp_path, one_program, monkeypatch, capsys):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", fake_npm(tmp_path / "bin", f'cd "${{2#--prefix=}}" && {INSTALLS.strip()}'))

    folders = {install.ensure_programs(tmp_path, one_program) for _ in range(2)}

    (folder,) = folders
    assert os.access(folder / "agent", os.X_OK)
    assert capsys.readouterr().err.count("installed agent with npm") == 1


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo; echo no such package; exit 1", "npm could not install agent: no such package"),
        ("exit 1", "it said nothing"),
        ("exit 0", "agent is not where it should be"),
    ],
)
def test_agent_programs_that_cannot_be_had_are_a_reason_to_skip(tmp_path, one_program, monkeypatch, script, said):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", fake_npm(tmp_path / "bin", script))

    for _ in range(2):
        with pytest.raises(install.SkipError, match=said):
            install.ensure_programs(tmp_path, one_program)


def test_a_machine_without_npm_skips(tmp_path, one_program, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(install.SkipError, match=r"npm or Node\.js is not installed"):
        install.ensure_programs(tmp_path, one_program)


@pytest.mark.parametrize(("system", "machine"), [("darwin", "x86_64"), ("linux", "riscv64")])
def test_another_platform_skips(tmp_path, one_program, monkeypatch, system, machine):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(install.platform, "machine", lambda: machine)

    with pytest.raises(install.SkipError, match="on Linux only"):
        install.ensure_programs(tmp_path, one_program)


def test_a_ring_without_its_programs_is_one_skip_with_a_reason(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    run = install.RingRun(Path(sys.executable), "agents", (), dict(os.environ))

    tally = install.run_agents_ring(run, tmp_path, with_all=True)

    assert tally.skips == ("agents: npm or Node.js is not installed",) * 2
    assert "skipped: agents: npm or Node.js is not installed" in capsys.readouterr().out
    assert install.report([install.Tally("core", 1.0, 1), tally], []) == 0


def test_where_the_network_cannot_be_left_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "LOOPBACK", tmp_path / "none.py")

    within, why = install.loopback_only(Path(sys.executable), dict(os.environ))

    assert within == []
    assert "none.py" in why


def test_in_a_namespace_of_its_own_only_this_machine_is_reached():
    within, why = install.loopback_only(Path(sys.executable), dict(os.environ))
    if why:
        pytest.skip(why)
    code = "import socket; socket.create_server(('127.0.0.1', 0)); socket.create_connection(('192.0.2.1', 80), 5)"

    done = subprocess.run([*within, sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "Network is unreachable" in done.stderr


# --- test and the door ----------------------------------------------------------------------------------


def test_the_report_counts_every_test_once(tmp_path):
    xml = tmp_path / "report.xml"
    xml.write_text(
        "<testsuites><testsuite><testcase/><testcase><failure/><error/></testcase><testcase><error/></testcase>"
        "<testcase classname='t' name='s'><skipped message='no reason'/></testcase>"
        "<testcase classname='' name='m'>"
        "<skipped message='collection skipped'>('m.py', 8, 'Skipped: not here')</skipped></testcase>"
        "</testsuite></testsuites>"
    )

    skips = ("t::s: no reason", "m: not here")
    assert install.tally_report(xml, "core", 1.0, 1) == install.Tally("core", 1.0, 1, 2, skips)


@pytest.mark.parametrize(("code", "failed"), [(0, 0), (5, 0), (1, 1), (3, 1), (-9, 1)])
def test_a_run_that_fails_outside_any_test_is_a_failure(tmp_path, code, failed):
    assert install.tally_report(tmp_path / "none", "core", 1.0, code).failed == failed


def test_the_last_line_is_the_total(capsys):
    tallies = [install.Tally("house", 1.0, 7), install.Tally("e2e", 1.0, 5, 0, ("t::s: why",))]

    assert install.report(tallies, []) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "skipped: t::s: why",
        "12 passed, 0 failed, 1 skipped",
    ]


def test_a_run_without_any_test_is_a_failure(capsys):
    assert install.report([install.Tally("house", 1.0)], []) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == ["no test was run", "0 passed, 0 failed, 0 skipped"]


def test_a_path_chooses_its_ring():
    assert install.rings_asked_for(None, ["-x"]) == list(install.RINGS)
    assert install.rings_asked_for(["core"], []) == ["core"]
    assert install.rings_asked_for(None, [f"{__file__}::test_it"]) == ["e2e"]


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        (["--soak"], list(install.SOAKED)),
        (["--soak", str(INSTALL)], [str(INSTALL)]),
        (["--soak", "--ring", "core", "-x"], ["-x"]),
        (["-x"], ["-x"]),
    ],
)
def test_a_soak_runs_the_tests_that_kill_unless_others_are_named(words, paths):
    options, rest = install.parse_test_arguments(words)

    assert rest == paths
    assert options.soak is ("--soak" in words)


def test_a_word_that_is_no_verb_is_refused(tmp_path):
    done = run_install("dance", home=tmp_path)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_ends_with_130_and_no_traceback(tmp_path):
    home = tmp_path / "home"
    lock = home / ".gluerun" / "install.lock"
    with install.locked(lock):
        argv = [sys.executable, str(INSTALL)]
        env = {**os.environ, "HOME": str(home)}
        process = subprocess.Popen(argv, env=env, stderr=subprocess.PIPE, text=True)
        waiting = process.stderr.readline()  # it waits for our lock
        process.send_signal(signal.SIGINT)
        complaint = process.communicate(timeout=PATIENCE)[1]

    assert "waiting" in waiting
    assert (process.returncode, complaint) == (130, "install: interrupted\n")
