"""What a workspace's runs cost: the part `prices` of its settings, kind by kind."""

from decimal import Decimal
from typing import Annotated

from pydantic import ConfigDict, Field

from covey.api.blank import Fields
from covey.api.numerals import Exact
from covey.domain.account import Workspace
from covey.domain.usage import Prices

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
