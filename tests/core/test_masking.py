"""The mask: nothing secret is left, JSON stays JSON, hashes stay hashes, and no line takes long."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.core.test_secrets import DASHES, HARMLESS, LOOKALIKES, NAMED, WORD
from tests.records.documents import examples

from gluerun.core import masking
from gluerun.core.masking import SHAPES, Mask, masked, masked_text

BODY = [(WORD * 3)[at : at + 64] for at in range(5)]
BEGIN, END = f"{DASHES}BEGIN OPENSSH " + f"PRIVATE KEY{DASHES}", f"{DASHES}END OPENSSH " + f"PRIVATE KEY{DASHES}"
BLOCK = "\n".join([BEGIN, *BODY, END])
SECRETS = [(kind, secret) for kind, secret in LOOKALIKES if kind != "private key"]


def through(text: str) -> str:
    mask = Mask()
    return b"".join(mask.line(line) for line in text.encode().splitlines(keepends=True)).decode()


FORMS = ["{}", "a\n{}\nb", "\t{}\r\n", '"{}"', "\x1b[31m{}\x1b[0m", "ä{}ä", "x={}&y", "\\{}", "C:\\dir\\{}"]
# A backslash and one of these letters may be an escape.
WRITTEN = [(*one, form) for one in SECRETS for form in FORMS if not (form.endswith("\\{}") and one[1][0] in "nr")]


@pytest.mark.parametrize(("kind", "secret", "form"), WRITTEN)
def test_a_document_stays_one_and_says_what_was_removed(kind, secret, form):
    said = form.format(secret)
    document = {"type": "text", "text": said, "again": [json.dumps({"inner": said})]}

    for line in (json.dumps(document), json.dumps(document, ensure_ascii=False)):
        fit = json.loads(masked(line.encode()))
        expected = form.format(f"[{kind} removed]")
        assert fit == {"type": "text", "text": expected, "again": [json.dumps({"inner": expected})]} or (
            secret not in json.dumps(fit) and fit["text"] == expected
        )
    assert masked(said.encode()).decode() == form.format(f"[{kind} removed]")


@pytest.mark.parametrize(("kind", "text"), NAMED)
def test_the_name_beside_a_secret_stays(kind, text):
    fit = masked_text(text)

    assert f"[{kind} removed]" in fit
    assert fit.split("[")[0] == text[: len(fit.split("[")[0])]
    assert fit.split("]")[-1] == text[len(text) - len(fit.split("]")[-1]) :]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"a\n{BLOCK}\nb\n", "a\n[private key removed]\nb\n"),
        (f"a\r\n{BLOCK}\n\nb c".replace("\n", "\r\n"), "a\r\r\n[private key removed]\r\n\r\nb c"),
        (f"x {BLOCK.replace(chr(10), ' ')} y\n", "x [private key removed] y\n"),
        (f'{{"key": {json.dumps(BLOCK)}, "n": 1}}\n', '{"key": "[private key removed]", "n": 1}\n'),
        (f"{json.dumps(json.dumps({'key': BLOCK}))}\n", '"{\\"key\\": \\"[private key removed]\\"}"\n'),
        ("".join(f"+    {line}\n" for line in BLOCK.split("\n")) + "+x = 1\n", "+    [private key removed]\n+x = 1\n"),
        ("".join(f"{at}\t{line}\n" for at, line in enumerate(BLOCK.split("\n"))), "0\t[private key removed]\n"),
        (f"{BEGIN}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\n{BODY[0]}\nthe end\n", "[private key removed]\nthe end\n"),
        (f'{{"cut": "{BEGIN}\\n{BODY[0]}"}}\n{{"next": 1}}\n', '{"cut": "[private key removed]"}\n{"next": 1}\n'),
        (f"{BEGIN}\n{BODY[0]}\n{{\"next\": 1}}\n{BODY[1]}\n", f"[private key removed]\n{{\"next\": 1}}\n{BODY[1]}\n"),
    ],
    ids=["lines", "returns", "blanks", "JSON", "JSON in JSON", "a patch", "a listing", "headers", "cut", "interrupted"],
)  # fmt: skip
def test_a_private_key_goes_with_all_its_lines(text, left):
    assert through(text) == left
    assert not [line for line in BODY[:1] if line in masked_text(text)]


def test_a_key_that_ends_in_another_line_gives_the_rest_back():
    mask = Mask()
    said = [mask.line(line) for line in (f"{BEGIN}\n".encode(), f"{BODY[0]}{END}, then\n".encode(), b"on\n")]

    assert said == [b"[private key removed]\n", b", then\n", b"on\n"]


WORDS = st.sampled_from(
    [secret for _, secret in LOOKALIKES + NAMED]
    + HARMLESS
    + [BLOCK, "\n", " ", '"', "\\", "\\n", "/", "-", "_", "m", "="]
)  # fmt: skip


@examples(300)
@example(f"AIza{'Ab1Cd' * 7}-----BEGIN " + "PRIVATE KEY-----")
@given(st.lists(WORDS | st.text(max_size=5), max_size=8).map("".join))
def test_a_masked_text_is_masked_once(text):
    once = masked_text(text)

    assert masked_text(once) == once


@examples(200)
@example("-----BEGIN " + 'PRIVATE KEY-----x="y"')  # what Python before 3.11.5 made of it was no document
@given(st.lists(WORDS | st.text(max_size=5), max_size=8).map("".join))
def test_any_document_on_a_line_stays_a_document(text):
    document = {"a": text, text: [1, None, text]}

    for line in (json.dumps(document), json.dumps(document, ensure_ascii=False).replace("\r", "")):
        fit = json.loads(masked(line.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass"))
        assert fit.keys() >= {"a"} and len(fit["a"]) <= len(text) + 40 * (text.count("-") + 8)


HEX = st.text("0123456789abcdef", min_size=7, max_size=64)
AROUND = st.sampled_from(
    [" ", "\n", ":", "=", "..", '"', "'", "index ", "commit ", "sha256:", "/", "@", "-", "task-", "\\n"]
)


@examples(200)
@given(st.lists(HEX | AROUND, max_size=12).map("".join))
def test_hashes_stay(text):
    assert masked_text(text) == text


HARD = [
    b"eyJ-", b"eyJaaaaaaaaaa.eyJaaaaaaaaaa", b"sk-ant-", b"sk-a-", b"sk-", b"xoxb-", b"glpat-", b"-----BEGIN ",
    BEGIN.encode(), b"secret_access_key ", b"secret_access_key\" = ", b"hooks.slack.com/services/", b"AKIA",
    b"ya29.", b"x", b"-----END ", b"pypi-AgE", b" ", b"\\", b"npm_", b"\\\\n",
]  # fmt: skip


@pytest.mark.parametrize("part", HARD, ids=lambda part: part.decode())
def test_work_grows_with_the_length_of_a_line_and_not_faster(part):
    """A long line of the worst is done; anything that grows faster would not end within the suite's limit."""
    line = part * (100_000 // len(part))
    mask = Mask()
    mask.line(BEGIN.encode() + b"\n")

    assert len(masked(line)) <= len(line) + 100
    assert len(mask.line(line + b" one two")) <= len(line) + 100


def test_beginnings_are_small_letters_of_their_shapes():
    for kind, beginnings, _ in SHAPES:
        assert beginnings and all(beginning == beginning.lower() for beginning in beginnings), kind


def test_nothing_is_imported_before_a_line_holds_a_beginning():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from gluerun.core.masking import Mask\n"
        "mask = Mask(); before = set(sys.modules)\n"
        "assert mask.line(b'task-0001: disk-full, nothing here\\n') == b'task-0001: disk-full, nothing here\\n'\n"
        "assert 're' not in sys.modules and set(sys.modules) == before\n"
        "assert b'removed' in mask.line(b'gh' + b'p_' + b'Ab1' * 12)\n"
        "print(sorted(name for name in sys.modules if name.startswith('gluerun')))\n"
    )
    root = str(Path(masking.__file__).parents[2])
    argv = [sys.executable, "-I", "-S", "-c", code, root]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "['gluerun', 'gluerun.core', 'gluerun.core.masking']"
