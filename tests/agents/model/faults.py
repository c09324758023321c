"""How the model fails: `KIND[:COUNT][@START][!]`, as in `429:2`, `hang`, `drop:1@2`, `500!`.

COUNT requests from number START on are hit; all of them, from the first, where nothing is said. With `!` only
requests that announce tools are counted and hit: no titles, no warm-up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

EVERY = 10**9


class Refusal(NamedTuple):
    """An answer over HTTP that is an error, with the word that each dialect has for it."""

    status: int
    anthropic: str
    openai: str
    gemini: str
    message: str


REFUSALS = {
    "400": Refusal(400, "invalid_request_error", "invalid_request", "INVALID_ARGUMENT", "bad request"),
    "401": Refusal(401, "authentication_error", "invalid_api_key", "UNAUTHENTICATED", "invalid x-api-key"),
    "403": Refusal(403, "permission_error", "forbidden", "PERMISSION_DENIED", "the key lacks permission"),
    "404": Refusal(404, "not_found_error", "model_not_found", "NOT_FOUND", "no such model"),
    "429": Refusal(
        429, "rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED", "This would exceed the rate limit"
    ),
    "quota": Refusal(
        429, "rate_limit_error", "insufficient_quota", "RESOURCE_EXHAUSTED",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "credit": Refusal(
        400, "invalid_request_error", "insufficient_quota", "FAILED_PRECONDITION",
        "Your credit balance is too low to access the API. Please go to Plans & Billing.",
    ),
    "500": Refusal(500, "api_error", "server_error", "INTERNAL", "internal error"),
    "503": Refusal(503, "api_error", "server_error", "UNAVAILABLE", "service unavailable"),
    "529": Refusal(529, "overloaded_error", "overloaded", "UNAVAILABLE", "Overloaded"),
    "context": Refusal(
        400, "invalid_request_error", "context_length_exceeded", "INVALID_ARGUMENT",
        "prompt is too long: 250000 tokens > 200000 maximum",
    ),
}  # fmt: skip
DISTURBANCES = {
    "hang": "accepts and never answers",
    "stall": "answers half, then is silent",
    "drop": "answers half, then resets the connection",
    "refuse": "resets the connection at once",
    "garbage": "answers with what is no JSON",
    "html": "answers 502 with a page, as a broken proxy does",
    "empty": "gives a well-formed answer with nothing in it",
    "badtool": "calls a tool that does not exist",
    "sse_error": "sends an error in the middle of a stream",
    "truncated": "ends its answer because it became too long",
}
IN_MID_STREAM = ("drop", "stall", "sse_error")


class Fault(NamedTuple):
    """One kind of failure, and the requests that it hits."""

    kind: str
    first: int = 1
    times: int = EVERY
    only_with_tools: bool = False

    def hits(self, number: int, number_with_tools: int | None) -> bool:
        """Tell whether the request of this number is hit; the second number is None for one without tools."""
        counted = number_with_tools if self.only_with_tools else number
        return counted is not None and self.first <= counted < self.first + self.times


def parse(text: str) -> Fault:
    """Read `KIND[:COUNT][@START][!]`."""
    found = re.fullmatch(r"([a-z0-9_]+)(?::(\d+))?(?:@(\d+))?(!)?", text)
    if not found or found[1] not in REFUSALS.keys() | DISTURBANCES.keys():
        raise ValueError(f"`{text}` is no fault; the kinds are {', '.join([*REFUSALS, *DISTURBANCES])}")
    return Fault(found[1], int(found[3] or 1), int(found[2] or EVERY), bool(found[4]))


def due(faults: Iterable[Fault], number: int, number_with_tools: int | None) -> str:
    """Return the kind of the first fault that hits a request; empty if none does."""
    return next((fault.kind for fault in faults if fault.hits(number, number_with_tools)), "")
