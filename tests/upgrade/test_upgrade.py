"""Databases of older Coveys: read as they were written, and gone on with as after a kill."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from benchmarks.webhooks import Receiver
from standardwebhooks import Webhook

from covey.api.app import create_app, routes
from covey.cli.local.database import recount
from covey.domain import liveness
from covey.domain.run import DO_NOT_CALL
from covey.logging import setup_logging
from covey.server.assembly import running
from covey.server.database import FILE
from covey.settings import Settings
from covey.store.store import Store

from ..analysis.openai.stub import Stub
from ..api.twelvelabs.asset_api import listening
from ..postgres_server import session_server
from .fixture import FOLDERS, KINDS, Calendar, Facts, looked_at, settings_for, starts, unpack
from .reading import ANALYSES, CALLS, lasting, missing, read

QUICK = 2000.0
PATIENCE = 90.0
NOWHERE = "http://127.0.0.1:9/v1"
ENDED = ("completed", "failed", "cancelled")
ANALYSES_ENDED = ("completed", "canceled", "expired")
NOT_CHANGED = ("expired", "completed", "blocked", "spent", "cancelled", "failed", "recorded", "again")

_names = (f"upgrade_{n}" for n in itertools.count())


@dataclass
class Old:
    """A fixture, unpacked. The calendar shows the moment at which it was written."""

    facts: Facts
    data: Path
    url: str | None
    clock: Calendar

    def settings(self, model_url: str = NOWHERE) -> Settings:
        """The settings that it was made with."""
        return settings_for(self.data, self.url, model_url, QUICK)

    def of(self, path: str) -> Any:
        """What a path was answered then."""
        return self.facts.readings[path]

    def calls(self, *batches: str) -> Iterator[dict[str, Any]]:
        """The calls of batches, as they were."""
        for name in batches:
            yield from self.of(f"{CALLS}/{self.facts.names[f'calls.{name}']}/calls?limit=100")["calls"]


@pytest.fixture(params=[(folder, kind) for folder in FOLDERS for kind in KINDS], ids=lambda of: f"{of[0].name}-{of[1]}")
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Old]:
    folder, kind = request.param
    name, server = next(_names), session_server() if kind == "postgres" else None
    url = server.create_database(name) if server else None
    unpack(folder, kind, tmp_path / "data", url)
    facts, clock = Facts.load(folder / f"{kind}.json"), Calendar()
    clock.set(datetime.fromisoformat(facts.moment))
    yield Old(facts, tmp_path / "data", url, clock)
    if server:
        server.drop(name)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """The server's own logs, as it writes them."""
    setup_logging("warning")


def test_there_is_one_of_each_kind() -> None:
    assert FOLDERS
    assert all(
        (folder / f"{kind}.{ending}").exists() for folder in FOLDERS for kind in KINDS for ending in ("json", "tar.xz")
    )


async def test_everything_is_read_as_it_was_written(old: Old) -> None:
    async with looked_at(old.settings(), old.clock, old.facts) as (client, store):
        now = await read(client, old.facts)
        assert await wrong_counts(store) == []
    assert [text for path, was in old.facts.readings.items() for text in missing(was, now.get(path), path)] == []
    if old.url is None:
        wrong, looked = await asyncio.to_thread(recount, old.data / FILE)
        assert (wrong, looked > 5) == ([], True)


async def wrong_counts(store: Store) -> list[str]:
    """What a recount of every batch finds."""
    batches, total = await store.batches(None, origin=None, limit=1000)
    assert len(batches) == total > 20
    return [f"{batch.id}: {found}" for batch in batches if (found := await store.recount(batch.id))]


@dataclass
class Going:
    """A server that goes on with a fixture."""

    old: Old
    store: Store
    http: httpx.AsyncClient

    async def json(self, method: str, path: str, role: str = "operate", **more: Any) -> Any:
        """What a request that works is answered."""
        answer = await self.http.request(method, path, headers=self.old.facts.headers(role), **more)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def status(self, method: str, path: str, role: str, **more: Any) -> int:
        """The status of a request."""
        return (await self.http.request(method, path, headers=self.old.facts.headers(role), **more)).status_code

    def path(self, name: str) -> str:
        """Where a batch is."""
        root = CALLS if name.startswith("calls.") else ANALYSES
        return f"{root}/{self.old.facts.names[name]}"

    async def until_ended(self, root: str, field: str, step: timedelta = timedelta(0)) -> None:
        """Wait until every batch has ended, while the calendar goes on by `step` at every look."""
        query = "limit=100" if root == CALLS else "page_limit=50"
        async with asyncio.timeout(PATIENCE):
            while True:
                page = (await self.json("GET", f"{root}?{query}"))[field]
                if all(
                    batch.get("isComplete", batch["status"] in ("completed", "canceled", "expired")) for batch in page
                ):
                    return
                self.old.clock.ahead += step
                await asyncio.sleep(0.05)

    async def until_settled(self) -> None:
        """Wait until nothing of the killed process counts as active any more."""
        names = [name for name in self.old.facts.names if name.startswith("calls.")]
        async with asyncio.timeout(PATIENCE):
            for name in names:
                while (await self.json("GET", self.path(name)))["progress"]["active"]:
                    await asyncio.sleep(0.05)


@asynccontextmanager
async def going_on(old: Old) -> AsyncIterator[Going]:
    """Start a server on a fixture. Its models answer, and calls go quickly."""
    async with (
        Stub() as stub,
        running(old.settings(stub.url), old.clock) as server,
        listening(create_app(server.services, routes())) as url,
        httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http,
    ):
        yield Going(old, server.store, http)


