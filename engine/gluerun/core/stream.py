"""What an agent program prints, folded line by line into a few figures: one fold for every dialect.

The small process that waits for a program holds one of these for hours. So this module imports nothing at run
time, keeps no more than it was asked for, and never raises: a program's nonsense is a value.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

# Tools that change a file, as the programs call them; a shell is none: what it changes is seen in the work tree.
WRITES = frozenset((
    "write", "edit", "multiedit", "notebookedit", "write_file", "replace", "edit_file", "create", "create_file",
    "patch", "apply_patch", "str_replace", "str_replace_editor", "insert", "search_replace",
))  # fmt: skip
# What codex does in a turn, in its own words.
CODEX_STEPS = frozenset(("agent_message", "command_execution", "file_change", "mcp_tool_call"))
# The model's name where claude speaks itself, in the model's place.
SYNTHETIC = "<synthetic>"
UNNAMED = "-"
LONGEST_WORD = 300
LONGEST_MESSAGE = 4000
# How many messages and tools are remembered at once: those that are open are always the youngest.
REMEMBERED = 64
LARGEST = 10**15
# A moment in seconds is below this until the year 5138; what is above is in milliseconds.
MILLISECONDS_FROM = 10**11


def table(value: object) -> dict[str, object]:
    """Return *value* if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[object]:
    """Return *value* if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def word(value: object, longest: int = LONGEST_WORD) -> str:
    """Return *value*, clipped, if it is text, else nothing."""
    return value[:longest] if isinstance(value, str) else ""


def count(value: object) -> int | None:
    """Return *value* if it can be a count; anything else is unknown."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST else None


def amount(value: object) -> float | None:
    """Return *value* if it can be an amount of money or time; anything else (NaN, too) is unknown."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < LARGEST else None


def plus(one: int | None, other: int | None) -> int | None:
    """Add what is known; the sum of two unknowns is unknown."""
    return other if one is None else one if other is None else one + other


def without(whole: int | None, part: int | None) -> int | None:
    """Return *whole* less the *part* of it that is known."""
    return None if whole is None else max(0, whole - (part or 0))


class Stream:
    """What a program has told so far. An empty word or None is unknown; nothing unknown is ever zero."""

    __slots__ = (
        "_open", "cached", "code", "cost", "denied", "ended", "failed", "fresh", "garbled", "message", "model",
        "output", "provider", "retry_after", "retry_at", "session", "status", "structured", "text", "turns",
        "version", "waits", "wrote",
    )  # fmt: skip

    def __init__(self) -> None:
        self.session = self.model = self.provider = self.version = ""
        self.turns: int | None = None
        self.fresh: int | None = None
        self.cached: int | None = None
        self.output: int | None = None
        self.cost: float | None = None
        self.text = ""
        self.structured: object = None
        self.ended = False
        self.failed = False
        self.status: int | None = None
        self.code = self.message = ""
        self.retry_after: float | None = None
        self.retry_at: float | None = None
        self.waits = ""
        self.wrote = False
        self.garbled = 0
        self.denied = 0
        self._open: dict[str, None] = {}

    def feed(self, document: object) -> None:
        """Take one JSON value in; what has another shape than expected is ignored. A list holds documents."""
        for one in document if isinstance(document, list) else (document,):
            if isinstance(one, dict):
                self._take(one)

    def feed_line(self, line: bytes, parse: Callable[[bytes], object]) -> None:
        """Take one line in; one that is no JSON is skipped, one that only looks like it is counted."""
        if line[:1] not in (b"{", b"["):
            return
        try:
            document = parse(line)
        except (ValueError, RecursionError):
            self.garbled += 1
        else:
            self.feed(document)

    def _take(self, document: dict[str, object]) -> None:
        """Take one object in."""

    def _begin_write(self, tool: object, name: object) -> None:
        """Remember a tool that will have written once its result says so."""
        if word(name).lower() in WRITES:
            remember(self._open, word(tool) or UNNAMED, None)

    def _end_write(self, tool: object, *, done: bool) -> None:
        """Note what became of a tool; one that was not announced as writing is nothing."""
        key = word(tool) or UNNAMED
        if key in self._open:
            del self._open[key]
            self.wrote = self.wrote or done

    def _fail(self, message: object, code: object = "", status: object = None) -> None:
        """Note the envelope of an error."""
        self.failed = True
        self.message = word(message, LONGEST_MESSAGE)
        self.code = word(code)
        self.status = count(status)

    def _recover(self) -> None:
        """Forget an error that turned out not to be the end."""
        self.failed = False
        self.message = self.code = self.waits = ""
        self.status = None


class TextStream(Stream):
    """A program that says nothing a machine could read."""

    __slots__ = ()

    def feed_line(self, line: bytes, parse: Callable[[bytes], object]) -> None:
        """Take no line in: what looks like JSON is the agent's own."""


