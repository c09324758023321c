"""What every store of files promises; and what only a real disk can break."""

import errno
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest

from gluerun.adapters.files import DiskFiles
from gluerun.errors import StateError
from gluerun.ports import BALLAST
from gluerun.sim.files import SimFiles


@pytest.fixture(params=["disk", "memory"])
def files(request, tmp_path):
    return DiskFiles(str(tmp_path / "root")) if request.param == "disk" else SimFiles()


@pytest.fixture
def disk(tmp_path):
    return DiskFiles(str(tmp_path / "root"))


def test_a_link_is_known_wherever_it_stands_on_the_way(tmp_path, disk):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_text("theirs")
    disk.write("real/x", b"ours")
    os.symlink(tmp_path / "outside", tmp_path / "root" / "folder")
    os.symlink(tmp_path / "outside" / "x", tmp_path / "root" / "real" / "y")

    assert (disk.is_link("folder/x"), disk.is_link("real/y"), disk.is_link("real/x")) == (True, True, False)
    assert not disk.is_link("nothing/there")


class TestFiles:
    def test_what_is_not_there_is_none(self, files):
        assert (files.read("a"), files.read("a/b"), files.mark("a"), files.names("a")) == (
            None,
            None,
            None,
            [],
        )

    @pytest.mark.parametrize("durable", [True, False])
    def test_reads_what_was_written(self, files, durable):
        files.write("runs/r1/x.json", b"one", durable=durable)
        files.write("runs/r1/x.json", b"", durable=durable)
        files.write("runs/r1/x.json", b"two" * 500_000, durable=durable)
        assert files.read("runs/r1/x.json") == b"two" * 500_000

    def test_many_are_written_at_once(self, files):
        files.write("live/2", b"old")
        files.write_all({"live/1": b"one", "live/2": b"two", "done/3": b""})
        files.write_all({})
        assert [files.read(path) for path in ("live/1", "live/2", "done/3")] == [b"one", b"two", b""]
        with pytest.raises(StateError, match="cannot write live"):
            files.write_all({"live/1": b"new", "live": b""})
        assert (files.names("live"), files.read("live/1")) == (["1", "2"], b"new")

    def test_create_puts_once(self, files):
        assert files.create("inbox/o.json", b"first")
        assert not files.create("inbox/o.json", b"second")
        assert files.read("inbox/o.json") == b"first"
        assert files.names("inbox") == ["o.json"]

    def test_create_does_not_replace_a_folder(self, files):
        files.write("a/b", b"")
        assert not files.create("a", b"x")

    def test_append_adds_at_the_end(self, files):
        files.append("log/events.ndjson", b"1\n")
        files.append("log/events.ndjson", b"2\n")
        assert files.read("log/events.ndjson") == b"1\n2\n"

    @pytest.mark.parametrize("durable", [True, False])
    def test_move_replaces_and_makes_the_folder(self, files, durable):
        files.write("live/t.json", b"t")
        files.write("archive/00/old.json", b"old")
        assert files.move("live/t.json", "archive/01/t.json", durable=durable)
        assert files.move("archive/01/t.json", "archive/00/old.json", durable=durable)
        assert (files.names("live"), files.read("archive/00/old.json")) == ([], b"t")

    def test_move_of_nothing_says_so(self, files):
        assert not files.move("a", "b/c")
        assert files.read("b/c") is None

    def test_a_file_is_emptied_where_it_is(self, files):
        with pytest.raises(StateError, match="cannot write log"):
            files.empty("log")
        files.append("log", b"long")
        before = files.mark("log")

        files.empty("log")
        files.append("log", b"new")

        assert files.read("log") == b"new"
        assert files.mark("log").inode == before.inode or isinstance(files, SimFiles)

    def test_remove_says_whether_it_was_there(self, files):
        files.write("a/b", b"")
        assert (files.remove("a/b"), files.remove("a/b"), files.remove("c/d"), files.names("a")) == (
            True,
            False,
            False,
            [],
        )

    def test_only_an_empty_folder_is_dropped(self, files):
        files.write("a/b/c", b"x")
        assert not files.drop("a/b")
        assert not files.drop("a/b/c")
        assert not files.drop("nowhere")
        assert not files.drop("")
        files.remove("a/b/c")
        assert files.drop("a/b")
        assert not files.drop("a/b")
        assert files.names("a") == []
        files.write("a/b/c", b"again")
        assert files.read("a/b/c") == b"again"

    def test_names_are_sorted_and_know_folders(self, files):
        for path in ("q/b", "q/a", "q/c/d", "q/.hidden", "top"):
            files.write(path, b"")
        assert files.names("q") == [".hidden", "a", "b", "c"]
        assert files.names("") == ["q", "top"]

    def test_names_in_a_file_are_none(self, files):
        files.write("a", b"")
        assert files.names("a") == []

    def test_a_mark_changes_with_every_replacement_even_of_the_same_size(self, files):
        marks = set()
        for data in (b"aaaa", b"bbbb", b"aaaa"):
            files.write("a/x", data)
            marks.add(files.mark("a/x"))
        assert len(marks) == 3
        assert files.mark("a/x").size == 4
        assert files.mark("a/x") == files.mark("a/x")

    def test_a_folder_has_a_mark(self, files):
        files.write("a/x", b"")
        assert files.mark("a") is not None

    @pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a/..", "a\0b"])
    def test_paths_that_leave_the_root_are_refused(self, files, path):
        for attempt in (
            files.read,
            files.mark,
            files.remove,
            files.names,
            lambda bad: files.write(bad, b""),
            lambda bad: files.create(bad, b""),
            lambda bad: files.append(bad, b""),
            lambda bad: files.move(bad, "x"),
            lambda bad: files.move("x", bad),
        ):
            with pytest.raises(StateError):
                attempt(path)

    def test_a_folder_is_not_a_file(self, files):
        files.write("a/b/c", b"")
        for attempt in (files.read, files.remove, lambda path: files.write(path, b"")):
            with pytest.raises(StateError):
                attempt("a/b")
        assert files.names("a") == ["b"]

    def test_a_file_is_not_a_folder(self, files):
        files.write("a", b"")
        with pytest.raises(StateError):
            files.write("a/b", b"")
        assert files.read("a/b") is None

    def test_sweep_of_a_clean_folder_finds_nothing(self, files):
        files.write("a/x", b"")
        assert (files.sweep("a"), files.sweep("none"), files.names("a")) == (0, 0, ["x"])

    def test_free_space_is_known(self, files):
        assert files.free_bytes() > 0


