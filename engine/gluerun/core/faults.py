"""What the endings of agent programs mean, as tables: statuses, exits, machine words and sentences to faults.

Every row is read off the envelopes of the real programs. The agent's own prose never comes near these tables.
"""

from __future__ import annotations

import re

from gluerun.records.child import How
from gluerun.records.fault import Fault, Limit
from gluerun.records.runner import Dialect

Cause = tuple[Fault, Limit | None]

# What our own clock, limits and doors did to it. This wins over whatever it printed.
STOPPED: dict[How, Fault] = {
    How.TIMED_OUT: Fault.TIMEOUT,
    How.IDLE: Fault.IDLE,
    How.LIMIT: Fault.LIMIT,
    How.KILLED: Fault.KILLED,
    How.MISSING: Fault.MISSING,
    How.REFUSED: Fault.NOT_CONFINED,
}

# What an exit code says of itself. Gemini's is the HTTP status modulo 256, except for a few of its own.
EXITS: dict[tuple[Dialect, int], Cause] = {
    (Dialect.CLAUDE, 53): (Fault.LIMIT, Limit.TURNS),
    (Dialect.GEMINI, 53): (Fault.LIMIT, Limit.TURNS),
    (Dialect.GEMINI, 41): (Fault.BAD_KEY, None),
}
GEMINI_STATUSES = {400, 401, 402, 403, 404, 408, 413, 429, 500, 502, 503, 504, 529}

# The programs' own words for their own limits: they are meant before any status.
LIMITS: dict[str, Limit] = {
    "error_max_turns": Limit.TURNS,
    "error_max_budget_usd": Limit.MONEY,
    "FatalTurnLimitedError": Limit.TURNS,
    "max_output_tokens": Limit.TOKENS,
    "length": Limit.TOKENS,
}

# An HTTP status that says all there is to say.
STATUSES: dict[int, Fault] = {
    401: Fault.BAD_KEY,
    402: Fault.ENTITLEMENT,
    403: Fault.ENTITLEMENT,
    408: Fault.OVERLOAD,
    413: Fault.CONTEXT_TOO_LONG,
    429: Fault.USAGE_LIMIT,
    **dict.fromkeys((500, 502, 503, 504, *range(520, 530)), Fault.OVERLOAD),
}

# Where the status is missing or says little, the sentence of the envelope does; the first row that fits.
SENTENCES: tuple[tuple[re.Pattern[str], Cause], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), (fault, limit))
    for pattern, fault, limit in (
        (r"credit balance|out of credits|insufficient (?:credit|funds|balance)", Fault.ENTITLEMENT, None),
        (r"quota|usage limit|spend limit|rate.?limit|too many requests|hit your .{0,20}limit|resource.exhausted", Fault.USAGE_LIMIT, None),
        (r"prompt is too long|ran out of room|context.?(?:window|length)|maximum context|too many (?:input )?tokens", Fault.CONTEXT_TOO_LONG, None),
        (r"max_output_tokens|output token maximum", Fault.LIMIT, Limit.TOKENS),
        (r"reached max\w* (?:number of )?turns|turn_limit", Fault.LIMIT, Limit.TURNS),
        (r"reached max\w* budget|price_limit", Fault.LIMIT, Limit.MONEY),
        (r"token_limit", Fault.LIMIT, Limit.TOKENS),
        (r"time_limit", Fault.LIMIT, Limit.SECONDS),
        (r"empty response", Fault.NO_OUTPUT, None),
        (r"at capacity|overloaded|high demand|server error|internal error|service unavailable|bad gateway", Fault.OVERLOAD, None),
        (r"stream disconnected|connection .{0,20}lost|unable to connect|ECONN|connection error|fetch failed|timed out", Fault.OVERLOAD, None),
        (r"selected model|model.{0,80}(?:not found|not exist|not supported|no such|unknown)|(?:unknown|invalid|no such) model", Fault.UNKNOWN_MODEL, None),
        (r"api.?key|unauthori[sz]ed|unauthenticated|not logged in|please (?:run )?/?log ?in|token (?:has )?expired", Fault.BAD_KEY, None),
        (r"forbidden|subscription|billing", Fault.ENTITLEMENT, None),
    )
)  # fmt: skip

# Machine words, where neither status nor sentence was clear.
CODES: dict[str, Fault] = {
    "billing_error": Fault.ENTITLEMENT,
    "insufficient_quota": Fault.USAGE_LIMIT,
    "quota": Fault.USAGE_LIMIT,
    "rate_limit": Fault.USAGE_LIMIT,
    "rate_limit_exceeded": Fault.USAGE_LIMIT,
    "authentication": Fault.BAD_KEY,
    "authentication_failed": Fault.BAD_KEY,
    "invalid_api_key": Fault.BAD_KEY,
    "ProviderAuthError": Fault.BAD_KEY,
    "overloaded": Fault.OVERLOAD,
    "server_error": Fault.OVERLOAD,
    "context_limit": Fault.CONTEXT_TOO_LONG,
    "context_length_exceeded": Fault.CONTEXT_TOO_LONG,
    "ContextOverflowError": Fault.CONTEXT_TOO_LONG,
    "model_not_found": Fault.UNKNOWN_MODEL,
    "error_max_structured_output_retries": Fault.NO_OUTPUT,
}

# How the programs say, on their way out, that they do not know a session.
NO_SESSION = re.compile(
    r"no conversation found|no rollout found|no (?:previous|saved) sessions? found|session not found"
    r"|no session, task, or name matched",
    re.IGNORECASE,
)
# How a command line that a program does not understand is refused, before it has begun anything.
STRANGE_OPTION = re.compile(
    r"^error: (?:unknown option|unexpected argument|unrecognized)|^Unknown arguments?: ", re.IGNORECASE
)
SESSION_IN_USE = re.compile(r"session id \S+ is already in use", re.IGNORECASE)

# Who serves a model, by the beginning of its name as the program reported it.
PROVIDERS: tuple[tuple[str, str], ...] = (
    ("claude-", "anthropic"),
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("codex-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("gemini-", "google"),
    ("qwen", "qwen"),
    ("mistral-", "mistral"),
    ("devstral", "mistral"),
    ("codestral", "mistral"),
    ("grok-", "xai"),
    ("deepseek-", "deepseek"),
    ("kimi-", "moonshot"),
    ("glm-", "zai"),
)
