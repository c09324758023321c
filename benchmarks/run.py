"""Run the benchmarks and print what was promised beside what was found.

    python benchmarks/run.py [cycle|quiet|dispatch|wait|integrate|chain|launcher|proved|queue|worktrees ...]
                             [--rounds N] [--json]

Every figure is a median of rounds in which the variants ran in turn; a ratio is taken within one run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bench_chain
import bench_cycle
import bench_dispatch
import bench_integrate
import bench_launcher
import bench_proved
import bench_queue
import bench_wait
import bench_worktrees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from measure import Result

BENCHES = {
    "cycle": bench_cycle.full,
    "quiet": bench_cycle.quiet,
    "dispatch": bench_dispatch.dispatch,
    "wait": bench_wait.wait,
    "integrate": bench_integrate.integrate,
    "chain": bench_chain.chain,
    "launcher": bench_launcher.launcher,
    "proved": bench_proved.proved,
    "queue": bench_queue.queue,
    "worktrees": bench_worktrees.worktrees,
}


def main() -> int:
    """Run the chosen benchmarks; the exit code is 1 if a promise does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="|".join(BENCHES), help="which ones; all if none is named")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    for name in asked.names:
        if name not in BENCHES:
            parser.error(f"there is no benchmark {name!r}")
    _prepare()
    found: list[Result] = []
    for name in asked.names or BENCHES:
        with tempfile.TemporaryDirectory(prefix=f"gluerun-bench-{name}-", ignore_cleanup_errors=True) as folder:
            found += BENCHES[name](Path(folder), asked.rounds)
    _print(found, as_json=asked.json)
    return 0 if all(one.held for one in found) else 1


def _prepare() -> None:
    """Measure what users have: compiled modules, and none of our own settings."""
    import compileall

    import gluerun

    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(Path(gluerun.__file__ or "").parent, quiet=2)
    for name in [name for name in os.environ if name.startswith(("GLUERUN_", "GIT_"))]:
        del os.environ[name]


def _print(found: list[Result], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([vars(one) for one in found], indent=2))
        return
    width = max(len(one.name) for one in found)
    print(f"| {'what':<{width}} | {'target':<12} | {'found':<36} | held |")
    print(f"| {'-' * width} | {'-' * 12} | {'-' * 36} | ---- |")
    for one in found:
        print(f"| {one.name:<{width}} | {one.target:<12} | {one.found:<36} | {'yes' if one.held else 'NO':<4} |")


if __name__ == "__main__":
    sys.exit(main())
