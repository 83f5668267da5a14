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

from .conftest import House

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
async def deliveries(house: House, wire: Wire) -> AsyncIterator[Deliveries]:
    made = Deliveries(house.store, house.clock, wire, LEASE)
    yield made
    await made.stop()


async def listens(house: House, wire: Wire, name: str, answer: Answer, workspace: str = "w") -> None:
    """An endpoint of the workspace that behaves so."""
    wire.answers[name] = answer
    url, now = "https://example.com/", house.clock.now()
    await house.store.put_endpoint(Endpoint(name, workspace, url, "standard", BATCH_EVENTS, (), now))


async def tell(house: House, times: int, workspace: str = "w") -> None:
    """Let so many things happen to a batch of the workspace."""
    batch = await house.submit(1, workspace=workspace)
    for n in range(times):
        await (house.store.resume(workspace, batch) if n % 2 else house.store.pause(workspace, batch, "p"))


async def settled(deliveries: Deliveries) -> None:
    """Go on until nothing is due and nothing on its way."""
    async with patience():
        await deliveries.round()
        while deliveries.on_their_way:
            await asyncio.sleep(0)
            await deliveries.round()


async def states(house: House, endpoint: str) -> list[DeliveryState]:
    return [one.state for one in await house.store.deliveries("w", endpoint=endpoint, limit=1000)]


async def test_a_receiver_that_hangs_delays_nobody(house: House, wire: Wire, deliveries: Deliveries) -> None:
    await listens(house, wire, "dead", hangs)
    await listens(house, wire, "fine", accepts)
    await tell(house, 100)
    deliveries.start()
    assert len(set(await wire.reached("fine", 100))) == 100
    assert len(wire.ids("dead")) == AT_ONCE
    async with patience():
        while deliveries.on_their_way > AT_ONCE:
            await asyncio.sleep(0)
    assert await states(house, "fine") == [DeliveryState.delivered] * 100


async def test_many_receivers_that_hang_leave_room(house: House, wire: Wire, deliveries: Deliveries) -> None:
    for n in range(MOST_AT_ONCE + 10):
        await listens(house, wire, f"dead {n}", refuses)
    await tell(house, 2)
    await settled(deliveries)
    for n in range(MOST_AT_ONCE + 10):
        wire.answers[f"dead {n}"] = hangs
    house.clock.advance(HOUR)
    await deliveries.round()
    assert deliveries.on_their_way < MOST_AT_ONCE
    await listens(house, wire, "fine", accepts, "v")
    await tell(house, 10, "v")
    deliveries.start()
    await wire.reached("fine", 10)


async def test_what_was_sent_and_not_written_down_is_sent_again(
    house: House, wire: Wire, deliveries: Deliveries
) -> None:
    await listens(house, wire, "slow", hangs)
    await tell(house, 1)
    deliveries.start()
    [first] = await wire.reached("slow", 1)
    await deliveries.stop()
    assert deliveries.on_their_way == 0
    wire.answers["slow"] = accepts
    after = Deliveries(house.store, house.clock, wire, LEASE)
    await settled(after)
    assert wire.ids("slow") == [first], "its lease is not over"
    house.clock.advance(LEASE.total_seconds())
    await settled(after)
    assert wire.ids("slow") == [first, first]
    assert await states(house, "slow") == [DeliveryState.delivered]


async def test_a_clock_that_jumps_past_a_lease_sends_nothing_beside_itself(
    house: House, wire: Wire, deliveries: Deliveries
) -> None:
    awake = asyncio.Event()

    async def refuses_late(due: Due, now: datetime) -> Tried:
        await awake.wait()
        return Tried(503, "503 Service Unavailable", now + timedelta(hours=1))

    for name in ("a", "b", "c"):
        await listens(house, wire, name, refuses_late)
    await tell(house, 2)
    await deliveries.round()
    assert deliveries.on_their_way == 6
    for _ in range(2):
        house.clock.advance(LEASE.total_seconds() + 1)
        await deliveries.round()
    assert deliveries.on_their_way == 6
    awake.set()
    await settled(deliveries)
    assert len(wire.sent) == len(set(wire.sent)) == 6
    house.clock.advance(HOUR)
    for name in ("a", "b", "c"):
        wire.answers[name] = accepts
    for _ in range(2):
        await settled(deliveries)
        house.clock.advance(REST.total_seconds())
    assert len(wire.sent) == 12
    for name in ("a", "b", "c"):
        assert await states(house, name) == [DeliveryState.delivered] * 2


async def test_an_event_is_given_up_after_a_day(house: House, wire: Wire, deliveries: Deliveries) -> None:
    await listens(house, wire, "down", refuses)
    await tell(house, 1)
    for hour in range(25):
        assert await states(house, "down") == [DeliveryState.waiting], f"given up after {hour} hours"
        await settled(deliveries)
        house.clock.advance(HOUR)
    assert await states(house, "down") == [DeliveryState.failed]
    assert len(wire.sent) == 25
    await settled(deliveries)
    assert len(wire.sent) == 25


