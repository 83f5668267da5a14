"""Batches and calls as the wire shows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from covey.api.kit import formats
from covey.api.kit.money import money
from covey.api.trillet import convert
from covey.api.trillet import schemas as out
from covey.calls.config import Row
from covey.domain.batch import Batch, Counts, Holding
from covey.domain.item import Item, ItemState, PastRun
from covey.domain.run import DO_NOT_CALL

_BEFORE_THE_NETWORK = frozenset({DO_NOT_CALL, "aborted", "interrupted", "outcome_unknown", "provider_error"})


def holding_out(holding: Holding | None) -> out.HoldingOut | None:
    """Why a batch starts nothing now."""
    if holding is None:
        return None
    return {"code": holding.code, "message": holding.message, "since": formats.maybe_millis(holding.since)}


def average(counts: Counts) -> float:
    """Mean seconds of the completed calls, 0 without any."""
    return round(counts.succeeded_seconds / counts.succeeded, 1) if counts.succeeded else 0


def summary(counts: Counts) -> out.Summary:
    """The five counters and their sum."""
    return {
        "total": counts.total,
        "waiting": counts.waiting,
        "active": counts.active,
        "completed": counts.succeeded,
        "failed": counts.failed,
        "cancelled": counts.canceled,
    }


def progress(batch: Batch, recent: Sequence[Item]) -> out.Progress:
    """A batch's counters, times and last calls."""
    counts = batch.counts
    return {
        "waiting": counts.waiting,
        "active": counts.active,
        "completed": counts.succeeded,
        "failed": counts.failed,
        "cancelled": counts.canceled,
        "total": counts.total,
        "startTime": formats.maybe_millis(batch.started_at),
        "lastCompletedTime": formats.maybe_millis(counts.last_succeeded_at),
        "completedTime": formats.maybe_millis(batch.completed_at),
        "averageCallDuration": average(counts),
        "recent_calls": [recent_call(item) for item in recent],
    }


def status(
    batch: Batch, recent: Sequence[Item], outcomes: Mapping[str, int], holding: Holding | None
) -> out.BatchStatus:
    """A batch's whole status (contract section 4 with 12.16)."""
    found: out.BatchStatus = {
        "id": convert.batch_out(batch.id),
        "status": convert.batch_word(batch),
        "isComplete": batch.ended,
        "totalCalls": batch.counts.total,
        "progress": progress(batch, recent),
        "timestamp": formats.millis(batch.read_at),
        "name": batch.name,
        "createdAt": formats.millis(batch.created_at),
        "scheduledAt": formats.maybe_millis(batch.start_at),
        "expiresAt": formats.maybe_millis(batch.expires_at),
        "paused": is_paused(batch),
        "trunk": batch.lane,
        "live": bool(batch.notes.get("live")),
        "agentId": str(batch.notes.get("agentId", "")),
        "maxConcurrent": batch.cap,
        "callsPerSecond": batch.pace,
        "outcomes": dict(outcomes),
        "holding": holding_out(holding),
        **_life(batch),  # type: ignore[typeddict-item]
    }
    if batch.stop_message:
        found["error"] = batch.stop_message
    return found


def flat_progress(
    batch: Batch, recent: Sequence[Item], outcomes: Mapping[str, int], holding: Holding | None
) -> out.BatchProgress:
    """A batch's progress (contract section 5)."""
    found: out.BatchProgress = {
        **progress(batch, recent),
        "status": convert.batch_word(batch),
        "isComplete": batch.ended,
        "name": batch.name,
        "scheduledAt": formats.maybe_millis(batch.start_at),
        "paused": is_paused(batch),
        "trunk": batch.lane,
        "live": bool(batch.notes.get("live")),
        "outcomes": dict(outcomes),
        "holding": holding_out(holding),
        **_life(batch),  # type: ignore[typeddict-item]
    }
    if batch.stop_message:
        found["error"] = batch.stop_message
    return found


