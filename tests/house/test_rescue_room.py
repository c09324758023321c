"""Nothing is removed, reset or overwritten but in the room that rescues first, or where a reason is written down."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[2] / "engine" / "gluerun"
ROOM = "loop/rescue.py"
# What can take something away: methods of the repository's door.
DOOR = {"remove_worktree", "delete_branches", "add_worktree", "seed_worktree", "forget", "keep", "advance", "land"}
DOOR.add("recycle_worktree")
# Who else may call one, and why nothing is lost by it.
REASONS = {
    ("loop/bench.py", "seed_worktree"): "the place was made a moment before, by `begin_work`",
    ("loop/moving.py", "land"): "moves by compare-and-swap, and only where nothing of the user's is in the way",
    ("loop/repairing.py", "keep"): "a revert that nobody else refers to, under a name of its own",
    (
        "loop/outside.py",
        "land",
    ): "follows the remote forward, as any landing: by compare-and-swap and past nobody's files",
    ("loop/outside.py", "keep"): "what was last seen of the remote; nothing of a place or a branch",
    ("edge/probing.py", "add_worktree"): "in the scratch repository of a probe, which nobody else sees",
    ("loop/collecting.py", "forget"): "only what a policy gave up, by compare-and-swap",
}
# Words of git that reset, delete or overwrite; each with the module that may say it, and why.
WORDS = {"reset", "checkout", "clean", "stash", "prune", "gc", "branch", "switch", "restore", "rm", "update-ref"}
SAID = {
    ("adapters/git.py", "update-ref"): "`keep`, `forget` and `delete_branches`: the callers are looked at above",
    ("adapters/git_landing.py", "update-ref"): "compare-and-swap",
    (
        "adapters/git_worktrees.py",
        "update-ref",
    ): "`add` and `commit_all`: the branch of a place, rescued by the callers",
    ("adapters/git_publishing.py", "update-ref"): "the note of what a remote is at, once it is there no more",
    ("adapters/git_recycling.py", "checkout"): "in a place that stays; its commits were rescued by `begin_lasting`",
    ("adapters/git_history.py", "update-ref"): "the scratch repository of a backtest",
    ("adapters/git_merge_history.py", "checkout"): "the scratch repository of a backtest",
    ("adapters/git_merge_history.py", "clean"): "the scratch repository of a backtest",
    ("adapters/git_upkeep.py", "gc"): "never what a ref reaches, nor what is younger than two weeks",
}


def deeds(tree: ast.AST) -> set[str]:
    """Return the door's removing methods that code calls."""
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {func.attr for func in called if isinstance(func, ast.Attribute) and func.attr in DOOR}


def git_words(tree: ast.AST) -> set[str]:
    """Return the removing words that code gives to git as the first of its words."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in {"run", "line", "run_some", "_run"}:
            plain = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            found.update(WORDS & set(plain[:1]))
    return found


def forced(tree: ast.AST) -> list[str]:
    """Return the calls that make a work tree on a branch, and so set the branch."""
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "add_worktree"
        and (len(node.args) > 2 or any(word.arg in ("branch", None) for word in node.keywords))
    ]


def modules():
    """Yield the name and the syntax tree of each module that is neither a door nor its twin."""
    for path in sorted(ENGINE.rglob("*.py")):
        name = str(path.relative_to(ENGINE))
        if not name.startswith("sim/"):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def test_only_the_room_takes_anything_away():
    found = {
        (name, deed)
        for name, tree in modules()
        if not name.startswith("adapters/") and name not in (ROOM, "loop/noticing.py")
        for deed in deeds(tree)
    }

    assert found == set(REASONS), "rescue first: call a function of loop/rescue.py, or write down why not"


def test_git_is_told_to_take_something_away_only_where_a_reason_is_written_down():
    found = {(name, word) for name, tree in modules() for word in git_words(tree)}

    assert found == set(SAID)


def test_only_the_room_sets_a_branch_by_making_a_place():
    found = {name: calls for name, tree in modules() if name != ROOM and (calls := forced(tree))}

    assert set(found) == {"edge/probing.py"}, "there it is a scratch repository"


def test_in_the_room_what_is_kept_comes_before_what_goes():
    tree = ast.parse((ENGINE / ROOM).read_text(encoding="utf-8"))
    guilty = []
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            words = {
                node.attr if isinstance(node, ast.Attribute) else node.id: node.lineno
                for node in ast.walk(function)
                if isinstance(node, ast.Attribute | ast.Name)
            }
            takes = [line for word, line in words.items() if word in ("remove_worktree", "recycle_worktree")]
            keeps = [line for word, line in words.items() if word in ("_keep", "_keep_strays")]
            if takes and not (keeps and max(keeps) < min(takes)):
                guilty.append(function.name)

    assert guilty == []


@pytest.mark.parametrize(
    ("check", "code", "found"),
    [
        (deeds, "house.doors.git.remove_worktree(place)", {"remove_worktree"}),
        (deeds, "git.head(place)", set()),
        (git_words, "self._git.run('reset', '--hard')", {"reset"}),
        (git_words, "self._git.run('status')", set()),
        (forced, "git.add_worktree(p, c, branch=b)", ["git.add_worktree(p, c, branch=b)"]),
        (forced, "git.add_worktree(p, c)", []),
    ],
)
def test_the_checks_bite(check, code, found):
    assert check(ast.parse(code)) == found
