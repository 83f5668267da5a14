"""Ids, hours, start times, errors: what holds for all values."""

import itertools
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.domain.errors import CoveyError, NotFound
from covey.domain.hours import next_opening, parse_hours, zones
from covey.domain.ids import MAX_ITEMS, is_id, item_id, new_id, split_item_id
from covey.domain.lane import SPACING, START_HORIZON, gap, open_for, start_times

from ..clock import NOON

moments = st.integers(0, 15 * 365 * 86_400).map(
    lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(0, seconds)
)
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")


@given(moments, st.integers(0, MAX_ITEMS - 1))
def test_an_items_id_leads_back_to_its_batch(now: datetime, seq: int) -> None:
    batch = new_id(now)
    item = item_id(batch, seq)
    assert is_id(batch)
    assert is_id(item)
    assert split_item_id(item) == (batch, seq)
    assert batch < item
    assert split_item_id(batch) is None


@given(moments, moments)
def test_ids_are_ordered_by_the_second_they_were_made_in(one: datetime, other: datetime) -> None:
    if int(one.timestamp()) < int(other.timestamp()):
        assert new_id(one) < new_id(other)


@pytest.mark.parametrize("seq", [-1, MAX_ITEMS])
def test_no_item_lies_outside_its_batch(seq: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        item_id(new_id(NOON), seq)


@pytest.mark.parametrize("text", ["", "abc", "A" * 24, "g" * 24, "0" * 23, "0" * 25, "0" * 24 + "\n"])
def test_what_is_no_id(text: str) -> None:
    assert not is_id(text)
    assert split_item_id(text) is None


@given(moments, st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True))
def test_the_next_opening_is_open_everywhere_and_nothing_before_it_is(now: datetime, names: list[str]) -> None:
    where = ",".join(names)

    def opened(at: datetime) -> bool:
        return all(time(8) <= at.astimezone(ZoneInfo(name)).time() < time(21) for name in names)

    opening = next_opening("08:00-21:00", where, now)
    assert (opening is None) == opened(now)
    if opening is not None and opening < now + timedelta(days=8):
        assert opening > now
        assert opened(opening)
        assert not opened(opening - timedelta(minutes=1))
        steps = int((opening - now) / timedelta(minutes=15))
        assert not any(opened(now + timedelta(minutes=15 * n)) for n in range(steps))


def test_hours_that_never_come_together_wait_for_long() -> None:
    assert next_opening("11:00-12:00", "Asia/Tokyo,America/New_York", NOON) == NOON + timedelta(days=8)


def test_hours_may_last_until_midnight_and_default_to_utc() -> None:
    assert next_opening("08:00-24:00", None, NOON.replace(hour=23, minute=59)) is None
    assert next_opening("08:00-24:00", None, NOON.replace(hour=7, minute=30)) == NOON.replace(hour=8)


@pytest.mark.parametrize(
    "text", ["", "8-21", "08:00", "21:00-08:00", "08:00-08:00", "25:00-26:00", "08:00-21:00 ", "08:60-09:00"]
)
def test_hours_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="hours"):
        parse_hours(text)


@pytest.mark.parametrize("names", ["", "Europe/Atlantis", "Europe/Paris,", "../etc/passwd"])
def test_zones_that_are_none(names: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        zones(names)


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.floats(-5, 5)), st.one_of(st.none(), st.floats(0.5, 200))),
        min_size=1,
        max_size=2,
    )
)
def test_start_times_keep_every_pace(limits: list[tuple[float | None, float | None]]) -> None:
    paces = [(None if free is None else NOON + timedelta(seconds=free), gap(pace)) for free, pace in limits]
    starts = list(itertools.islice(start_times(NOON, *paces), 100))
    assert all(NOON <= start <= NOON + START_HORIZON for start in starts)
    assert all(free is None or start >= free for free, _ in paces for start in starts)
    for sooner, later in itertools.pairwise(starts):
        assert all(later - sooner >= space for _, space in paces)


@given(st.integers(1, 200))
def test_the_spacing_keeps_a_whole_pace_in_every_second(pace: int) -> None:
    assert gap(pace).total_seconds() * pace >= 1.0
    assert gap(pace).total_seconds() == pytest.approx(SPACING / pace, abs=1e-6)
    assert gap(None) == timedelta(0)


def test_the_breaker_opens_for_longer_each_time_up_to_a_minute() -> None:
    times = [open_for(n).total_seconds() for n in range(1, 40)]
    assert times[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert set(times[6:]) == {60}


def test_an_errors_docstring_is_its_default_text() -> None:
    assert NotFound().message == "There is nothing of this id."
    error = NotFound("no batch x", code="gone", id="x")
    assert (error.message, error.code, error.details, error.status) == ("no batch x", "gone", {"id": "x"}, 404)


def test_every_error_has_a_text_a_status_and_a_code() -> None:
    for kind in CoveyError.__subclasses__():
        assert kind.__doc__
        assert 400 <= kind.status < 600
        assert kind.code != CoveyError.code
