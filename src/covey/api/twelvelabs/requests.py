"""The bodies that this API takes (`contracts/twelvelabs.md` sections 3 and 9.2). An explicit null is an absent field.

What one field alone may be is said here; what fields mean together is in `covey.api.twelvelabs.rules`.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from covey.analysis.config import Wanted
from covey.api.bodies import Known

MOST_TOKENS = 98_304
LEAST_TOKENS = {"general": 512, "time_based_metadata": 2048}

Mode = Literal["general", "time_based_metadata"]
Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Duration = Annotated[float, Field(ge=2, allow_inf_nan=False)]
Definitions = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=20, fail_fast=True)]
CustomId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
ModelName = Annotated[str, Field(min_length=1, max_length=80, description="A name in the server's settings")]


_VIDEOS_ONLY = "videos only; an image may go with a question about a video, in media_sources of prompt_v2"


class Part(Known):
    """A part of a body: no keys but these, and no value but of the right type."""

    model_config = ConfigDict(strict=True)


class MediaSource(Part):
    """An image that a prompt names as `<@name>`: exactly one of `url`, `asset_id`, `base64_string`."""

    name: Text
    media_type: Literal["image"]
    url: str | None = None
    asset_id: str | None = None
    base64_string: str | None = None


class Prompt(Part):
    """A question, and at most four images that it names."""

    input_text: Text
    media_sources: Annotated[list[MediaSource], Field(max_length=4, fail_fast=True)] | None = None


class ResponseFormat(Part):
    """The form of the answer: a JSON schema in mode general, definitions of segments in mode time_based_metadata."""

    type: Literal["json_schema", "segment_definitions"]
    json_schema: dict[str, Any] | None = None
    segment_definitions: Definitions | None = None
    segment_time_format: Literal["seconds", "hh:mm:ss", "hh:mm:ss.fff"] | None = None


class Options(Part):
    """What may be said for every item and for one."""

    response_format: ResponseFormat | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=512, le=MOST_TOKENS)] | None = None
    min_segment_duration: Duration | None = None
    max_segment_duration: Duration | None = None
    start_time: Seconds | None = None
    end_time: Seconds | None = None


class Defaults(Options):
    """What holds for every item that says nothing else."""

    prompt: Prompt | None = None


class BatchVideo(Part):
    """A video: `asset_id`, or `url`, of which the server makes an asset when the item's turn comes."""

    type: Literal["asset_id", "url"]
    asset_id: str | None = None
    url: str | None = None


class BatchItem(Defaults):
    """One video of a batch, and what is asked about it."""

    video: BatchVideo
    custom_id: CustomId | None = None


class CreateBatch(Part):
    """A batch: up to a thousand videos, all in one mode. `max_cost` is Covey's own: what the batch may cost at most, a
    decimal number as text, in the unit of the workspace's prices."""

    model_name: ModelName
    analysis_mode: Mode
    requests: Annotated[list[BatchItem], Field(min_length=1, fail_fast=True)]
    defaults: Defaults | None = None
    max_cost: Annotated[str, Field(max_length=40)] | None = None


class TaskVideo(Part):
    """A video by its asset, by an address, or as it is."""

    type: Literal["asset_id", "url", "base64_string"]
    asset_id: str | None = None
    url: str | None = None
    base64_string: str | None = None


class Single(Options):
    """What is asked about one video alone."""

    @model_validator(mode="before")
    @classmethod
    def _videos_only(cls, data: Any) -> Any:
        """An image in the place of the video is refused by its name, before the video is missed."""
        if isinstance(data, dict) and data.get("image") is not None:
            error = PydanticCustomError("image", _VIDEOS_ONLY)
            details = InitErrorDetails(type=error, loc=("image",), input=None)
            raise ValidationError.from_exception_data(cls.__name__, [details])
        return data


class Analyze(Single):
    """An analysis that is waited for. With `stream` the answer is NDJSON."""

    model_name: ModelName | None = None
    video: TaskVideo
    prompt: Text | None = None
    prompt_v2: Prompt | None = None
    stream: bool | None = None


class CreateTask(Single):
    """A single analysis."""

    model_name: ModelName | None = None
    video: TaskVideo
    prompt: Text | None = None
    prompt_v2: Prompt | None = None
    analysis_mode: Mode | None = None
    custom_id: CustomId | None = None


def wanted(options: Options, prompt: Prompt | None) -> Wanted:
    """What is asked, as the runner reads it."""
    names = Options.model_fields
    said = {name: getattr(options, name) for name in names if name != "response_format"}
    form = options.response_format.model_dump(exclude_none=True) if options.response_format else None
    if form is not None and options.response_format is not None and options.response_format.json_schema is not None:
        form["json_schema"] = options.response_format.json_schema  # as it was sent: null means something in a schema
    return Wanted(prompt=prompt.model_dump(exclude_none=True) if prompt else None, response_format=form, **said)