class TestDiskFiles:
    @pytest.mark.parametrize("step", ["fsync", "rename"])
    def test_a_crash_before_the_name_leaves_the_old_file_and_something_to_sweep(self, disk, step):  # A22
        disk.write("a/x", b"old")
        code = (
            "import os, signal, sys\n"
            "from gluerun.adapters.files import DiskFiles\n"
            f"os.{step} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
            "DiskFiles(sys.argv[1]).write('a/x', b'new')\n"
        )
        assert _python(code, disk.root).returncode == -signal.SIGKILL
        assert (disk.read("a/x"), disk.names("a"), len(os.listdir(f"{disk.root}/a"))) == (b"old", ["x"], 2)
        assert (disk.sweep("a"), os.listdir(f"{disk.root}/a")) == (1, ["x"])

    def test_a_reader_never_sees_a_torn_file(self, disk):
        disk.write("x", b"0" * 100_000)
        writer = multiprocessing.get_context("fork").Process(target=_write_often, args=(disk.root, b"12", 150))
        writer.start()
        seen = set()
        while writer.is_alive():
            data = disk.read("x")
            seen.add((len(data), len(set(data))))
        writer.join()
        assert (seen, writer.exitcode) == ({(100_000, 1)}, 0)

    def test_two_writers_of_one_file_and_a_sweeper_do_not_disturb_each_other(self, disk):  # C7
        context = multiprocessing.get_context("fork")
        writers = [context.Process(target=_write_often, args=(disk.root, letter, 100)) for letter in (b"1", b"2")]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            disk.sweep("")
        for writer in writers:
            writer.join()
        assert [writer.exitcode for writer in writers] == [0, 0]
        assert len(set(disk.read("x"))) == 1
        assert os.listdir(disk.root) == ["x"]

    @pytest.mark.parametrize("step", ["fsync", "rename"])
    def test_a_sweep_leaves_alone_what_somebody_is_about_to_put(self, disk, monkeypatch, step):
        disk.write("a/x", b"old")
        swept = []
        real = getattr(os, step)

        def sweep_first(*args):
            swept.append(DiskFiles(disk.root).sweep("a"))
            return real(*args)

        monkeypatch.setattr(os, step, sweep_first)
        disk.write("a/x", b"new")
        assert (disk.read("a/x"), set(swept)) == (b"new", {0})

    def test_many_creators_have_one_winner(self, disk):
        context = multiprocessing.get_context("fork")
        with context.Pool(4) as pool:
            won = pool.starmap(_create, [(disk.root, n) for n in range(40)])
            pool.close()
            pool.join()
        assert sum(won) == 1
        assert disk.read("once") == str(won.index(True)).encode()
        assert os.listdir(disk.root) == ["once"]

    def test_appends_of_two_writers_stay_whole(self, disk):  # C5
        context = multiprocessing.get_context("fork")
        writers = [context.Process(target=_append_often, args=(disk.root, letter)) for letter in (b"1", b"2")]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert set(disk.read("log").splitlines()) == {b"1" * 3000, b"2" * 3000}

    @pytest.mark.parametrize("verb", ["write", "create", "append"])
    def test_a_limit_on_file_sizes_leaves_nothing_half_written(self, disk, verb):
        # The kernel stops such a write in the middle, exactly as a full disk does.
        disk.append("a/log", b"before\n")
        path = "a/log" if verb == "append" else "a/new"
        code = (
            "import resource, sys\n"
            "from gluerun.adapters.files import DiskFiles\n"
            "from gluerun.errors import StateError\n"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, {resource.RLIM_INFINITY}))\n"
            "try:\n"
            f"    DiskFiles(sys.argv[1]).{verb}({path!r}, b'x' * 100_000)\n"
            "except StateError as error:\n"
            "    sys.exit(0 if error.hint and error.file else 3)\n"
        )
        done = _python(code, disk.root)
        assert (done.returncode, done.stderr) == (0, b"")
        assert (os.listdir(f"{disk.root}/a"), disk.read("a/log")) == (["log"], b"before\n")

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO, errno.EDQUOT])
    @pytest.mark.parametrize("step", ["write", "fsync", "rename"])
    def test_a_refusal_of_the_system_is_one_sentence_with_a_hint(self, disk, monkeypatch, number, step):
        disk.write("a/x", b"old")

        def refuse(*_):
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patched, pytest.raises(StateError) as caught:
            patched.setattr(os, step, refuse)
            disk.write("a/x", b"new")
        assert os.strerror(number).lower() in caught.value.message
        assert caught.value.hint
        assert "\n" not in caught.value.message
        assert (disk.read("a/x"), os.listdir(f"{disk.root}/a")) == (b"old", ["x"])

    def test_a_full_disk_leaves_the_old_file(self, tmp_path):
        place = tmp_path / "small"
        place.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip("no right to mount a small file system here")
        try:
            small = DiskFiles(str(place))
            small.write("a/x", b"old")
            with pytest.raises(StateError, match="no space left"):
                small.write("a/x", b"new" * 100_000)
            assert (small.read("a/x"), os.listdir(place / "a")) == (b"old", ["x"])
        finally:
            subprocess.run(["umount", str(place)], check=True)

    def test_a_folder_without_the_right_to_write_is_named(self, disk, tmp_path):
        disk.write("a/x", b"old")
        os.chmod(f"{disk.root}/a", 0o555)
        for folder in (tmp_path, *tmp_path.parents[:2], disk.root):
            if os.getuid() == 0:  # the code below gives root away and must still find the place
                os.chmod(folder, 0o755)
        code = (
            "import os, sys\n"
            "from gluerun.adapters.files import DiskFiles\n"
            "from gluerun.errors import StateError\n"
            "os.getuid() or os.setuid(65534)\n"
            "try:\n"
            "    DiskFiles(sys.argv[1]).write('a/x', b'new')\n"
            "except StateError as error:\n"
            "    print(error.message, error.hint, sep='\\n')\n"
        )
        said = _python(code, disk.root).stdout.decode().splitlines()
        os.chmod(f"{disk.root}/a", 0o755)
        assert said == [
            "cannot write a/x: permission denied",
            "give this user the right to write there, then run it again",
        ]

    def test_a_replaced_file_keeps_its_mode(self, disk):
        disk.write("run.sh", b"1")
        os.chmod(f"{disk.root}/run.sh", 0o755)
        disk.write("run.sh", b"2")
        assert os.stat(f"{disk.root}/run.sh").st_mode & 0o777 == 0o755

    def test_a_private_store_is_for_its_owner_only(self, tmp_path):
        DiskFiles(str(tmp_path), mode=0o600).write("secret", b"")
        assert os.stat(tmp_path / "secret").st_mode & 0o777 == 0o600

    @pytest.mark.parametrize(
        ("change", "synced"),
        [
            (lambda disk: disk.write("a/x", b"new"), ["file", "folder"]),
            (lambda disk: disk.write("a/x", b"new", durable=False), []),
            (lambda disk: disk.create("a/z", b"new"), ["file", "folder"]),
            (lambda disk: disk.write_all({"a/x": b"1", "a/y": b"2", "b/x": b"3"}), ["file"] * 3 + ["folder"] * 2),
            (lambda disk: disk.move("a/x", "b/y"), ["folder"] * 2),
            (lambda disk: disk.move("a/x", "b/y", durable=False), []),
        ],
        ids=["write", "write-not-durable", "create", "write-all", "move", "move-not-durable"],
    )
    def test_only_what_is_durable_waits_for_the_disk(self, disk, monkeypatch, change, synced):
        disk.write_all({"a/x": b"", "b/x": b""})
        calls = []
        real = os.fsync

        def spy(handle):
            calls.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")
            real(handle)

        monkeypatch.setattr(os, "fsync", spy)
        change(disk)
        assert calls == synced


