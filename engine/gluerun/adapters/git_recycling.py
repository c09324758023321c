"""Places that stay: one is used again only after proof that it is what making it anew would give.

Whoever worked in a place may have changed anything there, git's own notes of it included. So nothing it left is
believed. Beside the index lies a copy that we took when the place was right: it knows each file's inode, size and
times, among them the one that nobody can set. What differs from that copy by one of them is thrown away, what it does
not name is removed, and git writes the rest of the new commit. Anything else that is odd ends the place.
"""
# Names are bytes here, and pathlib's import is dear.

from __future__ import annotations

import hashlib
import os
import stat

from gluerun.adapters import git_folders as folders
from gluerun.adapters import tree
from gluerun.adapters.git_command import decode, encode
from gluerun.errors import GitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gluerun.adapters.git_command import GitCommand

# Written last, removed first: a place without it was cut in the middle of something.
MARK = "gluerun-lasting"
KEPT = "gluerun-lasting.index"
# Most gits compare times to the second, and read every file whose second is that of the index. So the copy is made to
# look younger, and what was written in its second is compared by ourselves, to the tick.
YOUNG = "gluerun-lasting.young"
OURS = (MARK, KEPT, YOUNG)
BEGIN = "gluerun-begin"
SECOND = 1_000_000_000
# What git notes in a work tree's own folder when somebody works there; of no use to the next.
TRACES = ("COMMIT_EDITMSG", "FETCH_HEAD", "ORIG_HEAD", "logs")
ATTRIBUTES = ".gitattributes"
# Nothing that the repository or its owner sets may let git take a file's word for what is in it. One thread is the
# cheapest way: what takes its time is the kernel.
SUSPICIOUS = (
    *("-c", "core.trustctime=true"),
    *("-c", "core.checkStat=default"),
    *("-c", "core.ignoreStat=false"),
    *("-c", "core.sparseCheckout=false"),
    *("-c", "core.splitIndex=false"),
    *("-c", "core.untrackedCache=false"),
    *("-c", "core.preloadIndex=false"),
    *("-c", "index.threads=1"),
)
# What the labels of a security module are called: every file has one, and nobody who works here sets them.
LABELS = "security."


class OddError(Exception):
    """Why a place is not used again."""


def remember(git: GitCommand, place: str, folder: str, commit: str) -> None:
    """Note how the place stands that was just made at *commit*, so that it can be recycled."""
    young = git.run("ls-files", "-z", at=place).out.split(b"\0")
    _note(place, folder, commit, _conditions(git, place, folder), {name for name in young if name})


def _note(place: str, folder: str, commit: str, conditions: str, young: set[bytes]) -> None:
    kept = folders.join(folder, KEPT)
    if not folders.copy_index(folder, kept):
        return
    _put(folders.join(folder, MARK), b"")
    tick = os.stat(encode(folders.join(folder, MARK))).st_mtime_ns
    _put(folders.join(folder, YOUNG), b"\0".join(_stamps(encode(place), young, tick)))
    os.utime(encode(kept), ns=(tick + 2 * SECOND, tick + 2 * SECOND))
    names = sorted({decode(name) for name in os.listdir(encode(folder))} - {*OURS})
    lines = [commit, conditions, oct(os.stat(encode(place)).st_mode), *names]
    _put(folders.join(folder, MARK), encode("\n".join(lines)))


