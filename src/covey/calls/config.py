"""What a batch of calls keeps, frozen when it is accepted: the configuration of the batch and the input of a row.

The API writes both, the runner reads both; neither ever changes afterwards.
"""

from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

KIND = "calls"
"""The kind of a batch of calls."""

RETRIED_CODES = ("busy", "no_answer", "unavailable")
"""The failures that are tried again (contract 12.12); `voicemail` joins them if the agent says so."""


class RetryPlan(BaseModel):
    """When a failed call is tried again. `gaps` are seconds from the end of an attempt, the last one repeats."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gaps: Annotated[tuple[float, ...], Field(min_length=1)] = (3600.0,)
    codes: tuple[str, ...] = RETRIED_CODES

    def gap(self, tries: int, least: float) -> float:
        """The seconds to wait after attempt number `tries` (1-based) that reached the network, at least `least`: plans
        that were frozen before there was a least gap may have shorter ones."""
        return max(least, self.gaps[min(tries, len(self.gaps)) - 1])


class CallsConfig(BaseModel):
    """The frozen configuration of a batch of calls.

    `agent` is the whole agent as it was (an `Agent` dump), `agent_id` where it came from. `trunk` is the name of
    the trunk and of the lane. `columns` are the list's headers in their order. `retry` is None when nothing is
    retried. `callback_url` is where a single call's end is reported.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    agent: dict[str, Any]
    agent_id: str
    trunk: str
    live: bool
    region: str | None = None
    columns: tuple[str, ...] = ()
    phone_column: str = "phone_number"
    retry: RetryPlan | None = None
    recording: bool = False
    callback_url: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    def dump(self) -> bytes:
        """As the store keeps it."""
        return self.model_dump_json().encode()

    @classmethod
    def load(cls, config: bytes) -> "CallsConfig":
        """From what `dump` wrote. Raises pydantic.ValidationError."""
        return cls.model_validate_json(config)

    @staticmethod
    def columns_of(config: bytes) -> tuple[tuple[str, ...], str]:
        """The columns and the phone column of a kept configuration, without reading the rest."""
        kept = orjson.loads(config)
        return tuple(kept.get("columns", ())), str(kept.get("phone_column", "phone_number"))


class Row(BaseModel):
    """The input of one call: `row` is its line in the file, `values` its cells by column."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    row: int
    values: dict[str, str]

    @classmethod
    def load(cls, data: bytes) -> "Row":
        """From an item's `input`, quickly: what is not there is empty."""
        held = orjson.loads(data) if data else {}
        return cls.model_construct(row=held.get("row", 0), values=held.get("values", {}))

    def dump(self) -> bytes:
        """As the store keeps it."""
        return orjson.dumps({"row": self.row, "values": self.values})
