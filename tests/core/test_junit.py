"""Reports of tests: four programs' own words, and everything that somebody may put there instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluerun.core import junit
from gluerun.records.gate import GateRun, GateTests, GateVerdict
from gluerun.records.pipeline import GateSpec

PYTEST = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4" time="0.1">
<testcase classname="tests.test_sum.TestSum" name="test_adds[1-2]" time="0.001" />
<testcase classname="tests.test_sum.TestSum" name="test_carries" time="0.001"><failure message="assert 1 == 2">E
</failure></testcase>
<testcase classname="tests.test_sum" name="test_later" time="0.0"><skipped type="pytest.skip" message="no">x</skipped>
</testcase>
<testcase classname="" name="tests.test_broken" time="0.0"><error message="collection failure">SyntaxError</error>
</testcase></testsuite></testsuites>"""
GO = b"""<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" errors="0" time="0.2">
<testsuite tests="3" failures="1" time="0.2" name="example.org/sum"><properties><property name="go.version" value="1"/>
</properties>
<testcase classname="example.org/sum" name="TestAdds" time="0.0"></testcase>
<testcase classname="example.org/sum" name="TestAdds/twice" time="0.0"><failure message="Failed" type="">no</failure>
</testcase>
<testcase classname="example.org/sum" name="TestLater" time="0.0"><skipped message="later"></skipped></testcase>
</testsuite></testsuites>"""
CARGO = b"""<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3" failures="1" errors="0" uuid="x" time="0.3">
<testsuite name="sum::adds" tests="3" disabled="0" errors="0" failures="1">
<testcase name="tests::adds" classname="sum::adds" time="0.01"><system-out>&lt;failure/&gt;</system-out></testcase>
<testcase name="tests::carries" classname="sum::adds" time="0.01"><failure type="test failure">panicked</failure>
<rerunFailure type="test failure">panicked</rerunFailure></testcase>
<testcase name="tests::flaky" classname="sum::adds"><flakyFailure type="test failure">once</flakyFailure></testcase>
</testsuite></testsuites>"""
NODE = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites>
<testsuite name="sums" time="0.1" disabled="0" errors="0" tests="2" failures="1" skipped="0">
<testcase name="adds" time="0.1" classname="test" file="/place/sum.test.js"/>
<testcase name="carries" time="0.1" classname="test" file="/place/sum.test.js" failure="1 !== 2">
<failure type="testCodeFailure" message="1 !== 2">[Error]</failure></testcase></testsuite>
<testcase name="later" time="0.1" classname="test"><skipped type="skipped" message="true"/></testcase>
<!-- tests 3 --></testsuites>"""


@pytest.mark.parametrize(
    ("data", "tests", "failures"),
    [
        (PYTEST, (4, 2, 1), ("tests.test_sum.TestSum::test_carries", "pytest::tests.test_broken")),
        (GO, (3, 1, 1), ("example.org/sum::TestAdds/twice",)),
        (CARGO, (3, 1, 0), ("sum::adds::tests::carries",)),
        (NODE, (3, 1, 1), ("/place/sum.test.js::carries",)),
        (b"<testsuites/>", (0, 0, 0), ()),
        (b'<testsuite xmlns="urn:x"><testcase name="a"/></testsuite>', (1, 0, 0), ()),
        ('<testsuite><testcase name="ü\x85b"><failure/></testcase></testsuite>'.encode(), (1, 1, 0), ("ü b",)),
        (b"<testsuite><testcase><failure/></testcase></testsuite>", (1, 1, 0), ("(a test without a name)",)),
    ],
)
def test_a_report_is_counted_case_by_case_and_what_failed_has_a_name(data, tests, failures):
    read = junit.read(data)
    found = read.tests
    assert ((found.total, found.failed, found.skipped), read.failures, read.note) == (tests, failures, "")


# Entities that grow, files of the machine, and what is no report at all.
BOMB = b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><testsuite name="&c;"/>'
REACHES = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&b;"/></testsuite>'


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (BOMB, "cannot be read: it declares types or entities"),
        (REACHES, "cannot be read: it declares types or entities"),
        (b"<!DOCTYPE testsuite><testsuite/>", "cannot be read: it declares types or entities"),
        (b"", "cannot be read: no element found"),
        (b"ok 1 - all fine\n", "cannot be read: syntax error"),
        (PYTEST[:200], "cannot be read:"),
        (b"<html><testcase name='a'/></html>", "is no JUnit report"),
        (b"<testsuite>" * 65 + b"</testsuite>" * 65, "cannot be read: it is nested too deeply"),
        (b'<?xml version="1.0" encoding="no-such"?><testsuite/>', "cannot be read: unknown encoding"),
        (b" " * (junit.LONGEST_REPORT + 1), "is longer than 16 MiB"),
    ],
)
def test_what_cannot_be_read_is_said_and_counts_for_nothing(data, note):
    read = junit.read(data)
    assert read.note.startswith(note)
    assert (read.tests, read.failures) == (None, ())


PIECES = st.sampled_from([
    b"<testsuites>", b"</testsuites>", b'<testsuite name="s">', b"</testsuite>", b'<testcase name="a" classname="c">',
    b"</testcase>", b"<failure/>", b"<skipped/>", b"&amp;", b"&x;", b"<![CDATA[", b"]]>", b"<!DOCTYPE a>", b"\xff",
    b"<!--", b"-->", b'<?xml version="1.0" encoding="utf-16"?>', b"\x00",
])  # fmt: skip


@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=30).map(b"".join)))
def test_no_report_whatever_it_holds_ends_a_run_or_counts_wrongly(data):
    read = junit.read(data)
    assert (read.tests is None) is bool(read.note)
    if read.tests is not None:
        assert 0 <= read.tests.failed + read.tests.skipped <= read.tests.total
        assert len(read.failures) <= min(read.tests.failed, junit.MOST_NAMES)
    assert all(name.isprintable() and len(name) <= 2 * junit.LONGEST_NAME + 2 for name in read.failures)


def test_names_are_bounded_and_hold_nothing_that_a_terminal_obeys():
    cases = "".join(f'<testcase name="{"n" * 300}{n}&#x9b;2J"><failure/></testcase>' for n in range(100))
    read = junit.read(f"<testsuite><testcase name='a&#x9b;b'><error/></testcase>{cases}</testsuite>".encode())
    assert read.tests == GateTests(total=101, failed=101)
    assert read.failures[0] == "a?b"
    assert max(map(len, read.failures)) == junit.LONGEST_NAME


RUN = GateRun(name="unit", command="make", result=GateVerdict.GREEN, exit_code=0)


def told(*, result=GateVerdict.GREEN, min_tests=0, **report):
    gate = GateSpec(name="unit", command="make", junit="*.xml", min_tests=min_tests)
    run = junit.told(GateRun(name="unit", command="make", result=result), gate, junit.Report(**report))
    return run.result.value, run.reason


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tests": GateTests(total=3)}, ("green", "")),
        ({"tests": GateTests(total=0)}, ("green", "it ran no test")),
        ({"tests": GateTests(total=0), "min_tests": 1}, ("red", "it ran no test, at least 1 wanted")),
        ({"tests": GateTests(total=4, skipped=4), "min_tests": 1}, ("red", "it ran no test, at least 1 wanted")),
        ({"tests": GateTests(total=4, skipped=1), "min_tests": 4}, ("red", "at least 4 wanted")),
        ({"tests": GateTests(total=4), "min_tests": 4}, ("green", "")),
        ({"note": "it left no report", "min_tests": 1}, ("red", "it left no report, at least 1 wanted")),
        ({"note": "it left no report"}, ("green", "it left no report")),
        ({"tests": GateTests(total=3, failed=1)}, ("green", "it ended with 0 although its report names 1 failed")),
        ({"tests": GateTests(total=3), "result": GateVerdict.RED}, ("red", "")),
        ({"tests": GateTests(total=0), "result": GateVerdict.INCONCLUSIVE, "min_tests": 1},
         ("inconclusive", "it ran no test")),
    ],
)  # fmt: skip
def test_a_report_can_make_a_gate_red_and_never_green(given, said):
    assert told(**given) == said


def test_reports_are_added_up_and_an_unreadable_one_among_them_is_named():
    read = [("a.xml", junit.read(GO)), ("b.xml", junit.read(b"?")), ("c.xml", junit.read(NODE))]
    whole = junit.added(read, "*.xml")
    assert whole.tests == GateTests(total=6, failed=2, skipped=2)
    assert whole.failures == ("example.org/sum::TestAdds/twice", "/place/sum.test.js::carries")
    assert whole.note.startswith("b.xml cannot be read")