def _stamps(top: bytes, names: set[bytes], tick: int) -> Iterator[bytes]:
    """Yield each of *names* that was written in the second of *tick*, and then what tells it from a changed one."""
    for name in names:
        try:
            found = os.lstat(top + b"/" + name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if found.st_ctime_ns // SECOND >= tick // SECOND:
            yield name
            # What is as young as this very look could change and look the same.
            yield b"" if found.st_ctime_ns >= tick else _stamp(found)


def recycle(git: GitCommand, place: str, commit: str) -> str:
    """Make the place at *place* what a new one, detached at *commit*, would be; return "" or why that cannot be."""
    try:
        folder = folders.own_folder(git.root, place)
        if folder is None:
            raise OddError("it is no work tree of the repository")
        begin, conditions, mode = _checked(git, place, folder)
        _refuse_company(place)
        differing = _differing(git, begin, commit) if begin != commit else set()
        young = _renew(git, place, folder, mode, (begin, commit))
        _note(place, folder, commit, conditions, young | differing)
    except OddError as odd:
        return str(odd)
    except (GitError, OSError) as error:
        return f"it cannot be put in order: {error}"
    return ""


def _checked(git: GitCommand, place: str, folder: str) -> tuple[str, str, int]:
    """Return the commit that the place was last right at, under which conditions, and the mode of its folders.

    OddError if anything is odd.
    """
    marked = folders.read(folders.join(folder, MARK))
    if not marked:
        raise OddError("it was not left in order")
    begin, conditions, mode, *names = decode(marked).split("\n")
    if os.path.islink(encode(place)) or not stat.S_ISREG(os.lstat(encode(folders.join(place, ".git"))).st_mode):
        raise OddError("its .git is not the file that it was")
    strange = {decode(name) for name in os.listdir(encode(folder))} - {*OURS, *TRACES, *names}
    if strange:
        raise OddError(f"git's folder of it holds {min(strange)}")
    refs = encode(folders.join(folder, "refs"))
    if any(files for _, _, files in os.walk(refs)):
        raise OddError("it has refs of its own")
    if decode(folders.read(folders.join(folder, "HEAD")) or b"").startswith("ref:"):
        raise OddError("its HEAD is on a branch")
    if conditions != _conditions(git, place, folder):
        raise OddError("git's settings, or the machine's, are not what they were")
    return begin, conditions, int(mode, 8)


def _conditions(git: GitCommand, place: str, folder: str) -> str:
    """Return a digest of everything but the commit that decides what a checkout writes.

    After a boot nothing is believed: a machine that lost its power may have a file's times and not its content.
    """
    said = git.run("config", "-z", "--get-regexp", r"^(core|filter|extensions|index)\.", at=place, ok=(0, 1)).out
    umask = os.umask(0o022)
    os.umask(umask)
    digest = hashlib.sha256(f"1 {tree.boot_id()} {umask:o}\0".encode() + said)
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.environ.get("HOME", ""), ".config")
    own = [value for key, _, value in (one.partition(b"\n") for one in said.split(b"\0")) if key == _ATTRIBUTES_FILE]
    named = decode(own[-1]) if own else os.path.join(home, "git/attributes")
    shared = folders.shared_of(folder)
    for path in (os.path.join(git.root, os.path.expanduser(named)), folders.join(shared, "info/attributes")):
        data = folders.read(path)
        digest.update(b"-" if data is None else b"%d " % len(data) + data)
    return digest.hexdigest()


_ATTRIBUTES_FILE = b"core.attributesfile"


def _refuse_company(place: str) -> None:
    """OddError if a living process is at home in *place*."""
    if any(tree.dwellers(os.path.realpath(place))):
        raise OddError("a process is still at home there")


def _differing(git: GitCommand, old: str, new: str) -> set[bytes]:
    """Return what is not the same in two commits; OddError if they differ in what they say of how files are written.

    A file may stay while its rule goes.
    """
    changed = {*git.run("diff-tree", "-r", "--name-only", "-z", "--no-renames", old, new).out.split(b"\0")} - {b""}
    if any(os.path.basename(name) == encode(ATTRIBUTES) for name in changed):
        raise OddError("the rules of how files are written have changed")
    return changed


