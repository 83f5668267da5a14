"""The models, and what the analysis of videos may take."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, SecretStr, model_validator

from covey.settings.part import Part, Positive, PositiveFloat

LOCAL_FACTS = "local-facts"


class ModelKind(StrEnum):
    """What answers: the analyser on this machine, or an OpenAI-compatible endpoint."""

    local_facts = "local-facts"
    openai = "openai"


class Model(Part):
    """A name that `model_name` may say, and what stands behind it."""

    kind: ModelKind
    concurrency: Positive = 8
    """The most items at once."""
    starts_per_second: PositiveFloat | None = None
    workspaces: tuple[str, ...] | None = None
    """The workspaces that may use it; None: all."""
    url: str | None = None
    """Of an `openai` model: the endpoint's base URL, which ends in `/v1`."""
    api_key: SecretStr | None = None
    model: str | None = None
    """The endpoint's name for it."""
    video: Literal["frames", "video_url"] = "frames"
    """How the endpoint takes a video: sampled frames as images, or the file itself as a data URL."""
    frames: Annotated[int, Field(ge=1, le=512)] = 32
    """How many frames are sampled over the window."""
    frame_side: Annotated[int, Field(ge=64, le=4096)] = 768
    """The longer side of a frame, in pixels."""
    response_format: bool = True
    """Whether the endpoint is asked for JSON by `response_format`. The answer is checked here either way."""
    transcription_url: str | None = None
    """An OpenAI-compatible base URL for `/audio/transcriptions`; None: no transcript."""
    transcription_key: SecretStr | None = None
    transcription_model: str = "whisper-1"
    context_tokens: Positive | None = None
    """The most tokens that a request to the endpoint may hold. Where tokens in have a price, a batch's `max_cost`
    needs it."""
    timeout_seconds: PositiveFloat = 600.0
    extra: dict[str, Any] = Field(default_factory=dict)
    """More fields of every request, as the endpoint understands them."""

    _DEFAULTS: ClassVar[dict[str, dict[str, Any]]] = {LOCAL_FACTS: {"concurrency": 2}}

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_kind(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {**cls._DEFAULTS.get(str(value.get("kind")), {}), **value}
        return value

    @model_validator(mode="after")
    def _endpoints_say_where(self) -> Self:
        if self.kind is ModelKind.openai:
            missing = [name for name in ("url", "model") if not getattr(self, name)]
            if missing:
                raise ValueError(f"a model of kind openai needs {', '.join(missing)}")
        return self


class Analysis(Part):
    """What the analysis of videos may take. Bytes, seconds and counts."""

    sandbox: Literal["strict", "weak"] = "strict"
    """`weak` goes on where this machine cannot isolate decoders fully; `covey doctor` says what holds."""
    memory_bytes: Positive = 1536 * 1024**2
    """Of one decoder."""
    cpu_seconds: Positive = 3600
    wall_seconds: Positive = 3600
    assets: str | None = None
    """Where assets go: a bucket URL (`s3://…`, `gs://…`, `az://…`); None: the data folder."""
    direct_bytes: Positive = 200 * 1000**2
    url_bytes: Positive = 4 * 1000**3
    image_bytes: Positive = 32 * 1000**2
    min_side: Positive = 1
    """The least pixels of the shorter side of a video; 360 to rehearse the real service."""
    max_pixels: Positive = 8192 * 4320
    """The most pixels of a video's picture, which is also the most a decoder takes; 5184 x 2160 (11197440) to rehearse
    the real service."""
    create_bytes: Positive = 32 * 1024**2
    items: Positive = 1000
    """The most items of a batch."""
    hours: PositiveFloat = 2000.0
    """The most hours of video of a batch."""
    window_seconds: PositiveFloat = 7200.0
    """The longest part of a video that an item may be about."""
    active_batches: Positive = 100
    """The most batches of a workspace that are not over; 5 to rehearse the real service."""
    expire_hours: PositiveFloat = 24.0
