"""The set of the numbers that a list has had."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from covey.calls.intake.number_set import NumberSet

NUMBERS = st.integers(1, 10**15) | st.integers(1, 50) | st.integers(1, 10**6).map(lambda n: n << 20)


@given(st.lists(NUMBERS, max_size=3_000))
def test_it_knows_what_it_has(numbers: list[int]) -> None:
    seen, right = NumberSet(), set[int]()
    for number in numbers:
        assert seen.add(number) is (number not in right)
        right.add(number)
    assert len(seen) == len(right)


def test_numbers_in_step_do_not_collide_and_take_little_room() -> None:
    """Places by the last digits, or by Python's own hash, would put all of these into one row."""
    seen = NumberSet()
    for number in range(1, 200_001):
        assert seen.add(number << 22)
    assert not seen.add(1 << 22)
    assert len(seen) == 200_000
    assert sys.getsizeof(seen._slots) < 200_000 * 34