async def test_a_sender_that_fails_in_itself_is_given_up_too(house: House, wire: Wire, deliveries: Deliveries) -> None:
    await listens(house, wire, "broken", crashes)
    await listens(house, wire, "fine", accepts)
    await tell(house, 1)
    await settled(deliveries)
    assert (await states(house, "broken"), await states(house, "fine")) == (
        [DeliveryState.waiting],
        [DeliveryState.delivered],
    )
    [waiting] = await house.store.deliveries("w", endpoint="broken")
    assert waiting.next_at == house.clock.now() + LEASE
    house.clock.advance(24 * HOUR)
    await settled(deliveries)
    assert await states(house, "broken") == [DeliveryState.failed]


async def test_one_that_is_gone_is_asked_no_more(house: House, wire: Wire, deliveries: Deliveries) -> None:
    await listens(house, wire, "gone", is_gone)
    await tell(house, 10)
    await settled(deliveries)
    assert len(wire.sent) <= AT_ONCE
    assert await states(house, "gone") == [DeliveryState.failed] * 10
    assert (await house.store.endpoint("w", "gone")).off_at == house.clock.now()


async def test_one_is_switched_off_after_five_days_without_a_success(
    house: House, wire: Wire, deliveries: Deliveries
) -> None:
    await listens(house, wire, "down", refuses)
    for day in range(6):
        assert (await house.store.endpoint("w", "down")).off_at is None, f"off after {day} days"
        await tell(house, 1)
        await settled(deliveries)
        house.clock.advance(24 * HOUR)
    off = await house.store.endpoint("w", "down")
    assert off.off_reason == "The receiver accepted nothing for 5 days"
    sent = len(wire.sent)
    await tell(house, 1)
    await settled(deliveries)
    assert len(wire.sent) == sent


async def test_one_that_fails_rests_between_two_tries(house: House, wire: Wire, deliveries: Deliveries) -> None:
    await listens(house, wire, "down", refuses)
    await tell(house, 10)
    await settled(deliveries)
    first = len(wire.sent)
    assert first <= AT_ONCE
    await settled(deliveries)
    assert len(wire.sent) == first
    house.clock.advance(REST.total_seconds())
    await settled(deliveries)
    assert len(wire.sent) == first + 1
    wire.answers["down"] = accepts
    house.clock.advance(REST.total_seconds())
    await settled(deliveries)
    assert len(wire.sent) == 10, "all that was not tried yet, at once"


async def test_a_clock_that_is_set_back_makes_no_rest_longer(house: House, wire: Wire, deliveries: Deliveries) -> None:
    await listens(house, wire, "down", refuses)
    await tell(house, 1)
    await settled(deliveries)
    house.clock.advance(-HOUR)
    await tell(house, 1)
    await settled(deliveries)
    assert len(wire.sent) == 2


async def test_what_was_not_asked_for_is_no_success_and_no_failure(
    house: House, wire: Wire, deliveries: Deliveries
) -> None:
    await listens(house, wire, "other words", not_asked_for)
    await tell(house, 10)
    await settled(deliveries)
    assert len(wire.sent) == 10, "it does not rest"
    assert await states(house, "other words") == [DeliveryState.delivered] * 10
    assert (await house.store.endpoint("w", "other words")).delivered_at is None


async def test_one_that_answers_quickly_has_more_on_their_way(house: House, wire: Wire, deliveries: Deliveries) -> None:
    await listens(house, wire, "quick", accepts)
    await tell(house, 100)
    most = 0
    async with patience():
        await deliveries.round()
        while deliveries.on_their_way:
            most = max(most, deliveries.on_their_way)
            await asyncio.sleep(0)
            await deliveries.round()
    assert AT_ONCE < most <= QUICK_AT_ONCE
    assert await states(house, "quick") == [DeliveryState.delivered] * 100


async def test_what_cannot_be_written_down_stays_in_hand(
    house: House, wire: Wire, deliveries: Deliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    await listens(house, wire, "fine", accepts)
    await tell(house, 1)
    await deliveries.round()
    await wire.reached("fine", 1)

    async def is_down(tries: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(house.store, "settle_deliveries", is_down)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await deliveries.round()
    assert deliveries.on_their_way == 1
    await settled(deliveries)
    assert len(wire.sent) == 1
    assert await states(house, "fine") == [DeliveryState.delivered]


async def test_what_is_told_in_this_process_is_sent_soon(house: House, wire: Wire, deliveries: Deliveries) -> None:
    house.hints.event = deliveries.hint
    await listens(house, wire, "fine", accepts)
    deliveries.seconds = 3600.0
    deliveries.start()
    batch = await house.submit(1)
    await house.store.pause("w", batch, "p")
    house.hints.event()
    await wire.reached("fine", 1)
