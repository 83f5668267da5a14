"""Make a fixture with the code as it is: `python -m tests.upgrade.make [FOLDER]`, once for every schema.

Three lives of one server, and batches of both kinds that come to rest in every state there is. At the end of the third
the database is written down while calls and analyses are active, as a kill -9 leaves it.
"""

import asyncio
import itertools
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx2 as httpx
from benchmarks.webhooks import Receiver

from covey.analysis.media.drawing import DrawnScene, draw
from covey.api.app import create_app, routes
from covey.api.kit.auth import make_key
from covey.domain.account import Role, Workspace
from covey.domain.batch import StopReason
from covey.logging import setup_logging
from covey.server.assembly import Server, running
from covey.settings import Settings
from covey.store.migrate import migrations
from covey.store.sqlite.transaction import PACKAGE

from ..analysis.openai.stub import Stub, answer, error, held
from ..api.twelvelabs.asset_api import listening
from ..postgres_server import PostgresServer, free_port
from .fixture import HERE, KINDS, Calendar, Facts, looked_at, pack, settings_for, unpack
from .reading import ANALYSES, CALLS, read

YESTERDAY = timedelta(hours=-26)
WORKSPACE = "the-workspace"
QUICK, STILL = 2000.0, 0.0001
"""How fast calls go: ended at once, or not within a day."""

AGENT = {
    "name": "reminder",
    "greeting": "Hello {first_name}, this is a reminder.",
    "questions": [{"name": "coming", "ask": "Will you come? Press 1 for yes, 2 for no."}],
}
DEMO_AGENT = {"name": "short", "greeting": "Hello.", "goodbye": "Goodbye.", "trunk": "demo", "recording": True}
RETRIES = {"enabled": True, "maxAttempts": 3, "gaps": [{"hours": 1}]}
ANSWERS = "+19895550105"
"""A number of a demo phone that is picked up."""

PATIENCE = 120.0


class Numbers:
    """Numbers that nobody has, each used once."""

    def __init__(self) -> None:
        areas = (area for area in range(201, 999) if area % 100 != 11)
        self._all = (f"+1{area}55501{ending:02d}" for area, ending in itertools.product(areas, range(100)))

    def take(self, count: int) -> list[str]:
        """So many that were not used."""
        return list(itertools.islice(self._all, count))


@dataclass
class Life:
    """One life of the server, and what talks to it."""

    server: Server
    http: httpx.AsyncClient
    facts: Facts
    clock: Calendar
    numbers: Numbers

    async def json(self, method: str, path: str, role: str = "operate", **more: Any) -> Any:
        """What a request that works is answered."""
        headers = {**self.facts.headers(role), **more.pop("headers", {})}
        response = await self.http.request(method, path, headers=headers, **more)
        assert response.status_code < 300, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    async def calls(self, name: str, numbers: int | Sequence[str], extra: str = "", **form: Any) -> str:
        """Start a batch of calls and keep its id by this name."""
        people = self.numbers.take(numbers) if isinstance(numbers, int) else numbers
        rows = "".join(f"{number},Person{n},{name}\n" for n, number in enumerate(people))
        csv = f"phone_number,first_name,note\n{rows}{extra}"
        key = f"start-{name}"
        data = {"agentId": self.facts.names["agent.reminder"], "name": name, **form}
        files = {"file": ("people.csv", csv.encode(), "text/csv")}
        made = await self.json("POST", CALLS, data=data, files=files, headers={"idempotency-key": key})
        self.facts.names[f"calls.{name}"] = made["batchId"]
        self.facts.replay = {"key": key, "form": data, "csv": csv, "answer": made}
        return str(made["batchId"])

    async def analysis(self, name: str, model: str, *prompts: str, **more: Any) -> str:
        """Start a batch of analyses of the clip and keep its id by this name."""
        body = {
            "model_name": model,
            "analysis_mode": "general",
            "requests": [{**self.about(prompt), "custom_id": f"{name}-{n}"} for n, prompt in enumerate(prompts)],
            **more,
        }
        made = await self.json("POST", ANALYSES, json=body, headers={"idempotency-key": f"ask-{name}"})
        self.facts.names[f"analysis.{name}"] = made["batch_id"]
        return str(made["batch_id"])

    def about(self, prompt: str) -> dict[str, Any]:
        """A request about the clip."""
        video = {"type": "asset_id", "asset_id": self.facts.names["asset.clip"]}
        return {"video": video, "prompt": {"input_text": prompt}}

    async def until(self, path: str, condition: Callable[[Any], bool]) -> Any:
        """An answer, once it is so."""
        async with asyncio.timeout(PATIENCE):
            while not condition(found := await self.json("GET", path)):
                await asyncio.sleep(0.02)
        return found

    async def calls_until(self, name: str, condition: Callable[[Any], bool]) -> None:
        """Wait until the counts of a batch of calls are so."""
        path = f"{CALLS}/{self.facts.names[f'calls.{name}']}"
        await self.until(path, lambda batch: condition({**batch["progress"], **batch}))

    async def analysis_until(self, name: str, **counts: Any) -> None:
        """Wait until a batch of analyses has these values."""
        path = f"{ANALYSES}/{self.facts.names[f'analysis.{name}']}"
        await self.until(path, lambda batch: all(batch[key] == value for key, value in counts.items()))

    async def to_calls(self, name: str, *words: str, method: str = "POST") -> None:
        """Ask something of a batch of calls: pause, resume; without a word, cancel it."""
        await self.json(method, "/".join([CALLS, self.facts.names[f"calls.{name}"], *words]))

    async def to_analysis(self, name: str, word: str) -> None:
        """Ask something of a batch of analyses."""
        await self.json("POST", f"{ANALYSES}/{self.facts.names[f'analysis.{name}']}/{word}")