class ClaudeStream(Stream):
    """Claude Code, and Qwen Code, which copies its form but counts cached tokens as part of the input."""

    __slots__ = ("_current", "_inclusive", "_messages")

    def __init__(self) -> None:
        super().__init__()
        self._current = ""
        self._inclusive = False
        self._messages: dict[str, tuple[int | None, int | None, int | None]] = {}

    def _take(self, document: dict[str, object]) -> None:
        self.session = word(document.get("session_id")) or self.session
        match word(document.get("type")):
            case "assistant":
                self._take_assistant(document)
            case "user":
                self._take_user(document)
            case "result":
                self._take_result(document)
            case "system":
                self._take_system(document)
            case "rate_limit_event":
                self._take_rate_limit(table(document.get("rate_limit_info")))
            case "stream_event":
                self._take_piece(table(document.get("event")), is_own=not document.get("parent_tool_use_id"))

    def _take_system(self, document: dict[str, object]) -> None:
        match word(document.get("subtype")):
            case "init":
                self.model = word(document.get("model")) or self.model
                self._inclusive = "qwen_code_version" in document
                version = document.get("claude_code_version") or document.get("qwen_code_version")
                self.version = word(version) or self.version
            case "api_retry":
                status = count(document.get("error_status"))
                number, of = count(document.get("attempt")), count(document.get("max_retries"))
                cause = word(document.get("error")) or "error"
                self.waits = f"{cause}{f' {status}' if status else ''}, attempt {number or '?'} of {of or '?'}"

    def _take_rate_limit(self, info: dict[str, object]) -> None:
        if word(info.get("status")) == "rejected":
            self.retry_at = moment(info.get("resetsAt"))
            self.waits = f"limit {word(info.get('rateLimitType')) or 'reached'}"
        else:
            self.retry_at, self.waits = None, ""

    def _take_assistant(self, document: dict[str, object]) -> None:
        message = table(document.get("message"))
        said = texts(message.get("content"))
        if word(message.get("model")) == SYNTHETIC:
            self.code = word(document.get("error")) or self.code
            self.message = word(said, LONGEST_MESSAGE)
            return
        self._recover()
        self.ended = False
        self.model = word(message.get("model")) or self.model
        for block in listed(message.get("content")):
            if word(table(block).get("type")) == "tool_use":
                self._begin_write(table(block).get("id"), table(block).get("name"))
        is_own = not document.get("parent_tool_use_id")  # else it is a helper of its own, whose words are not its last
        if is_own and said:
            self.text = said
        self._count_message(word(message.get("id")), table(message.get("usage")), is_own=is_own)

    def _take_piece(self, event: dict[str, object], *, is_own: bool) -> None:
        """Take a piece of a message in: only here, and only if asked for, its whole output is told while it runs."""
        self.waits = ""
        match word(event.get("type")):
            case "message_start":
                message = table(event.get("message"))
                self._current = word(message.get("id"))
                self._count_message(self._current, table(message.get("usage")), is_own=is_own)
            case "message_delta" if self._current:
                self._count_message(self._current, table(event.get("usage")), is_own=is_own)

    def _count_message(self, name: str, usage: dict[str, object], *, is_own: bool) -> None:
        """Count a message once, however many events it comes in: the largest figures told for it stand."""
        if is_own and (not name or name not in self._messages):
            self.turns = plus(self.turns, 1)
        before = self._messages.get(name, (None, None, None)) if name else (None, None, None)
        told = self._tokens(usage)
        largest = [max((x for x in pair if x is not None), default=None) for pair in zip(before, told, strict=True)]
        grown = [without(new, old) for new, old in zip(largest, before, strict=True)]
        self.fresh = plus(self.fresh, grown[0])
        self.cached = plus(self.cached, grown[1])
        self.output = plus(self.output, grown[2])
        remember(self._messages, name, (largest[0], largest[1], largest[2]))

    def _tokens(self, usage: dict[str, object]) -> tuple[int | None, int | None, int | None]:
        cached = count(usage.get("cache_read_input_tokens"))
        fresh = plus(count(usage.get("input_tokens")), count(usage.get("cache_creation_input_tokens")))
        is_inclusive = self._inclusive or "total_tokens" in usage  # only qwen tells a total
        return without(fresh, cached) if is_inclusive else fresh, cached, count(usage.get("output_tokens"))

    def _take_user(self, document: dict[str, object]) -> None:
        self.waits = ""
        for block in listed(table(document.get("message")).get("content")):
            if word(table(block).get("type")) == "tool_result":
                self._end_write(table(block).get("tool_use_id"), done=table(block).get("is_error") is not True)

    def _take_result(self, document: dict[str, object]) -> None:
        self.ended, self.waits = True, ""
        subtype, said = word(document.get("subtype")), document.get("result")
        text = said if isinstance(said, str) else texts(said)
        if document.get("is_error") is True or subtype.startswith("error"):
            errors = [word(one, LONGEST_MESSAGE) for one in listed(document.get("errors"))]
            own = word(table(document.get("error")).get("message"), LONGEST_MESSAGE)
            code = subtype if subtype.startswith("error") else self.code
            self._fail(text or own or "; ".join(filter(None, errors)), code, document.get("api_error_status"))
        else:
            self._recover()
            self.text = text
        # The price is claude's own: where it is missing, qwen is speaking.
        self._inclusive = self._inclusive or "total_cost_usd" not in document
        told = self._tokens(table(document.get("usage")))
        if not self._inclusive:
            # Its total leaves out the last answer before a limit, and one it asked for again; these are what it prices.
            told = self._of_models(table(document.get("modelUsage"))) or told
        if told != (None, None, None):
            self.fresh, self.cached, self.output = told
        turns, cost = count(document.get("num_turns")), amount(document.get("total_cost_usd"))
        self.turns = self.turns if turns is None else turns
        self.cost = self.cost if cost is None else cost
        models = [word(name) for name in table(document.get("modelUsage"))]
        self.model = self.model or (models[0] if len(models) == 1 else "")
        self.structured = document.get("structured_output", document.get("structured_result"))
        self.denied = len(listed(document.get("permission_denials")))

    def _of_models(self, models: dict[str, object]) -> tuple[int | None, int | None, int | None] | None:
        """Return the tokens of all models together; None if nothing is told of any."""
        fresh = cached = output = None
        for told in models.values():
            one = table(told)
            fresh = plus(fresh, plus(count(one.get("inputTokens")), count(one.get("cacheCreationInputTokens"))))
            cached = plus(cached, count(one.get("cacheReadInputTokens")))
            output = plus(output, count(one.get("outputTokens")))
        return None if (fresh, cached, output) == (None, None, None) else (fresh, cached, output)


