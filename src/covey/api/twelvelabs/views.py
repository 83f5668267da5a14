"""Batches, tasks and results as this API shows them (`docs/contracts/twelvelabs.md` sections 4 to 6, 9.2)."""

import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from covey.analysis.config import AnalysisConfig, ItemInput, Mode, Wanted
from covey.api.kit.money import money
from covey.api.twelvelabs import convert
from covey.api.twelvelabs import schemas as out
from covey.domain.batch import Batch, BatchState
from covey.domain.item import Item, ItemState
from covey.domain.webhook import Delivery, DeliveryState

SINGLE = "single"
STRING_PROMPT = "stringPrompt"
"""The note of a task whose prompt was given as a bare string, so that it is shown as one."""

MODE, MODEL = "analysis_mode", "model_name"
"""The notes of a batch that say what its config says too: that is frozen, and may have megabytes."""

CUT = 30
"""So many characters of a prompt are shown in a list."""

_ENDED_AT = {"completed": "completed_at", "canceled": "canceled_at", "expired": "expired_at"}


def batch_object(
    batch: Batch, webhooks: Sequence[out.HookState] | None = None, holding: out.HoldingState | None = None
) -> out.BatchOut:
    """A batch; `webhooks` once notifications were sent, `holding` what holds it back."""
    counts, word = batch.counts, convert.batch_word(batch)
    found: out.BatchOut = {
        "batch_id": batch.id,
        "analysis_mode": Mode(batch.notes[MODE]).value,
        "model_name": str(batch.notes[MODEL]),
        "status": word,
        "total_items": counts.total,
        "queued_items": counts.waiting,
        "processing_items": counts.active,
        "ready_items": counts.succeeded,
        "failed_items": counts.failed,
        "canceled_items": counts.canceled,
        "paused": batch.state is BatchState.paused,
        "holding": holding,
        "spent": money(counts.spent),
        "created_at": convert.time(batch.created_at),
        "expires_at": convert.time(batch.expires_at) if batch.expires_at else None,
    }
    if word in _ENDED_AT and batch.completed_at is not None:
        found[_ENDED_AT[word]] = convert.time(batch.completed_at)  # type: ignore[literal-required]
    if batch.deletes_at is not None:
        found["deletes_at"] = convert.time(batch.deletes_at)
    if batch.max_cost is not None:
        found["max_cost"] = money(batch.max_cost)
    if webhooks:
        found["webhooks"] = list(webhooks)
    return found


def created(batch: Batch, items: Sequence[tuple[str, str | None]]) -> out.BatchCreated:
    """A create's answer; `items` are task ids and custom ids."""
    return {
        "batch_id": batch.id,
        "status": convert.batch_word(batch),
        "total_items": batch.counts.total,
        "created_at": convert.time(batch.created_at),
        "expires_at": convert.time(batch.expires_at) if batch.expires_at else None,
        "items": [{"task_id": task, "custom_id": custom} for task, custom in items],
    }


def page_info(number: int, size: int, total: int) -> out.PageInfo:
    """Where a page is."""
    pages = math.ceil(total / size)
    return {"page": number, "limit_per_page": size, "total_page": pages, "total_results": total}


def hooks(deliveries: Sequence[tuple[str, Delivery]]) -> list[out.HookState]:
    """Deliveries by the address that they go to."""
    found = list[out.HookState]()
    for url, delivery in deliveries:
        delivered = delivery.state is DeliveryState.delivered
        hook: out.HookState = {"url": public_url(url), "delivered": delivered, "attempts": delivery.attempts}
        if not delivered and (delivery.error or delivery.status):
            hook["last_error"] = delivery.error or f"The endpoint answered {delivery.status}"
        found.append(hook)
    return found