WAYS = {
    "write": lambda files: files.write("a/x", b"new"),
    "write_all": lambda files: files.write_all({"a/x": b"new"}),
    "create": lambda files: files.create("a/y", b"new"),
    "append": lambda files: files.append("a/z", b"new"),
    "move": lambda files: files.move("b/x", "a/x"),
    "remove": lambda files: files.remove("a/x"),
}


class TestADiskThatFails:
    """What the system refuses becomes one clear error with path and words, and nothing half-written is left."""

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EACCES])
    @pytest.mark.parametrize("call", ["open", "write", "fsync", "fdatasync", "rename", "link", "unlink"])
    def test_every_refusal_names_the_path_and_says_why(self, disk, monkeypatch, way, code, call):
        for path in ("a/x", "b/x"):
            disk.write(path, b"old")
        real, armed = getattr(os, call), []

        def fail(*args, **more):
            if armed and not (call == "open" and not args[1] & (os.O_WRONLY | os.O_RDWR)):
                armed.clear()
                raise OSError(code, os.strerror(code))
            return real(*args, **more)

        monkeypatch.setattr(os, call, fail)
        armed.append(True)
        try:
            WAYS[way](disk)
        except StateError as error:
            assert os.strerror(code).lower() in error.message
            assert error.message.split(":")[0].split()[-1] == error.file
            assert error.file.startswith(("a/", "b/"))
        finally:
            armed.clear()
            monkeypatch.undo()
        disk.sweep("a")
        assert {disk.read("a/x"), disk.read("a/y")} <= {b"old", b"new", None}
        assert disk.read("a/z") in (None, b"", b"new"), "an append takes back what it could not finish"
        assert [name for name in os.listdir(f"{disk.root}/a") if name.endswith(".tmp")] == []

    @pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
    @pytest.mark.parametrize("way", WAYS)
    def test_a_folder_that_may_only_be_read_is_named(self, disk, way):
        for path in ("a/x", "b/x"):
            disk.write(path, b"old")
        os.chmod(f"{disk.root}/a", 0o500)
        try:
            with pytest.raises(StateError, match="permission denied"):
                WAYS[way](disk)
        finally:
            os.chmod(f"{disk.root}/a", 0o700)

    def test_a_file_where_a_folder_should_be_is_named(self, disk):
        disk.write("a", b"")
        with pytest.raises(StateError, match=r"cannot write a/x: (not a directory|file exists)"):
            disk.write("a/x", b"new")

    def test_a_full_file_system_keeps_what_was_there(self, tmp_path):
        script = (
            "import sys; from gluerun.adapters.files import DiskFiles; from gluerun.errors import StateError\n"
            "files = DiskFiles(sys.argv[1]); files.write('a', b'old'); files.append('log', b'1')\n"
            "for act in (lambda: files.write('a', b'x' * 9_000_000), lambda: files.append('log', b'x' * 9_000_000)):\n"
            "    try: act()\n"
            "    except StateError as error: print(error.message)\n"
            "files.remove('a'); print(files.read('log'), files.names(''))\n"
        )
        assert on_small_disk(tmp_path, script, "1m") == [
            "cannot write a: no space left on device",
            "cannot write log: no space left on device",
            "b'1' ['log']",
        ]


