"""Names that become part of a path or a command keep their pattern, to the last character."""

from __future__ import annotations

import re

import pytest

from gluerun.errors import SchemaError
from gluerun.records import names
from gluerun.records.validators.table import Invalid, validator

GOOD = [
    (names.TASK, ["TASK-0001", "TASK-123456789012"]),
    (names.RUN, ["RUN-20260131T235959Z-0123abcd"]),
    (names.ORIGIN, ["ORIGIN-20260131T235959Z-1", "ORIGIN-20260131T235959Z-4194304"]),
    (names.DISPATCH, ["RUN-20260131T235959Z-0123abcd.1"]),
    (names.NODE, ["N", "api", "api.v1.x_y.z-9", "0.-"]),
    (names.AREA, ["core", "A_b-9", "a" * 40]),
    (names.NONCE, ["0123456789abcdef" * 2]),
    (names.SHA, ["a" * 40, "0" * 64]),
    (names.SHA256, ["f" * 64]),
    (names.STAMP, ["2026-01-31T23:59:59Z"]),
    (names.FINDING, ["f-0123456789ab"]),
]
BAD = [
    (names.TASK, ["TASK-001", "TASK-1234567890123", "task-0001", "TASK-0001/..", "TASK-٠٠٠١", " TASK-0001"]),
    (names.RUN, ["RUN-20260131T235959Z-0123ABCD", "RUN-../../x", "RUN-20260131T235959Z-0123abcd.1"]),
    (names.ORIGIN, ["ORIGIN-20260131T235959Z-", "ORIGIN-20260131T235959Z--1"]),
    (names.DISPATCH, ["RUN-20260131T235959Z-0123abcd", "RUN-20260131T235959Z-0123abcd.12345"]),
    (names.NODE, ["", ".", "..", "a..b", ".a", "a.", "-a", "a/b", "a b", "a.b.c.d.e", "a" * 41]),
    (names.AREA, ["", "..", "a.b", "a/b", "-rf", "_a", "a" * 41, "é"]),
    (names.NONCE, ["0" * 31, "0" * 33, "A" * 32]),
    (names.SHA, ["a" * 39, "a" * 41, "a" * 63, "A" * 40, "HEAD"]),
    (names.SHA256, ["f" * 40, "g" * 64]),
    (names.STAMP, ["2026-01-31T23:59:59", "2026-01-31 23:59:59Z", "2026-01-31T23:59:59.0Z"]),
    (names.FINDING, ["f-0123456789a", "x-0123456789ab"]),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "name"), [(pattern, name) for pattern, row in GOOD for name in row])
def test_good_names(pattern, name):
    assert names.check(name, pattern, "name") == name


@pytest.mark.parametrize(
    ("pattern", "name"),
    [(pattern, name) for pattern, row in BAD for name in row]
    + [(pattern, row[0] + end) for pattern, row in GOOD for end in ("\n", "\0", " ", "/")],
)
def test_bad_names(pattern, name):  # C16
    with pytest.raises(SchemaError, match="is no name"):
        names.check(name, pattern, "name")


def test_a_bad_name_is_shown():
    with pytest.raises(SchemaError, match=re.escape(r"'../x\n' is no task id")):
        names.check("../x\n", names.TASK, "task id")


def test_task_ids():
    assert names.is_task("TASK-0001")
    assert not names.is_task("TASK-0001\n")
    assert not names.is_task("../TASK-0001")


GOOD_BRANCHES = [
    "main",
    "a",
    "release/1.x",
    "agent/core/TASK-0001-a_b",
    "a+b",
    "a.b",
    "v1.0-rc",
    "a.locks",
    "lock",
    "A" * 200,
]
BAD_BRANCHES = [
    "", "main\n", "-f", "--force", "/a", "a/", "a//b", "a/.b", ".a", "a.", "a..b", "../a", "a/../b", "a.lock",
    "a.lock/b", "a/b.lock", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "a@{1}", "@", "a\0b",
    "a\tb", "é", "A" * 201, "refs/heads/a\nb", "a/\n", "a.lock\n",
]  # fmt: skip


def accepted(branch):
    document = {
        "schema": "gluerun.orchestration.l1-lease.v0", "node": "n", "area": "a", "stage": "s", "layer": "l",
        "status": "active", "runId": "RUN-20260131T235959Z-0123abcd", "baseSha": "a" * 40,
        "targetBranch": branch,
        "allowedWriteScopes": [], "startedAt": "2026-01-31T23:59:59Z", "updatedAt": "2026-01-31T23:59:59Z",
        "expiresAt": "2026-01-31T23:59:59Z",
    }  # fmt: skip
    try:
        validator("l1-lease.v0")(document)
    except Invalid as error:
        assert error.place == "targetBranch"
        return False
    return True


@pytest.mark.parametrize("branch", GOOD_BRANCHES)
def test_good_branches(branch):
    assert names.is_branch(branch)
    assert accepted(branch)


@pytest.mark.parametrize("branch", BAD_BRANCHES)
def test_bad_branches(branch):
    assert not names.is_branch(branch)
    assert not accepted(branch)


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Add a Thing", "add-a-thing"),
        ("  ../../etc/passwd\n", "etc-passwd"),
        ("Größe: 5 µm!", "gr-e-5-m"),
        ("", "task"),
        ("…", "task"),
        ("a" * 39 + " b", "a" * 39),
        ("x" * 99, "x" * 40),
        ("fix.lock", "fix-lock"),
    ],
)
def test_slugs(title, slug):
    assert names.slug(title) == slug
    assert names.is_branch("agent/core/TASK-0001-" + slug)
