"""What looks like a secret in added lines. Findings name the place and the kind, never the secret."""

from __future__ import annotations

import re

from gluerun.records.record import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Public formats of the issuers. Keys with inner hyphens (sk-ant-…, sk-proj-…) are among them.
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("private key", re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    ("provider key", re.compile(r"\bsk-(?:[A-Za-z0-9]+-)*[A-Za-z0-9_-]{20,}")),
    ("cloud access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("forge token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}|glpat-[A-Za-z0-9_-]{20,})")),
    ("chat token", re.compile(r"\bxox[abposr]-[A-Za-z0-9-]{10,}")),
    ("search engine key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b")),
    ("payment key", re.compile(r"\b[sr]k_live_[0-9a-zA-Z]{20,}")),
    ("package token", re.compile(r"\b(?:npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,})")),
    ("signed token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")),
)  # fmt: skip


@record
class SecretHit:
    """Where something looks like a secret."""

    path: str
    line: int
    kind: str


_HUNK = re.compile(r"^@@ -[0-9]+(?:,([0-9]+))? \+([0-9]+)(?:,([0-9]+))? @@")
_KEY_BLOCK = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)


def in_patch(patch: str) -> Iterator[SecretHit]:
    """Yield a hit for every line that a unified difference adds and that holds something like a secret.

    Only a line feed ends a line, and inside a hunk, whose header counts its lines, nothing is a header.
    """
    path, number, old, new = "", 0, 0, 0
    for line in patch.split("\n"):
        if old <= 0 and new <= 0:
            if line.startswith("+++ "):
                path = line[4:].strip().strip('"').removeprefix("b/")
                continue
            if found := _HUNK.match(line):
                old, new = int(found[1] or 1), int(found[3] or 1)
                number = int(found[2]) - 1
                continue
        sign = line[:1]
        old -= sign in ("-", " ")
        new -= sign in ("+", " ")
        number += sign in ("+", " ")
        if sign == "+" and (kind := kind_of(line[1:])):
            yield SecretHit(path=path, line=number, kind=kind)


def kind_of(text: str) -> str:
    """Return what kind of secret a line looks like; empty if none."""
    return next((kind for kind, pattern in PATTERNS if pattern.search(text)), "")


def redacted(text: str) -> str:
    """Return *text* with everything that looks like a secret replaced by its kind."""
    text = _KEY_BLOCK.sub("[private key removed]", text)
    for kind, pattern in PATTERNS:
        text = pattern.sub(f"[{kind} removed]", text)
    return text
