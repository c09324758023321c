"""The fake model itself: it speaks four dialects, plays scripts, and fails as it is told."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from tests.agents.model import faults
from tests.agents.model.dialects import new_id
from tests.agents.model.script import Asked, Say, Use, reply_to, turn_for
from tests.agents.model.server import FakeModel
from tests.patience import PATIENCE

TOOL = {"properties": {"command": {"type": "string"}}, "required": ["command", "why"]}
FUNCTION = {"name": "shell", "description": "run", "parameters": TOOL}
ASKED = {
    "/v1/messages": {
        "messages": [{"role": "user", "content": "Go."}],
        "tools": [{"name": "shell", "input_schema": TOOL}],
    },
    "/v1/responses": {"input": [{"role": "user", "content": "Go."}], "tools": [{"type": "function", **FUNCTION}]},
    "/v1/chat/completions": {
        "messages": [{"role": "system", "content": "Be."}, {"role": "user", "content": "Go."}],
        "tools": [{"type": "function", "function": FUNCTION}],
    },
    "/v1beta/models/some:generateContent": {
        "contents": [{"role": "user", "parts": [{"text": "Go."}]}],
        "tools": [{"functionDeclarations": [FUNCTION]}],
    },
}
CALL = {"turns": [{"tool": "shell", "command": "make"}, {"text": "done"}]}


def post(model: FakeModel, path: str, body: object) -> tuple[int, str]:
    """Send a request and return status and text of the answer."""
    request = urllib.request.Request(model.url + path, json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("path", ASKED)
def test_a_turn_is_said_in_every_dialect(path):
    with FakeModel(CALL) as model:
        status, answer = post(model, path, ASKED[path])

    (seen,) = model.requests
    assert status == 200
    assert (seen.prompt, seen.turn, list(seen.asked.tools)) == ("Go.", 0, ["shell"])
    assert seen.reply == Use("shell", {"command": "make", "why": "something"})
    assert "make" in answer


@pytest.mark.parametrize("path", [path for path in ASKED if path != "/v1beta/models/some:generateContent"])
def test_a_stream_is_whole(path):
    with FakeModel(CALL) as model:
        _, stream = post(model, path, {**ASKED[path], "stream": True})

    lines = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]" or json.loads(lines[-1])["type"] in ("message_stop", "response.completed")


@pytest.mark.parametrize("path", ASKED)
@pytest.mark.parametrize(("fault", "status"), [("401", 401), ("quota", 429), ("529", 529), ("html", 502)])
def test_a_fault_hits_as_often_as_it_is_told(path, fault, status):
    with FakeModel(CALL, [f"{fault}:1@2"]) as model:
        statuses = [post(model, path, ASKED[path])[0] for _ in range(3)]

    assert statuses == [200, status, 200]
    assert [request.fault for request in model.requests] == ["", fault, ""]


@pytest.mark.parametrize("fault", ["refuse", "drop"])
def test_a_connection_that_is_reset_is_no_answer(fault):
    with FakeModel(CALL, [fault]) as model, pytest.raises(OSError):
        post(model, "/v1/messages", ASKED["/v1/messages"])


def test_script_and_faults_can_be_changed_on_the_way():
    with FakeModel() as model:
        post(model, "/_model/script", {"turns": [{"text": "other words"}]})
        said = post(model, "/v1/messages", ASKED["/v1/messages"])
        post(model, "/_model/faults", ["500"])
        failed = post(model, "/v1/messages", ASKED["/v1/messages"])

    assert "other words" in said[1]
    assert failed[0] == 500


def test_only_the_right_key_is_taken_where_one_is_set():
    with FakeModel(key="right") as model:
        assert post(model, "/v1/messages", ASKED["/v1/messages"])[0] == 401


def test_a_word_that_is_no_fault_is_refused():
    with pytest.raises(ValueError, match="`421:2` is no fault"):
        faults.parse("421:2")


def asked(prompt: str, steps: int = 0, **tools: dict[str, object]) -> Asked:
    """Return a request in no dialect."""
    return Asked(tools, steps, prompt, "/place")


def test_several_roles_are_played_from_one_script():
    script = {"cases": [{"when": "(?i)you audit", "turns": [{"text": "an auditor"}]}], "turns": [{"text": "a worker"}]}

    assert turn_for(script, asked("You audit one commit."))[1] == {"text": "an auditor"}
    assert turn_for(script, asked("Work."))[1] == {"text": "a worker"}


def test_the_last_turn_is_repeated():
    assert turn_for(CALL, asked("Go.", steps=7)) == (1, {"text": "done"})


def test_what_is_bound_is_taken_from_the_prompt():
    script = {"bind": {"nonce": r"nonce: (\w+)"}, "turns": [{"json": {"nonce": "$nonce", "list": ["is $nonce"]}}]}

    assert turn_for(script, asked("nonce: abc"))[1] == {"json": {"nonce": "abc", "list": ["is abc"]}}
    assert "not in the prompt" in str(turn_for(script, asked("nothing"))[1])


def test_a_turn_may_be_a_function_of_what_is_asked():
    assert turn_for({"turns": [lambda asked: {"text": asked.prompt[::-1]}]}, asked("abc"))[1] == {"text": "cba"}


@pytest.mark.parametrize(
    ("tools", "reply"),
    [
        ({}, Say("A title")),
        ({"Write": {}}, Use("Write", {"file_path": "/place/a", "content": "b"})),
        ({"Write": {"properties": {"filePath": {}}}}, Use("Write", {"filePath": "/place/a", "content": "b"})),
        ({"exec_command": {"properties": {"cmd": {}}}}, "cmd"),
        ({"shell": {"properties": {"command": {"type": "array"}}}}, "command"),
        ({"Read": {}}, Say("There is no shell here.")),
    ],
)
def test_a_turn_is_played_with_the_tools_that_there_are(tools, reply):
    got = reply_to(asked("Go.", **tools), {"tool": "write", "path": "a", "content": "b"})

    assert got == reply or list(got.arguments) == [reply]


def test_no_id_is_given_twice():
    assert new_id("x") != new_id("x")
