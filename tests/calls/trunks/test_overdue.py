"""A call whose report never comes does not hold its run for ever."""

import asyncio
import time

import pytest

from covey.calls import runner
from covey.calls.call import CallEnd, CallOrder, CallReport, CallWatch
from covey.calls.runner import CallRunner, DialDefaults
from covey.domain.clock import SystemClock
from covey.engine.runner import Run
from covey.metrics import Metrics

from ...patience import PATIENCE
from .conftest import OrderMaker


class SilentTrunk:
    """Takes every order and reports none."""

    name = "silent"
    live = False

    def __init__(self) -> None:
        self.hung_up: list[str] = []

    async def start(self) -> None:
        pass

    async def place(self, order: CallOrder, watch: CallWatch) -> CallReport:
        await asyncio.Event().wait()
        raise AssertionError

    async def withdraw(self, call: str) -> None:
        pass

    async def hang_up(self, call: str) -> None:
        self.hung_up.append(call)

    async def ping(self) -> str | None:
        return None

    async def stop(self) -> None:
        pass


@pytest.mark.parametrize("dropped", [True, False])
async def test_a_call_without_a_report_ends_unknown(
    order: OrderMaker, monkeypatch: pytest.MonkeyPatch, dropped: bool
) -> None:
    monkeypatch.setattr(runner, "REPORT_SECONDS", 0.1)
    monkeypatch.setattr(runner, "HANG_UP_SECONDS", 0.1)
    trunk = SilentTrunk()
    manners = DialDefaults(30.0, 600.0, None, 60.0)
    calls = CallRunner(trunk, manners, SystemClock(), Metrics(), clips=None, recordings=None, low_disk=0)
    patience = 600.0 if dropped else 0.1
    placed = order("+14155550140", room=0.1, ring_seconds=0.1, longest_seconds=patience)
    now = time.monotonic()
    run = Run("b" * 24, "w", "silent", 1, 1, 0, None, placed.number, {}, b"", now, now + 0.5)
    if dropped:
        run.drop("aborted")
    report = await asyncio.wait_for(calls._place(placed, run), PATIENCE)
    assert (report.end, report.dialled_at) == (CallEnd.outcome_unknown, None)
    assert trunk.hung_up == [placed.id]
