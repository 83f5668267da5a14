"""What a workspace's runs cost: the part `prices` of its settings, kind by kind."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import ConfigDict, Field

from covey.api.kit.blank import Fields
from covey.api.kit.numerals import Exact
from covey.domain.account import Workspace
from covey.domain.errors import BadRequest
from covey.domain.usage import Prices, Units

MILLIONTHS = 1_000_000

Price = Annotated[Exact, Field(ge=0, le=1_000_000, max_digits=24, decimal_places=12)]


class CallPrices(Fields):
    """What a call costs, in the workspace's own unit of money: a second of talk, a call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    perSecond: Price = Decimal(0)
    perItem: Price = Decimal(0)


class AnalysisPrices(CallPrices):
    """What an analysis costs: a second of video, an item, a token in and out."""

    perTokenIn: Price = Decimal(0)
    perTokenOut: Price = Decimal(0)


class WorkspacePrices(Fields):
    """The prices of a workspace; nothing costs anything by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    calls: CallPrices | None = None
    analysis: AnalysisPrices | None = None


def price_list(workspace: Workspace) -> WorkspacePrices:
    """The prices that a workspace has set. Raises pydantic.ValidationError."""
    return WorkspacePrices.model_validate(workspace.settings.get("prices") or {})


def prices_of(workspace: Workspace, kind: str) -> Prices:
    """The prices of a kind of batch (`calls`, `analysis`). Raises pydantic.ValidationError."""
    held = price_list(workspace)
    found = {"calls": held.calls, "analysis": held.analysis}.get(kind)
    if found is None:
        return Prices()
    tokens = found if isinstance(found, AnalysisPrices) else AnalysisPrices()
    return Prices(
        item=float(found.perItem * MILLIONTHS),
        second=float(found.perSecond * MILLIONTHS),
        token_in=float(tokens.perTokenIn * MILLIONTHS),
        token_out=float(tokens.perTokenOut * MILLIONTHS),
    )


def money(millionths: int) -> str:
    """An amount as a decimal number in the workspace's unit."""
    return f"{Decimal(millionths) / MILLIONTHS:f}"


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
