"""What a batch may cost: the amount that a client says, and the most that one run can come to."""

import re
from dataclasses import dataclass
from decimal import Decimal

from covey.api.prices import MILLIONTHS, money
from covey.domain.errors import BadRequest
from covey.domain.usage import Prices, Units

NO_PRICES = "no_prices"

_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Budget:
    """In millionths: what a batch may cost (None: anything), and what is reserved for one run of it."""

    max_cost: int | None = None
    run_cost: int = 0

    @property
    def warnings(self) -> list[str]:
        """A sentence if it does not pay for a single run."""
        if self.max_cost is None or self.max_cost >= self.run_cost:
            return []
        most = money(self.run_cost)
        return [f"{money(self.max_cost)} does not pay for one item, which may cost {most}: nothing will be started"]


ANYTHING = Budget()


def amount(field: str, text: str) -> int:
    """An amount of money, in millionths. Raises BadRequest naming the field."""
    found = int(Decimal(text) * MILLIONTHS) if _AMOUNT.fullmatch(text) else 0
    if not found:
        raise BadRequest(
            f"{field}: {text[:40]!r} is not an amount; it takes a decimal number above 0 with at most 6 places, "
            "such as 25.00",
            code="bad_amount",
        )
    return found


def budget(field: str, max_cost: int, prices: Prices, longest: Units, kind: str) -> Budget:
    """The budget of a batch whose runs use at most `longest`. Raises BadRequest where nothing costs anything."""
    run_cost = prices.cost(longest)
    if not run_cost:
        raise BadRequest(
            f"{field}: the workspace has no prices for {kind}, so nothing would ever count towards it; whoever runs "
            f"the server sets them as settings.prices.{kind} of the workspace",
            code=NO_PRICES,
        )
    return Budget(max_cost, run_cost)
