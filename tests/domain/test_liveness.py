"""Who is dead and who is frozen, by the looks of one observer."""

from collections.abc import Sequence

import pytest

from covey.domain.liveness import Look, Observer, Verdict

ME = "me"
OLD = 0.0
"""A session that began long before the looks of these tests."""

Step = tuple[float, Sequence[Look]]


def held(worker: str = "other", age: float = 0.5) -> Look:
    return Look(worker, True, age)


def free(worker: str = "other", age: float = 0.5) -> Look:
    return Look(worker, False, age)


def every(start: float, end: float, *looks: Look) -> list[Step]:
    """The same look twice a second from `start` to `end`, one's own lock held."""
    return [(start + n / 2, [held(ME), *looks]) for n in range(int((end - start) * 2) + 1)]


def verdicts(observer: Observer, steps: Sequence[Step], session: float | None = OLD) -> list[tuple[float, Verdict]]:
    """What came of the looks, where anything came of them."""
    seen = [(at, observer.look(looks, at, session)) for at, looks in steps]
    return [(at, verdict) for at, verdict in seen if verdict != Verdict()]


DEAD = Verdict(dead=("other",))
FROZEN = Verdict(frozen=("other",))

HISTORIES: dict[str, tuple[list[Step], list[tuple[float, Verdict]]]] = {
    "all is well": (every(100, 200, held()), []),
    "free for two seconds": (every(100, 102, free()), [(102, DEAD)]),
    "free for less": (every(100, 101.5, free()), []),
    "named until it is given up": (every(100, 103, free()), [(102, DEAD), (102.5, DEAD), (103, DEAD)]),
    "back for one look": (every(100, 101.5, free()) + every(102, 102, held()) + every(102.5, 104, free()), []),
    "gone from the list": (every(100, 101.5, free()) + every(102, 102) + every(102.5, 104, free()), []),
    "never oneself": ([(100 + n / 2, [free(ME), held()]) for n in range(100)], []),
    "a gap between two looks": (every(100, 101.5, free()) + every(103.5, 105, free()), []),
    "a gap, then long enough": (every(100, 101.5, free()) + every(103.5, 105.5, free()), [(105.5, DEAD)]),
    "a late look is no gap yet": (every(100, 100.5, free()) + every(102, 102, free()), [(102, DEAD)]),
    "one's own lock is free": ([*every(100, 101.5, free()), (102, [free(ME), free()]), *every(102.5, 104, free())], []),
    "one is not in the list": ([(100 + n / 2, [free()]) for n in range(100)], []),
    "silent for thirty seconds": (
        [(100 + n / 2, [held(ME), held(age=25 + n / 2)]) for n in range(11)],
        [(105, FROZEN)],
    ),
    "silent at the first look, as after a standstill of the database": (
        every(100, 101.5, held(age=61)) + every(102, 105, held()),
        [],
    ),
    "silent at every look": (every(100, 102, held(age=61)), [(102, FROZEN)]),
    "silent, and a gap": (every(100, 101.5, held(age=61)) + every(103.5, 105, held(age=61)), []),
    "frozen, ended, dead": (
        every(100, 102, held(age=61)) + every(102.5, 104.5, free(age=64)),
        [(102, FROZEN), (104.5, DEAD)],
    ),
    "silent and free is not frozen": (every(100, 101.5, free(age=61)), []),
    "a database's clock set back": (every(100, 110, held(age=-3600)), []),
}


@pytest.mark.parametrize(("steps", "expected"), HISTORIES.values(), ids=HISTORIES.keys())
def test_histories(steps: list[Step], expected: list[tuple[float, Verdict]]) -> None:
    assert verdicts(Observer(ME), steps) == expected


def test_after_a_restart_of_the_database_everybody_has_thirty_seconds() -> None:
    observer = Observer(ME)
    assert verdicts(observer, every(100, 110, held())) == []
    assert verdicts(observer, every(110.5, 115), session=None) == []
    assert verdicts(observer, every(115.5, 145, free()), session=115.5) == []
    assert verdicts(observer, every(145.5, 145.5, free()), session=115.5) == [(145.5, DEAD)]


def test_who_was_seen_alive_in_this_session_has_two() -> None:
    observer = Observer(ME)
    assert verdicts(observer, every(100, 100, held()), session=99) == []
    assert verdicts(observer, every(100.5, 102.5, free()), session=99) == [(102.5, DEAD)]


def test_what_was_seen_in_an_earlier_session_is_forgotten() -> None:
    observer = Observer(ME)
    assert verdicts(observer, every(100, 100, held()), session=99) == []
    assert verdicts(observer, every(100.5, 110, free()), session=100.5) == []


def test_a_gap_does_not_forget_who_was_seen_alive() -> None:
    observer = Observer(ME)
    assert verdicts(observer, every(100, 100, held()), session=99) == []
    assert verdicts(observer, every(110, 112, free()), session=99) == [(112, DEAD)]


def test_one_seen_alive_vouches_for_no_other() -> None:
    observer = Observer(ME)
    assert verdicts(observer, every(100, 100, held("a"), free("b")), session=99) == []
    expected = [(102.5, Verdict(dead=("a",)))]
    assert verdicts(observer, every(100.5, 102.5, free("a"), free("b")), session=99) == expected


def test_without_a_session_nobody_is_judged() -> None:
    steps = every(100, 110, free("a"), held("b", age=61))
    assert verdicts(Observer(ME), steps, session=None) == []


def test_a_slow_look_counts_from_its_answer_to_its_question() -> None:
    observer = Observer(ME)
    looks = [held(ME), free()]
    found = [observer.look(looks, at, OLD, took) for at, took in [(100, 1), (101, 0.9), (102, 0.9), (102.9, 0.9)]]
    assert found == [Verdict(), Verdict(), Verdict(), DEAD]
