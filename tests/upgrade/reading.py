"""What is read of a fixture: every GET route of both APIs, and of each answer the fields that stay."""

import json
from datetime import datetime, timedelta
from typing import Any

import httpx2 as httpx

from .fixture import Facts

CALLS = "/v1/api/batch-calls"
ANALYSES = "/v1.3/analyze/batches"

_OPEN = frozenset({"metadata", "outcomes", "answers", "prices", "user_metadata"})
"""What is in these has names of the client's own, or codes."""

_FIELDS = """
    progress batches calls pagination result results attempts items data page_info events settings endpoints deliveries
    numbers totals usage request_params video_source prompt recent_calls counts

    id _id batchId batch_id jobId task_id agentId workspaceId custom_id callId item row asset_id number prefix

    status state isComplete totalCalls waiting active completed failed cancelled total paused trunk live maxConcurrent
    callsPerSecond errorCode outcome code attempt total_items queued_items processing_items ready_items failed_items
    canceled_items total_results method size duration role type kind disabled blocked

    createdAt scheduledAt startTime endTime completedTime expiresAt nextAttemptAt deletesAt created_at expires_at
    completed_at canceled_at expired_at deletes_at maxCost spent max_cost cost seconds tokensIn tokensOut

    name phone_number first_name note reason filename file_type url description greeting input_text model_name
    analysis_mode recordingUrl weight event
"""
"""What is compared: what holds the rest, what tells things apart, states and counts, times and money, content."""

_KEPT = frozenset([*_OPEN, *_FIELDS.split()])


def lasting(value: Any) -> Any:
    """An answer without what may change when Covey does: sentences for people, hints, what is new."""
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if name in _KEPT}
        return {name: each if name in _OPEN else lasting(each) for name, each in kept.items()}
    return [lasting(each) for each in value] if isinstance(value, list) else value


def missing(recorded: Any, now: Any, at: str = "") -> list[str]:
    """What was recorded and is not so now; what is new beside it does not matter."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        return [text for name, each in recorded.items() for text in missing(each, now.get(name), f"{at}.{name}")]
    if isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
        return [text for n, pair in enumerate(zip(recorded, now, strict=True)) for text in missing(*pair, f"{at}[{n}]")]
    return [] if recorded == now else [f"{at}: was {recorded!r}, is {now!r}"]


async def read(client: httpx.AsyncClient, facts: Facts) -> dict[str, Any]:
    """Every answer by its path; each is a 200."""
    found: dict[str, Any] = {}

    async def look(path: str, role: str = "operate") -> Any:
        answer = await client.get(path, headers=facts.headers(role))
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        body = _body(answer)
        found[path] = lasting(body)
        return body

    for path in _plain(facts):
        await look(path)
    for path in ("/v1/admin/workspaces", f"/v1/admin/workspaces/{facts.workspace}", "/v1/admin/keys"):
        await look(path, "admin")
    for batch in facts.named("calls.").values():
        await _calls(look, f"{CALLS}/{batch}")
    for single in facts.named("call.").values():
        await look(f"/v2/api/call-history/{single}")
    for batch in facts.named("analysis.").values():
        await look(f"{ANALYSES}/{batch}")
        for line in await look(f"{ANALYSES}/{batch}/results"):
            await look(f"/v1.3/analyze/tasks/{line['task_id']}")
    return found


def _plain(facts: Facts) -> list[str]:
    endpoints, day = facts.named("endpoint.").values(), datetime.fromisoformat(facts.moment).date()
    return [
        f"{CALLS}?limit=100",
        "/v1/api/agents",
        *(f"/v1/api/agents/{agent}" for agent in facts.named("agent.").values()),
        "/v1/api/dnc",
        *(f"/v1/api/people/%2B{number.removeprefix('+')}" for number in facts.named("number.").values()),
        "/v1/api/trunks",
        f"/v1/api/usage?since={day - timedelta(days=2)}&until={day}&by=day,batch,key",
        "/v1/api/webhooks",
        *(f"/v1/api/webhooks/{endpoint}" for endpoint in endpoints),
        *(f"/v1/api/webhooks/{endpoint}/deliveries?limit=100" for endpoint in endpoints),
        "/v2/api/call-history?limit=100",
        "/v2/api/call-history/metrics",
        f"{ANALYSES}?page_limit=50",
        "/v1.3/analyze/tasks?page_limit=50",
        *(f"/v1.3/analyze/tasks/{task}" for task in facts.named("task.").values()),
        "/v1.3/assets?page_limit=50",
        *(f"/v1.3/assets/{asset}" for asset in facts.named("asset.").values()),
        "/v1.3/assets/multipart-uploads",
        *(f"/v1.3/assets/multipart-uploads/{upload}" for upload in facts.named("upload.").values()),
    ]


async def _calls(look: Any, batch: str) -> None:
    await look(batch)
    await look(f"{batch}/status")
    await look(f"{batch}/report")
    await look(f"{batch}/history")
    await look(f"{batch}/export?format=jsonl")
    await look(f"{batch}/export?format=csv")
    for row in (await look(f"{batch}/calls?limit=100"))["calls"]:
        call = await look(f"{batch}/calls/{row['jobId']}")
        if "recordingUrl" in call:
            await look(call["recordingUrl"])


def _body(answer: httpx.Response) -> Any:
    """JSON, the lines of JSON, the number of lines of a CSV, or the number of bytes of a sound."""
    kind = answer.headers.get("content-type", "")
    if "ndjson" in kind or "jsonl" in kind:
        return [json.loads(line) for line in answer.text.splitlines()]
    if "json" in kind:
        return answer.json()
    return len(answer.text.splitlines()) if "csv" in kind else len(answer.content)
