"""What a batch of analyses keeps, frozen when it is accepted: the batch's defaults and the input of an item.

The API writes both, the runner reads both; neither ever changes afterwards. Field names are the wire's
(`docs/contracts/twelvelabs.md` section 3).
"""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

KIND = "analysis"
"""The kind of a batch of analyses."""

MODEL_LANE = "model:"
"""The lane of a model is its name behind this."""


def lane_of(model: str) -> str:
    """The lane of a model."""
    return f"{MODEL_LANE}{model}"


class Mode(StrEnum):
    """What is asked of every item of a batch: an answer to a prompt, or segments with times."""

    general = "general"
    time_based_metadata = "time_based_metadata"


class Wanted(BaseModel):
    """What is asked about one video; every field may be in the batch's defaults, in the item, or in neither.

    `prompt` is `{"input_text", "media_sources"?}`, `response_format` one of `{"type": "json_schema", "json_schema"}`
    and `{"type": "segment_definitions", "segment_definitions", "segment_time_format"?}`. Times are seconds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    min_segment_duration: float | None = None
    max_segment_duration: float | None = None
    start_time: float | None = None
    end_time: float | None = None

    def over(self, defaults: "Wanted") -> "Wanted":
        """This, and where it says nothing what `defaults` say. Whole objects replace each other."""
        given = self.model_dump(exclude_none=True)
        return Wanted.model_validate({**defaults.model_dump(exclude_none=True), **given})


class AnalysisConfig(BaseModel):
    """The frozen configuration of a batch of analyses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    mode: Mode
    defaults: Wanted = Field(default_factory=Wanted)

    def dump(self) -> bytes:
        """As the store keeps it."""
        return self.model_dump_json(exclude_none=True).encode()

    @classmethod
    def load(cls, config: bytes) -> "AnalysisConfig":
        """From what `dump` wrote. Raises pydantic.ValidationError."""
        return cls.model_validate_json(config)


class ItemInput(BaseModel):
    """The input of one item: the asset, or the address of which one is made when the item's turn comes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    asset: str | None = None
    url: str | None = None
    wanted: Wanted = Field(default_factory=Wanted)

    def dump(self) -> bytes:
        """As the store keeps it."""
        return self.model_dump_json(exclude_none=True).encode()

    @classmethod
    def load(cls, data: bytes) -> "ItemInput":
        """From what `dump` wrote. Raises pydantic.ValidationError."""
        return cls.model_validate_json(data)