async def expiring(life: Life) -> None:
    """The first life: what it began is overtaken by the next day."""
    soon = (life.clock.now() + timedelta(hours=2)).isoformat()
    await life.calls("expired", 5, expiresAt=soon, maxConcurrent=2)
    await life.calls_until("expired", lambda batch: batch["active"] == 2)
    await life.analysis("expired", "eyes", "good 1", "hold 1", "hold 2", "hold 3")
    await life.analysis_until("expired", ready_items=1, processing_items=2)
    life.clock.ahead = timedelta(0)
    await life.analysis_until("expired", status="expired")
    await life.calls_until("expired", lambda batch: batch["waiting"] == 0)


async def ending(life: Life, release: asyncio.Event) -> None:
    """The second life: calls end at once."""
    await life.calls("completed", 12, extra="12,Nobody,no number\n", onInvalid="skip")
    await life.calls_until("completed", lambda batch: batch["isComplete"])
    await life.calls("blocked", [life.facts.names["number.blocked"], *life.numbers.take(2)])
    await life.calls_until("blocked", lambda batch: batch["isComplete"])
    await life.calls("spent", 9, maxCost="4.00")
    await life.calls_until("spent", lambda batch: batch["isComplete"])
    for name in ("running", "paused"):
        await life.calls(name, 24, smartCallbackConfig=json.dumps(RETRIES), callsPerSecond=8)
        await life.calls_until(name, lambda batch: batch["completed"] > 1 and batch["completed"] + batch["failed"] > 5)
        path = f"{CALLS}/{life.facts.names[f'calls.{name}']}/calls?limit=100"
        await life.until(path, lambda page: any("nextAttemptAt" in call for call in page["calls"]))
        await life.to_calls(name, "pause")
        await life.calls_until(name, lambda batch: batch["active"] == 0)
    await life.calls("cancelled", 4, scheduledAt=(life.clock.now() + timedelta(hours=1)).isoformat())
    await life.to_calls("cancelled", method="DELETE")
    await life.calls("failed", 4, scheduledAt=(life.clock.now() + timedelta(hours=1)).isoformat())
    failed = life.facts.names["calls.failed"].removeprefix("batch_")
    await life.server.store.stop(WORKSPACE, failed, StopReason.fail, message="the configuration cannot be read")
    await life.calls("recorded", [ANSWERS], agentId=life.facts.names["agent.short"], trunk="demo")
    await _single(life, "done", callback_url=life.facts.names["url.callback"])
    await life.until(
        f"/v2/api/call-history/{life.facts.names['call.done']}", lambda call: call.get("endTime") or call.get("endedAt")
    )
    retried = f"{CALLS}/{life.facts.names['calls.completed']}/retry"
    again = await life.json("POST", retried, json={"status": ["failed"]})
    life.facts.names["calls.again"] = again["batchId"]
    await life.calls_until("again", lambda batch: batch["isComplete"])
    await _analyses_ended(life, release)
    await life.calls_until("recorded", lambda batch: batch["isComplete"])


