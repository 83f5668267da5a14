"""Signs of life: how late the event loop is, what systemd hears, and what /readyz makes of it."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.serving import ServerProcess
from structlog.testing import capture_logs

from covey.metrics import Metrics
from covey.server.vitals import LoopLag, ServiceManager

from .clock import ManualClock


def lag_of(clock: ManualClock) -> tuple[LoopLag, Metrics]:
    metrics = Metrics()
    return LoopLag(clock, metrics, lambda: None), metrics


async def test_the_lag_is_what_a_round_comes_late() -> None:
    clock = ManualClock()
    lag, metrics = lag_of(clock)
    assert lag.worst(5) == 0
    await lag.round()
    for late in (0.0, 0.3, 1.5, 0.2):
        clock.advance(LoopLag.seconds + late)
        await lag.round()
    assert lag.worst(5) == pytest.approx(1.5)
    assert metrics.registry.get_sample_value("covey_loop_lag_seconds") == pytest.approx(1.5)
    for _ in range(60):
        clock.advance(LoopLag.seconds)
        await lag.round()
    assert lag.worst(5) == pytest.approx(0, abs=1e-6)
    assert metrics.registry.get_sample_value("covey_loop_lag_seconds") == pytest.approx(1.5)
    clock.advance(60)
    await lag.round()
    clock.advance(61)
    await lag.round()
    assert len(lag._late) <= 2, "what nobody asks for any more is forgotten"


async def test_what_is_late_at_this_moment_counts() -> None:
    """A request may be looked at before the round that is late."""
    clock = ManualClock()
    lag, _ = lag_of(clock)
    await lag.round()
    clock.advance(LoopLag.seconds + 2)
    assert lag.worst(5) == pytest.approx(2)


@contextmanager
def notified(path: Path) -> Iterator[socket.socket]:
    """A socket as systemd has it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(path))
        line.settimeout(60)
        yield line


def test_systemd_hears_of_begin_end_and_life(tmp_path: Path) -> None:
    clock = ManualClock()
    with notified(tmp_path / "notify") as line:
        manager = ServiceManager(clock, {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "90000000"})
        manager.ready()
        for _ in range(10):
            manager.alive()
        clock.advance(23)
        manager.alive()
        manager.announce_stop()
        heard = [line.recv(100) for _ in range(4)]
    assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"STOPPING=1"]


@pytest.mark.parametrize(
    "names",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "many"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}],
)
def test_without_a_watchdog_nothing_is_fed(tmp_path: Path, names: dict[str, str]) -> None:
    with notified(tmp_path / "notify") as line:
        manager = ServiceManager(ManualClock(), {"NOTIFY_SOCKET": str(tmp_path / "notify"), **names})
        manager.alive()
        manager.ready()
        assert line.recv(100) == b"READY=1"


def test_a_process_that_systemd_did_not_start_tells_nobody() -> None:
    with capture_logs() as logs:
        ServiceManager(ManualClock(), {}).ready()
        assert logs == []
        ServiceManager(ManualClock(), {"NOTIFY_SOCKET": "@no-such-socket-of-covey"}).ready()
        assert [entry["event"] for entry in logs] == ["systemd_not_notified"]


async def until(true: Callable[[], bool]) -> None:
    """Wait until it is."""
    async with asyncio.timeout(100):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_server_tells_systemd_and_is_fed_from_its_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stands still feeds nothing; when it goes on it does so again, until its end."""
    heard: list[bytes] = []
    with notified(tmp_path / "notify") as line:
        asyncio.get_running_loop().add_reader(line, lambda: heard.append(line.recv(100)))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        server = ServerProcess(tmp_path, "")
        await server.start()
        try:
            await until(lambda: b"READY=1" in heard and heard[-1] == b"WATCHDOG=1")
            os.kill(server.pid, signal.SIGSTOP)
            await until(lambda: stopped(server.pid))
            await asyncio.sleep(0)  # What it had sent before.
            count = len(heard)
            os.kill(server.pid, signal.SIGCONT)
            await until(lambda: len(heard) > count)
        finally:
            await server.stop()
        await until(lambda: b"STOPPING=1" in heard)
        asyncio.get_running_loop().remove_reader(line)
    assert [heard.count(what) for what in (b"READY=1", b"STOPPING=1")] == [1, 1]
    assert heard.index(b"READY=1") < heard.index(b"STOPPING=1")


def stopped(pid: int) -> bool:
    """Whether a process stands still."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
async def test_a_watchdogs_signal_says_where_the_process_stood(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "")
    await server.start()
    os.kill(server.pid, signal.SIGABRT)
    assert server.process is not None
    assert await asyncio.to_thread(server.process.wait, 60) == -signal.SIGABRT
    log = (tmp_path / "server.log").read_text()
    assert "Fatal Python error: Aborted" in log
    assert "Current thread" in log
