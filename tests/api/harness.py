"""A whole API for tests: real store, real intake, and a worker that the test plays itself."""

import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from csv import reader
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import httpx2 as httpx
from fastapi import FastAPI
from starlette.types import ASGIApp

from covey.analysis.assets import Intake
from covey.analysis.media import Decoder
from covey.analysis.storage import AssetFiles
from covey.api.app import create_app, routes
from covey.api.kit.auth import make_key
from covey.api.kit.services import Services
from covey.api.trillet.agents import freeze
from covey.api.trillet.submit import retry_plan
from covey.calls.config import KIND, CallsConfig, Row
from covey.calls.recordings import Recordings
from covey.domain.account import Role, Workspace
from covey.domain.batch import NewBatch, NewItem
from covey.domain.clock import SystemClock
from covey.domain.ids import new_id
from covey.domain.lane import Lane
from covey.domain.run import Claimed, ClaimedRuns, Failed, Finished, Outcome, Succeeded
from covey.engine.submission import Submission
from covey.engine.wakeups import Wakeups
from covey.fetch import Fetcher
from covey.metrics import Metrics
from covey.settings import Analysis, Limits, Settings, TrunkKind, TrunkSettings
from covey.store.sqlite import SqliteStore
from covey.store.store import Store
from tests.api.document import declared
from tests.conformance.databases import DATABASES
from tests.patience import PATIENCE

PREFIX = "/v1/api/batch-calls"
WORKER = "worker-of-the-test"
AGENT = {"name": "Reminder", "greeting": "Hello {first_name}, this is a reminder."}
PEOPLE = b"phone_number,first_name\n+12125550101,Ann\n+12125550102,Bob\n+12125550103,Cid\n"


@dataclass
class Gate:
    """Where the database's thread stops, once, when it is `armed`: within the next operation that asks for the time."""

    armed: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def passed(self) -> None:
        """Called by the clock."""
        if self.armed and threading.current_thread().name == "covey-writer":
            self.armed = False
            self.reached.set()
            assert self.go_on.wait(PATIENCE)


@dataclass
class MovingClock(SystemClock):
    """The machine's clock, moved ahead by the test."""

    ahead: timedelta = timedelta(0)
    stopped_at: float | None = None
    """Monotonic seconds at which it stands still, for what counts by the second."""
    gate: Gate = field(default_factory=Gate)

    def now(self) -> datetime:
        self.gate.passed()
        return super().now() + self.ahead

    def monotonic(self) -> float:
        now = super().monotonic() if self.stopped_at is None else self.stopped_at
        return now + self.ahead.total_seconds()


@dataclass
class ApiHarness:
    """The opened API."""

    app: ASGIApp
    services: Services
    client: httpx.AsyncClient
    clock: MovingClock
    secrets: Mapping[str, str]

    def headers(self, name: str = "operate", workspace: str | None = None) -> dict[str, str]:
        """The headers of one of the keys: operate, read, other, admin."""
        given = {"x-api-key": self.secrets[name]}
        if name != "admin":
            given["x-workspace-id"] = workspace or ("ws-other" if name == "other" else "ws-one")
        return given

    async def agent(self, **fields: Any) -> str:
        """A new agent's id."""
        answer = await self.client.post("/v1/api/agents", json={**AGENT, **fields})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["agentId"])

    async def start(
        self,
        agent: str | None = None,
        csv: bytes = PEOPLE,
        headers: Mapping[str, str] | None = None,
        path: str = PREFIX,
        **fields: Any,
    ) -> httpx.Response:
        """Start a batch; a new agent is made for it unless one is given."""
        form = {"agentId": agent or await self.agent(), **fields}
        files = {"file": ("people.csv", csv, "text/csv")}
        return await self.client.post(path, files=files, data=form, headers=dict(headers or {}))

    async def batch(self, csv: bytes = PEOPLE, **fields: Any) -> str:
        """The id of a batch that was started over the API."""
        answer = await self.start(csv=csv, **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["batchId"])

    async def planted(self, csv: bytes = PEOPLE, agent: str | None = None, name: str | None = None) -> str:
        """The id of a batch that was handed to the engine as a start hands it, without the check of its list."""
        now, agent = self.clock.now(), agent or await self.agent()
        frozen = freeze(await self.services.store.agent("ws-one", agent.removeprefix("agent_")))
        rows = list(reader(StringIO(csv.decode())))
        retry, tries = retry_plan(frozen.callback, frozen, 0)
        config = CallsConfig(
            agent=frozen.body, agent_id=agent, trunk="demo", live=False, columns=tuple(rows[0]), retry=retry
        )
        notes = {"live": False, "agentId": agent}
        new = NewBatch(
            new_id(now), "ws-one", KIND, "demo", config.dump(), now, name, max_tries=tries, exclusive=True, notes=notes
        )

        async def pieces() -> AsyncIterator[list[NewItem]]:
            cells = (dict(zip(rows[0], row, strict=True)) for row in rows[1:])
            yield [NewItem(Row(row=n, values=held).dump(), held["phone_number"]) for n, held in enumerate(cells, 2)]

        batch = await self.services.submission.submit(new, pieces(), self.services.quota(True))
        return f"batch_{batch.id}"

    async def claim(self, room: int = 1, lane: str = "demo") -> list[tuple[ClaimedRuns, Claimed]]:
        """Take items as a worker does."""
        claim = await self.services.store.claim(WORKER, lane, room)
        return [(claim.portion, run) for run in claim.portion.runs] if claim.portion else []

    async def finish(self, taken: tuple[ClaimedRuns, Claimed], outcome: Outcome) -> None:
        """End an item as a worker does."""
        portion, run = taken
        started = self.clock.now() - timedelta(seconds=42)
        one = Finished(portion.batch, run.seq, run.attempt, outcome, started, self.clock.now())
        report = await self.services.store.finish(WORKER, [one])
        assert report.written == 1

    async def json(self, path: str, **query: str) -> Any:
        """The body of a GET that works."""
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


