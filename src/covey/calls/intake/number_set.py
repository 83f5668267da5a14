"""Which numbers a list has had: as a set of Python's, a million of them would take 80 MB, here they take 16."""

import secrets
from array import array

_BITS = 64
_MASK = (1 << _BITS) - 1
_FIRST_SIZE_BITS = 10


class NumberSet:
    """A set of whole numbers from 1 to 2⁶⁴ - 1: a table with open addresses, at most half full.

    Places come from a random factor (multiplicative hashing), so that nobody can write a list whose numbers collide.
    """

    def __init__(self) -> None:
        self._factor = secrets.randbits(_BITS) | 1
        self._count = 0
        self._resize(_FIRST_SIZE_BITS)

    def __len__(self) -> int:
        return self._count

    def add(self, number: int) -> bool:
        """Whether `number` is new; it is in the set from then on."""
        slots, last = self._slots, self._last
        place = (number * self._factor & _MASK) >> self._shift
        while found := slots[place]:
            if found == number:
                return False
            place = place + 1 & last
        slots[place] = number
        self._count += 1
        if self._count << 1 > last:
            self._grow()
        return True

    def _resize(self, bits: int) -> None:
        self._slots = array("Q", bytes(8 << bits))
        self._last = (1 << bits) - 1
        self._shift = _BITS - bits

    def _grow(self) -> None:
        slots, self._count = self._slots, 0
        self._resize(_BITS - self._shift + 1)
        for number in filter(None, slots):
            self.add(number)
