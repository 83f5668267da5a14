"""watch on a terminal, and what it shows."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
from rich.console import Console

from covey.cli.exits import Exit
from covey.cli.output import clean, clean_lines, span
from covey.cli.view import Bar, Seen, line, render, stretches
from covey.client import Batch, Holding, Progress, RecentCall

from ..patience import PATIENCE
from .conftest import NASTY, Command, clean_environment

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, covey: Command, *args: str) -> None:
        self._near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        environment = clean_environment(TERM="xterm-256color", **covey.environment)
        environment.pop("NO_COLOR")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "covey.cli", *args], env=environment, stdin=far, stdout=far, stderr=far
        )
        os.close(far)
        self.seen = ""

    def until(self, text: str, seconds: float = 20) -> None:
        """Read until the terminal shows `text`."""
        end = time.monotonic() + seconds
        while text not in self.text:
            ready, _, _ = select.select([self._near], [], [], max(0, end - time.monotonic()))
            piece = self._read() if ready else b""
            assert piece, f"{text!r} never came; the terminal shows:\n{self.seen}"
            self.seen += piece.decode("utf-8", "replace")

    @property
    def text(self) -> str:
        """What was shown, without its styles."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen)

    def type(self, text: str) -> None:
        """Type on the terminal's keyboard."""
        os.write(self._near, text.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def close(self) -> int:
        """The exit code, after reading the rest."""
        while piece := self._read():
            self.seen += piece.decode("utf-8", "replace")
        os.close(self._near)
        return self.process.wait(PATIENCE)

    def _read(self) -> bytes:
        try:
            return os.read(self._near, 65536)
        except OSError:
            return b""


def test_ctrl_c_leaves_the_batch_running(
    covey: Command, agent: str, make_list: Callable[..., str], tmp_path: Path
) -> None:
    file = make_list(("+12025550160", "Ada"), ("+12025550161", "Bo"))
    batch = covey.json("submit", file, "--agent", agent, "--at", "+1h", "--name", NASTY)["batchId"]
    with Terminal(covey, "watch", batch) as terminal:
        terminal.until("░")
        terminal.until("2 waiting")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.close() == Exit.interrupted
    assert "the batch goes on" in terminal.seen
    assert "\x1b[31mred" not in terminal.seen
    assert "\x07" not in terminal.seen
    assert "\u202e" not in terminal.seen
    assert covey.json("show", batch)["status"] == "queued"
    assert covey("cancel", batch, "--yes").exit_code == 0


def test_a_batch_is_watched_to_its_end(covey: Command, agent: str, make_list: Callable[..., str]) -> None:
    file = make_list(("+12025550162", "Ada"), ("+12025550181", "Bo"))
    with Terminal(covey, "submit", file, "--agent", agent, "--watch") as terminal:
        terminal.until("busy 1")
        assert terminal.close() == Exit.ok
    assert "invalid_number 1" in terminal.text
    assert re.search(r"\d\d:\d\d:\d\d.*\+12025550162", terminal.text)


def test_a_cancel_asks_on_a_terminal(covey: Command, agent: str, make_list: Callable[..., str]) -> None:
    file = make_list(("+12025550163", "Ada"))
    batch = covey.json("submit", file, "--agent", agent, "--at", "+1h")["batchId"]
    with Terminal(covey, "cancel", batch) as terminal:
        terminal.until("[y/N]")
        terminal.type("n\n")
        assert terminal.close() == Exit.conflict
    assert covey.json("show", batch)["status"] == "queued"
    assert covey("cancel", batch, "--yes").exit_code == 0


def batch_of(*, done: int = 0, at: datetime = NOW, **more: object) -> Batch:
    progress = Progress(
        waiting=90 - done,
        active=5,
        completed=done,
        failed=3,
        cancelled=2,
        total=100,
        start_time=NOW,
        recent_calls=(RecentCall("call_1", "failed", NASTY, failed_at=NOW, error=NASTY, error_code="busy"),),
    )
    values: dict[str, object] = {"name": NASTY, "outcomes": {NASTY: 1}, "holding": Holding("limit_full", NASTY, NOW)}
    return Batch("batch_1", "processing", False, 100, progress, at, **(values | more))  # type: ignore[arg-type]


def shown(seen: Seen) -> str:
    console = Console(width=80, color_system=None, force_terminal=True, markup=False)
    with console.capture() as captured:
        console.print(render(seen))
    return captured.get()


def test_the_view_shows_everything_and_lets_nothing_through() -> None:
    seen = Seen()
    seen.add(batch_of())
    text = shown(seen)
    for part in ("90 waiting", "5 active", "3 failed", "2 cancelled", "of 100", "Held back", "\\x1b[31mred", "\\x07"):
        assert part in text
    assert "\x1b" not in text
    assert "\x1b" not in clean_lines(line(batch_of()))


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    seen = Seen()
    for second in range(120):
        seen.add(batch_of(done=0 if second < 80 else second - 80, at=NOW + timedelta(seconds=second)))
    assert seen.per_second == pytest.approx(1.0)
    assert seen.seconds_left == pytest.approx(90 - 39 + 5)


def test_nothing_seen_yet_has_no_rate() -> None:
    seen = Seen()
    seen.add(batch_of())
    assert seen.per_second == 0
    assert seen.seconds_left is None


@pytest.mark.parametrize("width", [5, 20, 79, 200])
@pytest.mark.parametrize(
    "counts", [(1, 0, 0, 0, 0), (1, 1, 1, 1, 1_000_000), (0, 0, 0, 0, 7), (33, 33, 34, 0, 0), (1, 999, 1, 1, 1)]
)
def test_the_bar_fills_its_width_and_hides_no_state(width: int, counts: tuple[int, int, int, int, int]) -> None:
    completed, failed, active, cancelled, waiting = counts
    progress = Progress(waiting, active, completed, failed, cancelled, sum(counts))
    widths = stretches(progress, width)
    assert sum(widths) == width
    assert all((count > 0) == (stretch > 0) for count, stretch in zip(counts, widths, strict=True))


def test_an_empty_batch_has_an_empty_bar() -> None:
    console = Console(width=40, color_system=None)
    with console.capture() as captured:
        console.print(Bar(Progress()))
    assert captured.get().strip() == ""


def test_clean_keeps_what_people_write() -> None:
    assert clean("Zoë 李 😀 [x] a\tb") == "Zoë 李 😀 [x] a\tb"
    assert clean("a\nb\x1b]0;x\x07\x9b1m\u202e") == "a\\x0ab\\x1b]0;x\\x07\\x9b1m\\u202e"
    assert clean_lines("a\nb") == "a\nb"


def test_spans() -> None:
    assert [span(seconds) for seconds in (None, 0.4, 59.4, 200, 7500)] == [
        "",
        "0 s",
        "59 s",
        "3 min 20 s",
        "2 h 05 min",
    ]