@pytest.fixture
def soon_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart of the database everybody has half a minute to come back; here nobody else will."""
    monkeypatch.setattr(liveness, "RETURN_SECONDS", 0.5)


async def test_it_goes_on_where_the_killed_process_stopped(old: Old, soon_dead: None) -> None:
    async with going_on(old) as going:
        assert (await going.json("DELETE", going.path("calls.scheduled")))["details"]["cancelledCalls"] == 4
        await going.until_settled()
        for name in ("calls.paused", "calls.paused-active", "analysis.paused"):
            await going.json("POST", f"{going.path(name)}/resume")
        await going.until_ended(ANALYSES, "data")
        await going.until_ended(CALLS, "batches", timedelta(minutes=10))
        assert await wrong_counts(going.store) == []
        await _ends_are_right(going)
        await _what_had_ended_is_as_it_was(going)
    _nobody_was_rung_who_should_not_be(old)


async def _ends_are_right(going: Going) -> None:
    statuses = {name: (await going.json("GET", going.path(f"calls.{name}")))["status"] for name in GONE_ON}
    assert statuses == GONE_ON
    states = {name: (await going.json("GET", going.path(f"analysis.{name}"))) for name in ANALYSED}
    assert {
        name: (one["status"], one["ready_items"], one["canceled_items"]) for name, one in states.items()
    } == ANALYSED
    lost = [call for call in going.old.calls(*GONE_ON) if call["status"] == "active"]
    assert len(lost) == 5
    for call in lost:
        now = await going.json("GET", f"/v2/api/call-history/{call['jobId']}")
        assert (now["status"], now["errorCode"]) == ("failed", "outcome_unknown")
    task = await going.json("GET", f"/v1.3/analyze/tasks/{going.old.facts.names['task.queued']}")
    assert task["status"] == "ready"


GONE_ON = {
    "running": "completed",
    "paused": "completed",
    "paused-active": "completed",
    "queued": "completed",
    "stopping": "cancelled",
    "scheduled": "cancelled",
}
ANALYSED = {
    "running": ("completed", 6, 0),
    "paused": ("completed", 5, 0),
    "queued": ("completed", 2, 0),
    "stopping": ("canceled", 0, 3),
}
"""Status, ready, canceled. What a lost worker had in hand is done again, unless its batch was stopped."""


async def _what_had_ended_is_as_it_was(going: Going) -> None:
    old = going.old
    paths = [going.path(f"calls.{name}") for name in NOT_CHANGED]
    for path in [path for path in old.facts.readings if path.startswith(f"{CALLS}/batch_") and "/calls/" in path]:
        was = old.of(path)
        if isinstance(was, dict) and was["status"] in ENDED and was.get("endTime"):
            paths.append(path)
    assert len(paths) > 40
    for path in paths:
        assert missing(old.of(path), lasting(await going.json("GET", path)), path) == []


def _nobody_was_rung_who_should_not_be(old: Old) -> None:
    began = Counter((start["item"], start["attempt"]) for start in starts(old.data))
    assert set(began.values()) == {1}
    rung = {f"call_{item}" for item, _ in began}
    waited = [call for call in old.calls("running", "paused", "paused-active", "queued") if call["status"] == "waiting"]
    assert rung == {call["jobId"] for call in waited}
    again = {call["jobId"] for call in waited if "nextAttemptAt" in call}
    assert again
    assert not again & {f"call_{item}" for item, attempt in began if attempt == 1}
    assert DO_NOT_CALL in {call.get("errorCode") for call in old.calls("blocked")}


async def test_keys_and_answers_given_before_still_count(old: Old) -> None:
    replay = old.facts.replay
    files = {"file": ("people.csv", replay["csv"].encode(), "text/csv")}
    async with looked_at(old.settings(), old.clock, old.facts) as (client, store):
        _, before = await store.batches(None, origin=None, limit=1)
        again = await client.post(CALLS, data=replay["form"], files=files, headers={"idempotency-key": replay["key"]})
        assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
        assert missing(replay["answer"], again.json()) == []
        twice = await client.post(CALLS, data=replay["form"], files=files)
        assert (twice.status_code, twice.json()["error"]) == (409, "duplicate_batch")
        assert (await store.batches(None, origin=None, limit=1))[1] == before
        for role, status in (("read", 403), ("revoked", 401)):
            denied = await client.post(
                "/v1/api/dnc", json={"numbers": ["+12015550123"]}, headers=old.facts.headers(role)
            )
            assert denied.status_code == status


async def test_what_was_to_be_told_is_told_with_the_secrets_from_before(old: Old, soon_dead: None) -> None:
    endpoint = old.facts.names["endpoint.gone"]
    path = f"/v1/api/webhooks/{endpoint}"
    waiting = {one["id"] for one in old.of(f"{path}/deliveries?limit=100")["deliveries"] if one["state"] == "waiting"}
    assert len(waiting) > 5
    async with Receiver().listening("127.0.0.1") as there, going_on(old) as going:
        await going.json("PATCH", path, json={"url": there.url})
        async with asyncio.timeout(PATIENCE):
            while not waiting <= {got.id.removeprefix("msg_") for got in there.got}:
                old.clock.ahead += timedelta(seconds=30)
                await asyncio.sleep(0.05)
    webhook = Webhook(old.facts.secrets["gone"])
    for got in there.got:
        at = datetime.fromtimestamp(
            int(got.headers["webhook-timestamp"]), datetime.fromisoformat(old.facts.moment).tzinfo
        )
        assert webhook.sign(got.id, at, got.body.decode()) in got.headers["webhook-signature"].split()
