"""What looks like a secret in added lines. Findings name the place and the kind, never the secret."""

from __future__ import annotations

import re

from gluerun.core.masking import SHAPES, found_in, masked, masked_text, shapes_in
from gluerun.core.spelling import unquoted
from gluerun.records.record import record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeVar

    T = TypeVar("T")

KINDS = tuple(dict.fromkeys(kind for kind, _, _ in SHAPES))
# Characters of a difference that are looked at; what is longer than this is no work of a task.
LOOKED_AT = 50_000_000
NEW_DOTENV, DOTENV = "dotenv file", "dotenv value"

_HUNK = re.compile(r"@@ -[0-9]+(?:,([0-9]+))? \+([0-9]+)(?:,([0-9]+))? @@")
# A program's settings, with their values; a model of them has another ending.
_DOTENV = re.compile(r"(?:.*/)?\.env(?:\.(?!(?:.*\.)?(?:example|sample|template|dist|defaults)$)[^/]+)?", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"\s{0,40}(?:export\s{1,8})?([A-Za-z_][A-Za-z0-9_.]{0,200})\s{0,40}=\s{0,40}[\"']?([^\s\"'#]\S*)"
)
_SECRET_NAME = re.compile(r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY)(?:_|$)", re.IGNORECASE)
_NO_VALUE = re.compile(r"\$|<|(?i:x{3,}|\*{3,}|\.{3}|change[_-]?me|your[_-]|example|placeholder|true|false|none|null)")


@record
class SecretHit:
    """Where something looks like a secret."""

    path: str
    line: int
    kind: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} ({self.kind})"


def in_patch(patch: str) -> Iterator[SecretHit]:
    """Yield a hit for every line that a unified difference adds and that holds something like a secret.

    Only a line feed ends a line, and inside a hunk, whose header counts its lines, nothing is a header. A dotenv
    file that is new is one hit, wherever its first value stands.
    """
    path, number, old, new = "", 0, 0, 0
    is_new = is_dotenv = False
    for line in patch.split("\n"):
        if old <= 0 and new <= 0:
            if line.startswith("--- "):
                is_new = line.rstrip() == "--- /dev/null"
                continue
            if line.startswith("+++ "):
                path = unquoted(line[4:]).removeprefix("b/")
                is_dotenv = _DOTENV.fullmatch(path) is not None
                continue
            if found := _HUNK.match(line):
                old, new = int(found[1] or 1), int(found[3] or 1)
                number = int(found[2]) - 1
                continue
        sign = line[:1]
        old -= sign in ("-", " ")
        new -= sign in ("+", " ")
        number += sign in ("+", " ")
        if sign != "+":
            continue
        kind = kind_of(line[1:]) or (_kind_of_setting(line[1:], is_new=is_new) if is_dotenv else "")
        if kind:
            is_new = is_new and kind != NEW_DOTENV
            yield SecretHit(path=path, line=number, kind=kind)


def kind_of(text: str) -> str:
    """Return what kind of secret a line looks like; empty if none."""
    found = found_in(text.encode("utf-8", "surrogatepass"))
    return found[0][2] if found else ""


def in_text(text: str) -> SecretHit | None:
    """Return the first line of *text* that looks like a secret; None if none does. Its path is empty."""
    if not found_in(text.encode("utf-8", "surrogatepass")):
        return None
    lines = enumerate(text.split("\n"), 1)
    return next((SecretHit(path="", line=at, kind=kind) for at, line in lines if (kind := kind_of(line))), None)


def redacted(text: str) -> str:
    """Return *text* with everything that looks like a secret replaced by its kind."""
    return masked_text(text)


def redacted_json(data: bytes) -> bytes:
    """Return a JSON document with everything that looks like a secret replaced; it is a document still."""
    shapes = shapes_in(data)
    if not shapes:
        return data
    return b"".join(masked(line, shapes) for line in data.splitlines(keepends=True))


def cleaned(value: T) -> T:
    """Return *value*, a document or a record, with every text in it redacted, also the names of its members."""
    result: object = value
    if isinstance(value, str):
        # Words of a closed list hold no secret and must stay what they are.
        result = redacted(value) if type(value) is str else value
    elif isinstance(value, dict):
        result = {cleaned(key): cleaned(item) for key, item in value.items()}
    elif isinstance(value, (list, tuple)):
        result = type(value)([cleaned(item) for item in value])
    elif hasattr(type(value), "__fields__"):
        result = replace(value, **{name: cleaned(item) for name, item in value.__dict__.items()})
    return result  # type: ignore[return-value]


def _kind_of_setting(line: str, *, is_new: bool) -> str:
    found = _ASSIGNED.match(line)
    if found is None or _NO_VALUE.match(found[2]):
        return ""
    if is_new:
        return NEW_DOTENV
    return DOTENV if _SECRET_NAME.search(found[1]) else ""
