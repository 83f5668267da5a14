"""Videos, and batches of questions about them: the TwelveLabs API (contract sections 2 to 9)."""

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote

from covey.client.errors import CoveyClientError, NotFound
from covey.client.models import Holding, Raw
from covey.client.reading import items
from covey.client.transport import Json, Transport, shaped
from covey.client.upload import OnProgress, opened

BATCHES = "/v1.3/analyze/batches"
ASSETS = "/v1.3/assets"
TASKS = "/v1.3/analyze/tasks"

ENDED = frozenset({"completed", "canceled", "expired"})
LOOK_SECONDS = 0.5

_NO_ASSET = "0" * 24
"""An id that no asset ever has: a create that names it is checked up to its assets, and refused."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file on the server. `duration` is seconds, `size` bytes; `error` says why it cannot be used."""

    SNAKE: ClassVar[bool] = True

    id: str = field(metadata={"wire": "_id"})
    status: str = ""
    filename: str = ""
    file_type: str | None = None
    size: int | None = None
    duration: float | None = None
    created_at: datetime | None = None
    error: dict[str, Any] = field(default_factory=dict)
    raw: Raw = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class AnalysisBatch:
    """A batch of questions about videos; the five counters add up to `total_items`. `holding` says what holds it back
    (None: nothing does). `spent` and `max_cost` (empty: no limit) are decimal numbers in the unit of the workspace's
    prices."""

    SNAKE: ClassVar[bool] = True

    batch_id: str
    status: str
    model_name: str = ""
    analysis_mode: str = ""
    total_items: int = 0
    queued_items: int = 0
    processing_items: int = 0
    ready_items: int = 0
    failed_items: int = 0
    canceled_items: int = 0
    paused: bool = False
    holding: Holding | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    completed_at: datetime | None = None
    canceled_at: datetime | None = None
    expired_at: datetime | None = None
    deletes_at: datetime | None = None
    max_cost: str = ""
    spent: str = "0"
    raw: Raw = field(default_factory=dict, repr=False)

    @property
    def ended(self) -> bool:
        """Whether no item is queued or processing any more."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class StartedAnalysis:
    """A batch that was accepted: its id, and a task for each request in their order."""

    SNAKE: ClassVar[bool] = True

    batch_id: str
    status: str = ""
    total_items: int = 0
    raw: Raw = field(default_factory=dict, repr=False)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The ids of the tasks."""
        return tuple(str(item["task_id"]) for item in items(self.raw.get("items")))


@dataclass(frozen=True, slots=True)
class AnalysisPage:
    """A page of batches, newest first, and how many there are in all."""

    batches: tuple[AnalysisBatch, ...]
    total: int
    pages: int


