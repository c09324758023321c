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


def in_patch(patch: str) -> Iterator[SecretHit]:
    """Yield a hit for every line that a unified difference adds and that holds something like a secret."""
    path, number = "", 0
    for line in patch.splitlines():
        if line.startswith("+++ "):
            path = line[4:].strip().strip('"').removeprefix("b/")
        elif line.startswith("@@ "):
            number = int(line.split("+", 1)[1].split(",")[0].split(" ")[0]) - 1
        elif line.startswith(("+", " ")):
            number += 1
            if line.startswith("+") and (kind := kind_of(line[1:])):
                yield SecretHit(path=path, line=number, kind=kind)


def kind_of(text: str) -> str:
    """Return what kind of secret a line looks like; empty if none."""
    return next((kind for kind, pattern in PATTERNS if pattern.search(text)), "")


def redacted(text: str) -> str:
    """Return *text* with everything that looks like a secret replaced by its kind."""
    for kind, pattern in PATTERNS:
        text = pattern.sub(f"[{kind} removed]", text)
    return text