def succeeded(**result: Any) -> Succeeded:
    """A call that went well, as the runner writes it."""
    kept = {
        "call_id": "abc123",
        "transcript": "agent: Hello Ann.\ncallee: yes",
        "turns": [
            {"speaker": "agent", "text": "Hello Ann.", "at": 0.2, "confidence": 1.0, "said_for": 1.1},
            {"speaker": "callee", "text": "yes", "at": 2.0, "confidence": 0.8, "digit": "1"},
        ],
        "answers": {"coming": True},
        "answered_at_ms": 1_700_000_000_000,
        "talk_seconds": 12.3,
        "sip": {"call_id": "x@y", "code": 200, "text": "OK"},
        "media": {"codec": "PCMU", "sent": 10, "received": 11, "lost": 0},
        "recording": None,
        "message_left": False,
        **result,
    }
    return Succeeded("successful", kept, 42.0)


BUSY = Failed("busy", "Number busy", {"sip": {"call_id": "x@z", "code": 486, "text": "Busy Here"}})


@cache
def _routes() -> FastAPI:
    return routes()


@asynccontextmanager
async def open_api(data: Path, database: str = "", **limits: Any) -> AsyncIterator[ApiHarness]:
    """Open everything over a database in `data`, or over a new one of the kind `database`, and close it again."""
    clock = MovingClock()
    settings = Settings(
        data=data,
        limits=Limits(**limits),
        trunks={"simulated": TrunkSettings(kind=TrunkKind.simulated)},
        analysis=Analysis(sandbox="weak"),
    )
    opened = DATABASES[database].open(clock) if database else _in_folder(data, clock)
    async with opened as store, _over(store, data, clock, settings) as api:
        yield api


@asynccontextmanager
async def _in_folder(data: Path, clock: MovingClock) -> AsyncIterator[Store]:
    store = SqliteStore(data / "covey.db", clock)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def _over(store: Store, data: Path, clock: MovingClock, settings: Settings) -> AsyncIterator[ApiHarness]:
    files = AssetFiles(None, data / "assets", data / "spool-assets")
    decoder, fetcher = Decoder(settings.analysis), Fetcher(settings.fetch)
    intake = Intake(store, files, decoder, fetcher, clock, settings.analysis, WORKER)
    try:
        wakeups = Wakeups()
        services = Services(
            store=store,
            submission=Submission(store, wakeups, WORKER),
            wakeups=wakeups,
            clock=clock,
            settings=settings,
            metrics=Metrics(),
            worker=WORKER,
            recordings=Recordings(data / "recording", None, data / "recordings"),
            fetcher=fetcher,
            intake=intake,
        )
        await store.enlist(WORKER)
        for name in services.trunks:
            await store.put_lane(Lane(name, 40))
        secrets = await _accounts(services)
        app = create_app(services, _routes())
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://covey") as client:
            api = ApiHarness(app, services, client, clock, secrets)
            client.headers.update(api.headers())
            client.event_hooks = {"response": [declared]}
            yield api
    finally:
        await intake.close()
        await decoder.close()
        files.close()


async def _accounts(services: Services) -> dict[str, str]:
    now, secrets = services.clock.now(), dict[str, str]()
    for workspace in ("ws-one", "ws-other"):
        await services.store.add_workspace(Workspace(workspace, workspace, now))
    for name, owner, role in (
        ("operate", "ws-one", Role.operate),
        ("read", "ws-one", Role.read),
        ("other", "ws-other", Role.operate),
        ("admin", None, Role.admin),
    ):
        key, secrets[name] = make_key(owner, role, name, now)
        await services.store.add_key(key)
    return secrets
