"""What of git's own settings and of the remote a person should know: who is run, who is not, and what cannot work."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from gluerun.core.outside import trouble
from gluerun.core.relation import Outside, relation
from gluerun.records.record import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gluerun.records.config import Config

    Ask = Callable[..., str]

# The hooks with which repositories refuse commits and pushes.
HOOKS = ("pre-commit", "commit-msg", "prepare-commit-msg", "pre-merge-commit", "pre-push", "post-merge")
_PLAIN_DRIVERS = frozenset({"union", "binary", "text"})


@record
class Finding:
    """One thing about the world outside: what was seen, and what to do; without a remedy it is only said."""

    id: str
    words: str
    remedy: str = ""
    command: str = ""
    fails: bool = False


def findings(root: str, ask: Ask, config: Config) -> Iterator[Finding]:
    """Yield what is worth a word; *ask* returns git's answer, empty if it refuses."""
    yield from _remote(ask, config)
    yield from _hooks(root, ask)
    yield from _signing(ask, config)
    yield from _attributes(ask, config)


def _remote(ask: Ask, config: Config) -> Iterator[Finding]:
    branch = config.target_branch
    if not config.push or not branch:
        return
    chosen = ask("config", "--get", f"branch.{branch}.remote")
    names = ask("remote").split()
    if chosen == "." or not (chosen or names):
        remedy = "name one, or say that nothing is pushed"
        yield Finding(id="remote", words="merges are to be pushed, and there is no remote", remedy=remedy,
                      command="git remote add origin URL")  # fmt: skip
        return
    folder = "refs/gluerun/outside"
    here, there, agreed = (
        ask("rev-parse", "--verify", "--quiet", f"{ref}/{branch}")
        for ref in ("refs/heads", f"{folder}/there", f"{folder}/agreed")
    )
    if not here or not there:
        return

    def holds(one: str, other: str) -> bool:
        """Tell whether *one* has *other* in its history."""
        return not other or ask("merge-base", one, other) == other

    seen = relation(
        there_in_here=holds(here, there),
        here_in_there=holds(there, here),
        agreed_in_here=holds(here, agreed),
        agreed_in_there=holds(there, agreed),
    )
    words, command = trouble(Outside(head=there, relation=seen), branch)
    if words:
        yield Finding(id="remote", words=words, remedy="decide which is right; nothing is pushed until then",
                      command=command)  # fmt: skip


def _hooks(root: str, ask: Ask) -> Iterator[Finding]:
    folder = ask("rev-parse", "--git-path", "hooks")
    there = [name for name in HOOKS if folder and os.access(Path(root, folder, name), os.X_OK)]
    if there:
        words = f"git's hooks {', '.join(there)} are not run on what the engine commits, lands or pushes"
        yield Finding(id="hooks", words=f"{words}; let the gate run what they check")


def _signing(ask: Ask, config: Config) -> Iterator[Finding]:
    wanted = ask("config", "--type=bool", "--get", "commit.gpgSign") == "true"
    if wanted and not config.integration.sign:
        words = "git is told to sign every commit (commit.gpgSign), and what the engine commits is not signed"
        remedy = "let it sign what it merges, if its machine has the key at hand without asking"
        yield Finding(id="signing", words=words, remedy=remedy, command="gluerun config set integration.sign true")


def _attributes(ask: Ask, config: Config) -> Iterator[Finding]:
    text = ask("show", f"refs/heads/{config.target_branch}:.gitattributes") if config.target_branch else ""
    for name in dict.fromkeys(re.findall(r"\smerge=([^\s]+)", text)):
        if name in _PLAIN_DRIVERS or name == "lfs":
            continue
        if command := ask("config", "--get", f"merge.{name}.driver"):
            words = f"merges are also decided by `{command}` (merge.{name}.driver), as git has it"
            yield Finding(id="merge-driver", words=words)
        else:
            words = f".gitattributes wants the merge driver {name!r}, which no configuration of git has here"
            yield Finding(id="merge-driver", words=words, remedy="until it does, git merges such files as text")
    for name in dict.fromkeys(re.findall(r"\sfilter=([^\s]+)", text)):
        smudge = ask("config", "--get", f"filter.{name}.process") or ask("config", "--get", f"filter.{name}.smudge")
        if not smudge:
            words = f".gitattributes wants the filter {name!r}, which no configuration of git has here"
            remedy = "workers and gates see such files as git stores them, with git-lfs its pointers"
            yield Finding(id="filter", words=words, remedy=remedy, command="git lfs install" if name == "lfs" else "")
        elif shutil.which(smudge.split()[0]) is None:
            is_fatal = ask("config", "--type=bool", "--get", f"filter.{name}.required") == "true"
            words = f"the filter {name!r} of .gitattributes is `{smudge}`, which is not there"
            yield Finding(id="filter", words=words, remedy=f"install {smudge.split()[0]}", fails=is_fatal)
