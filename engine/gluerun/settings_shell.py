"""The two optional shell files of a repository: run in a bash of their own, only our names are taken."""

from __future__ import annotations

import os
import signal

from gluerun.errors import ConfigError, ToolMissingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from subprocess import Popen

TIME_LIMIT = 10.0
# For how long a script that was ended is listened to.
_LAST_WORDS = 1.0
# `set -e` makes a script that fails half-way fail as a whole; what it prints never mixes with the answer.
_SCRIPT = r"""
set -e
for file in "$@"; do
  if [ -f "$file" ]; then . "./$file" >&2; fi
  printf '\n%s\0' "$file"
  for name in ${!GLUERUN_@}; do printf '%s=%s\0' "$name" "${!name}"; done
done
"""


def read_shell(root: str, present: list[str], limit: float = TIME_LIMIT) -> dict[str, dict[str, str]]:
    """Return the `GLUERUN_` variables that each of the *present* files sets, by file."""
    code, output, complaint = _bash(root, present, limit)
    seen = _parts(output)
    if code != 0 or len(seen) < len(present):
        broken = present[min(len(seen), len(present) - 1)]
        words = complaint.strip().splitlines()[-1:] or [f"it ended with exit code {code}"]
        raise ConfigError(f"{broken}: the script fails: {words[0]}", f"try it: bash -e {broken}", file=broken)
    return _own(seen)


def _bash(root: str, present: list[str], limit: float) -> tuple[int, str, str]:
    import subprocess

    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    argv = ["bash", "--noprofile", "--norc", "-c", _SCRIPT, "bash", *present]
    try:
        child = subprocess.Popen(
            argv,
            cwd=root,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            start_new_session=True,
        )
    except FileNotFoundError:
        raise ToolMissingError(f"{present[0]} needs bash, which is not installed", file=present[0]) from None
    try:
        output, complaint = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        return 124, _rest(child), f"it did not end within {limit:g} seconds"
    return child.returncode, output, complaint


def _rest(child: Popen[str]) -> str:
    """Return what a script that was ended had said; who left its session may hold the pipes for ever."""
    from subprocess import TimeoutExpired

    try:
        return child.communicate(timeout=_LAST_WORDS)[0]
    except TimeoutExpired as error:
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
        child.wait()
        said = error.output or b""
        return said.decode("utf-8", "surrogateescape") if isinstance(said, bytes) else str(said)


def _parts(output: str) -> dict[str, dict[str, str]]:
    seen: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in output.split("\0")[:-1]:
        if line.startswith("\n"):
            current = seen.setdefault(line[1:], {})
        else:
            name, _, value = line.partition("=")
            current[name] = value
    return seen


def _own(seen: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Return for each file only what it changed; the second one starts with what the first one set."""
    before: dict[str, str] = {}
    found = {}
    for file, values in seen.items():
        found[file] = {name: value for name, value in values.items() if before.get(name) != value}
        before = values
    return found
