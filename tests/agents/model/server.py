"""A model that plays a script, for real agent programs on this machine's loopback, and nowhere else.

    with FakeModel({"turns": [{"text": "done"}]}, faults=["429:2"]) as model:
        ...                                   # point a program at model.url
        assert [one.fault for one in model.requests] == ["429", "429", ""]

It can also be asked and changed over HTTP: GET `/_model/requests`, POST `/_model/script` and `/_model/faults`.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple

from tests.agents.model import faults as failing
from tests.agents.model.dialects import Answer, Dialect, Event, dialect_of, new_id
from tests.agents.model.script import HELLO, USAGE, Asked, Json, Reply, Say, Script, Use, place_in, reply_to, turn_for

NO_ROUTE = {"error": {"message": "no such route", "type": "not_found"}}
MODELS: Json = {
    "/v1beta": {
        "models": [
            {
                "name": "models/fake-model",
                "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
            }
        ]
    },
    "/v1": {"object": "list", "data": [{"id": "fake-model", "object": "model", "owned_by": "test"}], "has_more": False},
}


class Request(NamedTuple):
    """One request that a model answers, and what was answered."""

    number: int
    dialect: str
    model: str
    asked: Asked
    turn: int
    fault: str
    reply: Reply
    key: str
    body: Json
    at: float

    @property
    def prompt(self) -> str:
        """Return the last prompt in it."""
        return self.asked.prompt


class FakeModel:
    """A model that plays a script, and fails where it is told to."""

    def __init__(
        self,
        script: Script = HELLO,
        faults: Iterable[str] = (),
        *,
        retry_after: float = 1,
        key: str = "",
        port: int = 0,
    ) -> None:
        self.script = script
        self.faults = [failing.parse(fault) for fault in faults]
        self.retry_after = retry_after
        self.key = key
        self.requests: list[Request] = []
        self.strays: list[str] = []  # whatever else was asked for
        self.closing = threading.Event()
        self._changed = threading.Condition()
        self._server = _Server(("127.0.0.1", port), _handler_for(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> FakeModel:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for(self, count: int = 1, seconds: float = 60) -> None:
        """Wait until so many requests have come."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.requests) >= count, seconds)
        assert came, f"{len(self.requests)} requests came within {seconds} seconds, not {count}"

    def answer(self, dialect: Dialect, body: Json, text: str, key: str, model: str) -> tuple[Request, Json]:
        """Take a request in and return it, with the turn that answers it."""
        asked = dialect.asked(body)._replace(place=place_in(text))
        number, turn = turn_for(self.script, asked)
        with self._changed:
            count = len(self.requests) + 1
            with_tools = 1 + sum(bool(one.asked.tools) for one in self.requests) if asked.tools else None
            fault = "401" if self.key and key != self.key else failing.due(self.faults, count, with_tools)
            reply = Use("no_such_tool", {"x": 1}) if fault == "badtool" else reply_to(asked, turn)
            request = Request(count, dialect.name, model, asked, number, fault, reply, key, body, time.time())
            self.requests.append(request)
            self._changed.notify_all()
        return request, turn


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go away: programs are killed here for a living."""
        if not isinstance(sys.exc_info()[1], OSError | ValueError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeModel

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet."""

    # --- routes ---

    def do_HEAD(self) -> None:
        self._send(200, b"")

    def do_GET(self) -> None:
        path = self.path.split("?")[0].rstrip("/")
        if path == "/_model/requests":
            return self._send_json(200, [_row(request) for request in self.fake.requests])
        self.fake.strays.append(f"GET {path}")
        if path.endswith("/models"):
            return self._send_json(200, MODELS["/v1beta" if "/v1beta" in path else "/v1"])
        return self._send_json(404, NO_ROUTE)

    def do_POST(self) -> None:
        path = self.path.split("?")[0].rstrip("/")
        text = self._read().decode(errors="replace")
        body = json.loads(text or "{}")
        if path == "/_model/script":
            self.fake.script = body
            return self._send_json(200, {})
        if path == "/_model/faults":
            self.fake.faults = [failing.parse(fault) for fault in body]
            return self._send_json(200, {})
        dialect = dialect_of(path)
        if dialect:
            return self._answer(dialect, path, body, text)
        self.fake.strays.append(f"POST {path}")
        if path.endswith(("/count_tokens", ":countTokens")):
            return self._send_json(200, {"input_tokens": len(text) // 4, "totalTokens": len(text) // 4})
        return self._send_json(404, NO_ROUTE)

    def _answer(self, dialect: Dialect, path: str, body: Json, text: str) -> None:
        model = body.get("model") or path.rpartition("/")[2].partition(":")[0]
        request, turn = self.fake.answer(dialect, body, text, self._key(), model)
        streams = path.endswith(":streamGenerateContent") if dialect.name == "gemini" else bool(body.get("stream"))
        if request.fault in _DISTURBED:
            return _DISTURBED[request.fault](self)
        if request.fault in failing.REFUSALS:
            return self._refuse(dialect, request.fault)
        self.fake.closing.wait(turn.get("delay", 0))
        answer = self._prepared(request, turn)
        if streams:
            return self._stream(dialect, dialect.events(answer), request.fault)
        if request.fault in failing.IN_MID_STREAM:
            return self._half(dialect, request.fault)
        return self._send_json(200, dialect.whole(answer))

    def _prepared(self, request: Request, turn: Json) -> Answer:
        usage = {**USAGE, **self.fake.script.get("usage", {}), **turn.get("usage", {})}
        is_cut = request.fault == "truncated"
        return Answer(
            reply=Say("this answer was cut") if is_cut else request.reply,
            model=request.model,
            fresh=usage["input"] - usage["cached"],
            cached=usage["cached"],
            output=usage["output"],
            is_empty=request.fault == "empty",
            is_cut=is_cut,
        )

    # --- what goes wrong ---

    def _refuse(self, dialect: Dialect, kind: str) -> None:
        refusal = failing.REFUSALS[kind]
        body = dialect.refusal(refusal, self.fake.retry_after)
        is_brief = refusal.status in (429, 503, 529)
        self._send_json(refusal.status, body, {"retry-after": f"{self.fake.retry_after:g}"} if is_brief else {})

    def _reset(self) -> None:
        """End the connection rudely, as a network does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _hang(self) -> None:
        """Keep the connection until the client goes, or the model does."""
        self.close_connection = True
        self.connection.settimeout(0.2)
        while not self.fake.closing.is_set():
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                continue

    def _send_garbage(self) -> None:
        self._send(200, b"\x00\xffthis is no JSON")

    def _send_page(self) -> None:
        self._send(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", {"content-type": "text/html"})

    def _half(self, dialect: Dialect, fault: str) -> None:
        """Break an answer that is no stream in the same ways."""
        if fault == "sse_error":
            return self._refuse(dialect, "529")
        self._head(200, {"content-type": "application/json", "content-length": "500"})
        self.wfile.write(b'{"id": "half an ans')
        return self._break(fault)

    def _break(self, fault: str) -> None:
        self.wfile.flush()
        if fault == "stall":
            return self._hang()
        self.fake.closing.wait(0.1)  # so that what was sent arrives before the reset
        return self._reset()

    # --- the wire ---

    def _key(self) -> str:
        bearer = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        return self.headers.get("x-api-key") or self.headers.get("x-goog-api-key") or bearer

    def _read(self) -> bytes:
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        if "chunked" in (self.headers.get("transfer-encoding") or "").lower():
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        return gzip.decompress(data) if self.headers.get("content-encoding") == "gzip" else data

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"request-id": new_id("req"), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def _send_json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(value).encode(), headers)

    def _stream(self, dialect: Dialect, events: list[Event], fault: str) -> None:
        self._head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        is_broken = fault in failing.IN_MID_STREAM
        for event in events[: max(1, len(events) // 2)] if is_broken else events:
            self._send_event(event)
        if fault == "sse_error":
            self._send_event(dialect.error_event())
        elif is_broken:
            return self._break(fault)
        self.wfile.write(b"0\r\n\r\n")
        return None

    def _send_event(self, event: Event) -> None:
        name, data = event
        text = data if isinstance(data, str) else json.dumps(data)
        chunk = f"{f'event: {name}' + chr(10) if name else ''}data: {text}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.flush()


_DISTURBED = {
    "hang": _Handler._hang,
    "refuse": _Handler._reset,
    "garbage": _Handler._send_garbage,
    "html": _Handler._send_page,
}


def _handler_for(model: FakeModel) -> type[_Handler]:
    return type("Handler", (_Handler,), {"fake": model})


def _row(request: Request) -> Json:
    """Return what is told of a request over HTTP."""
    row = {"number": request.number, "dialect": request.dialect, "model": request.model, "turn": request.turn}
    return {**row, "fault": request.fault, "reply": list(request.reply), "prompt": request.prompt[:200]}
