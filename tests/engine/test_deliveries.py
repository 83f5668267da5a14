"""Deliveries on a real store: nobody waits for a receiver that hangs, and nothing that was told is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from covey.domain.errors import Unavailable
from covey.domain.webhook import BATCH_EVENTS, DeliveryState, Endpoint
from covey.engine.deliveries import MOST_AT_ONCE, REST, Deliveries
from covey.store.operations.deliveries import AT_ONCE, QUICK_AT_ONCE
from covey.store.results import Due, Tried
from tests.patience import patience

from .conftest import EngineHarness

LEASE = timedelta(seconds=45)
HOUR = 3600.0
Answer = Callable[[Due, datetime], Awaitable[Tried]]


async def accepts(due: Due, now: datetime) -> Tried:
    return Tried(204, None, None)


async def refuses(due: Due, now: datetime) -> Tried:
    """As the wire does: again in an hour, for 24 hours."""
    young = now - due.delivery.at < timedelta(hours=24)
    return Tried(500, "500 Internal Server Error", now + timedelta(hours=1) if young else None)


async def is_gone(due: Due, now: datetime) -> Tried:
    return Tried(410, "410 Gone", None, gone=True)


async def not_asked_for(due: Due, now: datetime) -> Tried:
    return Tried(None, None, None)


async def hangs(due: Due, now: datetime) -> Tried:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def crashes(due: Due, now: datetime) -> Tried:
    raise OSError("no route")


class Wire:
    """Endpoints that each behave in a way of their own, and what was sent to them."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.sent: list[tuple[str, str]] = []
        self._came = asyncio.Condition()

    async def send(self, due: Due, now: datetime) -> Tried:
        self.sent.append((due.endpoint.id, due.delivery.id))
        async with self._came:
            self._came.notify_all()
        return await self.answers[due.endpoint.id](due, now)

    def ids(self, endpoint: str) -> list[str]:
        """What was sent to an endpoint, in order."""
        return [id_ for to, id_ in self.sent if to == endpoint]

    async def reached(self, endpoint: str, times: int) -> list[str]:
        """Wait until an endpoint was sent so much; what."""
        async with self._came, patience():
            await self._came.wait_for(lambda: len(self.ids(endpoint)) >= times)
        return self.ids(endpoint)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
async def deliveries(engine: EngineHarness, wire: Wire) -> AsyncIterator[Deliveries]:
    made = Deliveries(engine.store, engine.clock, wire, LEASE)
    yield made
    await made.stop()


async def listens(engine: EngineHarness, wire: Wire, name: str, answer: Answer, workspace: str = "w") -> None:
    """An endpoint of the workspace that behaves so."""
    wire.answers[name] = answer
    url, now = "https://example.com/", engine.clock.now()
    await engine.store.put_endpoint(Endpoint(name, workspace, url, "standard", BATCH_EVENTS, (), now))


async def tell(engine: EngineHarness, times: int, workspace: str = "w") -> None:
    """Let so many things happen to a batch of the workspace."""
    batch = await engine.submit(1, workspace=workspace)
    for n in range(times):
        await (engine.store.resume(workspace, batch) if n % 2 else engine.store.pause(workspace, batch, "p"))


async def settled(deliveries: Deliveries) -> None:
    """Go on until nothing is due and nothing on its way."""
    async with patience():
        await deliveries.round()
        while deliveries.on_their_way:
            await asyncio.sleep(0)
            await deliveries.round()


async def states(engine: EngineHarness, endpoint: str) -> list[DeliveryState]:
    return [one.state for one in await engine.store.deliveries("w", endpoint=endpoint, limit=1000)]


async def test_a_receiver_that_hangs_delays_nobody(engine: EngineHarness, wire: Wire, deliveries: Deliveries) -> None:
    await listens(engine, wire, "dead", hangs)
    await listens(engine, wire, "fine", accepts)
    await tell(engine, 100)
    deliveries.start()
    assert len(set(await wire.reached("fine", 100))) == 100
    assert len(wire.ids("dead")) == AT_ONCE
    async with patience():
        while deliveries.on_their_way > AT_ONCE:
            await asyncio.sleep(0)
    assert await states(engine, "fine") == [DeliveryState.delivered] * 100


