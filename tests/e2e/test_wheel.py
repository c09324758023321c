"""The wheel is whole: it runs away from the checkout and carries its data."""

from __future__ import annotations

import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
ROOT = "from gluerun import assets; print(assets.root())"


def test_the_program_runs_from_the_wheel(gluerun):
    done = gluerun("version")

    assert done.returncode == 0, done.stderr


def test_the_wheel_carries_schemas_and_migrations(wheel_python, tmp_path):
    argv = [wheel_python, "-P", "-c", ROOT]
    packed = Path(subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip())

    for folder in ("schemas", "migrations"):
        for path in (CHECKOUT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                assert (packed / path.relative_to(CHECKOUT)).read_bytes() == path.read_bytes()
    assert (packed / "SCHEMA_VERSION").read_text() == (CHECKOUT / "SCHEMA_VERSION").read_text()


def test_the_wheel_carries_the_declarations(wheel_python, tmp_path):
    argv = [wheel_python, "-P", "-c", "from gluerun import settings_runners; print(settings_runners.FOLDER)"]
    packed = Path(subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip())

    shipped = {path.name: path.read_bytes() for path in (CHECKOUT / "engine/gluerun/declarations").glob("*.json")}
    assert shipped
    assert {path.name: path.read_bytes() for path in packed.glob("*.json")} == shipped


def test_the_wheel_is_compiled(wheel_python, tmp_path):
    argv = [wheel_python, "-P", "-c", "import gluerun; print(gluerun.__cached__)"]
    cached = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    assert Path(cached).exists()
