"""The table of what is broken on purpose, how often, and what was lost: `python benchmarks/broken.py [--run]`.

With `--run` the fault matrix is played first and its figures are kept in `benchmarks/broken.json`; without it
the table is made of what is kept, with the figures of the soak (`benchmarks/soak.json`), and put into the README.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEPT = HERE / "broken.json"
README = HERE.parent / "README.md"
BEGIN, END = "<!-- broken: begin (printed by benchmarks/broken.py) -->", "<!-- broken: end -->"
WORDS = {
    "crash": "the process dies at a storage or git operation",
    "crash twice": "it dies again while the first death is mended",
    "EIO": "the operation fails: input or output error",
    "ENOSPC": "the operation fails: no space left",
    "EACCES": "the operation fails: permission denied",
    "full": "the disk stays full for some cycles",
    "slow": "the operation takes minutes",
    "power": "the power goes; what was not synced is kept, lost or torn",
}


def play() -> None:
    """Play the fault matrix as the tests do, and keep its figures."""
    argv = [sys.executable, "-m", "pytest", "-q", "-n", "2", "tests/scenarios/test_crashes.py"]
    # The tests want a checkout in which nothing new appears.
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "faults.json")
        subprocess.run(argv, cwd=HERE.parent, env={**os.environ, "CRASH_TABLE": str(found)}, check=True)
        KEPT.write_text(found.read_text(encoding="utf-8"), encoding="utf-8")


def table() -> str:
    """Return the table as Markdown."""
    rows = json.loads(KEPT.read_text(encoding="utf-8"))
    lines = ["| what we break | how often | what was lost or doubled |", "|---|---|---|"]
    for fault in dict.fromkeys(row["fault"] for row in rows):
        mine = [row for row in rows if row["fault"] == fault]
        points, states = sum(row["points"] for row in mine), sum(row["states"] for row in mine)
        disks, seconds = sum(row["disks"] for row in mine), sum(row["cpuSeconds"] for row in mine)
        often = (
            f"{points:,} points" if points == states else f"{points:,} points, {states:,} states, {disks:,} different"
        )
        often += f"; {round(sum(row['played'] for row in mine) / max(seconds, 0.01) * 60, -2):,.0f} a minute"
        lines.append(f"| {WORDS.get(fault, fault)} | {often} | {_lost(sum(row['red'] for row in mine))} |")
    soak = json.loads((HERE / "soak.json").read_text(encoding="utf-8"))
    lost = soak["tasks"] - soak["merged"] - soak["parked"]
    killed = f"{soak['kills']:,} kills, {soak['tasks']} tasks"
    lines.append(f"| `kill -9` of real loops, wrappers, agents and git | {killed} | {_lost(lost)} |")
    return "\n".join(lines)


def _lost(count: int) -> str:
    return "nothing" if not count else f"{count}"


def main() -> None:
    """Print the table, and put it where the README has its place."""
    if "--run" in sys.argv[1:]:
        play()
    found = table()
    print(found)
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{found}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