class Assets:
    """The files of the workspace."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def upload(self, file: str | os.PathLike[str], *, on_progress: OnProgress | None = None) -> Asset:
        """Upload a file; it is looked at afterwards, see `ready`. Raises OSError, TooLarge."""
        with opened(file, on_progress, None) as (name, upload, _):
            part = (name, upload, "application/octet-stream")
            form = {"method": "direct", "filename": name}
            return await self._transport.get(Asset, ASSETS, "POST", data=form, files={"file": part})

    async def fetch(self, url: str) -> Asset:
        """Have the server fetch a file from an address."""
        parts = {"method": (None, io.BytesIO(b"url")), "url": (None, io.BytesIO(url.encode()))}
        return await self._transport.get(Asset, ASSETS, "POST", files=parts)

    async def get(self, asset_id: str) -> Asset:
        return await self._transport.get(Asset, _under(ASSETS, asset_id))

    async def ready(self, asset_id: str) -> Asset:
        """Wait until the asset was looked at. Raises CoveyClientError if it cannot be used."""
        while True:
            asset = await self.get(asset_id)
            if asset.status == "failed":
                raise CoveyClientError(f"{asset.filename}: {asset.error.get('message') or 'it cannot be used'}")
            if asset.status == "ready":
                return asset
            await asyncio.sleep(LOOK_SECONDS)

    async def list(self) -> AsyncIterator[Asset]:
        """Every asset, newest first, fetched page by page."""
        page = 1
        while True:
            found = await self._transport.json("GET", ASSETS, params={"page": page, "page_limit": 50})
            for each in items(found.get("data")):
                yield shaped(Asset, each)
            if not items(found.get("data")):
                return
            page += 1

    async def delete(self, asset_id: str) -> None:
        await self._transport.json("DELETE", _under(ASSETS, asset_id))


class Analyses:
    """The batches of the profile's workspace. Every method raises NotFound for an id that is not there."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self,
        requests: Sequence[Mapping[str, Any]],
        *,
        model: str,
        mode: str = "general",
        defaults: Mapping[str, Any] | None = None,
        max_cost: str | None = None,
        idempotency_key: str | None = None,
    ) -> StartedAnalysis:
        """Start a batch. `requests` are `{"video": {"type": "asset_id", "asset_id": …}, …}`, in the shape of the API;
        what one leaves out is taken from `defaults`. `max_cost` is what the batch may cost at most, a decimal number in
        the unit of the workspace's prices."""
        body: Json = {"model_name": model, "analysis_mode": mode, "requests": [dict(each) for each in requests]}
        if defaults:
            body["defaults"] = dict(defaults)
        if max_cost is not None:
            body["max_cost"] = max_cost
        headers = {"idempotency-key": idempotency_key} if idempotency_key is not None else {}
        return await self._transport.get(StartedAnalysis, BATCHES, "POST", json=body, headers=headers)

    async def check(
        self,
        requests: Sequence[Mapping[str, Any]],
        *,
        model: str,
        mode: str = "general",
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        """Have the server check all of a create that needs no videos, before they are uploaded: the model, what is
        asked, the custom ids. `requests` have no `video`; nothing is started. Raises what `create` would."""
        nowhere = {"type": "asset_id", "asset_id": _NO_ASSET}
        try:
            named = [{**each, "video": nowhere} for each in requests]
            await self.create(named, model=model, mode=mode, defaults=defaults)
        except NotFound as refused:
            if _NO_ASSET not in refused.message:
                raise

    async def get(self, batch_id: str) -> AnalysisBatch:
        return await self._transport.get(AnalysisBatch, _under(BATCHES, batch_id))

    async def page(self, page: int = 1, limit: int = 20, status: Sequence[str] = ()) -> AnalysisPage:
        """A page of batches, newest first."""
        params: Json = {"page": page, "page_limit": limit, "status": list(status)}
        found = await self._transport.json("GET", BATCHES, params=params)
        info = found.get("page_info") or {}
        batches = tuple(shaped(AnalysisBatch, each) for each in items(found.get("data")))
        return AnalysisPage(batches, int(info.get("total_results") or 0), int(info.get("total_page") or 0))

    async def results(self, batch_id: str) -> AsyncIterator[Json]:
        """A line for every item, in the order of the requests, as they are now."""
        async with self._transport.stream("GET", _under(BATCHES, batch_id, "results")) as response:
            async for line in response.aiter_lines():
                if line:
                    yield json.loads(line)

    async def task(self, task_id: str) -> Json:
        """One item with what was asked and answered."""
        return dict(await self._transport.json("GET", _under(TASKS, task_id)))

    async def cancel(self, batch_id: str) -> AnalysisBatch:
        """Cancel what is queued; what is processing goes on to its end. Raises Conflict after the batch's end."""
        return await self._transport.get(AnalysisBatch, _under(BATCHES, batch_id, "cancel"), "POST")

    async def pause(self, batch_id: str) -> AnalysisBatch:
        """Start nothing more until it is resumed; what is processing goes on. Raises Conflict after the batch's end."""
        return await self._transport.get(AnalysisBatch, _under(BATCHES, batch_id, "pause"), "POST")

    async def resume(self, batch_id: str) -> AnalysisBatch:
        """Go on with a paused batch. Raises Conflict after the batch's end."""
        return await self._transport.get(AnalysisBatch, _under(BATCHES, batch_id, "resume"), "POST")

    async def delete(self, batch_id: str) -> None:
        """Delete an ended batch with its results. Raises Conflict before its end."""
        await self._transport.json("DELETE", _under(BATCHES, batch_id))


def _under(root: str, *parts: str) -> str:
    return "/".join([root, *(quote(part, safe="") for part in parts)])
