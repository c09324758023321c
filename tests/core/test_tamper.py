"""What a try did to the tests: each way of making them prove less is seen, and honest work is not."""

from __future__ import annotations

from time import process_time

import pytest

from gluerun.core.tamper import LONGEST_FILE, Grade, Tamper, facts, measured, of_tests, said

PY = "tests/test_sum.py"
JS = "web/sum.test.ts"
GO = "pkg/sum_test.go"
BASE = """\
import unittest
from calc import add, near


class TestSum(unittest.TestCase):
    def test_adds(self):
        self.assertEqual(add(1, 2), 3)
        self.assertIn(add(0, 0), (0,))

    def test_is_near(self):
        self.assertAlmostEqual(near(), 0.1, places=7)
"""
PYTEST = """\
import pytest
from calc import add, near


def test_adds():
    assert add(1, 2) == 3
    assert near() == pytest.approx(0.1, abs=1e-6)


def test_refuses():
    with pytest.raises(ValueError):
        add(None, 1)
"""
TS = """\
describe('sum', () => {
  it('adds', () => { expect(add(1, 2)).toBe(3); });
  it("refuses", () => { expect(() => add(null, 1)).toThrow(TypeError); });
});
"""
GOLANG = """\
package pkg

func TestAdd(t *testing.T) {
\tif Add(1, 2) != 3 {
\t\tt.Fatalf("no")
\t}
}

func TestZero(t *testing.T) {
\trequire.Equal(t, 0, Add(0, 0))
}
"""


def change(before, after, path=PY, **more):
    return measured({path: before}, {path: after}, **more)


@pytest.mark.parametrize(
    ("path", "before", "after", "fields"),
    [
        pytest.param(PY, BASE, None, {"deleted_files": 1, "lost_tests": 2, "lost_assertions": 3}, id="a file deleted"),
        pytest.param(PY, BASE, BASE[: BASE.index("    def test_is_near")], {"lost_tests": 1}, id="a test deleted"),
        pytest.param(
            PY,
            BASE,
            BASE.replace("        self.assertIn(add(0, 0), (0,))\n", ""),
            {"lost_assertions": 1},
            id="one less",
        ),
        pytest.param(PY, BASE, BASE.replace("assertEqual(add(1, 2), 3)", "assertTrue(add(1, 2))"), {"weakened": 1}),
        pytest.param(PY, BASE, BASE.replace("places=7", "places=1"), {"weakened": 1}, id="fewer places"),
        pytest.param(PY, PYTEST, PYTEST.replace("abs=1e-6", "abs=0.5"), {"weakened": 1}, id="a tolerance that grew"),
        pytest.param(PY, PYTEST, PYTEST.replace("add(1, 2) == 3", "add(1, 2)"), {"weakened": 1}, id="a bare assert"),
        pytest.param(PY, PYTEST, PYTEST.replace("assert add(1, 2) == 3", "assert True"), {"lost_assertions": 1}),
        pytest.param(
            PY,
            BASE,
            BASE.replace("        self.assertEqual(add", "        return\n        self.assertEqual(add"),
            {"lost_assertions": 2},
            id="what is never reached",
        ),
        pytest.param(
            PY,
            PYTEST,
            PYTEST.replace("    assert add(1, 2) == 3\n", "    if False:\n        assert add(1, 2) == 3\n"),
            {"lost_assertions": 1},
            id="under a condition that never holds",
        ),
        pytest.param(
            PY,
            PYTEST,
            PYTEST + "\n\ndef test_refuses():\n    pass\n",
            {"lost_assertions": 1},
            id="a test that is hidden",
        ),
        pytest.param(
            PY, BASE, BASE.replace("    def test_adds", "    @unittest.skip('x')\n    def test_adds"), {"new_skips": 1}
        ),
        pytest.param(PY, PYTEST, PYTEST.replace("def test_r", "@pytest.mark.xfail\ndef test_r"), {"new_skips": 1}),
        pytest.param(PY, BASE, BASE.replace("def test_adds", "def adds"), {"lost_tests": 1}, id="renamed out of sight"),
        pytest.param(JS, TS, TS.replace("it('adds'", "it.only('adds'"), {"new_skips": 1}, id="only"),
        pytest.param(JS, TS, TS.replace("it('adds'", "it.skip('adds'"), {"new_skips": 1, "lost_tests": 1}),
        pytest.param(JS, TS, TS.replace("toBe(3)", "toBeTruthy()"), {"weakened": 1}, id="truthy"),
        pytest.param(JS, TS, TS.replace("expect(add(1, 2)).toBe(3);", ""), {"lost_assertions": 1}),
        pytest.param(GO, GOLANG, GOLANG[: GOLANG.index("func TestZero")], {"lost_tests": 1, "lost_assertions": 1}),
        pytest.param(GO, GOLANG, GOLANG.replace('t.Fatalf("no")', 't.Skip("no")'), {"new_skips": 1}),
        pytest.param("Makefile", "test:\n\tpytest\n", "test:\n\tpytest || true\n", {"new_skips": 1}, id="silenced"),
        pytest.param("package.json", '{"test": "jest"}', '{"test": "jest --passWithNoTests"}', {"new_skips": 1}),
    ],
)
def test_every_way_of_proving_less_is_seen(path, before, after, fields):
    told = change(before, after, path)

    assert told.grade is Grade.HIGH
    assert {name: getattr(told, name) for name in fields} == fields
    assert said(told).startswith("high: ")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({PY: None}, {PY: BASE}, id="a new file"),
        pytest.param({PY: BASE}, {PY: BASE + "\n    def test_more(self):\n        self.assertEqual(add(2, 2), 4)\n"}),
        pytest.param({PY: BASE, "tests/test_b.py": None}, {PY: None, "tests/test_b.py": BASE}, id="a file moved"),
        pytest.param({PY: BASE}, {PY: BASE.replace("add(1, 2), 3", "add(2, 2), 4")}, id="another value"),
        pytest.param({PY: BASE}, {PY: BASE.replace("places=7", "places=9")}, id="stricter"),
        pytest.param({JS: TS}, {JS: TS.replace("toBe(3)", "toEqual(3)")}, id="as strong"),
        pytest.param({"Makefile": "a:\n\ttrue\n"}, {"Makefile": "a:\n\tpytest\n"}, id="another command"),
    ],
)
def test_honest_work_is_not(before, after):
    told = measured(before, after)

    assert (told.grade, said(told)) == (Grade.NONE, "")


