"""What the fields of a request mean together (`contracts/twelvelabs.md` section 3); no look at the database."""

from collections.abc import Iterable
from typing import Any

from covey.analysis.config import Mode, Wanted
from covey.analysis.schema import SchemaError, check_media_sources, check_request_schema, check_segments
from covey.analysis.schema.patterns import Patterns
from covey.analysis.schema.segments import has_time_ranges
from covey.api.context import Context
from covey.api.twelvelabs.requests import LEAST_TOKENS
from covey.domain.errors import BadRequest, CoveyError, Unprocessable
from covey.fetch import FetchRefused, check_url
from covey.settings import Model

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

    def given(self, wanted: Wanted, where: str) -> None:
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


def _told(check: Any, *given: Any) -> None:
    """Run a check of the schema's dialect; its refusals are the API's."""
    try:
        check(*given)
    except SchemaError as error:
        kind: type[CoveyError] = Unprocessable if error.status == Unprocessable.status else BadRequest
        raise kind(error.message, code=error.code) from None
