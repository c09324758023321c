"""The four ways of speaking to a model. Each reads what was asked and puts a reply into its own words."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from tests.agents.model.faults import Refusal
from tests.agents.model.script import Asked, Json, Reply, Say, Use

Event = tuple[str, Json | str]  # its name, empty where the dialect gives none, and its data

_count = itertools.count(1)
_salt = os.urandom(3).hex()  # a session that is resumed against another server must not see an id again


def new_id(prefix: str) -> str:
    """Return an id that no other answer has."""
    return f"{prefix}_{_salt}{next(_count):05}"


class Answer(NamedTuple):
    """A reply on its way out: with the model that speaks, what it used, and how it may go wrong."""

    reply: Reply
    model: str
    fresh: int
    cached: int
    output: int
    is_empty: bool = False
    is_cut: bool = False

    @property
    def input(self) -> int:
        """Return all tokens of the prompt."""
        return self.fresh + self.cached


class Dialect(Protocol):
    """One way of speaking to a model."""

    name: str

    def asked(self, request: Json) -> Asked:
        """Read a request."""

    def whole(self, answer: Answer) -> Json:
        """Return the answer in one piece."""

    def events(self, answer: Answer) -> list[Event]:
        """Return the answer as a stream."""

    def refusal(self, refusal: Refusal, wait: float) -> Json:
        """Return the body of an HTTP error."""

    def error_event(self) -> Event:
        """Return what a stream says that breaks off."""


def text_of(content: Any) -> str:
    """Flatten the content of a message."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return text_of(content.get("text") or content.get("content") or "")
    return "\n".join(text_of(part) for part in content or ())


# Programs inject reminders beside a prompt; those are no prompts.
INJECTED = ("<system-reminder", "<environment_context", "<permissions instructions", "# AGENTS.md")


def since_prompt(marks: Iterable[tuple[str, str]]) -> tuple[int, str]:
    """Count the model's replies since the last prompt of a person, and return that prompt."""
    steps, prompt, before = 0, "", ""
    for who, text in marks:
        if who == "user" and text.lstrip().startswith(INJECTED):
            continue
        if who == "user":
            steps, prompt = 0, text
        elif who == "model" and before != "model":
            steps += 1
        before = who
    return steps, prompt


def halves(text: str) -> list[str]:
    """Return a text as a stream would bring it."""
    middle = len(text) // 2
    return [part for part in (text[:middle], text[middle:]) if part]


class Messages:
    """Anthropic's: `/v1/messages`."""

    name = "messages"

    def asked(self, request: Json) -> Asked:
        tools = {tool.get("name", ""): tool.get("input_schema", {}) for tool in request.get("tools", ())}
        marks = []
        for message in request.get("messages", ()):
            content = message.get("content")
            blocks = [content] if isinstance(content, str) else content or []
            if message.get("role") == "assistant":
                marks.append(("model", ""))
            elif any(isinstance(block, dict) and block.get("type") == "tool_result" for block in blocks):
                marks.append(("result", ""))
            elif message.get("role") == "user":
                texts = [text for text in map(text_of, blocks) if not text.lstrip().startswith(INJECTED)]
                marks += [("user", "\n".join(texts))] if texts else []
        return Asked(tools, *since_prompt(marks))

    def _block(self, reply: Reply) -> Json:
        if isinstance(reply, Use):
            return {"type": "tool_use", "id": new_id("toolu"), "name": reply.tool, "input": reply.arguments}
        return {"type": "text", "text": reply.text}

    def whole(self, answer: Answer) -> Json:
        stop = "max_tokens" if answer.is_cut else "tool_use" if isinstance(answer.reply, Use) else "end_turn"
        return {
            "id": new_id("msg"),
            "type": "message",
            "role": "assistant",
            "model": answer.model,
            "content": [] if answer.is_empty else [self._block(answer.reply)],
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {
                "input_tokens": answer.fresh,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": answer.cached,
                "output_tokens": answer.output,
            },
        }

    def events(self, answer: Answer) -> list[Event]:
        whole = self.whole(answer)
        start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
        said: list[Json] = [{"type": "message_start", "message": start}]
        for block in whole["content"]:
            is_tool = block["type"] == "tool_use"
            empty = {**block, "input": {}} if is_tool else {**block, "text": ""}
            said.append({"type": "content_block_start", "index": 0, "content_block": empty})
            for part in halves(json.dumps(block["input"]) if is_tool else block["text"]):
                tool_part = {"type": "input_json_delta", "partial_json": part}
                delta = tool_part if is_tool else {"type": "text_delta", "text": part}
                said.append({"type": "content_block_delta", "index": 0, "delta": delta})
            said.append({"type": "content_block_stop", "index": 0})
        stop = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        said.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": answer.output}})
        said.append({"type": "message_stop"})
        return [(one["type"], one) for one in said]

    def refusal(self, refusal: Refusal, wait: float) -> Json:
        error = {"type": refusal.anthropic, "message": refusal.message}
        return {"type": "error", "error": error, "request_id": new_id("req")}

    def error_event(self) -> Event:
        return "error", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


