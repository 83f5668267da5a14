"""An asset: a file that a workspace gave the server, so that items can be about it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from covey.domain.run import Json


class AssetState(StrEnum):
    """Whether an asset can be used: it is looked at first."""

    processing = "processing"
    ready = "ready"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file's facts; its bytes lie elsewhere, under its id.

    `kind` and `method` say what it is and how it came, in the words of the API. `size` is bytes, `seconds` how long it
    plays. `source` is the address it was fetched from. `facts` is what was found when it was looked at, `error` a
    sentence why it cannot be used, `notes` JSON that its owner keeps with it.
    """

    id: str
    workspace: str
    name: str
    kind: str
    method: str
    state: AssetState
    created_at: datetime
    size: int | None = None
    seconds: float | None = None
    source: str | None = None
    facts: Json = field(default_factory=dict)
    error: str | None = None
    notes: Json = field(default_factory=dict)