def batch_row(batch: Batch, outcomes: Mapping[str, int], holding: Holding | None) -> out.BatchRow:
    """A batch in a list."""
    counts = batch.counts
    found: out.BatchRow = {
        "id": convert.batch_out(batch.id),
        "status": convert.batch_word(batch),
        "isComplete": batch.ended,
        "totalCalls": counts.total,
        "waiting": counts.waiting,
        "active": counts.active,
        "completed": counts.succeeded,
        "failed": counts.failed,
        "cancelled": counts.canceled,
        "name": batch.name,
        "createdAt": formats.millis(batch.created_at),
        "scheduledAt": formats.maybe_millis(batch.start_at),
        "startTime": formats.maybe_millis(batch.started_at),
        "completedTime": formats.maybe_millis(batch.completed_at),
        "paused": is_paused(batch),
        "trunk": batch.lane,
        "live": bool(batch.notes.get("live")),
        "agentId": str(batch.notes.get("agentId", "")),
        "outcomes": dict(outcomes),
        "holding": holding_out(holding),
        **_life(batch),  # type: ignore[typeddict-item]
    }
    if batch.stop_message:
        found["error"] = batch.stop_message
    return found


def _life(batch: Batch) -> dict[str, Any]:
    """What it costs, and when it is deleted."""
    return {
        "maxCost": None if batch.max_cost is None else money(batch.max_cost),
        "spent": money(batch.counts.spent),
        "deletesAt": formats.maybe_millis(batch.deletes_at),
    }


def is_paused(batch: Batch) -> bool:
    """Whether it goes on only when somebody resumes it."""
    return batch.paused_at is not None and batch.stopped_at is None and not batch.ended


def cancel_details(counts: Counts) -> out.CancelDetails:
    """What a cancel's answer says."""
    return {
        "completedCalls": counts.succeeded,
        "failedCalls": counts.failed,
        "cancelledCalls": counts.canceled,
        "activeCalls": counts.active,
        "totalCalls": counts.total,
    }


def recent_call(item: Item) -> out.RecentCall:
    """One of the last calls."""
    found: out.RecentCall = {
        "jobId": convert.call_out(item.batch, item.seq),
        "status": convert.call_word(item.state),
        "phone_number": item.ref or "",
    }
    run = item.last
    if run is None:
        return found
    if item.state is ItemState.succeeded:
        found["completedAt"] = formats.millis(run.ended_at)
        found["outcome"] = run.code
        if run.started_at:
            found["duration"] = formats.whole_seconds(run.started_at, run.ended_at)
    else:
        found["failedAt"] = formats.millis(run.ended_at)
        found["error"], found["errorCode"] = error_sentence(run, item.tries), run.code
    return found


def error_sentence(run: PastRun, tries: int) -> str:
    """What went wrong, for a person; with the number of attempts if there were several (contract section 7)."""
    text = run.message or convert.SENTENCES.get(run.code) or run.code.replace("_", " ").capitalize()
    if tries > 1 and run.code not in _BEFORE_THE_NETWORK and "attempts" not in text:
        return f"{text} after {tries} attempts"
    return text


def metadata(row: Row, phone_column: str) -> dict[str, str]:
    """The row's cells but for the number."""
    return {name: value for name, value in row.values.items() if name != phone_column}


def call_row(item: Item, phone_column: str) -> out.CallRow:
    """A call in a list (contract section 6)."""
    row = Row.load(item.input)
    found: out.CallRow = {
        "jobId": convert.call_out(item.batch, item.seq),
        "status": convert.call_word(item.state),
        "phone_number": item.ref or "",
        "row": row.row,
        "metadata": metadata(row, phone_column),
    }
    found.update(_times(item))  # type: ignore[typeddict-item]
    if item.state is ItemState.succeeded and item.last:
        found["outcome"] = item.last.code
    return found


def call_status(batch: Batch, item: Item, phone_column: str) -> out.CallStatus:
    """One call with all that is known of it (contract section 7 with 12.9, 12.12, 12.17)."""
    row = Row.load(item.input)
    found: out.CallStatus = {
        "jobId": convert.call_out(item.batch, item.seq),
        "status": convert.call_word(item.state),
        "phone_number": item.ref or "",
        "row": row.row,
        "trunk": batch.lane,
        "live": bool(batch.notes.get("live")),
    }
    found.update(_times(item))  # type: ignore[typeddict-item]
    if item.earlier:
        found["attempts"] = [attempt(run) for run in item.earlier]
    cells = metadata(row, phone_column)
    run = item.last
    if run is not None and item.state is ItemState.succeeded:
        found["result"] = _result(item, run, cells)
    else:
        found["metadata"] = cells
    if run is not None:
        _network(found, run.result)
        if run.result.get("recording"):
            found["recordingUrl"] = recording_url(item)
    return found


