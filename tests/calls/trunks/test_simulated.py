"""The simulated trunk: the same fate for the same seed, limits kept, starts written down first."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from covey.calls.call import CallEnd
from covey.calls.trunks.simulated import SimulatedSettings, SimulatedTrunk, fate, starts

from .conftest import OrderMaker, Watch

FAST = SimulatedSettings(seed=7, speed=1000.0)


def test_fate_depends_on_seed_item_and_attempt_only() -> None:
    assert fate(FAST, "a", 1) == fate(FAST, "a", 1)
    assert len({fate(FAST, item, attempt) for item in "ab" for attempt in (1, 2)}) == 4
    assert fate(FAST, "a", 1) != fate(SimulatedSettings(seed=8), "a", 1)


def test_the_model_keeps_its_rates() -> None:
    fates = [fate(FAST, str(item), 1) for item in range(5000)]
    answered = [each for each in fates if each.talk is not None]
    assert abs(len(answered) / len(fates) - FAST.answer_rate) < 0.02
    assert abs(sum(each.talk or 0 for each in answered) / len(answered) - FAST.talk_seconds) < 2
    ends = Counter(each.end for each in fates)
    assert {CallEnd.successful, CallEnd.busy, CallEnd.no_answer, CallEnd.voicemail} <= set(ends)


async def test_calls_come_to_their_fate(order: OrderMaker, tmp_path: Path) -> None:
    settings = SimulatedSettings(seed=7, speed=1000.0, log=tmp_path / "starts.jsonl")
    trunk = SimulatedTrunk(settings)
    await trunk.start()
    assert await trunk.ping() is None
    assert not trunk.live
    orders = [order("+14155550140", room=5.0, ring_seconds=1e6, longest_seconds=1e6) for _ in range(200)]
    reports = await asyncio.gather(*(trunk.place(each, Watch()) for each in orders))
    await trunk.stop()
    assert [report.end for report in reports] == [fate(settings, each.item, 1).end for each in orders]
    assert sorted(start["item"] for start in starts(tmp_path / "starts.jsonl")) == sorted(each.item for each in orders)


async def test_a_line_that_a_kill_tore_hides_no_start(order: OrderMaker, tmp_path: Path) -> None:
    log = tmp_path / "starts.jsonl"
    log.write_text('{"batch":"one","item":"a","attempt":1,"at":1.5}\n{"batc')
    trunk = SimulatedTrunk(SimulatedSettings(seed=7, speed=1000.0, log=log))
    await trunk.start()
    placed = order("+14155550140")
    await trunk.place(placed, Watch())
    await trunk.stop()
    assert [start["item"] for start in starts(log)] == ["a", placed.item]


async def test_a_late_lease_is_not_a_start(order: OrderMaker, tmp_path: Path) -> None:
    trunk = SimulatedTrunk(SimulatedSettings(log=tmp_path / "starts.jsonl"))
    await trunk.start()
    report = await trunk.place(order("+14155550140", delay=-1.0, room=0.5), Watch())
    await trunk.stop()
    assert (report.end, report.text) == (CallEnd.not_started, "its start came too late")
    assert (tmp_path / "starts.jsonl").read_text() == ""


async def test_hanging_up_and_stopping(order: OrderMaker) -> None:
    trunk = SimulatedTrunk(SimulatedSettings(ring_seconds=1e9))
    await trunk.start()
    orders = [order("+14155550140", ring_seconds=1e6) for _ in range(2)]
    watches = [Watch(), Watch()]
    calls = [asyncio.create_task(trunk.place(each, watch)) for each, watch in zip(orders, watches, strict=True)]
    await asyncio.gather(*(watch.rang.wait() for watch in watches))
    await trunk.hang_up(orders[0].id)
    assert (await calls[0]).end is CallEnd.aborted
    assert not calls[1].done()
    await trunk.stop()
    assert (await calls[1]).end is CallEnd.aborted


async def test_limits_of_a_call(order: OrderMaker) -> None:
    always = SimulatedSettings(answer_rate=1.0, ring_seconds=0, talk_seconds=1e9, speed=100.0)
    trunk = SimulatedTrunk(always)
    report = await trunk.place(order("+14155550140", longest_seconds=1.0), Watch())
    assert report.end is CallEnd.too_long
    never = SimulatedTrunk(SimulatedSettings(ring_seconds=1e9, speed=100.0))
    report = await never.place(order("+14155550140", ring_seconds=1.0), Watch())
    assert report.end is CallEnd.no_answer


@pytest.mark.parametrize("wrong", [{"answer_rate": 1.5}, {"speed": 0.0}, {"talk_seconds": -1.0}])
def test_impossible_models_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"answer_rate|durations"):
        SimulatedSettings(**wrong)  # type: ignore[arg-type]
