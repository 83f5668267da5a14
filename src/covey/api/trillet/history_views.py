"""Calls as the history shows them (contract 10.3)."""

import json
from typing import Any, NotRequired

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from covey.api.kit import formats
from covey.api.trillet import convert, views
from covey.api.trillet import schemas as out
from covey.calls.config import CallsConfig, Row
from covey.domain.batch import Batch
from covey.domain.ids import item_id
from covey.domain.item import Item, ItemState


@with_config(ConfigDict(extra="forbid"))
class AnalyzedData(TypedDict):
    """What was made out about a call."""

    answered_by_voicemail: bool


@with_config(ConfigDict(extra="forbid"))
class HistoryCall(TypedDict):
    """A call that was placed. `timestamp`, `startTime` and `endTime` are seconds since 1970."""

    _id: str
    callId: str
    batchId: str
    workspaceId: str
    agentId: str
    timestamp: float
    fromPhoneNumber: str | None
    toPhoneNumber: str
    direction: str
    duration: int
    status: str
    outcome: str | None
    error: NotRequired[str]
    errorCode: NotRequired[str]
    callFlowName: str | None
    cost: float
    recordingUrl: str | None
    summary: str
    analyzedData: AnalyzedData
    variables: dict[str, str]
    transcript: list[out.TurnOut]
    startTime: NotRequired[float]
    endTime: NotRequired[float]
    trunk: str
    live: bool


def history_call(batch: Batch, item: Item) -> HistoryCall:
    """A call as the history shows it."""
    run = item.last
    kept: Any = run.result if run else {}
    started = (run.started_at if run else None) or item.started_at
    columns_phone = CallsConfig.columns_of(batch.config)[1]
    found: HistoryCall = {
        "_id": item_id(item.batch, item.seq),
        "callId": convert.call_out(item.batch, item.seq),
        "batchId": convert.batch_out(batch.id),
        "workspaceId": batch.workspace,
        "agentId": str(batch.notes.get("agentId", "")),
        "timestamp": (started or batch.created_at).timestamp(),
        "fromPhoneNumber": kept.get("caller"),
        "toPhoneNumber": item.ref or "",
        "direction": "outbound",
        "duration": views.seconds_between(started, run.ended_at if run else None),
        "status": convert.call_word(item.state),
        "outcome": run.code if run and item.state is ItemState.succeeded else None,
        "callFlowName": None,
        "cost": 0,
        "recordingUrl": f"/v2/api/recordings/{item_id(item.batch, item.seq)}" if kept.get("recording") else None,
        "summary": "",
        "analyzedData": {"answered_by_voicemail": bool(run and run.code == "voicemail")},
        "variables": views.metadata(Row.load(item.input), columns_phone),
        "transcript": [views.turn(given) for given in kept.get("turns") or ()],
        "trunk": batch.lane,
        "live": bool(batch.notes.get("live")),
    }
    if started:
        found["startTime"] = started.timestamp()
    if run:
        found["endTime"] = run.ended_at.timestamp()
    if run and item.state is not ItemState.succeeded:
        found["error"], found["errorCode"] = views.error_sentence(run, item.tries), run.code
    return found


HEADER = (
    "Call ID",
    "Record ID",
    "From Phone Number",
    "To Phone Number",
    "Direction",
    "Status",
    "Duration (s)",
    "Start Time (UTC)",
    "End Time (UTC)",
    "Agent Name",
    "Call Flow Name",
    "Cost",
    "Summary",
    "Recording Link",
    "Analyzed Data (JSON)",
    "Transcript",
)
"""The columns of the exported history."""


def cells(batch: Batch, item: Item, transcripts: bool, analysis: bool) -> list[Any]:
    """A call as a line of the export, in the order of `HEADER`."""
    call = history_call(batch, item)
    kept: Any = item.last.result if item.last else {}
    return [
        call["callId"],
        call["_id"],
        call["fromPhoneNumber"],
        call["toPhoneNumber"],
        call["direction"],
        call["status"],
        call["duration"],
        formats.iso_millis(int(call["startTime"] * 1000)) if "startTime" in call else "",
        formats.iso_millis(int(call["endTime"] * 1000)) if "endTime" in call else "",
        call["agentId"],
        "",
        call["cost"],
        call["summary"],
        call["recordingUrl"] or "",
        json.dumps(call["analyzedData"]) if analysis else "",
        str(kept.get("transcript") or "") if transcripts else "",
    ]