async def test_many_receivers_that_hang_leave_room(engine: EngineHarness, wire: Wire, deliveries: Deliveries) -> None:
    for n in range(MOST_AT_ONCE + 10):
        await listens(engine, wire, f"dead {n}", refuses)
    await tell(engine, 2)
    await settled(deliveries)
    for n in range(MOST_AT_ONCE + 10):
        wire.answers[f"dead {n}"] = hangs
    engine.clock.advance(HOUR)
    await deliveries.round()
    assert deliveries.on_their_way < MOST_AT_ONCE
    await listens(engine, wire, "fine", accepts, "v")
    await tell(engine, 10, "v")
    deliveries.start()
    await wire.reached("fine", 10)


async def test_what_was_sent_and_not_written_down_is_sent_again(
    engine: EngineHarness, wire: Wire, deliveries: Deliveries
) -> None:
    await listens(engine, wire, "slow", hangs)
    await tell(engine, 1)
    deliveries.start()
    [first] = await wire.reached("slow", 1)
    await deliveries.stop()
    assert deliveries.on_their_way == 0
    wire.answers["slow"] = accepts
    after = Deliveries(engine.store, engine.clock, wire, LEASE)
    await settled(after)
    assert wire.ids("slow") == [first], "its lease is not over"
    engine.clock.advance(LEASE.total_seconds())
    await settled(after)
    assert wire.ids("slow") == [first, first]
    assert await states(engine, "slow") == [DeliveryState.delivered]


async def test_a_clock_that_jumps_past_a_lease_sends_nothing_beside_itself(
    engine: EngineHarness, wire: Wire, deliveries: Deliveries
) -> None:
    awake = asyncio.Event()

    async def refuses_late(due: Due, now: datetime) -> Tried:
        await awake.wait()
        return Tried(503, "503 Service Unavailable", now + timedelta(hours=1))

    for name in ("a", "b", "c"):
        await listens(engine, wire, name, refuses_late)
    await tell(engine, 2)
    await deliveries.round()
    assert deliveries.on_their_way == 6
    for _ in range(2):
        engine.clock.advance(LEASE.total_seconds() + 1)
        await deliveries.round()
    assert deliveries.on_their_way == 6
    awake.set()
    await settled(deliveries)
    assert len(wire.sent) == len(set(wire.sent)) == 6
    engine.clock.advance(HOUR)
    for name in ("a", "b", "c"):
        wire.answers[name] = accepts
    for _ in range(2):
        await settled(deliveries)
        engine.clock.advance(REST.total_seconds())
    assert len(wire.sent) == 12
    for name in ("a", "b", "c"):
        assert await states(engine, name) == [DeliveryState.delivered] * 2


async def test_an_event_is_given_up_after_a_day(engine: EngineHarness, wire: Wire, deliveries: Deliveries) -> None:
    await listens(engine, wire, "down", refuses)
    await tell(engine, 1)
    for hour in range(25):
        assert await states(engine, "down") == [DeliveryState.waiting], f"given up after {hour} hours"
        await settled(deliveries)
        engine.clock.advance(HOUR)
    assert await states(engine, "down") == [DeliveryState.failed]
    assert len(wire.sent) == 25
    await settled(deliveries)
    assert len(wire.sent) == 25


async def test_a_sender_that_fails_in_itself_is_given_up_too(
    engine: EngineHarness, wire: Wire, deliveries: Deliveries
) -> None:
    await listens(engine, wire, "broken", crashes)
    await listens(engine, wire, "fine", accepts)
    await tell(engine, 1)
    await settled(deliveries)
    assert (await states(engine, "broken"), await states(engine, "fine")) == (
        [DeliveryState.waiting],
        [DeliveryState.delivered],
    )
    [waiting] = await engine.store.deliveries("w", endpoint="broken")
    assert waiting.next_at == engine.clock.now() + LEASE
    engine.clock.advance(24 * HOUR)
    await settled(deliveries)
    assert await states(engine, "broken") == [DeliveryState.failed]


