"""What looks like a secret: found where it is added, named by its kind, never quoted.

Every example is put together here, so that no file of this repository holds what looks like one.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.records.documents import examples

from gluerun.core.secrets import KINDS, SecretHit, cleaned, in_patch, kind_of, redacted

WORD = "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0"
LONG = WORD * 3
DASHES = "-" * 5
VALUE = "wJa1rXUtnFEM1/K7MDENG+bPxRf1CYzz0q8Lk2Qp"
LOOKALIKES = [
    ("private key", f"{DASHES}BEGIN " + f"PRIVATE KEY{DASHES}"),
    ("private key", f"{DASHES}BEGIN RSA " + f"PRIVATE KEY{DASHES}"),
    ("private key", f"{DASHES}BEGIN PGP " + f"PRIVATE KEY BLOCK{DASHES}"),
    ("provider key", "sk-" + WORD),
    ("provider key", "sk-" + "ant-" + "api03-" + WORD),
    ("provider key", "sk-" + "proj-" + WORD[:12] + "_" + WORD[:12]),
    ("provider key", "sk-" + "or-v1-" + WORD),
    ("cloud access key", "AKIA" + "ABCDEFGH12345678"),
    ("cloud access key", "ASIA" + "ABCDEFGH12345678"),
    *(("forge token", f"gh{letter}_" + LONG[:36]) for letter in "pousr"),
    ("forge token", "github_" + "pat_" + LONG[:60]),
    ("forge token", "glpat" + "-" + WORD[:20]),
    ("chat token", "xoxb" + "-123456789012-" + WORD),
    ("search engine key", "AIza" + LONG[:35]),
    ("payment key", "sk_" + "live_" + WORD[:24]),
    ("payment key", "rk_" + "live_" + WORD[:24]),
    ("package token", "npm" + "_" + LONG[:36]),
    ("package token", "pypi" + "-AgE" + LONG[:60]),
    ("provider key", "sk-" + "ant-" + "oat01-" + WORD + "-" + WORD + "_AA"),
    ("provider key", "sk-" + "ant-" + "admin01-" + WORD),
    ("provider key", "sk-" + "svcacct-" + WORD),
    ("provider key", "sess" + "-" + LONG[:40]),
    ("provider key", "hf" + "_" + LONG[:34]),
    ("provider key", "xai" + "-" + LONG[:80]),
    ("cloud token", "ya29" + "." + WORD),
    ("cloud token", "GOCSPX" + "-" + WORD),
    *(("forge token", f"gl{kind}" + "-" + WORD[:20]) for kind in ("dt", "rt", "cbt", "ptt")),
    ("chat token", "xoxp" + "-123456789012-" + WORD),
    ("chat token", "xapp" + "-1-A0123456789-" + WORD),
    ("payment key", "whsec" + "_" + WORD),
    ("signed token", "eyJ" + WORD + ".eyJ" + WORD + "." + WORD),
]
HARMLESS = [
    "",
    "task-0001-some-long-name-of-a-branch",
    "sk-short",
    "risk-" + WORD,
    "AKIA" + "TOOSHORT",
    "ghp_" + "short",
    "eyJ" + WORD + ".notajwt",
    f"{DASHES}BEGIN PUBLIC KEY{DASHES}",
    f"{DASHES}BEGIN CERTIFICATE{DASHES}",
    "0123456789abcdef" * 4,
    "the private key is not here",
    "sk-ant-" + "api03-" + "x" * 40,
    "sk-ant-" + "xxxx-xxxx-xxxx-xxxx-1234",
    "sk-ant-" + "your-api-key-goes-here-1",
    "sk-" + "proj-EXAMPLE" + WORD,
    "sk-<your key>",
    "sk-qwerty-layout-of-a-keyboard-in-slovakia",
    "disk-0123456789abcdef0123",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY",
    f"a value without its name: {VALUE}",
    "aws_secret_access_key = " + "0123456789abcdef" * 2 + "01234567",
    "aws_secret_access_key = os.environ['AWS_SECRET_ACCESS_KEY']",
    "ghp_" + "x" * 36,
    "github_pat_" + "A" * 60,
    "glpat-" + "your-token-goes-here-please",
    "sk_" + "test_" + WORD,
    "pk_" + "live_" + WORD,
    "hooks.slack.com/services/T00000000/B00000000/" + "X" * 24,
    "npm_" + "config_user_agent_and_other_settings_of_npm",
    "xoxb-" + "not-a-real-token",
    "eyJ" + WORD + ".eyJ" + "zdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0." + WORD,
    "123e4567-e89b-12d3-a456-426614174000",
    "index 3b18e512dba79e4c8300dd08aeb37f8e728b8dad..e69de29bb2d1d6434b8b29ae775ad8c2e48c5391 100644",
    '"integrity": "sha512-' + "Ab1/" * 21 + 'Ab==",',
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + WORD + " me@example.org",
    "digest = sha256:" + "0123456789abcdef" * 4,
]


def patch(*lines, path="src/a.py", start=1):
    old = sum(line[:1] in "- " for line in lines)
    new = sum(line[:1] in "+ " for line in lines)
    head = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -{start},{old} +{start},{new} @@ def x():\n"
    return head + "\n".join(lines) + "\n"


# Only the value is the secret, and only beside its name.
NAMED = [
    ("cloud secret key", form.format(VALUE))
    for form in (
        "aws_secret_access_key = {}",
        'AWS_SECRET_ACCESS_KEY="{}"',
        '{{"SecretAccessKey": "{}"}}',
        '"{{\\"secret_access_key\\":\\"{}\\"}}"',
        "aws configure set aws_secret_access_key {}",
        "<SecretAccessKey>{}</SecretAccessKey>",
        "secretAccessKey: '{}',",
    )
] + [("chat webhook", "https://" + "hooks.slack.com" + "/services/" + "T0AB1CD2E/" + "B0AB1CD2E/" + WORD[:24])]


def test_every_shape_has_an_example():  # C18
    assert {kind for kind, _ in LOOKALIKES + NAMED} == set(KINDS)


@pytest.mark.parametrize(("kind", "secret"), LOOKALIKES)
@pytest.mark.parametrize("form", ["{}", 'KEY = "{}"', "key: {}\r", "export KEY={} # mine", "({})"])
def test_an_added_lookalike_is_found_and_not_quoted(kind, secret, form):  # C19
    hits = list(in_patch(patch(" one", "-two", "+" + form.format(secret), " three", start=7)))

    assert hits == [SecretHit(path="src/a.py", line=8, kind=kind)]
    assert secret not in repr(hits)


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text(text):
    assert (kind_of(text), redacted(text)) == ("", text)


KEY = "AKIA" + "ABCDEFGH12345678"
HIT = SecretHit(path="src/a.py", line=1, kind="cloud access key")
HEADER = "diff --git a/x b/x\nnew file mode 100644\n--- /dev/null\n"


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("", []),
        (patch(f"-{KEY}", "+harmless"), []),
        (patch(f" {KEY}", "+harmless"), []),
        (patch(f"+{KEY}", f"+{KEY}"), [HIT, SecretHit(path="src/a.py", line=2, kind="cloud access key")]),
        (patch(f"+{KEY}", path="docs/a b.md"), [SecretHit(path="docs/a b.md", line=1, kind="cloud access key")]),
        (patch(f"+{KEY}", path="ä/ö.md"), [SecretHit(path="ä/ö.md", line=1, kind="cloud access key")]),
        (patch("+one") + patch(f"+{KEY}", path="b", start=4), [SecretHit(path="b", line=4, kind="cloud access key")]),
        (HEADER + f"+++ b/a b\t\n@@ -0,0 +1 @@\n+{KEY}\n", [SecretHit(path="a b", line=1, kind="cloud access key")]),
        (HEADER + f'+++ "b/q"\n@@ -0,0 +1,2 @@\n+a\n+{KEY}\n', [SecretHit(path="q", line=2, kind="cloud access key")]),
        (patch(f"+++ {KEY}"), [HIT]),
        (patch("--- a", f"+++ b{KEY}", f"+++ {KEY}"), [SecretHit(path="src/a.py", line=2, kind="cloud access key")]),
        (patch(f"+@@ -1,9 +9,9 @@ {KEY}"), [HIT]),
        (patch(f"+a page\x0c{KEY}"), [HIT]),
        (patch(f"+a line\u2028{KEY}"), [HIT]),
        (patch(f"+a return\r{KEY}"), [HIT]),
        (patch("-a", "\\ No newline at end of file", f"+{KEY}", "\\ No newline at end of file"), [HIT]),
        (f"diff --git a/x b/x\n-old\n+{KEY}\n", [SecretHit(path="", line=1, kind="cloud access key")]),
    ],
    ids=[
        "nothing", "a removed line", "a line of context", "two lines", "a blank in the path", "a path in Unicode",
        "the second file", "a path ended by a tab", "a quoted path", "a line that looks like a file's header",
        "a change that looks like two headers", "a line that looks like a hunk's header", "behind a form feed",
        "behind a line separator", "behind a carriage return", "without a last line feed", "without any header",
    ],
)  # fmt: skip
def test_places(text, hits):
    assert list(in_patch(text)) == hits


@pytest.mark.parametrize(("kind", "secret"), LOOKALIKES)
def test_redacted_text_names_the_kind_and_keeps_the_rest(kind, secret):
    rest = "" if kind == "private key" else " rest"

    assert redacted(f"log: {secret} rest") == f"log: [{kind} removed]{rest}"


def test_a_private_key_is_removed_with_its_body():
    block = f"{DASHES}BEGIN EC " + f"PRIVATE KEY{DASHES}\n{WORD}\n{WORD}\n{DASHES}END EC " + f"PRIVATE KEY{DASHES}"

    assert redacted(f"a\n{block}\nb\n{block}\nc") == "a\n[private key removed]\nb\n[private key removed]\nc"


@examples(100)
@given(st.lists(st.sampled_from([secret for _, secret in LOOKALIKES] + HARMLESS), max_size=6))
def test_nothing_that_was_redacted_looks_like_a_secret(words):
    assert kind_of(redacted("\n".join(words))) == ""


def test_a_cleaned_answer_keeps_its_commit_its_nonce_and_its_shape():
    answer = {"headSha": "8f14e45fceea167a5a36" * 2, "nonce": "3b18e512dba79e4c8300dd08aeb37f8e", "n": 1, "ok": True}

    said = cleaned(answer | {"summary": f"see {KEY}", "tests": [{"name": KEY}], KEY: None})

    removed = "[cloud access key removed]"
    assert said == answer | {"summary": f"see {removed}", "tests": [{"name": removed}], removed: None}


def test_a_secret_behind_escapes_of_json_is_cleaned_once_it_is_read():
    assert cleaned(json.loads(f'"\\u{ord(KEY[0]):04x}{KEY[1:]}"')) == "[cloud access key removed]"


def test_a_cleaned_record_is_a_record_of_the_same_kind():
    assert cleaned(SecretHit(path=KEY, line=1, kind="x")) == SecretHit(
        path="[cloud access key removed]", line=1, kind="x"
    )