class Responses:
    """OpenAI's newer one: `/v1/responses`."""

    name = "responses"

    def asked(self, request: Json) -> Asked:
        tools = dict(self._tools(request.get("tools", ())))
        items = request.get("input") or ()
        if isinstance(items, str):
            return Asked(tools, 0, items)
        marks = []
        for item in items:
            kind = item.get("type", "message")
            if kind == "message" and item.get("role") == "user":
                marks.append(("user", text_of(item.get("content"))))
            elif kind.endswith("_output"):
                marks.append(("result", ""))
            elif kind.endswith("_call") or kind == "reasoning" or item.get("role") == "assistant":
                marks.append(("model", ""))
        return Asked(tools, *since_prompt(marks))

    def _tools(self, announced: Iterable[Json]) -> Iterable[tuple[str, Json]]:
        for tool in announced:
            if tool.get("type") == "namespace":
                yield from self._tools(tool.get("tools", ()))
            elif tool.get("type") == "function":
                yield tool["name"], tool.get("parameters") or {}
            else:
                yield tool.get("name") or tool["type"], {"x-kind": tool["type"]}

    def _item(self, reply: Reply) -> Json:
        if isinstance(reply, Say):
            content = [{"type": "output_text", "text": reply.text, "annotations": []}]
            said: Json = {"type": "message", "id": new_id("msg"), "role": "assistant"}
            return {**said, "status": "completed", "content": content}
        call = {"id": new_id("fc"), "call_id": new_id("call")}
        if reply.kind == "local_shell":
            action = {"type": "exec", **reply.arguments}
            return {"type": "local_shell_call", **call, "status": "completed", "action": action}
        if reply.kind == "custom":
            return {"type": "custom_tool_call", **call, "name": reply.tool, "input": reply.arguments["input"]}
        arguments = json.dumps(reply.arguments)
        return {"type": "function_call", **call, "name": reply.tool, "arguments": arguments, "status": "completed"}

    def whole(self, answer: Answer) -> Json:
        cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        return {
            "id": new_id("resp"),
            "object": "response",
            "created_at": int(time.time()),
            "model": answer.model,
            "error": None,
            "output": [] if answer.is_empty else [self._item(answer.reply)],
            "usage": {
                "input_tokens": answer.input,
                "input_tokens_details": {"cached_tokens": answer.cached},
                "output_tokens": answer.output,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": answer.input + answer.output,
            },
            **(cut if answer.is_cut else {"status": "completed", "incomplete_details": None}),
        }

    def events(self, answer: Answer) -> list[Event]:
        whole = self.whole(answer)
        begun = {key: value for key, value in whole.items() if key != "usage"}
        begun |= {"status": "in_progress", "incomplete_details": None, "output": []}
        said: list[Json] = [{"type": "response.created", "response": begun}]
        for item in whole["output"]:
            empty: Json = {"content": []} if item["type"] == "message" else {}
            added = {**item, "status": "in_progress", **empty}
            said.append({"type": "response.output_item.added", "output_index": 0, "item": added})
            said += self._parts(item)
            said.append({"type": "response.output_item.done", "output_index": 0, "item": item})
        end = "response.incomplete" if answer.is_cut else "response.completed"
        said.append({"type": end, "response": whole})
        return [(one["type"], {**one, "sequence_number": number}) for number, one in enumerate(said)]

    def _parts(self, item: Json) -> list[Json]:
        about = {"item_id": item["id"], "output_index": 0}
        if item["type"] == "function_call":
            calling = "response.function_call_arguments"
            return [
                {"type": f"{calling}.delta", **about, "delta": item["arguments"]},
                {"type": f"{calling}.done", **about, "arguments": item["arguments"]},
            ]
        if item["type"] != "message":
            return []
        about["content_index"] = 0
        part = item["content"][0]
        return [
            {"type": "response.content_part.added", **about, "part": {**part, "text": ""}},
            {"type": "response.output_text.delta", **about, "delta": part["text"]},
            {"type": "response.output_text.done", **about, "text": part["text"]},
            {"type": "response.content_part.done", **about, "part": part},
        ]

    def refusal(self, refusal: Refusal, wait: float) -> Json:
        return {"error": {"message": refusal.message, "type": refusal.openai, "param": None, "code": refusal.openai}}

    def error_event(self) -> Event:
        error = {"code": "server_is_overloaded", "message": "Overloaded"}
        response = {"id": new_id("resp"), "object": "response", "status": "failed", "error": error}
        return "response.failed", {"type": "response.failed", "response": response}