async def _analyses_ended(life: Life, release: asyncio.Event) -> None:
    await life.analysis("completed", "eyes", "good 1", "refused", "good 2")
    await life.analysis_until("completed", status="completed")
    await life.analysis("local", "local-facts", "What text is on screen?")
    await life.analysis_until("local", status="completed")
    await life.analysis("spent", "eyes", "good 1", "good 2", "good 3", "good 4", max_cost="2.000000")
    await life.analysis_until("spent", status="canceled")
    await life.analysis("canceled", "ears", "released 1", "released 2", "good 1", "good 2")
    await life.analysis_until("canceled", processing_items=2)
    await life.to_analysis("canceled", "cancel")
    release.set()
    await life.analysis_until("canceled", status="canceled")
    made = await life.json(
        "POST", "/v1.3/analyze/tasks", json={"model_name": "eyes", **life.about("good task"), "prompt": "good task"}
    )
    life.facts.names["task.done"] = made["task_id"]
    await life.until(f"/v1.3/analyze/tasks/{made['task_id']}", lambda task: task["status"] == "ready")


async def _task(life: Life, model: str) -> Any:
    body = {**life.about(""), "model_name": model, "prompt": "good task"}
    return await life.json("POST", "/v1.3/analyze/tasks", json=body)


async def _single(life: Life, name: str, **more: Any) -> None:
    body = {
        "to": life.numbers.take(1)[0],
        "call_agent_id": life.facts.names["agent.reminder"],
        "dynamic_variables": {"first_name": "Ann"},
        "metadata": {"order": name},
        **more,
    }
    made = await life.json("POST", "/v1/api/call", json=body, headers={"idempotency-key": f"call-{name}"})
    life.facts.names[f"call.{name}"] = made["call_id"]


async def standing(life: Life) -> None:
    """The third life: everything stands where it is to be found."""
    running = f"{CALLS}/{life.facts.names['calls.running']}"
    await life.json("PATCH", running, json={"maxConcurrent": 2})
    await life.to_calls("running", "resume")
    await life.calls_until("running", lambda batch: batch["active"] == 2)
    await life.calls("paused-active", 6, maxConcurrent=1)
    await life.calls_until("paused-active", lambda batch: batch["active"] == 1)
    await life.to_calls("paused-active", "pause")
    await life.calls("stopping", 6, maxConcurrent=2)
    await life.calls_until("stopping", lambda batch: batch["active"] == 2)
    await life.to_calls("stopping", method="DELETE")
    await _single(life, "active")
    active = f"/v2/api/call-history/{life.facts.names['call.active']}"
    await life.until(active, lambda call: call["status"] not in ("waiting", "queued"))
    await life.analysis("running", "eyes", "good 1", "good 2", "hold 1", "hold 2", "good 3", "good 4")
    await life.analysis_until("running", ready_items=2, processing_items=2)
    await life.analysis("stopping", "ears", "hold 1", "hold 2", "good 1")
    await life.analysis_until("stopping", processing_items=2)
    await life.to_analysis("stopping", "cancel")
    await life.analysis("paused", "nose", "good 1", "unsure", "hold 1", "hold 2", "good 2")
    await life.analysis_until("paused", ready_items=1, processing_items=2)
    await life.to_analysis("paused", "pause")
    await life.calls("queued", 4)
    await life.calls("scheduled", 4, scheduledAt=(life.clock.now() + timedelta(hours=3)).isoformat())
    await life.analysis("queued", "eyes", "good 1", "good 2")
    made = await life.json(
        "POST", "/v1.3/analyze/tasks", json={"model_name": "ears", **life.about("good task"), "prompt": "good task"}
    )
    life.facts.names["task.queued"] = made["task_id"]


async def _account(server: Server, clock: Calendar, facts: Facts) -> None:
    """A workspace with prices, and keys of every role."""
    now = clock.now()
    prices = {"calls": {"perItem": "1"}, "analysis": {"perItem": "1"}}
    await server.store.add_workspace(
        Workspace(WORKSPACE, "The workspace", now, 2.0, {"prices": prices, "country": "US"})
    )
    for role in Role:
        key, facts.keys[role.value] = make_key(None if role is Role.admin else WORKSPACE, role, role.value, now)
        await server.store.add_key(key)


async def _furnish(life: Life, folder: Path, receiver: str) -> None:
    """Agents, files, numbers that are never called, and receivers: one that answers, one that is not there."""
    names, secrets = life.facts.names, life.facts.secrets
    for agent in (AGENT, DEMO_AGENT, {**AGENT, "name": "retrying", "smartCallback": True}):
        names[f"agent.{agent['name']}"] = (await life.json("POST", "/v1/api/agents", json=agent))["agentId"]
    revoked = await life.json("POST", "/v1/admin/keys", "admin", json={"role": "read", "workspace": WORKSPACE})
    await life.json("DELETE", f"/v1/admin/keys/{revoked['id']}", "admin")
    life.facts.keys["revoked"] = revoked["secret"]
    [names["number.blocked"], other] = life.numbers.take(2)
    names["number.called"] = ANSWERS
    await life.json("POST", "/v1/api/dnc", json={"numbers": [names["number.blocked"], other], "reason": "asked us"})
    nowhere = f"http://127.0.0.1:{free_port()}/hook"
    for name, url in (("there", receiver), ("gone", nowhere), ("off", nowhere)):
        events = ["batch.completed", "batch.canceled", *(["batch.started", "item.failed"] if name == "gone" else [])]
        body = {"url": url, "events": events, "description": name}
        made = await life.json("POST", "/v1/api/webhooks", json=body)
        names[f"endpoint.{name}"], secrets[name] = made["id"], made["secret"]
    await life.json("PATCH", f"/v1/api/webhooks/{names['endpoint.off']}", json={"disabled": True})
    made = await life.json("POST", "/v1/api/webhooks/callback-secret", json={})
    secrets["callback"], names["url.callback"] = made["secret"], receiver
    await _assets(life, folder)