def on_small_disk(place, script, size):
    """Let a script run for which *place* is a file system of its own; return the lines that it prints."""
    command = f'mount -t tmpfs -o size={size} none {place} && exec "$@"'
    argv = ["unshare", "-rm", "sh", "-c", command, "sh", sys.executable, "-c", script, str(place)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        done = subprocess.run(argv, capture_output=True, check=False, env=env, text=True)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"no file system of our own: {done.stderr.strip()}")
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture(params=["disk", "memory"])
def heavy(request, tmp_path, monkeypatch):
    """A door with a ballast, and a function after which there is no other space."""
    if request.param == "memory":

        def refuse(name):
            if name.startswith(("before write", "before create", "before append", "before move")):
                raise StateError("cannot write: no space left on device")

        files = SimFiles(has_ballast=True)
        return files, lambda: setattr(files, "fault", refuse)
    files = DiskFiles(str(tmp_path / "root"), has_ballast=True)

    def fill():
        for call in ("write", "rename"):
            monkeypatch.setattr(os, call, _while_held_back(files.root, getattr(os, call)))

    return files, fill


def _while_held_back(root, real):
    """Refuse as a full disk does until the ballast is gone."""

    def call(*args):
        if os.path.exists(f"{root}/{BALLAST}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args)

    return call


@pytest.mark.parametrize("way", ["read", "tail"])
def test_a_pipe_in_the_place_of_a_file_holds_up_nobody(disk, tmp_path, way):
    disk.write("here", b"")
    os.mkfifo(f"{disk.root}/pipe")
    said = []

    def look():
        try:
            said.append(disk.read("pipe") if way == "read" else disk.tail("pipe", 10))
        except StateError as error:
            said.append(error.message)

    reader = threading.Thread(target=look, daemon=True)
    reader.start()
    reader.join(20)

    assert said in ([b""], ["cannot read pipe: illegal seek"])


class TestBallast:
    """What is held back is given up for a write that a full disk refuses, and for nothing else."""

    def test_what_is_appended_is_not_appended_again_where_only_its_name_did_not_fit(self, tmp_path, monkeypatch):
        files = DiskFiles(str(tmp_path / "root"), has_ballast=True)
        files.write("a/x", b"")
        files.hold_back(1_000_000)
        monkeypatch.setattr(os, "fsync", _while_held_back(files.root, os.fsync))

        files.append("a/log", b"one\n")

        assert (files.read("a/log"), files.mark(BALLAST)) == (b"one\n", None)

    def test_it_takes_its_size(self, heavy):
        files, _ = heavy
        files.write("a/x", b"")

        assert files.hold_back(1_000_000)
        assert files.hold_back(2_000_000)

        assert (files.mark(BALLAST).size, files.names("")) == (2_000_000, ["a", BALLAST])

    @pytest.mark.parametrize("way", ["write", "create", "append", "move"])
    def test_a_full_disk_takes_it_and_the_write_is_made(self, heavy, way):
        files, fill = heavy
        for path in ("a/x", "b/x"):
            files.write(path, b"old")
        files.hold_back(1_000_000)
        fill()

        WAYS[way](files)

        path = {"write": "a/x", "create": "a/y", "append": "a/z", "move": "a/x"}[way]
        assert files.read(path) == (b"old" if way == "move" else b"new")
        assert files.mark(BALLAST) is None
        assert [name for name in files.names("a") if name.endswith(".tmp")] == []

    def test_a_removal_does_not_need_it(self, heavy):
        files, fill = heavy
        files.write("a/x", b"old")
        files.hold_back(1_000_000)
        fill()

        assert files.remove("a/x")
        assert files.mark(BALLAST) is not None

    def test_other_refusals_do_not_take_it(self, disk, monkeypatch):
        files = DiskFiles(disk.root, has_ballast=True)
        files.write("a/x", b"old")
        files.hold_back(1_000_000)

        def refuse(*_):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "write", refuse)
        with pytest.raises(StateError):
            files.write("a/x", b"new")
        assert files.mark(BALLAST) is not None

    def test_a_file_of_that_name_elsewhere_is_somebodys_own(self, disk, monkeypatch):
        disk.write(BALLAST, b"mine")
        monkeypatch.setattr(os, "write", _while_held_back(disk.root, os.write))

        with pytest.raises(StateError, match="no space left"):
            disk.write("a/x", b"new")
        assert disk.read(BALLAST) == b"mine"

    def test_its_space_is_really_taken(self, tmp_path):
        DiskFiles(str(tmp_path), has_ballast=True).hold_back(1_000_000)

        assert os.stat(tmp_path / BALLAST).st_blocks * 512 >= 1_000_000

    def test_without_a_call_of_the_system_for_it_it_is_written(self, tmp_path, monkeypatch):
        monkeypatch.delattr(os, "posix_fallocate", raising=False)

        DiskFiles(str(tmp_path), has_ballast=True).hold_back(1_500_000)

        data = (tmp_path / BALLAST).read_bytes()
        assert (len(data), len(set(data))) == (1_500_000, 256)

    def test_a_disk_that_is_full_to_the_last_byte(self, tmp_path):
        # Ballast of 1 MB on 2 MB; somebody fills the rest; then records are written, and once more until that is full.
        script = (
            "import os, sys; from gluerun.adapters.files import DiskFiles; from gluerun.errors import StateError\n"
            "files = DiskFiles(sys.argv[1], has_ballast=True); print(files.hold_back(1_000_000))\n"
            "def fill(path):\n"
            "    handle = os.open(f'{sys.argv[1]}/{path}', os.O_WRONLY | os.O_CREAT)\n"
            "    try:\n"
            "        while os.write(handle, b'x' * 4096): pass\n"
            "    except OSError: os.close(handle)\n"
            "fill('other'); print(files.names(''))\n"
            "files.write('ending.json', b'x' * 5000); files.append('log', b'1'); print(files.names(''))\n"
            "fill('more'); print(files.hold_back(1_000_000))\n"
            "try: files.write('ending.json', b'y' * 5000)\n"
            "except StateError as error: print(error.message)\n"
            "files.remove('more'); print(files.hold_back(500_000), files.names(''))\n"
        )
        assert on_small_disk(tmp_path, script, "2m") == [
            "True",
            "['ballast', 'other']",
            "['ending.json', 'log', 'other']",
            "False",
            "cannot write ending.json: no space left on device",
            "True ['ballast', 'ending.json', 'log', 'other']",
        ]