class CodexStream(Stream):
    """Codex CLI. It tells neither its model nor its provider: those stand in its own record of the session."""

    __slots__ = ()

    def _take(self, document: dict[str, object]) -> None:
        kind = word(document.get("type"))
        if kind != "error":
            self.waits = ""
        match kind:
            case "thread.started":
                self.session = word(document.get("thread_id")) or self.session
            case "turn.started":
                self._recover()
                self.ended = False
            case "item.completed":
                self._take_item(table(document.get("item")))
            case "error":
                self._take_error(word(document.get("message"), LONGEST_MESSAGE))
            case "turn.completed":
                self._recover()
                self.ended = True
                self._take_usage(table(document.get("usage")))
            case "turn.failed":
                self.ended = True
                self._take_error(word(table(document.get("error")).get("message"), LONGEST_MESSAGE))

    def _take_item(self, item: dict[str, object]) -> None:
        kind = word(item.get("type"))
        if kind not in CODEX_STEPS:
            return  # an item of type `error` is a remark, not a failed run
        self.turns = plus(self.turns, 1)
        if kind == "agent_message" and isinstance(item.get("text"), str):
            self.text = str(item["text"])
        if kind == "file_change" and word(item.get("status")) == "completed":
            self.wrote = True
        if word(item.get("status")) == "declined":
            self.denied += 1

    def _take_error(self, message: str) -> None:
        if message.startswith("Reconnecting"):
            self.waits = message[:LONGEST_WORD]
        else:
            self._fail(message, status=status_in(message))

    def _take_usage(self, usage: dict[str, object]) -> None:
        self.cached = count(usage.get("cached_input_tokens"))
        self.fresh = without(count(usage.get("input_tokens")), self.cached)
        self.output = count(usage.get("output_tokens"))