async def _assets(life: Life, folder: Path) -> None:
    draw(folder / "clip.mp4", [DrawnScene(1.0, "navy", (("Hello", 40),)), DrawnScene(0.5, "gold")], (160, 90))
    for name, content in (("clip", (folder / "clip.mp4").read_bytes()), ("broken", b"no video at all")):
        files = {"file": (f"{name}.mp4", content, "video/mp4")}
        asset = await life.json("POST", "/v1.3/assets", data={"method": "direct"}, files=files)
        life.facts.names[f"asset.{name}"] = asset["_id"]
        await life.until(f"/v1.3/assets/{asset['_id']}", lambda found: found["status"] != "processing")
    about = {"filename": "later.mp4", "type": "video", "total_size": 20_000}
    begun = await life.json("POST", "/v1.3/assets/multipart-uploads", json=about)
    life.facts.names["upload.open"] = begun["upload_id"]


@asynccontextmanager
async def _life(settings: Settings, facts: Facts, clock: Calendar, numbers: Numbers) -> AsyncIterator[Life]:
    """Open a life of the server; it ends by hanging up."""
    async with (
        running(settings, clock) as server,
        listening(create_app(server.services, routes())) as served,
        httpx.AsyncClient(base_url=served, timeout=PATIENCE) as http,
    ):
        if not facts.keys:
            await _account(server, clock, facts)
        yield Life(server, http, facts, clock, numbers)


async def make(kind: str, folder: Path) -> None:
    """Write one kind's fixture into `folder`."""
    clock, facts, numbers = Calendar(), Facts("", WORKSPACE, {}), Numbers()
    clock.ahead = YESTERDAY
    server = PostgresServer().start() if kind == "postgres" else None
    url = server.create_database("made") if server else None
    release = asyncio.Event()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        data = place / "made" / "data"
        async with Stub() as stub, Receiver().listening("127.0.0.1") as receiver:
            _plan(stub, release)
            still, quick = (settings_for(data, url, stub.url, speed) for speed in (STILL, QUICK))
            async with _life(still, facts, clock, numbers) as life:
                await _furnish(life, place, receiver.url)
                await expiring(life)
            async with _life(quick, facts, clock, numbers) as life:
                await ending(life, release)
            async with _life(still, facts, clock, numbers) as life:
                await standing(life)
                facts.moment = clock.now().isoformat()
                await asyncio.to_thread(pack, folder, kind, data, server, url)
        await _record(kind, folder, place / "read" / "data", server, facts)
    if server:
        server.close()


def _plan(stub: Stub, release: asyncio.Event) -> None:
    stub.when("hold", held(asyncio.Event(), answer("never")))
    stub.when("released", held(release, answer("at last")))
    stub.when("refused", error(400, "this input is refused"))
    stub.when("unsure", error(500))
    stub.when("good", answer("It is good."))


async def _record(kind: str, folder: Path, data: Path, server: PostgresServer | None, facts: Facts) -> None:
    """Read what was written, in a place where nothing runs."""
    url = server.create_database("read") if server else None
    unpack(folder, kind, data, url)
    clock = Calendar()
    clock.set(datetime.fromisoformat(facts.moment))
    async with looked_at(settings_for(data, url, "http://127.0.0.1:9/v1", QUICK), clock, facts) as (client, _):
        facts.readings = await read(client, facts)
    facts.write(folder / f"{kind}.json")


def main() -> None:
    """Write the fixtures of the code as it is."""
    number = max(step.number for step in migrations(PACKAGE))
    folder = Path(sys.argv[1]) if sys.argv[1:] else HERE / f"{version('covey')}-{number:04}"
    folder.mkdir(parents=True, exist_ok=True)
    setup_logging("warning")
    for kind in KINDS:
        asyncio.run(make(kind, folder))


if __name__ == "__main__":
    main()
