"""Batches of calls: starting, watching and stopping them (contract sections 3 to 8 and 12)."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from covey.client.models import (
    Batch,
    BatchPage,
    BatchRow,
    Call,
    CallPage,
    Cancelled,
    HistoryEvent,
    Progress,
    StartedBatch,
)
from covey.client.reading import items
from covey.client.transport import Json, Transport, shaped
from covey.client.upload import Csv, OnProgress, opened

ROOT = "/v1/api/batch-calls"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """What a batch may be started with beside its file and agent. None leaves it to the server.

    `smart_callback` is `{"enabled": bool, "maxAttempts": int, "gaps": [{"days": int, "hours": int}, …]}`. Times
    without a zone are taken as the local time of this machine. `max_cost` is what the batch may cost at most, a decimal
    number in the unit of the workspace's prices.
    """

    name: str | None = None
    trunk: str | None = None
    region: str | None = None
    phone_column: str | None = None
    encoding: str | None = None
    on_invalid: str | None = None
    on_duplicate: str | None = None
    allow_duplicate: bool | None = None
    max_concurrent: int | None = None
    calls_per_second: float | None = None
    scheduled_at: datetime | None = None
    expires_at: datetime | None = None
    smart_callback: Mapping[str, Any] | None = None
    max_cost: str | None = None

    def form(self, agent_id: str | None) -> dict[str, str]:
        """The form fields these make."""
        values = {
            "agentId": agent_id,
            "name": self.name,
            "trunk": self.trunk,
            "region": self.region,
            "phoneColumn": self.phone_column,
            "encoding": self.encoding,
            "onInvalid": self.on_invalid,
            "onDuplicate": self.on_duplicate,
            "allowDuplicate": self.allow_duplicate,
            "maxConcurrent": self.max_concurrent,
            "callsPerSecond": self.calls_per_second,
            "scheduledAt": self.scheduled_at,
            "expiresAt": self.expires_at,
            "smartCallbackConfig": self.smart_callback,
            "maxCost": self.max_cost,
        }
        return {field: _text(value) for field, value in values.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone().isoformat()
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    return str(value)


class Batches:
    """The batches of the profile's workspace. Every method raises NotFound for an id that is not there."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def start(
        self,
        csv: Csv,
        agent_id: str,
        options: StartOptions | None = None,
        *,
        file_name: str | None = None,
        on_progress: OnProgress | None = None,
        idempotency_key: str | None = None,
    ) -> StartedBatch:
        """Start a batch. Raises InvalidRows, DuplicateBatch, BadRequest; then nothing was started."""
        with opened(csv, on_progress, file_name) as part:
            data, headers = await self._transport.answer(
                "POST",
                ROOT,
                data=(options or StartOptions()).form(agent_id),
                files={"file": part},
                headers={"idempotency-key": idempotency_key} if idempotency_key is not None else {},
            )
        replayed = headers.get("idempotency-replayed", "") == "true"
        return replace(shaped(StartedBatch, data), replayed=replayed)

    async def validate(
        self,
        csv: Csv,
        agent_id: str | None = None,
        options: StartOptions | None = None,
        *,
        file_name: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Json:
        """The full report about a file; starts nothing."""
        with opened(csv, on_progress, file_name) as part:
            report = await self._transport.json(
                "POST",
                f"{ROOT}/validate",
                data=(options or StartOptions()).form(agent_id),
                files={"file": part},
            )
        return dict(report)

    async def template(self) -> str:
        """A CSV with the right header."""
        return b"".join([piece async for piece in self._content(f"{ROOT}/template", {})]).decode()

    async def get(self, batch_id: str) -> Batch:
        """A batch as it is now."""
        return await self._transport.get(Batch, _path(batch_id))

    async def progress(self, batch_id: str) -> Progress:
        """Only where its calls are."""
        return await self._transport.get(Progress, _path(batch_id, "status"))

    async def page(self, page: int = 1, limit: int = 20, status: str | None = None) -> BatchPage:
        """A page of batches, newest first."""
        params = {"page": page, "limit": limit, **({"status": status} if status is not None else {})}
        return await self._transport.get(BatchPage, ROOT, params=params)

    async def all(self, status: str | None = None) -> AsyncIterator[BatchRow]:
        """Every batch, newest first, fetched page by page."""
        number = 1
        while True:
            page = await self.page(number, 100, status)
            for batch in page.batches:
                yield batch
            if not page.pagination.has_next:
                return
            number += 1

    async def calls_page(
        self, batch_id: str, page: int = 1, limit: int = 20, status: str | None = None, after: str | None = None
    ) -> CallPage:
        """A page of calls in the order of the CSV. `after` is the cursor of the page before."""
        params: dict[str, str | int] = {"limit": limit, **({"status": status} if status is not None else {})}
        params |= {"after": after} if after else {"page": page}
        return await self._transport.get(CallPage, _path(batch_id, "calls"), params=params)

    async def calls(self, batch_id: str, status: str | None = None) -> AsyncIterator[Call]:
        """Every call in the order of the CSV, fetched page by page."""
        page = await self.calls_page(batch_id, 1, 100, status)
        number = 1
        while True:
            for call in page.calls:
                yield call
            if not page.pagination.has_next or not page.calls:
                return
            number += 1
            page = await self.calls_page(batch_id, number, 100, status, page.pagination.after)

    async def call(self, batch_id: str, job_id: str) -> Call:
        """One call, with its result."""
        return await self._transport.get(Call, _path(batch_id, "calls", job_id))

    async def cancel(self, batch_id: str, *, hang_up: bool = False) -> Cancelled:
        """Cancel what waits, and with `hang_up` what is active. Raises Conflict if the batch has ended."""
        params = {"active": "hangup"} if hang_up else {}
        return await self._transport.get(Cancelled, _path(batch_id), "DELETE", params=params)

    async def hang_up(self, batch_id: str, job_id: str) -> Json:
        """Hang up one active call."""
        return dict(await self._transport.json("POST", _path(batch_id, "calls", job_id, "hangup")))

    async def pause(self, batch_id: str) -> Batch:
        """Start nothing more until it is resumed."""
        return await self._transport.get(Batch, _path(batch_id, "pause"), "POST")

    async def resume(self, batch_id: str) -> Batch:
        """Go on with a paused batch."""
        return await self._transport.get(Batch, _path(batch_id, "resume"), "POST")

    async def change(
        self,
        batch_id: str,
        *,
        name: str | None = None,
        max_concurrent: int | None = None,
        calls_per_second: float | None = None,
    ) -> Batch:
        """Change the limits or the name of a batch while it runs."""
        values = {"name": name, "maxConcurrent": max_concurrent, "callsPerSecond": calls_per_second}
        body = {field: value for field, value in values.items() if value is not None}
        return await self._transport.get(Batch, _path(batch_id), "PATCH", json=body)

    async def retry(
        self,
        batch_id: str,
        *,
        status: Iterable[str] = (),
        error_code: Iterable[str] = (),
        allow_duplicate: bool = False,
        scheduled_at: datetime | None = None,
        expires_at: datetime | None = None,
        max_concurrent: int | None = None,
        calls_per_second: float | None = None,
        max_cost: str | None = None,
    ) -> StartedBatch:
        """Start a new batch of those calls. Calls whose end is unknown only come along if their code is named.

        Limits that are None are the batch's own; of `max_cost` what is left of it. Times are taken as in
        `StartOptions`. Raises DuplicateBatch if the same was asked a short while ago, unless it is allowed.
        """
        chosen = {
            "status": list(status) or None,
            "errorCode": list(error_code) or None,
            "allowDuplicate": allow_duplicate or None,
            "scheduledAt": None if scheduled_at is None else _text(scheduled_at),
            "expiresAt": None if expires_at is None else _text(expires_at),
            "maxConcurrent": max_concurrent,
            "callsPerSecond": calls_per_second,
            "maxCost": max_cost,
        }
        body = {field: value for field, value in chosen.items() if value is not None}
        return await self._transport.get(StartedBatch, _path(batch_id, "retry"), "POST", json=body)

    async def export(self, batch_id: str, format: str = "csv", *, raw: bool = False) -> AsyncIterator[bytes]:
        """The results, piece by piece: `csv` or `jsonl`. `raw` leaves cells as they are, formulas too."""
        params = {"format": format, **({"raw": "true"} if raw else {})}
        async for piece in self._content(_path(batch_id, "export"), params):
            yield piece

    async def report(self, batch_id: str) -> Json:
        """The rows that were skipped when the batch was started."""
        return dict(await self._transport.json("GET", _path(batch_id, "report")))

    async def history(self, batch_id: str) -> tuple[HistoryEvent, ...]:
        """What happened to the batch, oldest first."""
        data = await self._transport.json("GET", _path(batch_id, "history"))
        events = data.get("events") if isinstance(data, dict) else data
        return tuple(shaped(HistoryEvent, event) for event in items(events))

    async def recording(self, batch_id: str, job_id: str) -> AsyncIterator[bytes]:
        """The sound of one call, piece by piece."""
        async for piece in self._content(_path(batch_id, "calls", job_id, "recording"), {}):
            yield piece

    async def erase(self, batch_id: str) -> None:
        """Delete an ended batch's data for good."""
        await self._transport.json("DELETE", _path(batch_id, "data"))

    async def _content(self, path: str, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        async with self._transport.stream("GET", path, params=params, headers={"accept": "*/*"}) as response:
            async for piece in response.aiter_bytes():
                yield piece


def _path(*parts: str) -> str:
    return "/".join([ROOT, *(quote(part, safe="") for part in parts)])