def recording_url(item: Item) -> str:
    """Where a call's recording is served, relative to the server."""
    batch, call = convert.batch_out(item.batch), convert.call_out(item.batch, item.seq)
    return f"/v1/api/batch-calls/{batch}/calls/{call}/recording"


def attempt(run: PastRun) -> out.Attempt:
    """An earlier attempt."""
    found: out.Attempt = {
        "attempt": run.attempt,
        "errorCode": run.code,
        "error": run.message or convert.SENTENCES.get(run.code, run.code),
        "endTime": formats.millis(run.ended_at),
    }
    if run.started_at:
        found["startTime"] = formats.millis(run.started_at)
    return found


def _times(item: Item) -> dict[str, Any]:
    """Start, end, duration, answer and error, as far as they are there."""
    run, found = item.last, dict[str, Any]()
    started = run.started_at if run else item.started_at
    if started and item.state is not ItemState.waiting:
        found["startTime"] = formats.millis(started)
    if item.state is ItemState.waiting and item.due_at:
        found["nextAttemptAt"] = formats.millis(item.due_at)
    if run is None:
        return found
    if started:
        found["endTime"] = formats.millis(run.ended_at)
    if item.state is ItemState.succeeded:
        found["duration"] = formats.whole_seconds(started, run.ended_at) if started else 0
    else:
        found["error"], found["errorCode"] = error_sentence(run, item.tries), run.code
    return found | _answered(run)


def _answered(run: PastRun) -> dict[str, Any]:
    at, seconds = run.result.get("answered_at_ms"), run.result.get("talk_seconds")
    if at is None:
        return {}
    return {"answeredAt": int(at), "talkSeconds": round(float(seconds or 0), 1)}


def _result(item: Item, run: PastRun, cells: dict[str, str]) -> out.CallResult:
    kept = run.result
    return {
        "callId": str(kept.get("call_id") or convert.call_out(item.batch, item.seq)),
        "transcript": str(kept.get("transcript") or ""),
        "outcome": run.code,
        "metadata": cells,
        "turns": [turn(given) for given in kept.get("turns") or ()],
        "answers": {str(name): bool(value) for name, value in (kept.get("answers") or {}).items()},
        "messageLeft": bool(kept.get("message_left")),
    }


def turn(data: Mapping[str, Any]) -> out.TurnOut:
    """One turn of a conversation, as the runner kept it."""
    found: out.TurnOut = {
        "speaker": str(data.get("speaker", "")),
        "text": str(data.get("text", "")),
        "at": float(data.get("at", 0.0)),
        "confidence": float(data.get("confidence", 1.0)),
    }
    if data.get("digit") is not None:
        found["digit"] = str(data["digit"])
    if data.get("said_for") is not None:
        found["said_for"] = float(data["said_for"])
    return found


def _network(found: out.CallStatus, result: Mapping[str, Any]) -> None:
    sip, media = result.get("sip"), result.get("media")
    if sip:
        found["sip"] = {"callId": sip.get("call_id"), "code": sip.get("code"), "text": str(sip.get("text") or "")}
    if media:
        found["media"] = {
            "codec": media.get("codec"),
            "sent": int(media.get("sent") or 0),
            "received": int(media.get("received") or 0),
            "lost": int(media.get("lost") or 0),
        }


def pagination(page: int, limit: int, total: int, after: str | None = None) -> out.Pagination:
    """Where a page stands."""
    pages = -(-total // limit)
    found: out.Pagination = {
        "page": page,
        "limit": limit,
        "total": total,
        "totalPages": pages,
        "hasNext": page < pages,
        "hasPrev": page > 1,
    }
    if after is not None:
        found["after"] = after
    return found


def seconds_between(start: datetime | None, end: datetime | None) -> int:
    """Whole seconds, 0 where one of both is missing."""
    return formats.whole_seconds(start, end) if start and end else 0
