"""What is charged: what succeeded, and nothing else. Money is in millionths of whatever unit the prices are in."""

import math
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Units:
    """What one run used: the seconds that it was about, and tokens where something counted them."""

    seconds: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of one item, one second, one token, in millionths."""

    item: float = 0.0
    second: float = 0.0
    token_in: float = 0.0
    token_out: float = 0.0

    def cost(self, units: Units) -> int:
        """What one succeeded run costs, rounded up to a whole millionth."""
        exact = (
            self.item
            + self.second * units.seconds
            + self.token_in * units.tokens_in
            + self.token_out * units.tokens_out
        )
        return math.ceil(round(exact, 6))


@dataclass(frozen=True, slots=True)
class UsageLine:
    """What was used, summed. `day` (UTC), `batch` and `key` are None where the sum goes over them."""

    kind: str
    day: date | None
    batch: str | None
    key: str | None
    items: int
    seconds: float
    tokens_in: int
    tokens_out: int
    cost: int
