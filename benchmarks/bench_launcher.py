"""What the launcher costs: the shell script that finds the pin, against a direct start of what it finds."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from measure import at_most, cpu, rounds, spent, wall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from measure import Result

CHECKOUT = Path(__file__).resolve().parents[1]
STARTS = 20


def launcher(folder: Path, count: int) -> list[Result]:
    """Measure both ways in turn, with an engine that does nothing."""
    spec = importlib.util.spec_from_file_location("gluerun_install", CHECKOUT / "install.py")
    install = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(install)
    root, deep = folder / "engines", folder / "repo" / "one" / "two" / "three"
    deep.mkdir(parents=True)
    engine = install.python_of(root / "versions" / "1.0")
    engine.parent.mkdir(parents=True)
    engine.symlink_to("/bin/true")
    (root / "versions" / "1.0" / install.MARKER).touch()
    (folder / "repo" / ".gluerun-version").write_text("1.0\n")
    (folder / "repo" / "gluerun.config.json").write_text('{\n  "engineVersion": "1.0"\n}\n')
    program = install.write_launcher(root)
    variants = {
        "direct": lambda: spent([str(engine)], str(deep)),
        "launcher": lambda: spent([str(program), "status"], str(deep)),
    }
    costs = rounds(variants, count * STARTS)
    extra = (cpu(costs["launcher"]) - cpu(costs["direct"])) * 1000
    late = (wall(costs["launcher"]) - wall(costs["direct"])) * 1000
    return [
        at_most("launcher above a direct start, clock", 5, late, "ms"),
        at_most("the same, CPU", 5, extra, "ms"),
    ]
