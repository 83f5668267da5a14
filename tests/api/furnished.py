"""One of everything, so that paths lead somewhere, and for each operation a request that is meant to work."""

from collections.abc import AsyncIterator
from typing import Any

from covey.analysis.config import lane_of
from covey.domain.asset import Asset, AssetState
from covey.domain.ids import new_id
from covey.domain.lane import Lane
from tests.api.harness import PEOPLE, PREFIX, ApiHarness, succeeded


async def furnish(api: ApiHarness) -> dict[str, str]:
    """An ended call with a recording, a key, a blocked number and so on; their ids, as paths name them."""
    endpoint = (await api.client.post("/v1/api/webhooks", json=ENDPOINT)).json()["id"]
    batch = await api.planted()
    for taken in await api.claim(3):
        await api.finish(taken, succeeded(recording="a.flac"))
    (api.services.settings.data / "recordings" / "a.flac").write_bytes(b"fLaC")
    call = (await api.json(f"{PREFIX}/{batch}/calls"))["calls"][0]["jobId"]
    await api.client.post("/v1/api/dnc", json={"numbers": ["+12125550150"]})
    body = {"role": "read", "workspace": "ws-other", "name": "spare"}
    key = (await api.client.post("/v1/admin/keys", json=body, headers=api.headers("admin"))).json()["id"]
    ids = {"batchId": batch, "jobId": call, "agentId": await api.agent(), "workspaceId": "ws-other", "keyId": key}
    told = await api.json(f"/v1/api/webhooks/{endpoint}/deliveries")
    ids |= {"endpointId": endpoint, "deliveryId": told["deliveries"][0]["id"], **await _asked(api)}
    return {**ids, "callHistoryId": call, "recordId": call, "number": "+12125550150"}


async def _asked(api: ApiHarness) -> dict[str, str]:
    """An asset that is ready, a batch and a task about it that wait, and an upload that goes on."""
    now, store = api.clock.now(), api.services.store
    asset = Asset(new_id(now), "ws-one", "a.mp4", "video", "direct", AssetState.ready, now, 1000, 60.0)
    await store.add_asset(asset, api.services.worker)
    await store.change_asset(asset)
    await store.put_lane(Lane(lane_of("local-facts"), 1))
    batch = await api.client.post("/v1.3/analyze/batches", json=_questions(asset.id))
    task = await api.client.post("/v1.3/analyze/tasks", json=_question(asset.id))
    upload = (await api.client.post("/v1.3/assets/multipart-uploads", json=UPLOAD)).json()
    assert api.services.intake is not None
    uploads = api.services.intake.uploads

    async def chunk() -> AsyncIterator[bytes]:
        yield b"x" * UPLOAD_BYTES

    etag = await uploads.put(await uploads.get("ws-one", upload["upload_id"]), 1, chunk())
    return {
        "asset_id": asset.id,
        "batch_id": batch.json()["batch_id"],
        "task_id": task.json()["task_id"],
        "upload_id": upload["upload_id"],
        "etag": etag,
    }


ENDPOINT = {"url": "https://covey.invalid/told"}
UPLOAD_BYTES = 1000
UPLOAD = {"filename": "a.mp4", "type": "video", "total_size": UPLOAD_BYTES}


def _question(asset: str) -> dict[str, Any]:
    video = {"type": "asset_id", "asset_id": asset}
    return {"model_name": "local-facts", "video": video, "prompt": "What text is shown?"}


def _questions(asset: str) -> dict[str, Any]:
    item = {"video": {"type": "asset_id", "asset_id": asset}, "prompt": {"input_text": "What text is shown?"}}
    return {"model_name": "local-facts", "analysis_mode": "general", "requests": [item]}


ORDER = ("pause", "resume", "cancel", "delete", "erase", "revoke", "unblock")
"""What stops things or takes them away comes after what needs them, in this order."""


def order(operation_id: str) -> tuple[int, str]:
    """When an operation has its turn."""
    return next((n for n, word in enumerate(ORDER, 1) if operation_id.startswith(word)), 0), operation_id


def good(method: str, path: str, ids: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The path of a request that is meant to work, and what else it takes."""
    label, template = f"{method.upper()} {path}", path
    for name, value in ids.items():
        path = path.replace("{" + name + "}", value.replace("+", "%2B"))
    bodies: dict[str, Any] = {
        "POST /v1/api/agents": {"name": "x", "greeting": "Hello"},
        "PUT /v1/api/agents/{agentId}": {"greeting": "Hello {first_name}"},
        "PATCH /v1/api/agents/{agentId}": {"goodbye": "Bye"},
        "POST /v1/api/call": {
            "to": "+12125550101",
            "call_agent_id": ids["agentId"],
            "dynamic_variables": {"first_name": "Ann"},
        },
        "POST /v1/api/dnc": {"numbers": ["+12125550151"]},
        "POST /v1/admin/workspaces": {"name": "New"},
        "PATCH /v1/admin/workspaces/{workspaceId}": {"weight": 2},
        "POST /v1/admin/keys": {"role": "read", "workspace": "ws-one"},
        "PATCH /v1/api/batch-calls/{batchId}": {"maxConcurrent": 5},
        "POST /v1/api/batch-calls/{batchId}/retry": {"status": "completed"},
        "POST /v1/api/webhooks": ENDPOINT,
        "PATCH /v1/api/webhooks/{endpointId}": {"description": "x"},
        "POST /v1/api/webhooks/{endpointId}/rotate": {"overlapHours": 1},
        "POST /v1/api/webhooks/{endpointId}/resend": {"since": "2026-01-01T00:00:00Z"},
        "POST /v1/api/webhooks/callback-secret": {"overlapHours": 1},
        "POST /v1.3/analyze/batches": _questions(ids["asset_id"]),
        "POST /v1.3/analyze/tasks": _question(ids["asset_id"]),
        "POST /v1.3/assets/multipart-uploads": UPLOAD,
        "POST /v1.3/assets/multipart-uploads/{upload_id}/presigned-urls": {"start": 1, "count": 1},
    }
    chunk = {"chunk_index": 1, "proof": ids["etag"], "proof_type": "etag", "chunk_size": UPLOAD_BYTES}
    bodies["POST /v1.3/assets/multipart-uploads/{upload_id}"] = {"completed_chunks": [chunk]}
    more: dict[str, Any] = {"json": bodies[label]} if label in bodies else {}
    if method == "post" and template in (PREFIX, f"{PREFIX}/validate"):
        form = {"agentId": ids["agentId"], "allowDuplicate": "true"}
        more = {"files": {"file": ("a.csv", PEOPLE)}, "data": form}
    if label == "POST /v1/api/dnc/import":
        more = {"files": {"file": ("a.csv", b"+12125550152\n")}}
    if label == "POST /v1.3/assets":
        more = {"files": {"file": ("a.md", b"# Notes")}, "data": {"method": "direct"}}
    return path, more
