"""A database that cannot answer: 503 and when to ask again, on every route, in the dialect's shape."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from covey.api.app import create_app
from covey.api.covey import health
from covey.api.kit.services import Services
from covey.calls.recordings import Recordings
from covey.domain.errors import Unavailable
from covey.engine.submission import Submission
from covey.engine.wakeups import Wakeups
from covey.metrics import Metrics
from covey.settings import Settings
from covey.store.postgres.connection import WAIT_SECONDS
from covey.store.postgres.store import PostgresStore
from covey.store.store import Store, StoreMethod
from tests.api.document import document
from tests.api.harness import AGENT, PEOPLE, ApiHarness, MovingClock
from tests.patience import patience
from tests.postgres_server import PostgresServer

BATCH, ITEM = "6" * 18 + "000000", "6" * 18 + "000001"
PATHS = {
    "batchId": f"batch_{BATCH}",
    "jobId": f"call_{ITEM}",
    "agentId": f"agent_{BATCH}",
    "callHistoryId": f"call_{ITEM}",
    "recordId": f"call_{ITEM}",
    "number": "+12125550101",
    "workspaceId": "ws-one",
    "keyId": BATCH,
    "batch_id": BATCH,
    "task_id": ITEM,
    "asset_id": BATCH,
    "upload_id": BATCH,
    "endpointId": BATCH,
    "deliveryId": ITEM,
}
_ABOUT = {"video": {"type": "asset_id", "asset_id": BATCH}}
BODIES: dict[str, Any] = {
    "changeBatch": {"name": "x"},
    "retryBatch": {},
    "createAgent": AGENT,
    "patchAgent": AGENT,
    "updateAgent": AGENT,
    "startCall": {"to": "+12125550101", "call_agent_id": f"agent_{BATCH}", "dynamic_variables": {}},
    "exportCallHistory": {},
    "block": {"numbers": ["+12125550101"], "reason": "asked"},
    "createWorkspace": {"name": "x"},
    "changeWorkspace": {"name": "x"},
    "createAnalysisBatch": {
        "model_name": "local-facts",
        "analysis_mode": "general",
        "requests": [{**_ABOUT, "prompt": {"input_text": "x"}}],
    },
    "createAnalysisTask": {"model_name": "local-facts", **_ABOUT, "prompt": "x"},
    "analyze": {"model_name": "local-facts", **_ABOUT, "prompt": "x"},
    "createKey": {"role": "operate", "workspace": "ws-one", "name": "x"},
    "replaceAssetUserMetadata": {"user_metadata": {"k": 1}},
    "updateAssetUserMetadata": {"user_metadata": {"k": 1}},
    "createMultipartUpload": {"filename": "a.mp4", "type": "video", "total_size": 10_000_000},
    "reportChunks": {
        "completed_chunks": [{"chunk_index": 1, "proof": "x", "proof_type": "etag", "chunk_size": 1}],
    },
    "getChunkAddresses": {"start": 1, "count": 1},
    "createEndpoint": {"url": "https://example.com/told"},
    "changeEndpoint": {"description": "x"},
    "rotateEndpoint": {},
    "rotateCallbackSecret": {},
    "resendFailed": {"since": "2026-01-01T00:00:00Z"},
}
UPLOADS = {"listMultipartUploads", "getMultipartUpload", "reportChunks", "getChunkAddresses"}
"""Of uploads in parts: what is known of them lies beside their parts, until the asset is made."""
WITHOUT_DATABASE = {"batchTemplate", "probe", "livez", "metrics", "readyz", *UPLOADS}
DOOR = ("key_by_digest", "touch_keys")
"""What the door asks before any route; tests/api/test_door.py has its failures."""

OPERATIONS = [
    pytest.param(method, path, operation["operationId"], id=operation["operationId"])
    for path, methods in document()["paths"].items()
    for method, operation in methods.items()
    if operation["operationId"] not in WITHOUT_DATABASE
]


def break_down(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    """From now on the database answers nothing but who may come in."""

    async def away(*_: object, **__: object) -> None:
        raise Unavailable("FATAL: the database at db.example.org is shutting down")

    for name, method in inspect.getmembers(type(store)):
        asks = inspect.iscoroutinefunction(method) or isinstance(method, StoreMethod)
        if asks and not name.startswith("_") and name not in (*DOOR, "close"):
            monkeypatch.setattr(store, name, away)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
async def test_every_route_says_when_to_ask_again(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, method: str, path: str, operation: str
) -> None:
    break_down(monkeypatch, api.services.store)
    headers = api.headers("admin") if path.startswith("/v1/admin") else api.headers()
    given: dict[str, Any] = {"json": BODIES[operation]} if operation in BODIES else {}
    if operation in ("startBatch", "validateBatch"):
        form = {"agentId": f"agent_{BATCH}"}
        given = {"files": {"file": ("people.csv", PEOPLE, "text/csv")}, "data": form}
    if operation == "blockList":
        given = {"files": {"file": ("numbers.csv", b"+12125550101\n", "text/csv")}}
    if operation == "createAsset":
        given = {"files": {"file": ("a.mp4", b"video", "video/mp4")}, "data": {"method": "direct"}}
    answer = await api.client.request(method, path.format(**PATHS), headers=headers, **given)
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    body = answer.json()
    if path.startswith("/v1.3"):
        body = {**body["error"], "error": body["error"]["code"], **body["error"]["details"]}
    assert (body["error"], body["requestId"]) == ("unavailable", answer.headers["x-request-id"])
    assert body["message"] == "The database cannot answer now; asking again is safe"
    assert "example.org" not in answer.text


async def test_a_server_whose_database_is_silent_is_not_ready(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "READY_SECONDS", 0.05)
    monkeypatch.setattr(api.services.store, "lanes", asyncio.Event().wait)
    answer = await api.client.get("/readyz")
    assert (answer.status_code, answer.json()["message"]) == (503, "The database does not answer")
    assert int(answer.headers["retry-after"]) > 0


@asynccontextmanager
async def on_postgres(server: PostgresServer, data: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The API over a PostgreSQL of its own."""
    store = PostgresStore(server.create_database("api"))
    await store.open()
    wakeups, clock = Wakeups(), MovingClock()
    services = Services(
        store=store,
        submission=Submission(store, wakeups, "w"),
        wakeups=wakeups,
        clock=clock,
        settings=Settings(data=data),
        metrics=Metrics(),
        worker="w",
        recordings=Recordings(data / "recording", None, data / "recordings"),
    )
    try:
        transport = httpx.ASGITransport(app=create_app(services), client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://covey") as client:
            yield client
    finally:
        await store.close()


async def test_a_postgres_that_is_gone_is_told_in_time_and_found_again(tmp_path: Path) -> None:
    server = PostgresServer().start()
    try:
        async with on_postgres(server, tmp_path) as client:
            assert (await client.get("/readyz")).status_code == 200
            server.stop("immediate")
            began = time.monotonic()
            answer = await client.get("/readyz")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            assert time.monotonic() - began < WAIT_SECONDS
            key = {"x-api-key": "covey_sk_" + "0" * 40 + "000000", "x-workspace-id": "w"}
            assert (await client.get("/livez", headers=key)).status_code == 200
            server.start()
            async with patience():
                while (await client.get("/readyz")).status_code != 200:
                    pass
    finally:
        server.close()
