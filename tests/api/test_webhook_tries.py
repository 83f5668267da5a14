"""When a delivery is tried again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from covey.api.webhooks.sender import next_try, retry_after
from covey.domain.webhook import Delivery, DeliveryState, Endpoint
from covey.fetch import Fetched
from covey.settings import Webhooks
from covey.store.results import Due

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def _due(attempts: int, at: datetime = NOW) -> Due:
    made = Endpoint("e" * 24, "ws", "https://x.example/", "standard", (), (), NOW)
    state = DeliveryState.waiting
    return Due(
        Delivery("d" * 24, made.id, "ws", "b" * 24, None, "batch.completed", at, {}, state, attempts, None), made
    )


def test_tries_grow_apart_and_end() -> None:
    settings = Webhooks()
    for attempts, seconds in ((1, 5), (2, 30), (3, 120), (4, 600), (5, 1800), (6, 3600), (7, 7200), (40, 7200)):
        again = next_try(_due(attempts), NOW, settings)
        assert again is not None
        assert seconds * 0.8 <= (again - NOW).total_seconds() <= seconds * 1.2
    assert len({next_try(_due(5), NOW, settings) for _ in range(20)}) > 1
    assert next_try(_due(7, NOW - timedelta(hours=23)), NOW, settings) is None
    assert next_try(_due(1), NOW, settings, timedelta(hours=1)) == NOW + timedelta(hours=1)
    assert next_try(_due(1), NOW, settings, timedelta(hours=25)) == NOW + timedelta(hours=24)
    assert next_try(_due(1, NOW - timedelta(hours=24)), NOW, settings, timedelta(hours=1)) is None


@pytest.mark.parametrize("said", ["Fri, 31 Dec 9999 23:59:59 -2300", "999999999"])
def test_a_receiver_that_wants_to_be_asked_too_late_is_asked_at_the_end(said: str) -> None:
    wait = retry_after(Fetched(503, {"retry-after": said}, b""), NOW)
    assert wait is not None
    assert next_try(_due(1), NOW, Webhooks(), wait) == NOW + timedelta(hours=24)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("9" * 30, None),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 99999999999999999999 Jan 2026 00:00:00 GMT", None),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999", None),
        ("Mon, 01 Jan 2026 25:61:61 GMT", None),
        ("Thu, 01 Jan 0001 00:00:00 +2359", 0.0),
    ],
)
def test_a_receiver_may_say_when(said: str, seconds: float | None) -> None:
    found = retry_after(Fetched(503, {"retry-after": said}, b""), NOW)
    assert (None if found is None else found.total_seconds()) == seconds
