"""Commits without a work tree, and the way to a remote."""

from __future__ import annotations

from gluerun.adapters import git_folders as folders
from gluerun.adapters.git_command import GitCommand, decode, encode, pieces
from gluerun.adapters.git_refs import refs
from gluerun.adapters.git_trees import parse_batch
from gluerun.core.spelling import bytes_of
from gluerun.errors import GitError
from gluerun.ports import Logged, Stored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gluerun.adapters.git_command import Answer

RACES = 5
# Who waits for the answer of a remote holds the loop's lock meanwhile.
SEND_LIMIT = 120.0
_ANY = tuple(range(256))
# fast-import names every commit by a ref.
SCRATCH = b"refs/gluerun/scratch"
REPLACED = b"Not updating"


def publish(git: GitCommand, ref: str, files: Mapping[str, bytes | None], message: str) -> str:
    """Commit *files* on top of *ref*, which moves only if nobody else moved it meanwhile."""
    for _ in range(RACES):
        old = _now(git, ref)
        story = _story(git, ref, old, files, message)
        answer = git.run("fast-import", "--quiet", "--done", "--date-format=now", give=story, ok=(0, 1))
        if answer.code == 0:
            folders.sync_objects(git.root, git.synced)
            folders.sync_ref(git.root, ref, git.synced)
            return answer.line
        if REPLACED not in answer.err:
            break
    said = answer.err.decode("utf-8", "replace").strip()
    raise GitError(f"{ref} cannot be published: {said[:2000]}", file=git.root)


def _now(git: GitCommand, ref: str) -> str:
    known = refs(git.root, [ref])
    if known is not None:
        return known.get(ref, "")
    return git.run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", ok=(0, 1)).line


def commit_tree(git: GitCommand, tree: str, parents: Sequence[str], message: str, *, sign: bool, author: str) -> str:
    """Store a commit of *tree*; by the author of the commit *author*, and then, if one is given."""
    words = [word for parent in parents for word in ("-p", parent)]
    words += ["-S"] if sign else []
    known: dict[str, str] = {}
    if author:
        form = "%an%x00%ae%x00%ad"
        said = git.line("log", "-1", "--no-mailmap", f"--format={form}", "--date=raw", author, "--").split("\0")
        known = dict(zip(("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE"), said, strict=True))
    return git.run("commit-tree", *words, "-F", "-", tree, give=encode(message), also=known).line


def commit_over(
    git: GitCommand, tree: str, files: Mapping[str, bytes | None], parents: Sequence[str], message: str
) -> Stored:
    """Store a commit of *tree* with *files* put over it. Its ref is taken away before it is ever written."""
    first, *others = dict.fromkeys(parents)
    text = encode(message)
    story = [
        b"commit %s\nmark :1\n" % SCRATCH,
        b"committer %s <%s> now\n" % (encode(git.name), encode(git.email)),
        b"data %d\n%s\n" % (len(text), text),
        b"from %s\n" % encode(first),
        *(b"merge %s\n" % encode(one) for one in others),
        b"M 040000 %s \n" % encode(tree),
        *_contents(files),
        b"\nget-mark :1\nls :1 \nreset %s\nfrom %s\n\ndone\n" % (SCRATCH, b"0" * len(first)),
    ]
    words = ("fast-import", "--quiet", "--done", "--date-format=now")
    commit, said = git.run(*words, give=b"".join(story)).line.split("\n")
    return Stored(commit=commit, tree=said.split()[2])


def published(git: GitCommand, ref: str, folder: str, ending: str) -> dict[str, bytes]:
    """Return the files of *ref*'s tree, of those in *folder* whose names end in *ending*."""
    within = ("--", f"{folder}/") if folder else ()
    answer = git.run("ls-tree", "-r", "-z", "--full-tree", f"{ref}^{{tree}}", *within, ok=(0, 128))
    if answer.code:
        return {}
    found: dict[str, str] = {}
    for line in pieces(answer.out):
        said, _, path = line.partition("\t")
        _, kind, sha = said.split(" ")
        if kind == "blob" and path.endswith(ending):
            found[path] = sha
    if not found:
        return {}
    blobs = git.run("cat-file", "--batch", give="".join(f"{sha}\n" for sha in found.values()).encode())
    contents = parse_batch(blobs.out, len(found))
    return {path: one[1] for path, one in zip(found, contents, strict=True) if one is not None}


def trailers(git: GitCommand, branch: str, key: str) -> dict[str, str]:
    """Return value → newest commit for each value of trailer *key* on *branch*'s first-parent line."""
    if not key.replace("-", "").isalnum():
        raise GitError(f"`{key}` is no name for a trailer")
    ref = f"refs/heads/{branch}"
    form = f"%H%n%(trailers:key={key},valueonly=true,unfold=true,separator=%x0A)"
    answer = git.run("log", "-z", "--first-parent", "--no-patch", f"--format={form}", ref, "--", ok=(0, 128))
    if answer.code:
        if git.run("rev-parse", "--verify", "--quiet", ref, ok=(0, 1)).code == 0:
            raise GitError(f"the history of {branch} cannot be read: {answer.err.decode('utf-8', 'replace')}")
        return {}
    found: dict[str, str] = {}
    for one in answer.out.decode("utf-8", "surrogateescape").split("\0"):
        commit, *values = one.split("\n")
        for value in values:
            if value.strip():
                found.setdefault(value.strip(), commit)
    return found


