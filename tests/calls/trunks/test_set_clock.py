"""A clock that is set during a call: it neither stretches nor shrinks the call, for that is what is charged."""

import os
import signal
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import ClassVar, Self

import pytest

from covey.calls import call
from covey.calls.call import CallClock, CallEnd, CallReport
from covey.calls.trunks import simulated
from covey.calls.trunks.dialler import supervisor
from covey.calls.trunks.simulated import SimulatedSettings, SimulatedTrunk
from tests.calls.trunks.dying import TALKS, start

from .conftest import OrderMaker, Phones, TrunkMaker, Watch

SETS_THE_CLOCK = """
import datetime
from itertools import count

real, looks = datetime.datetime, count(1)

class Set(real):
    @classmethod
    def now(cls, tz=None):
        return real.now(tz) + datetime.timedelta(hours=next(looks))

datetime.datetime = Set
"""
"""What a dialler runs before anything else: whenever it looks at the time of day, somebody has set it an hour on."""


class SetForward(datetime):
    """The same, for this process."""

    looks: ClassVar[int] = 0

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        cls.looks += 1
        return super().now(tz) + timedelta(hours=cls.looks)


@pytest.fixture
def set_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (call, supervisor, simulated):
        monkeypatch.setattr(module, "datetime", SetForward)


def talked(report: CallReport) -> timedelta:
    """How long they talked; all of the call has to be one after the other, and short."""
    assert report.dialled_at is not None
    assert report.answered_at is not None
    assert report.dialled_at <= report.answered_at <= report.ended_at < report.dialled_at + timedelta(minutes=1)
    return report.ended_at - report.answered_at


async def test_a_dialler_whose_clock_is_set(
    phones: Phones, trunk_maker: TrunkMaker, order: OrderMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SETS_THE_CLOCK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    trunk = await trunk_maker(phones.port)
    report = await trunk.place(order("+14155550140", room=10.0), Watch())
    (seen,) = await phones.until("ended", 1)
    assert report.end is CallEnd.successful
    assert report.ended_at - datetime.now(UTC) > timedelta(minutes=30), "its clock was not set"
    assert abs(talked(report).total_seconds() - (seen["bye_at"] - seen["answered_at"])) < 1


@pytest.mark.usefixtures("set_forward")
async def test_a_dialler_that_dies_while_our_clock_is_set(
    phones: Phones, trunk_maker: TrunkMaker, order: OrderMaker
) -> None:
    trunk = await trunk_maker(phones.port)
    (calling,), (watch,) = await start(trunk, [order(TALKS, room=10.0)])
    await watch.talks.wait()
    os.kill(trunk.pids[0], signal.SIGKILL)
    report = await calling
    assert report.end is CallEnd.outcome_unknown
    assert report.ended_at - datetime.now(UTC) > timedelta(minutes=30), "the clock was not set"
    talked(report)


@pytest.mark.usefixtures("set_forward")
async def test_a_simulated_call_while_the_clock_is_set(order: OrderMaker) -> None:
    trunk = SimulatedTrunk(SimulatedSettings(answer_rate=1.0, ring_seconds=0, talk_seconds=0.01))
    report = await trunk.place(order("+14155550140"), Watch())
    assert report.ended_at - datetime.now(UTC) > timedelta(minutes=30), "the clock was not set"
    assert talked(report) < timedelta(seconds=10)


def test_a_call_s_clock_goes_on_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    before = datetime.now(UTC)
    clock = CallClock()
    began = clock.now()
    assert before <= began <= datetime.now(UTC)
    now += 90.5
    assert clock.now() - began == timedelta(seconds=90.5)
