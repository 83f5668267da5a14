"""webhooks on the command line, against a real server and a receiver on this machine."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

from covey.cli.exits import Exit

from .conftest import Command


class _Takes(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said of requests."""


@contextmanager
def receiver() -> Iterator[str]:
    """Takes what it is sent; its address."""
    with HTTPServer(("127.0.0.1", 0), _Takes) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def endpoint(covey: Command, url: str) -> Iterator[str]:
    """An endpoint's id."""
    made = covey.json("webhooks", "add", url, "--event", "batch.completed")["id"]
    try:
        yield made
    finally:
        assert covey("webhooks", "delete", made, "--yes").exit_code == Exit.ok


def test_a_test_says_by_its_exit_code_whether_it_was_delivered(covey: Command) -> None:
    with receiver() as url, endpoint(covey, url) as made:
        done = covey("webhooks", "test", made)
        assert done.exit_code == Exit.ok, done.stderr
        assert "204" in done.stdout
        assert covey.json("webhooks", "test", made)["delivered"] is True


def test_a_test_that_is_not_delivered_fails_and_says_why(covey: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    with endpoint(covey, nobody) as made:
        done = covey("webhooks", "test", made)
        assert done.exit_code == Exit.failed
        assert done.stderr.startswith("It was not delivered: ")
        as_json = covey("webhooks", "test", made, "--json")
        assert as_json.exit_code == Exit.failed
        assert '"delivered": false' in as_json.stdout


def test_sending_again_says_how_many(covey: Command) -> None:
    with receiver() as url, endpoint(covey, url) as made:
        done = covey("webhooks", "resend", made)
        assert done.exit_code == Exit.ok, done.stderr
        assert done.stdout == "0\n"
        assert done.stderr == "0 deliveries are sent again.\n"
        assert covey.json("webhooks", "resend", made) == {"count": 0}