class Chat:
    """OpenAI's older one, which many others speak too: `/v1/chat/completions`."""

    name = "chat"
    _who = {"user": "user", "assistant": "model", "tool": "result", "function": "result"}  # noqa: RUF012

    def asked(self, request: Json) -> Asked:
        functions = [tool.get("function") or tool for tool in request.get("tools", ())]
        tools = {function.get("name", ""): function.get("parameters") or {} for function in functions}
        messages = [message for message in request.get("messages", ()) if message.get("role") in self._who]
        marks = [(self._who[message["role"]], text_of(message.get("content"))) for message in messages]
        return Asked(tools, *since_prompt(marks))

    def _usage(self, answer: Answer) -> Json:
        return {
            "prompt_tokens": answer.input,
            "completion_tokens": answer.output,
            "total_tokens": answer.input + answer.output,
            "prompt_tokens_details": {"cached_tokens": answer.cached},
        }

    def _message(self, answer: Answer) -> tuple[Json, str]:
        reply = answer.reply
        if isinstance(reply, Use) and not answer.is_empty:
            function = {"name": reply.tool, "arguments": json.dumps(reply.arguments)}
            call = {"id": new_id("call"), "type": "function", "function": function}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
            return message, "length" if answer.is_cut else "tool_calls"
        text = "" if answer.is_empty or isinstance(reply, Use) else reply.text
        return {"role": "assistant", "content": text}, "length" if answer.is_cut else "stop"

    def _piece(self, answer: Answer, kind: str, choices: Sequence[Json]) -> Json:
        head = {"id": new_id("chatcmpl"), "object": kind, "created": int(time.time()), "model": answer.model}
        return {**head, "choices": list(choices)}

    def whole(self, answer: Answer) -> Json:
        message, finish = self._message(answer)
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return {**self._piece(answer, "chat.completion", [choice]), "usage": self._usage(answer)}

    def events(self, answer: Answer) -> list[Event]:
        message, finish = self._message(answer)
        deltas: list[Json] = [{"role": "assistant", "content": ""}]
        for call in message.get("tool_calls", ()):
            function = call["function"]
            deltas.append({"tool_calls": [{**call, "index": 0, "function": {**function, "arguments": ""}}]})
            for part in halves(function["arguments"]):
                deltas.append({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
        deltas += [{"content": part} for part in halves(message["content"] or "")]
        choices: list[Json] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        choices.append({"index": 0, "delta": {}, "finish_reason": finish})
        kind = "chat.completion.chunk"
        said = [self._piece(answer, kind, [choice]) for choice in choices]
        said.append({**self._piece(answer, kind, []), "usage": self._usage(answer)})
        one_id = said[0]["id"]
        return [*(("", {**one, "id": one_id}) for one in said), ("", "[DONE]")]

    def refusal(self, refusal: Refusal, wait: float) -> Json:
        return Responses().refusal(refusal, wait)

    def error_event(self) -> Event:
        return "", {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}


class Gemini:
    """Google's: `/v1beta/models/MODEL:generateContent` and `:streamGenerateContent`."""

    name = "gemini"

    def asked(self, request: Json) -> Asked:
        functions = [one for tool in request.get("tools", ()) for one in tool.get("functionDeclarations", ())]
        tools = {one["name"]: one.get("parametersJsonSchema") or one.get("parameters") or {} for one in functions}
        marks = []
        for content in request.get("contents", ()):
            parts = content.get("parts", ())
            if content.get("role") == "model":
                marks.append(("model", ""))
            elif any("functionResponse" in part for part in parts):
                marks.append(("result", ""))
            else:
                marks.append(("user", text_of([part.get("text", "") for part in parts])))
        return Asked(tools, *since_prompt(marks))

    def _part(self, reply: Reply) -> Json:
        if isinstance(reply, Say):
            return {"text": reply.text}
        call = {"name": reply.tool, "args": reply.arguments, "id": new_id("fc")}
        return {"functionCall": call, "thoughtSignature": "c2lnbmVk"}

    def whole(self, answer: Answer) -> Json:
        parts = [] if answer.is_empty else [self._part(answer.reply)]
        finish = "MAX_TOKENS" if answer.is_cut else "STOP"
        return {
            "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish, "index": 0}],
            "usageMetadata": {
                "promptTokenCount": answer.input,
                "candidatesTokenCount": answer.output,
                "cachedContentTokenCount": answer.cached,
                "totalTokenCount": answer.input + answer.output,
            },
            "modelVersion": answer.model,
            "responseId": new_id("resp"),
        }

    def events(self, answer: Answer) -> list[Event]:
        whole = self.whole(answer)
        parts = whole["candidates"][0]["content"]["parts"]
        first = {"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}]}
        first |= {key: whole[key] for key in ("modelVersion", "responseId")}
        rest = {"role": "model", "parts": [{"text": ""}] if parts else []}
        return [("", first), ("", {**whole, "candidates": [{**whole["candidates"][0], "content": rest}]})]

    def refusal(self, refusal: Refusal, wait: float) -> Json:
        error: Json = {"code": refusal.status, "message": refusal.message, "status": refusal.gemini}
        if refusal.status == 429:
            error["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait:g}s"}]
        return {"error": error}

    def error_event(self) -> Event:
        return Chat().error_event()


def dialect_of(path: str) -> Dialect | None:
    """Return the dialect that is spoken at a path; None if there is none."""
    ends: dict[str, type[Messages | Responses | Chat | Gemini]] = {
        "/messages": Messages,
        "/responses": Responses,
        "/chat/completions": Chat,
        ":generateContent": Gemini,
        ":streamGenerateContent": Gemini,
    }
    return next((kind() for end, kind in ends.items() if path.endswith(end)), None)