def _renew(git: GitCommand, place: str, folder: str, mode: int, commits: tuple[str, str]) -> set[bytes]:
    """Throw away what is not as it was, and let git write what the new commit has otherwise.

    Return what was written anew although both commits have it, or not long before.
    """
    commit = commits[1]
    draft = folders.join(folder, f"gluerun-recycle-{os.getpid()}.index")
    folders.discard(folders.join(folder, MARK))
    # Until the HEAD has moved either commit is one that the place began at, and nobody's stray.
    _put(folders.join(folder, BEGIN), encode("\n".join(commits)))
    for name in TRACES:
        folders.clear(folders.join(folder, name))
    stamps = (folders.read(folders.join(folder, YOUNG)) or b"").split(b"\0")
    young = dict(zip(stamps[::2], stamps[1::2], strict=False))
    os.replace(encode(folders.join(folder, KEPT)), encode(draft))
    # Each looks at every file: git by what it has noted of them, we by what stands there.
    words = (*SUSPICIOUS, "diff-files", "--name-only", "-z", "--ignore-submodules=all")
    with git.beside(*words, at=place, index=draft) as looking:
        names = {name for name in git.run("ls-files", "-z", at=place, index=draft).out.split(b"\0") if name}
        extra, missing = _strange(encode(place), names, mode)
        changed = {name for name in looking.answer().out.split(b"\0") if name}
    top = encode(place) + b"/"
    same = young.keys() & names - missing - changed
    changed |= {name for name in same if _stamp(os.lstat(top + name)) != young[name]}
    for one in (*extra, *changed):
        folders.clear(decode(top + one))
    git.run(*SUSPICIOUS, "checkout", "--quiet", "--force", "--detach", commit, "--", at=place, index=draft)
    if changed or missing:
        _refuse_rest(git, place, draft)
    if decode(folders.read(folders.join(folder, "HEAD")) or b"").strip() != commit:
        raise OddError("its HEAD did not move")
    os.replace(encode(draft), encode(folders.join(folder, "index")))
    _put(folders.join(folder, BEGIN), encode(commit))
    return changed | missing | young.keys()


def _stamp(found: os.stat_result) -> bytes:
    """Return what no change of a file, of its rights or its names leaves as it was."""
    return b"%d %d" % (found.st_ino, found.st_ctime_ns)


def _refuse_rest(git: GitCommand, place: str, index: str) -> None:
    """OddError if anything at *place* is not as its HEAD has it."""
    words = ("status", "--porcelain", "-z", "--ignored", "--untracked-files=all", "--no-renames")
    if rest := git.run(*SUSPICIOUS, *words, at=place, index=index).out:
        raise OddError(f"{decode(rest.split(bytes(1))[0][3:])} cannot be put in order")


def _strange(top: bytes, names: set[bytes], mode: int) -> tuple[list[bytes], set[bytes]]:
    """Return what stands at *top* and is not one of *names*, and which of those do not stand there.

    A folder stands for all that is in it. OddError if one that has to stay was changed itself.
    """
    parents = {b""}
    for name in names:
        parent = name.rpartition(b"/")[0]
        while parent not in parents:
            parents.add(parent)
            parent = parent.rpartition(b"/")[0]
    extra: list[bytes] = []
    seen: set[bytes] = set()
    device = os.stat(top).st_dev
    waiting = [b""]
    while waiting:
        folder = waiting.pop()
        stem, path = (folder + b"/", top + b"/" + folder) if folder else (b"", top)
        _refuse_changed(path, mode, device)
        with os.scandir(path) as entries:
            for entry in entries:
                name = stem + entry.name
                is_folder = entry.is_dir(follow_symlinks=False)
                if is_folder and name in parents:
                    waiting.append(name)
                elif name in names and not (is_folder and os.listdir(entry.path)):
                    seen.add(name)  # an empty folder is a submodule's, or git has told that it is no file
                elif name != b".git":
                    extra.append(name)
    return extra, names - seen


def _refuse_changed(path: bytes, mode: int, device: int) -> None:
    """OddError if a folder has other rights than git gave it, attributes of its own, or something mounted on it."""
    found = os.stat(path)
    if found.st_mode != mode or found.st_dev != device:
        raise OddError(f"the folder {decode(path)} is not what it was")
    if _has_attributes(path):
        raise OddError(f"the folder {decode(path)} has attributes of its own")


def _has_attributes(path: bytes) -> bool:
    told = os.listxattr(path, follow_symlinks=False) if hasattr(os, "listxattr") else ()
    return any(not name.startswith(LABELS) for name in told)


def _put(path: str, data: bytes) -> None:
    """Put *data* at *path*, whole or not at all; after a boot it is not believed, so nothing is synced."""
    draft = f"{path}.tmp"
    with open(encode(draft), "wb") as file:
        file.write(data)
    os.replace(encode(draft), encode(path))
