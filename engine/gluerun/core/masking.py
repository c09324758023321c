"""What secrets look like, and how they are taken out of text before anybody keeps it.

The one table of shapes. A small waiting process masks every line of a log with it, so nothing is imported before a
line holds the beginning of a shape; then it is `re` alone, and only the shapes that are met are compiled.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    Shapes = tuple[tuple[str, tuple[bytes, ...], bytes], ...]

_KEY_BLOCK = b"-----begin "
_END = rb"-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
# Between a name and its value: quotes, escaped or not, and one sign of assignment. All of it is kept.
_GIVES = rb"(?:\\*[\"'])?(?:[ \t]{0,16}(?:=>|[:=,>])[ \t]{0,16}|[ \t]{1,16})(?:\\*[\"'])?"
_DIGIT = rb"(?=[A-Za-z_.-]{0,80}[0-9])"

# Kind, how a match begins in small letters, and the whole shape. Public formats of the issuers. A match stands at
# the edge of a word and is the secret, but for the kinds of `_BESIDE`. Every repetition that can still
# fail behind is bounded, so that no line takes more than its length. A key's own repetition is not possessive, for
# Python before 3.11.5 keeps what a branch of one took that then failed (cpython gh-106052); nothing behind it can fail.
SHAPES: Shapes = (
    ("private key", (_KEY_BLOCK,),
     rb"(-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
     rb"(?:[^\"'`\\\r\n-]|-(?!----END )|\\+(?:[nrt/]|u[0-9a-f]{4}))*(?:" + _END + rb")?)"),
    ("provider key", (b"sk-",),
     rb"sk-(?:(?:ant|proj|svcacct|admin|or)-" + _DIGIT + rb"[A-Za-z0-9_-]{20,}"
     rb"|(?:[A-Za-z0-9]{1,12}-){0,3}(?=[A-Za-z]{0,80}[0-9])[A-Za-z0-9]{20,}[A-Za-z0-9_-]*)"),
    ("provider key", (b"sess-",), rb"sess-(?=[A-Za-z]{0,80}[0-9])[A-Za-z0-9]{40,}"),
    ("provider key", (b"hf_", b"gsk_"), rb"(?:hf|gsk)_[A-Za-z0-9]{34,}"),
    ("provider key", (b"xai-",), rb"xai-[A-Za-z0-9]{60,}"),
    ("cloud access key", (b"akia", b"asia"), rb"A(?:KIA|SIA)[0-9A-Z]{16}(?![0-9A-Za-z])"),
    ("cloud secret key", (b"secret_access_key", b"secretaccesskey", b"secret-access-key", b"aws_secret_key"),
     rb"[A-Za-z_-]{14,17}" + _GIVES + rb"(?![0-9a-f]{40})([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"),
    ("cloud token", (b"ya29.",), rb"ya29\.[A-Za-z0-9_-]{20,}"),
    ("cloud token", (b"gocspx-",), rb"GOCSPX-[A-Za-z0-9_-]{20,}"),
    ("search engine key", (b"aiza",), rb"AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"),
    ("forge token", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"), rb"gh[pousr]_[A-Za-z0-9]{36,}"),
    ("forge token", (b"github_pat_",), rb"github_pat_[A-Za-z0-9_]{50,}"),
    ("forge token", (b"glpat-", b"gldt-", b"glrt-", b"glrtr-", b"glcbt-", b"glptt-", b"glft-", b"glimt-",
                     b"glagent-", b"glsoat-", b"gloas-", b"glffct-"),
     rb"gl[a-z]{2,5}-" + _DIGIT + rb"[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9]{2}\.[A-Za-z0-9]{9})?"),
    ("chat token", (b"xoxa-", b"xoxb-", b"xoxc-", b"xoxd-", b"xoxe-", b"xoxe.", b"xoxo-", b"xoxp-", b"xoxr-", b"xoxs-"),
     rb"xox[abceoprsd](?:\.xox[bp])?-" + _DIGIT + rb"[A-Za-z0-9%-]{10,}"),
    ("chat token", (b"xapp-",), rb"xapp-[0-9]-[A-Za-z0-9-]{20,}"),
    ("chat webhook", (b"hooks.slack.com",),
     rb"hooks\.slack\.com\\?/(?:services|workflows|triggers)\\?/([A-Za-z0-9](?:[A-Za-z0-9]|\\?/){24,})"),
    ("payment key", (b"sk_live_", b"rk_live_", b"whsec_"), rb"(?:[sr]k_live|whsec)_[0-9a-zA-Z]{20,}"),
    ("package token", (b"npm_",), rb"npm_[A-Za-z0-9]{36,}"),
    ("package token", (b"pypi-age",), rb"pypi-AgE[A-Za-z0-9_-]{50,}"),
    ("signed token", (b"eyj",),
     rb"eyJ[A-Za-z0-9_-]{10,600}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
)  # fmt: skip

# Whose shape is more than the secret, which is its group.
_BESIDE = ("private key", "cloud secret key", "chat webhook")
# What documentation writes where a secret would stand; and the published examples of the issuers.
_PLACEHOLDER = (
    rb"(?i)example|placeholder|redacted|change[_-]?me|xxxx[x_-]|[x_-]xxxx|ikpvag4grg9l|(.)\1{5}"
    rb"|(?<![a-z0-9])(?:your|fake|dummy|sample|test|insert|some)(?![a-z0-9])"
)
# What the lines of a private key look like: one run of base64, whatever an editor, a difference or a listing puts
# around it; or one of the headers of the older formats.
_BODY = (
    rb"(?:[^A-Za-z0-9={}\[\]]|[0-9]{1,6}(?:\t|: |\xe2\x86\x92))*+"
    rb"[A-Za-z0-9+/=]*+(?:\\[nr])*+[^A-Za-z0-9{}\[\]]*+"
)
_HEADER = rb"[^A-Za-z0-9{}\[\]]*(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset): "
# What stands behind the backslash of an escape.
_LETTERS = (b"b", b"f", b"n", b"r", b"t", b"u")
_WORD = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ{}[]")
_compiled: dict[bytes, re.Pattern[bytes]] = {}


def shapes_in(data: bytes) -> Shapes:
    """Return the shapes that begin anywhere in *data*, mostly none or one, so that no line need be asked for all."""
    small = data.lower()
    return tuple(shape for shape in SHAPES if any(beginning in small for beginning in shape[1]))


def found_in(line: bytes, shapes: Shapes = SHAPES) -> list[tuple[int, int, str]]:
    """Return where in a line the secrets of some *shapes* are, and of which kind, in order and without overlap."""
    small = line.lower()
    spans: list[tuple[int, int, str]] = []
    for kind, beginnings, shape in shapes:
        for beginning in beginnings:
            if beginning in small:
                spans.extend((start, end, kind) for start, end in _matches(kind, line, small, beginning, shape))
    if len(spans) < 2:
        return spans
    kept: list[tuple[int, int, str]] = []
    for start, end, kind in sorted(spans, key=lambda span: (span[0], -span[1])):
        if kept and start < kept[-1][1]:
            first, last, was = kept[-1]
            kept[-1] = (first, max(last, end), was)
        else:
            kept.append((start, end, kind))
    return kept


def masked(line: bytes, shapes: Shapes = SHAPES) -> bytes:
    """Return one line of a log, or a whole JSON document on a line, with each secret replaced by its kind."""
    # Once more after a hit: what one secret stood too close to is known only now.
    while spans := found_in(line, shapes):
        for start, end, kind in reversed(spans):
            line = line[:start] + b"[" + kind.encode() + b" removed]" + line[end:]
    return line


def masked_text(text: str) -> str:
    """Return *text* with each secret replaced by its kind, a private key with all its lines."""
    data = text.encode("utf-8", "surrogatepass")
    shapes = shapes_in(data)
    if not shapes:
        return text
    mask = Mask(shapes)
    return b"".join(mask.line(line) for line in data.splitlines(keepends=True)).decode("utf-8", "surrogatepass")


class Mask:
    """The mask of one stream: it remembers, between two lines, that it stands within a private key."""

    def __init__(self, shapes: Shapes = SHAPES) -> None:
        self.shapes = shapes
        self.is_within_key = False

    def line(self, line: bytes) -> bytes:
        """Return the next line without its secrets; empty for one that is nothing but a part of a key."""
        if self.is_within_key:
            if b"-----END " in line and (end := _shape(_END).search(line)):
                self.is_within_key = False
                rest = line[end.end() :]
                return masked(rest, self.shapes) if rest.strip() else b""
            bare = line.rstrip(b"\r\n")
            if _shape(_BODY).fullmatch(bare) or _shape(_HEADER).match(bare):
                return b""
            self.is_within_key = False
        spans = found_in(line, self.shapes)
        if spans and spans[-1][2] == "private key":
            first, last, _ = spans[-1]
            # Behind it at most what closes a piece of source code: quotes, a comma, a plus.
            self.is_within_key = b"-----END " not in line[first:last] and _is_bare(line[last:])
        return masked(line, self.shapes)


def _matches(kind: str, line: bytes, small: bytes, beginning: bytes, shape: bytes) -> Iterator[tuple[int, int]]:
    group = 1 if kind in _BESIDE else 0
    at = small.find(beginning)
    while at >= 0:
        found = _shape(shape).match(line, at) if group or _is_edge(line, at) else None
        if found:
            start, end = found.span(group)
            if beginning == _KEY_BLOCK or not _shape(_PLACEHOLDER).search(line, start, end):
                yield start, end
            at = small.find(beginning, end)
        else:
            at = small.find(beginning, at + 1)


def _is_edge(line: bytes, at: int) -> bool:
    """Tell whether a word may begin here: also behind an escape of JSON, of a terminal or of a URL, not within one."""
    before = line[max(0, at - 6) : at]
    last, second = before[-1:], before[-2:-1]
    if not last.isalnum():
        return last != b"\\" or line[at : at + 1] not in _LETTERS
    if second == b"\\":
        return last in _LETTERS
    if last == b"m":
        return second.isdigit() or second in (b"[", b";")
    return before.startswith(b"\\u") or before[-3:-2] == b"%"


def _is_bare(rest: bytes) -> bool:
    return not any(byte in _WORD for byte in rest.replace(b"\\n", b""))


def _shape(source: bytes) -> re.Pattern[bytes]:
    pattern = _compiled.get(source)
    if pattern is None:
        import re  # half a mebibyte that a process which only waits does without

        pattern = _compiled[source] = re.compile(source)
    return pattern
