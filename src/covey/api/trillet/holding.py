"""Why a batch of calls that could go on starts nothing now (docs/contracts/trillet.md 12.16)."""

from collections.abc import Mapping

from covey.api.kit import holding as kit
from covey.api.kit.services import Services
from covey.api.trillet.convert import SENTENCES
from covey.domain.batch import Batch, Holding
from covey.domain.lane import LaneStatus

CALLS = kit.LaneVocabulary(
    "trunk",
    "calls",
    "channels of the trunk",
    "these numbers may have been called",
    SENTENCES,
    lambda services, name: name in services.trunks,
)


async def holding(services: Services, batch: Batch, lanes: Mapping[str, LaneStatus] | None = None) -> Holding | None:
    """What holds `batch` back; None if nothing does. `lanes` saves the look-up."""
    return await kit.holding(services, batch, CALLS, lanes)
