"""The bodies that this API takes (`docs/contracts/twelvelabs.md` sections 3 and 9.2). A null is an absent field.

What one field alone may be is said here; what fields mean together below.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from covey.analysis.config import Mode, Wanted
from covey.analysis.schema import SchemaError, check_media_sources, check_request_schema, check_segments
from covey.analysis.schema.patterns import Patterns
from covey.analysis.schema.segments import has_time_ranges
from covey.api.kit.bodies import Known
from covey.api.kit.context import Context
from covey.domain.errors import BadRequest, CoveyError, Unprocessable
from covey.fetch import FetchRefused, check_url
from covey.settings import Model

MOST_TOKENS = 98_304
LEAST_TOKENS = {"general": 512, "time_based_metadata": 2048}

AnalysisMode = Literal["general", "time_based_metadata"]
Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Duration = Annotated[float, Field(ge=2, allow_inf_nan=False)]
Definitions = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=20, fail_fast=True)]
CustomId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
ModelName = Annotated[str, Field(min_length=1, max_length=80, description="A name in the server's settings")]


_VIDEOS_ONLY = "videos only; an image may go with a question about a video, in media_sources of prompt_v2"


class BodyPart(Known):
    """A part of a body: no keys but these, and no value but of the right type."""

    model_config = ConfigDict(strict=True)


class MediaSource(BodyPart):
    """An image that a prompt names as `<@name>`: exactly one of `url`, `asset_id`, `base64_string`."""

    name: Text
    media_type: Literal["image"]
    url: str | None = None
    asset_id: str | None = None
    base64_string: str | None = None


class Prompt(BodyPart):
    """A question, and at most four images that it names."""

    input_text: Text
    media_sources: Annotated[list[MediaSource], Field(max_length=4, fail_fast=True)] | None = None


class ResponseFormat(BodyPart):
    """The form of the answer: a JSON schema in mode general, definitions of segments in mode time_based_metadata."""

    type: Literal["json_schema", "segment_definitions"]
    json_schema: dict[str, Any] | None = None
    segment_definitions: Definitions | None = None
    segment_time_format: Literal["seconds", "hh:mm:ss", "hh:mm:ss.fff"] | None = None


class Options(BodyPart):
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


class BatchVideo(BodyPart):
    """A video: `asset_id`, or `url`, of which the server makes an asset when the item's turn comes."""

    type: Literal["asset_id", "url"]
    asset_id: str | None = None
    url: str | None = None


class BatchItem(Defaults):
    """One video of a batch, and what is asked about it."""

    video: BatchVideo
    custom_id: CustomId | None = None


class CreateBatch(BodyPart):
    """A batch: up to a thousand videos, all in one mode. `max_cost` is Covey's own: what the batch may cost at most, a
    decimal number as text, in the unit of the workspace's prices."""

    model_name: ModelName
    analysis_mode: AnalysisMode
    requests: Annotated[list[BatchItem], Field(min_length=1, fail_fast=True)]
    defaults: Defaults | None = None
    max_cost: Annotated[str, Field(max_length=40)] | None = None


class TaskVideo(BodyPart):
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
    analysis_mode: AnalysisMode | None = None
    custom_id: CustomId | None = None


def wanted(options: Options, prompt: Prompt | None) -> Wanted:
    """What is asked, as the runner reads it."""
    names = Options.model_fields
    said = {name: getattr(options, name) for name in names if name != "response_format"}
    form = options.response_format.model_dump(exclude_none=True) if options.response_format else None
    if form is not None and options.response_format is not None and options.response_format.json_schema is not None:
        form["json_schema"] = options.response_format.json_schema  # as it was sent: null means something in a schema
    return Wanted(prompt=prompt.model_dump(exclude_none=True) if prompt else None, response_format=form, **said)


NEEDED = "parameter_not_provided"
SHORTEST_WINDOW = 1.0

FORM_OF = {Mode.general: "json_schema", Mode.time_based_metadata: "segment_definitions"}
_SEGMENTS_ONLY = ("min_segment_duration", "max_segment_duration")
_WINDOW = ("start_time", "end_time")


def model_of(ctx: Context, name: str) -> Model:
    """The model of this name, if this workspace may use it. Raises BadRequest naming those it may use, and how the
    operator adds one."""
    models = ctx.services.settings.models
    found = models.get(name)
    if found is not None and _open_to(found, ctx.workspace):
        return found
    known = ", ".join(sorted(each for each, model in models.items() if _open_to(model, ctx.workspace)))
    shown = name[:80]
    raise BadRequest(
        f"model_name: there is no model {shown!r} for this workspace; there are: {known}. The operator adds one with "
        f'these lines in covey.toml: [models.{_key(shown)}] kind = "openai" url = "http://host:port/v1" '
        'model = "the endpoint\'s name for it"',
        available=known.split(", "),
    )