def test_a_renamed_test_is_worth_a_look_and_no_more():
    told = change(BASE, BASE.replace("test_adds", "test_adds_up"))

    assert (told.grade, told.lost, told.lost_tests, told.new_tests) == (Grade.LOW, ("TestSum.test_adds",), 1, 1)


@pytest.mark.parametrize("text", ["def broken(:\n", "\0", "(" * 5000, "x = 1\n" * 3 + "\ud800", ""])
def test_nonsense_is_a_value(text):
    assert change(BASE, text).grade is Grade.HIGH
    assert change(text, text).grade is Grade.NONE


def test_what_was_not_read_is_named():
    told = measured({}, {}, unread=("tests/huge.py",))

    assert (told.grade, said(told)) == (Grade.LOW, "low: 1 file not read")
    assert "not read: tests/huge.py" in facts(told)
    assert LONGEST_FILE > 0


def test_facts_are_a_short_table_and_nothing_where_no_test_was_touched():
    told = change(BASE, None)

    assert facts(told).splitlines()[:3] == [
        "grade: high",
        "test files deleted: 1",
        "tests gone: 2 (TestSum.test_adds, TestSum.test_is_near)",
    ]
    assert (facts(None), facts(Tamper())) == ("", "")


def test_which_files_are_tests():
    yes = [
        "tests/a.py",
        "a/test_b.py",
        "b_test.go",
        "web/x.test.ts",
        "src/test/java/A.java",
        "Makefile",
        "c/conftest.py",
    ]
    no = ["src/a.py", "latest/a.py", "contest.py", "docs/tests.md", "attest_b.py"]

    assert of_tests([*yes, *no]) == tuple(yes)
    assert of_tests(["checks/a.py", "tests/a.py", "x/proof_a.rb"], ("checks/", "proof_*")) == (
        "checks/a.py",
        "x/proof_a.rb",
    )
    assert of_tests(["a/b/c/d.t", "d.t"], ("a/**/d.t",)) == ("a/b/c/d.t",)


@pytest.mark.parametrize(
    "piece",
    ["\n", " ", "\t\n", "#[test]", "@Test ", "it.each(", "it('", "assert ", "assert", "--ignore=", "; ", "|| ", "skip ",
     "func Test", "delta=1", "def test", "(", "1+", "@", "expect(", "t.", "a.", "if x:\n "],
)  # fmt: skip
@pytest.mark.parametrize("path", [PY, "web/a.test.ts", "Makefile"])
def test_no_text_takes_long(path, piece):
    text = (piece * LONGEST_FILE)[:LONGEST_FILE]
    began = process_time()

    measured({path: text}, {path: text[1:]})

    assert process_time() - began < 10
