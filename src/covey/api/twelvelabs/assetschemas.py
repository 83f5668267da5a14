"""The shapes of the answers about assets (`contracts/twelvelabs.md` section 9.1), as typed dictionaries."""

from typing import Any

from typing_extensions import TypedDict

from covey.api.trillet.schemas import closed
from covey.api.twelvelabs.requests import Part
from covey.api.twelvelabs.schemas import Fault, PageInfo


class MetadataIn(Part):
    """What an owner keeps with an asset: strings, numbers, booleans and lists of strings."""

    user_metadata: dict[str, Any]


class _Identified(TypedDict):
    _id: str


@closed
class AssetOut(_Identified):
    """A file, and what was found in it. There are no playlists and no thumbnails."""

    method: str
    status: str
    filename: str
    file_type: str | None
    created_at: str
    user_metadata: dict[str, Any] | None
    size: int | None
    duration: float | None
    technical_metadata: dict[str, Any] | None
    hls: None
    thumbnail: None
    error: Fault | None


@closed
class AssetPage(TypedDict):
    """A page of assets, newest first."""

    data: list[AssetOut]
    page_info: PageInfo