class TestSimFiles:
    def test_a_crash_before_a_write_leaves_a_temporary_that_is_swept(self):
        files = SimFiles()
        files.write("a/x", b"old")
        files.fault = _crash_at(1)
        with pytest.raises(KeyboardInterrupt):
            files.write("a/x", b"new")
        files.fault = None
        assert (files.read("a/x"), files.names("a"), files.sweep("a"), files.sweep("a")) == (
            b"old",
            ["x"],
            1,
            0,
        )

    def test_a_crash_after_a_write_leaves_the_new_file(self):
        files = SimFiles(_crash_at(2))
        with pytest.raises(KeyboardInterrupt):
            files.write("a/x", b"new")
        assert (files.read("a/x"), files.sweep("a")) == (b"new", 0)

    def test_a_crash_in_an_append_tears_the_tail(self):
        files = SimFiles()
        files.append("log", b"one\n")
        files.fault = _crash_at(1)
        with pytest.raises(KeyboardInterrupt):
            files.append("log", b"two\n")
        assert files.read("log") == b"one\ntw"

    def test_every_change_asks_before_and_after(self):
        asked = []
        files = SimFiles(asked.append)
        files.write("a", b"")
        files.create("b", b"")
        files.append("c", b"")
        files.move("a", "d")
        files.remove("d")
        verbs = ["write a", "create b", "append c", "move a", "remove d"]
        assert asked == [f"{when} {verb}" for verb in verbs for when in ("before", "after")]

    def test_a_refused_write_leaves_nothing(self):
        def full(_):
            raise StateError("no space left")

        files = SimFiles(full)
        with pytest.raises(StateError):
            files.write("a/x", b"new")
        assert (files.names("a"), files.sweep("a")) == ([], 0)

    def test_a_power_loss_takes_what_was_never_synced(self):
        files = SimFiles()
        files.write("a/status", b"old")
        files.write("a/status", b"newer", durable=False)
        assert files.unsure() == {"a/status": (b"old", b"", b"ne", b"newer")}
        files.lose_power()
        assert (files.files, files.unsure()) == ({"a/status": b"old"}, {})

    def test_a_synced_folder_knows_its_names_but_not_what_their_files_hold(self):
        files = SimFiles()
        files.write("a/status", b"old")
        files.write("a/status", b"newer", durable=False)
        files.write("a/lease", b"l")
        assert files.unsure() == {"a/status": (b"", b"ne", b"newer")}
        files.move("a/status", "b/status")
        assert files.unsure() == {"b/status": (b"", b"ne", b"newer")}
        files.append("b/status", b"!")
        assert files.unsure() == {}

    def test_many_that_are_being_written_are_not_certain_yet_but_whole(self):
        files = SimFiles()
        files.write("a/1", b"old")
        seen = []
        files.fault = lambda name: seen.append(files.unsure())
        files.write_all({"a/1": b"one", "a/2": b"two"})
        first = {"a/1": (b"old", b"one")}
        assert seen == [{}, first, first, {**first, "a/2": (None, b"two")}]
        assert files.unsure() == {}

    def test_a_move_that_is_not_synced_may_be_undone_and_loses_nothing(self):
        def moved(found):
            files = SimFiles()
            files.write("live/t", b"t")
            files.move("live/t", "done/t", durable=False)
            assert files.unsure() == {"done/t": (None, b"t")}
            files.lose_power(found)
            return files.files

        assert (moved(None), moved({"done/t": None})) == ({"live/t": b"t"}, {"live/t": b"t"})
        assert moved({"done/t": b"t"}) == {"done/t": b"t"}

    @pytest.mark.parametrize("folder", ["live", "done"])
    def test_a_sync_of_either_folder_makes_a_move_certain(self, folder):
        files = SimFiles()
        files.write("live/t", b"t")
        files.move("live/t", "done/t", durable=False)
        files.write(f"{folder}/other", b"")
        assert files.unsure() == {}

    def test_what_an_append_added_is_there_whatever_its_name_may_be(self):
        files = SimFiles()
        files.write("a/log", b"1", durable=False)
        files.append("a/log", b"2")
        assert files.unsure() == {"a/log": (None, b"12")}

    def test_what_a_sweep_removed_may_come_back(self):
        files = SimFiles()
        files.write(".x.1.tmp", b"half")
        files.sweep("")
        assert files.unsure() == {".x.1.tmp": (b"half", None)}

    def test_a_power_loss_finds_what_it_is_told_to(self):
        files = SimFiles()
        files.write("a/status", b"new", durable=False)
        files.lose_power({"a/status": b"n"})
        assert files.files == {"a/status": b"n"}

    @pytest.mark.parametrize(
        ("change", "found"),
        [
            (lambda files: files.write("a", b"new!"), [{".a.000000000000.tmp": b"ne"}, {"a": b"new!"}]),
            (lambda files: files.append("a", b"+2"), [{"a": b"old+"}, {"a": b"old+2"}]),
            (lambda files: files.move("a", "b"), [{"b": b"old"}, {"b": b"old", "a": None}]),
            (lambda files: files.remove("a"), [{"a": None}]),
        ],
        ids=["write", "append", "move", "remove"],
    )
    def test_an_operation_has_its_moments(self, change, found):
        files = SimFiles()
        files.write("a", b"old")
        moments = []
        files.fault = lambda name: moments.append(files.moments())
        change(files)
        assert moments == [found, []]


def _crash_at(step):
    seen = []

    def fault(name):
        seen.append(name)
        if len(seen) == step:
            raise KeyboardInterrupt

    return fault


def _python(code, *args):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, check=False, env=env)


def _write_often(root, letters, times):
    for turn in range(times):
        letter = letters[turn % len(letters)]
        DiskFiles(root).write("x", bytes([letter]) * 100_000, durable=False)


def _append_often(root, letter):
    for _ in range(60):
        DiskFiles(root).append("log", letter * 3000 + b"\n")


def _create(root, number):
    time.sleep(0)
    return DiskFiles(root).create("once", str(number).encode())