class GeminiStream(Stream):
    """Gemini CLI: text comes in pieces, tokens with the result only."""

    __slots__ = ("_speaking",)

    def __init__(self) -> None:
        super().__init__()
        self._speaking = False

    def feed_line(self, line: bytes, parse: Callable[[bytes], object]) -> None:
        """Take one line in; that it waits it tells in plain words."""
        if line.startswith(b"Attempt ") and b" failed" in line:
            self.waits = line[:LONGEST_WORD].decode("utf-8", "replace").strip()
        super().feed_line(line, parse)

    def _take(self, document: dict[str, object]) -> None:
        kind = word(document.get("type"))
        if kind in ("message", "tool_use", "tool_result", "result"):
            self.waits = ""
        match kind:
            case "init":
                self.session = word(document.get("session_id")) or self.session
                self.model = word(document.get("model")) or self.model
            case "message":
                if word(document.get("role")) == "assistant":
                    self._say(document.get("content"))
            case "tool_use":
                self._speak()
                self._begin_write(document.get("tool_id"), document.get("tool_name"))
            case "tool_result":
                self._speaking = False
                self._end_write(document.get("tool_id"), done=word(document.get("status")) == "success")
            case "error":
                self.message = word(document.get("message"), LONGEST_MESSAGE)
            case "result":
                self._take_result(document)

    def _speak(self) -> None:
        """Begin a turn, if none has begun: a turn is what the model says between two results of tools."""
        if not self._speaking:
            self._speaking = True
            self.turns = plus(self.turns, 1)
            self.text = ""

    def _say(self, content: object) -> None:
        if isinstance(content, str):
            self._speak()
            # A text that only a local name holds grows in place; else each piece would copy all before it.
            text, self.text = self.text, ""
            text += content
            self.text = text

    def _take_result(self, document: dict[str, object]) -> None:
        self.ended = True
        if word(document.get("status")) == "success":
            self._recover()
        else:
            error = table(document.get("error"))
            self._fail(error.get("message") or self.message, error.get("type"), error.get("code"))
        stats = table(document.get("stats"))
        self.cached = count(stats.get("cached"))
        self.fresh = without(count(stats.get("input_tokens")), self.cached)
        self.output = count(stats.get("output_tokens"))


