"""How a person is told: the same promises of the real messenger and of the simulated one."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time
from contextlib import suppress

import pytest

from gluerun.adapters.messenger import OsMessenger
from gluerun.sim.messenger import SimMessenger

MESSAGE = {"event": "needs-you", "needs": ["TASK-0001 is parked: gründlich"]}


class TestAMessenger:
    @pytest.fixture(params=["real", "sim"])
    def messenger(self, request, tmp_path):
        return OsMessenger(str(tmp_path)) if request.param == "real" else SimMessenger()

    def test_what_goes_well_says_nothing(self, messenger):
        assert messenger.run("cat > /dev/null", MESSAGE) == ""

    def test_what_fails_says_why_and_raises_nothing(self, messenger):
        if isinstance(messenger, SimMessenger):
            messenger.fails = "the command ended with 3"

        assert "3" in messenger.run("exit 3", MESSAGE)

    def test_what_a_command_prints_is_heard_if_it_went_well(self, messenger):
        if isinstance(messenger, SimMessenger):
            messenger.prints = "yes\n"
        assert messenger.ask("cat > /dev/null; echo yes", MESSAGE) == ("yes\n", "")
        if isinstance(messenger, SimMessenger):
            messenger.fails = "the command ended with 3"
        assert messenger.ask("echo yes; exit 3", MESSAGE) == ("", "the command ended with 3")


class TestOnThisMachine:
    def test_a_command_gets_the_message_in_the_repository(self, tmp_path):
        assert OsMessenger(str(tmp_path)).run("cat > told.json", MESSAGE) == ""

        assert json.loads((tmp_path / "told.json").read_text()) == MESSAGE

    def test_a_command_that_reads_nothing_does_not_break_it(self, tmp_path):
        big = {"needs": ["x" * 1_000_000]}

        assert OsMessenger(str(tmp_path)).run("exec 0<&-; exit 0", big) == ""

    def test_what_a_failing_command_says_is_told(self, tmp_path):
        said = OsMessenger(str(tmp_path)).run("echo no mail server >&2; exit 4", MESSAGE)

        assert said == "the command ended with 4: no mail server"

    def test_a_command_that_hangs_is_ended_with_all_it_started(self, tmp_path):
        said = OsMessenger(str(tmp_path), patience=0.2).run("sleep 600 & echo $! > pid; wait", MESSAGE)

        assert said == "the command did not end within 0.2 seconds"

    @pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "hello", ""])
    def test_only_the_web_is_an_address(self, tmp_path, url):
        assert OsMessenger(str(tmp_path)).post(url, MESSAGE) == "a web address begins with http:// or https://"

    def test_a_web_address_gets_it_posted(self, tmp_path, web):
        assert OsMessenger(str(tmp_path)).post(web.address("/hook/200"), MESSAGE) == ""

        assert web.got == [("/hook/200", "application/json", MESSAGE)]

    def test_a_web_address_that_refuses_says_so_without_its_path(self, tmp_path, web):
        said = OsMessenger(str(tmp_path)).post(web.address("/hook-of-ours/500"), MESSAGE)

        assert said == "the web address answered 500"

    def test_a_web_address_where_nobody_is_says_so_without_its_path(self, tmp_path, web):
        address = web.address("/hook-of-ours/200")
        web.close()

        said = OsMessenger(str(tmp_path)).post(address, MESSAGE)

        assert said.startswith("the web address could not be reached")
        assert "ours" not in said

    def test_a_web_address_that_answers_for_ever_holds_up_nobody(self, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as server:
            threading.Thread(target=drip, args=[server], daemon=True).start()
            url = f"http://127.0.0.1:{server.getsockname()[1]}/"

            said = OsMessenger(str(tmp_path), patience=0.3).post(url, MESSAGE)

        assert said == "the web address did not answer within 0.3 seconds"


def drip(server):
    """Answer one letter at a time, each well before a socket's time-out, until nobody listens."""
    connection, _ = server.accept()
    with connection, suppress(OSError):
        while True:
            connection.sendall(b"H")
            time.sleep(0.05)


class Web:
    """A web server on the loopback; the last part of a path is what it answers."""

    def __init__(self):
        self.got = got = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got.append((self.path, self.headers["Content-Type"], json.loads(body)))
                self.send_response(int(self.path.rpartition("/")[2]))
                self.end_headers()

            def log_message(self, *words):
                del words

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def address(self, path):
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def close(self):
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()


@pytest.fixture
def web():
    server = Web()
    yield server
    server.close()
