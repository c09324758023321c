"""What the names of a project's files tell of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluerun.core.detecting import KINDS, NO_GATE, TOLD, areas, detect
from gluerun.records.names import AREA
from gluerun.records.paths import overlap, scope_entry

LAYOUTS = [
    (["src/app/a.py", "src/web/b.ts", "tools/c.sh"], {"app": ("src/app",), "web": ("src/web",), "tools": ("tools",)}),
    (["src/a.py", "src/b.py"], {"src": ("src",)}),
    (["packages/one/a.ts", "apps/one/b.ts"], {"one": ("apps/one",), "packages-one": ("packages/one",)}),
    (["README.md", "main.go"], {}),
    (["vendor/x/y.go", ".ci/z.py", "docs/a.py"], {}),
    (["my folder/a.py"], {"my-folder": ("my folder",)}),
    (["日本/a.py"], {}),
]


@pytest.mark.parametrize(("names", "expected"), LAYOUTS, ids=[" ".join(names) for names, _ in LAYOUTS])
def test_areas_are_the_folders_with_source_in_them(names, expected):
    assert areas(names) == expected


def test_the_language_is_known_even_where_no_test_command_is():
    found = detect(["pyproject.toml", "package.json"], {"pyproject.toml": "[project]"})

    assert (found.language, found.gate_command, found.reason) == ("python", NO_GATE, "")


def test_the_command_of_one_language_comes_with_its_name():
    found = detect(["pyproject.toml", "go.mod"], {"pyproject.toml": "[project]"})

    assert (found.language, found.gate_command, found.reason) == ("go", "go test ./...", "go.mod")


def test_a_task_runner_says_how_a_project_is_tested_that_nothing_else_tells_of():
    found = detect(["pyproject.toml", "Makefile"], {"pyproject.toml": "[project]", "Makefile": "test:\n"})

    assert (found.language, found.gate_command, found.reason) == ("python", "make test", "Makefile")


def test_every_kind_that_looks_into_a_file_gets_its_text():
    assert {kind.file for kind in KINDS if kind.when} - set(TOLD) <= {"setup.py"}, "told by the others' texts"


NAMES = st.text("ab./- _é*?\\", min_size=1, max_size=12).map(lambda text: f"{text}.py")


@given(st.lists(NAMES, max_size=20))
def test_whatever_the_names_are_areas_can_be_used_as_they_are(names):
    found = areas([name for name in names if all(part not in ("", ".", "..") for part in name.split("/"))])

    paths = [path for several in found.values() for path in several]
    assert all(re.match(AREA, name) for name in found)
    assert all(scope_entry(path) == path for path in paths)
    assert not [1 for one in paths for other in paths if one != other and overlap(one, other)]
