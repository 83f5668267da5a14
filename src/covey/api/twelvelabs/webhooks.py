"""What a webhook of the twelvelabs style says of batches and tasks (docs/contracts/twelvelabs.md 13.3)."""

from collections.abc import Mapping
from typing import Any

from covey.analysis.config import MODEL_LANE, AnalysisConfig, ItemInput
from covey.api.kit.formats import iso
from covey.api.twelvelabs.views import public_url
from covey.api.webhooks.payloads import Snapshots, time_of
from covey.domain.ids import item_id
from covey.domain.item import ItemState
from covey.domain.run import Json
from covey.domain.webhook import Delivery

TASK_STATES = {
    ItemState.waiting: "queued",
    ItemState.active: "processing",
    ItemState.succeeded: "ready",
    ItemState.failed: "failed",
    ItemState.canceled: "canceled",
}


async def analysis_event(snapshots: Snapshots, delivery: Delivery) -> Mapping[str, Any]:
    """The `data` of an event: a batch, or the task that a batch of one stands for."""
    if delivery.data.get("origin") == "single":
        return await _task(snapshots, delivery)
    return _batch(delivery, await _mode(snapshots, delivery))


async def _mode(snapshots: Snapshots, delivery: Delivery) -> str | None:
    """The mode of the batch; None if neither the snapshot says it nor the batch is there any more."""
    mode = delivery.data.get("mode")
    if mode is not None:
        return str(mode)
    batch = await snapshots.batch(delivery)
    return None if batch is None else AnalysisConfig.load(batch.config).mode.value


async def _task(snapshots: Snapshots, delivery: Delivery) -> Mapping[str, Any]:
    """A task, without its result and what was asked: whoever hears of it reads them by its id."""
    found = await snapshots.item(delivery, 0)
    data: dict[str, Any] = {"id": item_id(delivery.batch, 0), "custom_id": None}
    if found is None:
        return {**data, "status": _status_of(delivery.data), "created_at": time_of(delivery.data.get("createdAt"))}
    batch, item = found
    data |= {"custom_id": item.custom_id, "status": TASK_STATES[item.state], "created_at": iso(batch.created_at)}
    data["video_source"] = _video(ItemInput.load(item.input))
    if item.state is ItemState.failed and item.last is not None:
        data["error"] = {"message": item.last.message}
    return data


def _status_of(snapshot: Json) -> str:
    """The status of a task that is not there any more, by its batch's counts."""
    counts = snapshot.get("counts") or {}
    return "ready" if counts.get("succeeded") else "failed" if counts.get("failed") else "canceled"


def _video(source: ItemInput) -> dict[str, Any]:
    """Which video a task is about. What may be a secret in an address is left out."""
    if source.asset is not None:
        return {"type": "asset_id", "asset_id": source.asset}
    return {"type": "url", "url": public_url(source.url or "")}


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
        "created_at": time_of(data.get("createdAt")),
        "expires_at": time_of(data.get("expiresAt")),
        f"{word}_at": iso(delivery.at),
    }