def public_url(url: str) -> str:
    """An address without what may be a secret in it: its query, and a name and password before its host."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def generated(item: Item) -> out.Generated | None:
    """The answer of an item that is ready."""
    if item.state is not ItemState.succeeded or item.last is None:
        return None
    kept = item.last.result
    found: out.Generated = {
        "generation_id": convert.generation(item),
        "data": str(kept.get("data", "")),
        "finish_reason": "length" if kept.get("finish_reason") == "length" else "stop",
        "usage": {"output_tokens": 0, **kept.get("usage", {})},  # type: ignore[typeddict-item]
    }
    if kept.get("made_by"):
        found["made_by"] = str(kept["made_by"])
    return found


def fault(batch: Batch, item: Item) -> out.Fault | None:
    """Why an item failed or was canceled."""
    run = item.last
    if item.state is ItemState.canceled and (run is None or run.code not in convert.DROPPED):
        if batch.stop_reason is None:
            return None
        code, message = convert.CANCELED_CODES[batch.stop_reason]
        if batch.origin == SINGLE:
            code, message = code.replace("batch_canceled", "user_canceled"), message.replace("batch", "task")
        return {"code": code, "message": message}
    if item.state in (ItemState.canceled, ItemState.failed) and run is not None:
        return {"code": run.code, "message": run.message or convert.FAULTS.get(run.code, "It came to no answer")}
    return None


def result_line(batch: Batch, item: Item) -> bytes:
    """One line of the results: pure ASCII, as one SDK reads byte by byte."""
    found: dict[str, Any] = {
        "task_id": item.id,
        "custom_id": item.custom_id,
        "status": convert.TASK_WORDS[item.state],
    }
    if item.state is ItemState.succeeded:
        found["data"] = generated(item)
    if item.state is ItemState.failed:
        found["error"] = fault(batch, item)
    return ascii_line(found)


def ascii_line(value: object) -> bytes:
    """JSON on a line of its own, everything beyond ASCII escaped."""
    line = orjson.dumps(value)
    if not line.isascii():
        line = json.dumps(orjson.loads(line), separators=(",", ":")).encode()
    return line + b"\n"


def task_object(
    batch: Batch,
    item: Item,
    *,
    listed: bool = False,
    seconds: float | None = None,
    config: AnalysisConfig | None = None,
) -> out.TaskOut:
    """A task; in lists prompts are cut and schemas left out. `seconds` is the length of its video, where known;
    `config` that of its batch, where it was read already."""
    config, given = config or AnalysisConfig.load(batch.config), ItemInput.load(item.input)
    found: out.TaskOut = {
        "task_id": item.id,
        "custom_id": item.custom_id,
        "status": convert.TASK_WORDS[item.state],
        "created_at": convert.time(batch.created_at),
        "video_source": _video(given, seconds),
        "request_params": _params(batch, config, given.wanted.over(config.defaults), listed),
    }
    if batch.origin != SINGLE:
        found["batch_id"] = batch.id
    if item.progress is not None and item.state is ItemState.active:
        done, whole = item.progress
        found["progress"] = {"seconds_done": round(done, 3), "seconds": round(whole, 3)}
    if batch.deletes_at is not None:
        found["deletes_at"] = convert.time(batch.deletes_at)
    ended = _ended_at(batch, item)
    if ended is not None:
        found["completed_at"] = convert.time(ended)
    answer, wrong = generated(item), fault(batch, item)
    if answer is not None and not listed:
        found["result"] = answer
    if answer is not None and answer["finish_reason"] == "length":
        wrong = TRUNCATED
    if wrong is not None:
        found["error"] = wrong
    return found


TRUNCATED: out.Fault = {"message": "The answer was cut at its greatest length"}
LOST: out.Fault = {"code": "request_canceled_or_timed_out", "message": "It came to no answer"}


def _video(item: ItemInput, seconds: float | None) -> out.VideoSource:
    source: out.VideoSource = {"type": "url", "url": item.url or ""}
    if item.asset is not None:
        source = {"type": "asset_id", "asset_id": item.asset}
    if seconds is not None:
        source["system_metadata"] = {"duration": seconds}
    return source


def _params(batch: Batch, config: AnalysisConfig, wanted: Wanted, listed: bool) -> dict[str, Any]:
    said = wanted.model_dump(exclude_none=True)
    prompt, form = said.pop("prompt", None), said.get("response_format")
    if prompt is not None:
        text = prompt["input_text"][:CUT] if listed else prompt["input_text"]
        if batch.notes.get(STRING_PROMPT):
            said["prompt"] = text
        else:
            sources = [_without_bytes(source) for source in prompt.get("media_sources", [])]
            said["prompt_v2"] = {"input_text": text, **({"media_sources": sources} if sources and not listed else {})}
    if form is not None and listed:
        said["response_format"] = {"type": form["type"]}
    return {"model_name": config.model, "analysis_mode": config.mode.value, **said}


def _without_bytes(source: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in source.items() if name != "base64_string"}


def _ended_at(batch: Batch, item: Item) -> datetime | None:
    if item.state in (ItemState.waiting, ItemState.active):
        return None
    if item.last is not None:
        return item.last.ended_at
    return batch.stopped_at
