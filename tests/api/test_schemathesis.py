"""schemathesis over the whole document, against a served API: no 5xx, nothing undeclared, and most operations work."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from covey.analysis.config import lane_of
from covey.api.auth import is_admin
from covey.domain.asset import Asset, AssetState
from covey.domain.ids import new_id
from covey.domain.lane import Lane
from tests.api.document import document
from tests.api.house import PEOPLE, PREFIX, House, open_house, succeeded
from tests.api.test_door import served
from tests.patience import PATIENCE

EXAMPLES = settings().max_examples // 25
"""Of each mode, for each operation: 4, and 400 with `--hypothesis-profile=soak`."""
ENOUGH = 0.8
"""The part of the operations that must have been seen to work."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@dataclass
class Target:
    """A served house, from the outside."""

    url: str
    house: House
    loop: asyncio.AbstractEventLoop

    def run(self, coroutine: Any) -> Any:
        """Do something in the house's own loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)


@contextmanager
def serving(data: Path) -> Iterator[Target]:
    """A house on a port, in a thread of its own."""
    ready: Future[Target] = Future()
    done: list[asyncio.Event] = []

    async def live() -> None:
        async with open_house(data, failed_authentications_per_second=100_000) as house, served(house) as port:
            done.append(asyncio.Event())
            ready.set_result(Target(f"http://127.0.0.1:{port}", house, asyncio.get_running_loop()))
            await done[0].wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    target = ready.result(PATIENCE)
    try:
        yield target
    finally:
        target.loop.call_soon_threadsafe(done[0].set)
        thread.join()


async def _furnish(house: House) -> dict[str, str]:
    """One of everything, so that paths lead somewhere: an ended call with a recording, a key, a blocked number."""
    endpoint = (await house.client.post("/v1/api/webhooks", json=ENDPOINT)).json()["id"]
    batch = await house.planted()
    for taken in await house.claim(3):
        await house.finish(taken, succeeded(recording="a.flac"))
    (house.services.settings.data / "recordings" / "a.flac").write_bytes(b"fLaC")
    call = (await house.json(f"{PREFIX}/{batch}/calls"))["calls"][0]["jobId"]
    await house.client.post("/v1/api/dnc", json={"numbers": ["+12125550150"]})
    body = {"role": "read", "workspace": "ws-other", "name": "spare"}
    key = (await house.client.post("/v1/admin/keys", json=body, headers=house.headers("admin"))).json()["id"]
    ids = {"batchId": batch, "jobId": call, "agentId": await house.agent(), "workspaceId": "ws-other", "keyId": key}
    told = await house.json(f"/v1/api/webhooks/{endpoint}/deliveries")
    ids |= {"endpointId": endpoint, "deliveryId": told["deliveries"][0]["id"], **await _asked(house)}
    return {**ids, "callHistoryId": call, "recordId": call, "number": "+12125550150"}


async def _asked(house: House) -> dict[str, str]:
    """An asset that is ready, a batch and a task about it that wait, and an upload that goes on."""
    now, store = house.clock.now(), house.services.store
    asset = Asset(new_id(now), "ws-one", "a.mp4", "video", "direct", AssetState.ready, now, 1000, 60.0)
    await store.add_asset(asset, house.services.worker)
    await store.change_asset(asset)
    await store.put_lane(Lane(lane_of("local-facts"), 1))
    batch = await house.client.post("/v1.3/analyze/batches", json=_questions(asset.id))
    task = await house.client.post("/v1.3/analyze/tasks", json=_question(asset.id))
    upload = await house.client.post("/v1.3/assets/multipart-uploads", json=UPLOAD)
    return {
        "asset_id": asset.id,
        "batch_id": batch.json()["batch_id"],
        "task_id": task.json()["task_id"],
        "upload_id": upload.json()["upload_id"],
    }


ENDPOINT = {"url": "https://covey.invalid/told"}
UPLOAD = {"filename": "a.mp4", "type": "video", "total_size": 10_000_000}


def _question(asset: str) -> dict[str, Any]:
    video = {"type": "asset_id", "asset_id": asset}
    return {"model_name": "local-facts", "video": video, "prompt": "What text is shown?"}


def _questions(asset: str) -> dict[str, Any]:
    item = {"video": {"type": "asset_id", "asset_id": asset}, "prompt": {"input_text": "What text is shown?"}}
    return {"model_name": "local-facts", "analysis_mode": "general", "requests": [item]}


def _good(operation: Any, ids: dict[str, str], client: httpx.Client) -> httpx.Response:
    """A request that is meant to work."""
    label, path = f"{operation.method.upper()} {operation.path}", operation.path
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
    more: dict[str, Any] = {"json": bodies[label]} if label in bodies else {}
    if operation.method == "post" and operation.path in (PREFIX, f"{PREFIX}/validate"):
        form = {"agentId": ids["agentId"], "allowDuplicate": "true"}
        more = {"files": {"file": ("a.csv", PEOPLE)}, "data": form}
    if label == "POST /v1.3/assets":
        more = {"files": {"file": ("a.md", b"# Notes")}, "data": {"method": "direct"}}
    return client.request(operation.method, path, **more)


ORDER = ("pause", "resume", "cancel", "delete", "erase", "revoke", "unblock")
"""What stops things or takes them away comes after what needs them, in this order."""


def _order(operation: Any) -> tuple[int, str]:
    name = str(operation.definition.raw["operationId"])
    return next((n for n, word in enumerate(ORDER, 1) if name.startswith(word)), 0), name


def _ok(found: Any) -> Any:
    """An operation that schemathesis understood; raises what it did not."""
    return found.ok()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    with serving(tmp_path) as found:
        yield found


def test_the_whole_document(target: Target) -> None:
    worked: set[str] = set()
    ids = target.run(_furnish(target.house))
    schema = schemathesis.openapi.from_dict(document())
    operations = sorted((_ok(found) for found in schema.get_all_operations()), key=_order)
    keys = {True: target.house.headers("admin"), False: target.house.headers()}
    with httpx.Client(base_url=target.url) as client:
        for operation in operations:
            client.headers = httpx.Headers(keys[is_admin(operation.path)])
            _fuzz(operation, target.url, keys[is_admin(operation.path)], worked)
            if _good(operation, ids, client).is_success:
                worked.add(operation.label)
    missing = sorted({operation.label for operation in operations} - worked)
    assert len(worked) >= ENOUGH * len(operations), missing


def _fuzz(operation: Any, url: str, headers: dict[str, str], worked: set[str]) -> None:
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @seed(0)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def one(case: Any) -> None:
            response = case.call(base_url=url, headers=headers)
            case.validate_response(response, checks=CHECKS)
            if response.status_code < 300:
                worked.add(operation.label)

        with suppress(Unsatisfiable):  # an operation without parameters has nothing to break
            one()