def logged(git: GitCommand, ref: str, word: str) -> tuple[Logged, ...]:
    """Return the commits of *ref*'s first-parent line with *word* in their message, the newest first."""
    if git.run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", ok=(0, 1)).code:
        return ()
    form = "%H%n%P%n%ct%n%B"
    words = ("log", "-z", "--first-parent", "--no-patch", "--no-show-signature", "--fixed-strings", f"--grep={word}")
    answer = git.run(*words, f"--format={form}", ref, "--")
    found = []
    for one in answer.out.decode("utf-8", "surrogateescape").split("\0"):
        if one:
            commit, parents, at, message = one.split("\n", 3)
            whole = message.rstrip("\n") + "\n"
            found.append(Logged(commit=commit, parents=tuple(parents.split()), message=whole, at=int(at)))
    return tuple(found)


def outgoing(git: GitCommand, branch: str, limit: int, commit: str) -> str:
    """Return the differences of the commits of *branch*, or *commit*, that no branch of its remote is known to have."""
    remote, ref = _remote(git, branch), commit or f"refs/heads/{branch}"
    if not remote or git.run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", ok=(0, 1)).code:
        return ""
    # A remote without a refspec leaves no note of git's own, but a look at it always leaves ours.
    known = (f"--remotes={remote}", "--glob=refs/gluerun/outside/there/*")
    # Every commit is looked at: what a later one takes out again leaves with the earlier one all the same.
    words = (
        "log",
        "-p",
        "-M",
        "--diff-merges=first-parent",
        "--format=",
        "--no-color",
        "--no-ext-diff",
        "--no-textconv",
    )
    answer = git.run_some(*words, ref, "--not", *known, "--", enough=4 * limit + 4)
    return answer.out.decode("utf-8", "backslashreplace")[:limit]


def fetch(git: GitCommand, branch: str, ref: str) -> str:
    """Let *ref* be what *branch* is at on its remote; return "" or why that cannot be seen."""
    remote = _remote(git, branch)
    if not remote:
        # Where nobody has a remote that is asked at the beginning of every cycle.
        if refs(git.root, [ref]) != {}:
            git.run("update-ref", "--no-deref", "-d", ref, ok=_ANY)
        return ""
    words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote, f"+refs/heads/{branch}:{ref}")
    try:
        answer = git.run(*words, ok=_ANY)
    except GitError as error:
        return error.message
    if answer.code and b"couldn't find remote ref" in answer.err:
        git.run("update-ref", "--no-deref", "-d", ref, ok=_ANY)
        return ""
    return _reasons(answer) if answer.code else ""


def push(git: GitCommand, branch: str, commit: str, old: str) -> str:
    """Push *branch*, or *commit* as what follows *old* there; return "" or why it was not pushed."""
    remote = _remote(git, branch)
    if not remote:
        return ""
    ref = f"refs/heads/{branch}"
    lease: tuple[str, ...] = ()
    if commit:
        if git.run("merge-base", "--is-ancestor", old, commit, ok=(0, 1)).code:
            return f"error: {commit} does not follow {old}"
        # A lease on what only moves forward is the compare-and-swap that git has for a remote.
        lease = (f"--force-with-lease={ref}:{old}",)
        git = GitCommand(git.root, git.name, git.email, limit=SEND_LIMIT)
    try:
        # Never forced: what the remote has beyond us is somebody's work.
        answer = git.run("push", "--porcelain", "--no-verify", *lease, "--", remote, f"{commit or ref}:{ref}", ok=_ANY)
    except GitError as error:
        return error.message
    return _reasons(answer) if answer.code else ""


def _reasons(answer: Answer) -> str:
    """Return in one line why a remote, or the way to it, has refused."""
    said = answer.out + answer.err
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines()]
    reasons = [line for line in lines if line.startswith(("!", "error:", "fatal:", "remote:"))]
    return " ".join(" ".join(reasons or lines).split())[:500] or f"git ended with code {answer.code}"


def _remote(git: GitCommand, branch: str) -> str:
    own = encode(f"branch.{branch}.remote")
    told = git.run("config", "-z", "--get-regexp", r"^(remote\.|branch\..*\.remote$)", ok=(0, 1)).out
    pairs = [one.partition(b"\n") for one in told.split(b"\0")]
    chosen = decode([b"", *(value for key, _, value in pairs if key == own)][-1])
    if not chosen and not any(key.startswith(b"remote.") for key, _, _ in pairs):
        return ""
    names = git.line("remote").split("\n")
    if chosen:
        return chosen if chosen != "." else ""
    return names[0] if len(names) == 1 else "origin" if "origin" in names else ""


def _story(git: GitCommand, ref: str, old: str, files: Mapping[str, bytes | None], message: str) -> bytes:
    """Tell fast-import the commit; paths sorted, removals first, so that equal input makes equal trees."""
    text = encode(message)
    parts = [
        b"commit %s\nmark :1\n" % encode(ref),
        b"committer %s <%s> now\n" % (encode(git.name), encode(git.email)),
        b"data %d\n%s\n" % (len(text), text),
    ]
    if old:
        parts.append(b"from %s\n" % encode(old))
    return b"".join([*parts, *_contents(files), b"\nget-mark :1\ndone\n"])


def _contents(files: Mapping[str, bytes | None]) -> list[bytes]:
    """Tell fast-import the files of a commit."""
    contents = sorted(files.items(), key=lambda item: (item[1] is not None, item[0]))
    return [
        b"D %s\n" % _quoted(path)
        if data is None
        else b"M 100644 inline %s\ndata %d\n%s\n" % (_quoted(path), len(data), data)
        for path, data in contents
    ]


def _quoted(path: str) -> bytes:
    safe = bytes_of(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + safe + b'"'