async def test_one_that_is_gone_is_asked_no_more(engine: EngineHarness, wire: Wire, deliveries: Deliveries) -> None:
    await listens(engine, wire, "gone", is_gone)
    await tell(engine, 10)
    await settled(deliveries)
    assert len(wire.sent) <= AT_ONCE
    assert await states(engine, "gone") == [DeliveryState.failed] * 10
    assert (await engine.store.endpoint("w", "gone")).off_at == engine.clock.now()


async def test_one_is_switched_off_after_five_days_without_a_success(
    engine: EngineHarness, wire: Wire, deliveries: Deliveries
) -> None:
    await listens(engine, wire, "down", refuses)
    for day in range(6):
        assert (await engine.store.endpoint("w", "down")).off_at is None, f"off after {day} days"
        await tell(engine, 1)
        await settled(deliveries)
        engine.clock.advance(24 * HOUR)
    off = await engine.store.endpoint("w", "down")
    assert off.off_reason == "The receiver accepted nothing for 5 days"
    sent = len(wire.sent)
    await tell(engine, 1)
    await settled(deliveries)
    assert len(wire.sent) == sent


async def test_one_that_fails_rests_between_two_tries(
    engine: EngineHarness, wire: Wire, deliveries: Deliveries
) -> None:
    await listens(engine, wire, "down", refuses)
    await tell(engine, 10)
    await settled(deliveries)
    first = len(wire.sent)
    assert first <= AT_ONCE
    await settled(deliveries)
    assert len(wire.sent) == first
    engine.clock.advance(REST.total_seconds())
    await settled(deliveries)
    assert len(wire.sent) == first + 1
    wire.answers["down"] = accepts
    engine.clock.advance(REST.total_seconds())
    await settled(deliveries)
    assert len(wire.sent) == 10, "all that was not tried yet, at once"


async def test_a_clock_that_is_set_back_makes_no_rest_longer(
    engine: EngineHarness, wire: Wire, deliveries: Deliveries
) -> None:
    await listens(engine, wire, "down", refuses)
    await tell(engine, 1)
    await settled(deliveries)
    engine.clock.advance(-HOUR)
    await tell(engine, 1)
    await settled(deliveries)
    assert len(wire.sent) == 2


async def test_what_was_not_asked_for_is_no_success_and_no_failure(
    engine: EngineHarness, wire: Wire, deliveries: Deliveries
) -> None:
    await listens(engine, wire, "other words", not_asked_for)
    await tell(engine, 10)
    await settled(deliveries)
    assert len(wire.sent) == 10, "it does not rest"
    assert await states(engine, "other words") == [DeliveryState.delivered] * 10
    assert (await engine.store.endpoint("w", "other words")).delivered_at is None


async def test_one_that_answers_quickly_has_more_on_their_way(
    engine: EngineHarness, wire: Wire, deliveries: Deliveries
) -> None:
    await listens(engine, wire, "quick", accepts)
    await tell(engine, 100)
    most = 0
    async with patience():
        await deliveries.round()
        while deliveries.on_their_way:
            most = max(most, deliveries.on_their_way)
            await asyncio.sleep(0)
            await deliveries.round()
    assert AT_ONCE < most <= QUICK_AT_ONCE
    assert await states(engine, "quick") == [DeliveryState.delivered] * 100


async def test_what_cannot_be_written_down_stays_in_hand(
    engine: EngineHarness, wire: Wire, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    await listens(engine, wire, "fine", accepts)
    await tell(engine, 1)
    await deliveries.round()
    await wire.reached("fine", 1)

    async def is_down(tries: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(engine.store, "settle_deliveries", is_down)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await deliveries.round()
    assert deliveries.on_their_way == 1
    await settled(deliveries)
    assert len(wire.sent) == 1
    assert await states(engine, "fine") == [DeliveryState.delivered]


async def test_what_is_told_in_this_process_is_sent_soon(
    engine: EngineHarness, wire: Wire, deliveries: Deliveries
) -> None:
    engine.wakeups.event = deliveries.wakeup
    await listens(engine, wire, "fine", accepts)
    deliveries.seconds = 3600.0
    deliveries.start()
    batch = await engine.submit(1)
    await engine.store.pause("w", batch, "p")
    engine.wakeups.event()
    await wire.reached("fine", 1)