class OpencodeStream(Stream):
    """OpenCode: no end marker of its own, the last step has to end with `stop`."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        super().__init__()
        self._begun = True

    def _take(self, document: dict[str, object]) -> None:
        self.session = word(document.get("sessionID")) or self.session
        part = table(document.get("part"))
        match word(document.get("type")):
            case "step_start":
                self._begun, self.ended = True, False
            case "text":
                if isinstance(part.get("text"), str):
                    said = str(part["text"])
                    self.text = said if self._begun else f"{self.text}\n{said}"
                    self._begun = False
            case "tool_use":
                state = table(part.get("state"))
                if word(part.get("tool")) in WRITES and word(state.get("status")) == "completed":
                    self.wrote = True
            case "step_finish":
                self._take_step(part)
            case "error":
                self._take_error(table(document.get("error")))

    def _take_step(self, part: dict[str, object]) -> None:
        self._recover()
        self._begun = True
        reason, tokens = word(part.get("reason")), table(part.get("tokens"))
        cache = table(tokens.get("cache"))
        self.ended = reason == "stop"
        self.code = "" if reason in ("stop", "tool-calls") else reason
        self.turns = plus(self.turns, 1)
        self.fresh = plus(self.fresh, plus(count(tokens.get("input")), count(cache.get("write"))))
        self.cached = plus(self.cached, count(cache.get("read")))
        self.output = plus(self.output, plus(count(tokens.get("output")), count(tokens.get("reasoning"))))
        cost = amount(part.get("cost"))
        self.cost = self.cost if cost is None else (self.cost or 0.0) + cost

    def _take_error(self, error: dict[str, object]) -> None:
        data = table(error.get("data"))
        self.ended = False
        self._fail(data.get("message"), error.get("name"), data.get("statusCode"))
        self.retry_after = seconds(table(data.get("responseHeaders")).get("retry-after"))


class CopilotStream(Stream):
    """Copilot CLI. Tokens stand in a file of its own (`modelMetrics`), which may be fed here as well."""

    __slots__ = ()

    def _take(self, document: dict[str, object]) -> None:
        data = table(document.get("data"))
        match word(document.get("type")):
            case "session.start":
                self.session = word(data.get("sessionId")) or self.session
                self.model = word(data.get("selectedModel")) or self.model
                self.version = word(data.get("copilotVersion")) or self.version
            case "assistant.message":
                if isinstance(data.get("content"), str):
                    self.text = str(data["content"]) or self.text
            case "assistant.turn_end":
                self._recover()
                self.turns = plus(self.turns, 1)
            case "tool.execution_start":
                self._begin_write(data.get("toolCallId"), data.get("toolName"))
            case "tool.execution_complete":
                self._end_write(data.get("toolCallId"), done=data.get("success") is True)
            case "session.error":
                self._fail(data.get("message"), data.get("errorType"), data.get("statusCode"))
            case "result":
                self.ended = True
                self.session = word(document.get("sessionId")) or self.session
                self.failed = self.failed or document.get("exitCode") != 0
        if "modelMetrics" in document:
            self._take_metrics(table(document.get("modelMetrics")))

    def _take_metrics(self, metrics: dict[str, object]) -> None:
        self.fresh = self.cached = self.output = None
        for model, told in metrics.items():
            usage = table(table(told).get("usage"))
            cached = count(usage.get("cacheReadTokens", usage.get("cacheRead")))
            self.model = self.model or word(model)
            self.cached = plus(self.cached, cached)
            self.fresh = plus(self.fresh, without(count(usage.get("inputTokens")), cached))
            self.output = plus(self.output, count(usage.get("outputTokens")))


class VibeStream(Stream):
    """Mistral Vibe: messages only; neither tokens nor an end marker."""

    __slots__ = ()

    def _take(self, document: dict[str, object]) -> None:
        self.session = word(document.get("sessionId")) or self.session
        content = document.get("content")
        match word(document.get("role")):
            case "assistant":
                self.turns = plus(self.turns, 1)
                self.text = content if isinstance(content, str) and content else self.text
                for call in listed(document.get("tool_calls")):
                    self._begin_write(table(call).get("id"), table(table(call).get("function")).get("name"))
            case "tool":
                self._end_write(document.get("tool_call_id"), done="error>" not in word(content, 20))


STREAMS: dict[str, type[Stream]] = {
    "text": TextStream,
    "claude-jsonl": ClaudeStream,
    "codex-jsonl": CodexStream,
    "gemini-jsonl": GeminiStream,
    "opencode-jsonl": OpencodeStream,
    "copilot-jsonl": CopilotStream,
    "vibe-jsonl": VibeStream,
}


def stream_of(dialect: str) -> Stream:
    """Return the fold for a dialect; one that nobody knows is plain text."""
    return STREAMS.get(dialect, TextStream)()


def remember(known: dict[str, T], key: str, value: T) -> None:
    """Keep *value*, and forget the oldest where there are too many."""
    if key:
        known.pop(key, None)
        known[key] = value
        if len(known) > REMEMBERED:
            del known[next(iter(known))]


def texts(content: object) -> str:
    """Return the text of a message's blocks."""
    if isinstance(content, str):
        return content
    blocks = [table(block) for block in listed(content)]
    return "".join(str(block["text"]) for block in blocks if isinstance(block.get("text"), str))


def moment(value: object) -> float | None:
    """Return a moment in unix seconds, also where it is told in milliseconds."""
    told = amount(value)
    return told / 1000 if told is not None and told > MILLISECONDS_FROM else told


def seconds(value: object) -> float | None:
    """Return a number of seconds, also where it is told as text."""
    said = word(value, 20).strip()
    return float(int(said)) if said.isascii() and said.isdigit() else amount(value)


def status_in(message: str) -> int | None:
    """Return the HTTP status that codex names in its sentence."""
    for mark in ("last status: ", "unexpected status "):
        digits = message.partition(mark)[2][:3]
        if len(digits) == 3 and digits.isascii() and digits.isdigit():
            return int(digits)
    return None
