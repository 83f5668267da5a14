"""Why a batch of videos that could go on starts nothing now, in this family's words."""

from collections.abc import Mapping

from covey.analysis.config import MODEL_LANE
from covey.api.kit import holding as kit
from covey.api.kit.services import Services
from covey.api.twelvelabs import convert
from covey.api.twelvelabs import schemas as out
from covey.domain.batch import Batch
from covey.domain.lane import LaneStatus

_CODES = {
    "not_started": "it is busy, and takes no more for now",
    "model_down": "it cannot be reached, or answers that it cannot work",
    "model_key_refused": "it refuses the key that is set for it",
    "network_lost": "the server's own network or its name servers do not answer",
    "no_room": "the server has no room on its disk",
    "storage_unavailable": "the storage of the assets does not answer",
    "model_timeout": "it did not answer in time, again and again",
    "model_error": "it failed again and again",
    "model_reply_malformed": "its answers are not what its API promises, again and again",
}

VIDEOS = kit.LaneVocabulary(
    "model",
    "videos",
    "places of the model",
    "these videos may have been analysed",
    _CODES,
    lambda services, name: name in services.settings.models,
    MODEL_LANE,
)


async def holding(
    services: Services, batch: Batch, lanes: Mapping[str, LaneStatus] | None = None
) -> out.HoldingState | None:
    """What holds `batch` back, on the wire; None if nothing does. `lanes` saves the look-up."""
    found = await kit.holding(services, batch, VIDEOS, lanes)
    if found is None:
        return None
    state: out.HoldingState = {"code": found.code, "message": found.message}
    if found.since is not None:
        state["since"] = convert.time(found.since)
    return state