def _open_to(model: Model, workspace: str) -> bool:
    return model.workspaces is None or workspace in model.workspaces


def _key(name: str) -> str:
    plain = name.replace("-", "").replace("_", "").isalnum() and name.isascii()
    return name if plain else '"' + name.replace('"', "") + '"'


def check_video(video: Any, where: str, allow: Iterable[Any]) -> None:
    """Exactly the field that `type` names is there; an address is one that could be asked."""
    named = getattr(video, video.type)
    if not named:
        raise BadRequest(f"{where}.{video.type}: it is required with type {video.type}", code=NEEDED)
    for other in type(video).model_fields:
        if other not in ("type", video.type) and getattr(video, other) is not None:
            raise BadRequest(f"{where}.{other}: the type is {video.type}, so only {video.type} may be said")
    if video.type == "url":
        try:
            check_url(video.url, tuple(allow))
        except FetchRefused as error:
            raise BadRequest(f"{where}.url: {error}") from None


class Checker:
    """Checks one request's options. A form that many items share is looked at once."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._seen: set[int] = set()
        self._patterns = Patterns()

    def check_options(self, wanted: Wanted, where: str) -> None:
        """What one object says: the defaults, or an item."""
        if self._mode is Mode.general:
            for name in _SEGMENTS_ONLY:
                if getattr(wanted, name) is not None:
                    raise BadRequest(f"{where}{name}: only in the mode time_based_metadata")
        elif wanted.prompt is not None:
            raise BadRequest(f"{where}prompt: the mode time_based_metadata takes none; its definitions ask")
        least = LEAST_TOKENS[self._mode.value]
        if wanted.max_tokens is not None and wanted.max_tokens < least:
            raise BadRequest(f"{where}max_tokens: in the mode {self._mode.value} at least {least}")
        if wanted.prompt is not None:
            _told(check_media_sources, wanted.prompt.get("media_sources", []), f"{where}prompt.media_sources")
        if wanted.response_format is not None:
            self._form(wanted.response_format, f"{where}response_format")

    def merged(self, wanted: Wanted, where: str) -> None:
        """What holds for an item, its defaults merged."""
        if self._mode is Mode.general and wanted.prompt is None:
            raise BadRequest(f"{where}prompt: the mode general needs one, here or in the defaults", code=NEEDED)
        if self._mode is Mode.time_based_metadata and wanted.response_format is None:
            message = f"{where}response_format: the mode time_based_metadata needs segment_definitions"
            raise BadRequest(message, code=NEEDED)
        start, end = wanted.start_time, wanted.end_time
        if end is not None and end - (start or 0.0) < SHORTEST_WINDOW:
            raise BadRequest(f"{where}end_time: it is to be at least {SHORTEST_WINDOW:g} s after start_time")
        low, high = wanted.min_segment_duration, wanted.max_segment_duration
        if low is not None and high is not None and high < low:
            raise BadRequest(f"{where}max_segment_duration: it is shorter than min_segment_duration")
        definitions = (wanted.response_format or {}).get("segment_definitions") or []
        if has_time_ranges(definitions):
            for name in (*_WINDOW, *_SEGMENTS_ONLY):
                if getattr(wanted, name) is not None:
                    raise BadRequest(f"{where}{name}: not together with time_ranges of a segment definition")

    def _form(self, form: dict[str, Any], where: str) -> None:
        if id(form) in self._seen:
            return
        self._seen.add(id(form))
        right = FORM_OF[self._mode]
        if form["type"] != right:
            raise BadRequest(f"{where}.type: in the mode {self._mode.value} it is {right}")
        if form.get(right) is None:
            raise BadRequest(f"{where}.{right}: it is required with type {right}", code=NEEDED)
        other = next(name for name in FORM_OF.values() if name != right)
        if form.get(other) is not None:
            raise BadRequest(f"{where}.{other}: the type is {right}")
        if self._mode is Mode.general:
            if form.get("segment_time_format") is not None:
                raise BadRequest(f"{where}.segment_time_format: only with segment_definitions")
            _told(check_request_schema, form[right], f"{where}.{right}", self._patterns)
        else:
            _told(check_segments, form[right], f"{where}.{right}", form.get("segment_time_format"))


def _told(check: Any, *args: Any) -> None:
    """Run a check of the schema's dialect; its refusals are the API's."""
    try:
        check(*args)
    except SchemaError as error:
        kind: type[CoveyError] = Unprocessable if error.status == Unprocessable.status else BadRequest
        raise kind(error.message, code=error.code) from None
