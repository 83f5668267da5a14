"""What a delivery says: its body, in the envelope of its endpoint's style.

standard      {"type", "timestamp", "data"}
twelvelabs    {"id", "created_at", "type", "data"}      contract twelvelabs 9.4, 13.3
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, assert_never

from covey.analysis.config import MODEL_LANE, AnalysisConfig, ItemInput
from covey.api.jsontext import write_json
from covey.api.trillet.historyviews import history_call
from covey.api.trillet.words import batch_out, call_out, iso
from covey.api.twelvelabs.views import public_url
from covey.api.webhooks.events import TEST, type_of
from covey.api.webhooks.recent import Recent
from covey.api.webhooks.signing import Style, message_id
from covey.calls.config import KIND as CALLS
from covey.domain.batch import Batch
from covey.domain.errors import NotFound
from covey.domain.ids import item_id
from covey.domain.item import Item, ItemState
from covey.domain.run import Json
from covey.domain.webhook import Delivery
from covey.store.results import Due
from covey.store.store import Reading

TASK_STATES = {
    ItemState.waiting: "queued",
    ItemState.active: "processing",
    ItemState.succeeded: "ready",
    ItemState.failed: "failed",
    ItemState.canceled: "canceled",
}

RARE = ("expiresAt", "mode")
"""What a snapshot only shows where the batch has it."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: the event's word on the wire, and the body."""

    type: str
    body: bytes


class Rendering:
    """Writes bodies, from a delivery's own snapshot and from the batch as far as it is still there."""

    def __init__(self, store: Reading) -> None:
        self._store = store
        self._recent = Recent[tuple[Batch, list[Item]]]()

    async def message(self, due: Due) -> Message | None:
        """What to send; None if the endpoint did not ask for this."""
        delivery, style = due.delivery, Style(due.endpoint.style)
        word = type_of(due.endpoint, delivery.type, delivery.data)
        if word is None:
            return None
        match style:
            case Style.standard:
                data: Mapping[str, Any] = await self._standard(delivery)
                envelope = {"type": word, "timestamp": iso(delivery.at), "data": data}
            case Style.twelvelabs:
                data = await self._twelvelabs(delivery)
                ident = message_id(style, delivery.id)
                envelope = {"id": ident, "created_at": iso(delivery.at), "type": word, "data": data}
            case _:
                assert_never(style)
        return Message(word, write_json(envelope, default=str))

    async def _standard(self, delivery: Delivery) -> dict[str, Any]:
        if delivery.type == TEST:
            return dict(delivery.data)
        snapshot = _snapshot(delivery.data)
        if delivery.data.get("kind") != CALLS:
            ids = {"batchId": delivery.batch}
            if delivery.seq is not None:
                ids["itemId"] = item_id(delivery.batch, delivery.seq)
            return {**ids, **snapshot}
        if "lane" in snapshot:
            snapshot["trunk"] = snapshot.pop("lane")
        single = delivery.data.get("origin") == "single"
        seq = 0 if single else delivery.seq
        named = {} if single else {"batchId": batch_out(delivery.batch)}
        if seq is not None:
            named["callId"] = call_out(delivery.batch, seq)
            found = await self._there(delivery, seq)
            if found is not None:
                return {**named, **snapshot, "call": history_call(*found)}
        return {**named, **snapshot}

    async def _twelvelabs(self, delivery: Delivery) -> Mapping[str, Any]:
        if delivery.type == TEST:
            return delivery.data
        if delivery.data.get("origin") == "single":
            return await self._task(delivery)
        return _batch(delivery, await self._mode(delivery))

    async def _mode(self, delivery: Delivery) -> str | None:
        """The mode of the batch; None if neither the snapshot says it nor the batch is there any more."""
        said = delivery.data.get("mode")
        if said is not None:
            return str(said)
        try:
            batch = await self._store.batch(delivery.batch, delivery.workspace)
        except NotFound:
            return None
        return AnalysisConfig.load(batch.config).mode.value

    async def _task(self, delivery: Delivery) -> Mapping[str, Any]:
        """A task, without its result and what was asked: whoever is told of it reads them by its id."""
        found = await self._there(delivery, 0)
        data: dict[str, Any] = {"id": item_id(delivery.batch, 0), "custom_id": None}
        if found is None:
            return {**data, "status": type_of_task(delivery.data), "created_at": _time(delivery.data.get("createdAt"))}
        batch, item = found
        data |= {"custom_id": item.custom_id, "status": TASK_STATES[item.state], "created_at": iso(batch.created_at)}
        data["video_source"] = _video(ItemInput.load(item.input))
        if item.state is ItemState.failed and item.last is not None:
            data["error"] = {"message": item.last.message}
        return data

    async def _there(self, delivery: Delivery, seq: int) -> tuple[Batch, Item] | None:
        """An item and its batch, as they were after this event or later."""
        batch, store = delivery.batch, self._store
        try:
            found, items = await self._recent.get(
                (batch, seq, delivery.at), lambda: store.items(batch, after=seq - 1, limit=1)
            )
        except NotFound:
            return None
        return next(((found, item) for item in items if item.seq == seq), None)


def type_of_task(snapshot: Json) -> str:
    """The status of a task that is not there any more, by its batch's counts."""
    counts = snapshot.get("counts") or {}
    return "ready" if counts.get("succeeded") else "failed" if counts.get("failed") else "canceled"


def _video(given: ItemInput) -> dict[str, Any]:
    """Which video a task is about. What may be a secret in an address is left out."""
    if given.asset is not None:
        return {"type": "asset_id", "asset_id": given.asset}
    return {"type": "url", "url": public_url(given.url or "")}


def _batch(delivery: Delivery, mode: str | None) -> dict[str, Any]:
    """A batch as it was when it ended, in the shape in which the API shows it (contract twelvelabs 13.3)."""
    data, word = delivery.data, delivery.type.rpartition(".")[2]
    counts = data.get("counts") or {}
    return {
        "batch_id": delivery.batch,
        "analysis_mode": mode,
        "model_name": str(data.get("lane", "")).removeprefix(MODEL_LANE),
        "status": word,
        "total_items": counts.get("total", 0),
        "queued_items": counts.get("waiting", 0),
        "processing_items": counts.get("active", 0),
        "ready_items": counts.get("succeeded", 0),
        "failed_items": counts.get("failed", 0),
        "canceled_items": counts.get("canceled", 0),
        "created_at": _time(data.get("createdAt")),
        "expires_at": _time(data.get("expiresAt")),
        f"{word}_at": iso(delivery.at),
    }


def _time(micros: int | None) -> str | None:
    """Times are microseconds in the database."""
    return None if micros is None else iso(datetime.fromtimestamp(micros / 1e6, UTC))


def _snapshot(data: Json) -> dict[str, Any]:
    """The batch as it was: names and times as the wire has them, what is special about the event under `details`."""
    known = {name: value for name, value in data.items() if value is not None or name not in RARE}
    shown: dict[str, Any] = _with_times(known)
    details = shown.pop("data", None)
    return {**shown, "details": _with_times(details)} if details else shown


def _with_times(data: Json) -> dict[str, Any]:
    return {_camel(name): _time(value) if _is_time(name, value) else _camelled(value) for name, value in data.items()}


def _is_time(name: str, value: Any) -> bool:
    return name.endswith(("At", "_at")) and isinstance(value, int)


def _camelled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_camel(str(name)): _camelled(held) for name, held in value.items()}
    return [_camelled(one) for one in value] if isinstance(value, list | tuple) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
