"""The fixtures: what is in the folders beside this file, how it is packed, and the settings that go with it.

A folder is named by Covey's version and the schema's number, `0.1.0-0001`. In it are, for each kind of database, what
a server left behind that was killed (`sqlite.tar.xz`, `postgres.tar.xz`: the database, and the files beside it) and
what was then read over both APIs (`sqlite.json`, `postgres.json`). `make.py` writes them.
"""

import io
import json
import os
import subprocess
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psycopg

from covey.analysis.assets import Intake
from covey.analysis.media import Decoder
from covey.analysis.storage import AssetFiles
from covey.api.app import create_app, routes
from covey.api.kit.services import Services
from covey.calls.paths import recording_spool, recordings_folder
from covey.calls.recordings import Recordings
from covey.domain.clock import SystemClock
from covey.engine.submission import Submission
from covey.engine.wakeups import Wakeups
from covey.fetch import Fetcher
from covey.metrics import Metrics
from covey.server.database import FILE, opened
from covey.settings import Settings
from covey.store.sqlite.backup import copy_database
from covey.store.store import Store

from ..postgres_server import PostgresServer, newest_of_the_wheel

HERE = Path(__file__).parent
KINDS = ("sqlite", "postgres")
FOLDERS = sorted(path for path in HERE.iterdir() if (path / "sqlite.json").exists())

SECRET = "what the webhook secrets of the fixtures are encrypted with"
TRUNK = "line"
MODELS = ("eyes", "ears", "nose")
SLOTS = 2
CHANNELS = 6
DUMP = "database.sql"

_LEFT_OUT = ("phones", "clips", "diallers", FILE, Path(FILE).with_suffix(".lock").name)
_OF_PSQL = ("\\", "SET transaction_timeout")
"""What a dump begins lines with that only psql, or only the newest server, understands."""


class Calendar(SystemClock):
    """The machine's clock; the date may be moved."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead

    def set(self, moment: datetime) -> None:
        """Let it be this moment."""
        self.ahead = moment - super().now()


@dataclass
class Facts:
    """What a fixture's maker knows of it. `names` are ids by a name for what they are of, `moment` when it was
    written; `replay` is a request with an Idempotency-Key that was answered, and its answer."""

    moment: str
    workspace: str
    keys: dict[str, str]
    names: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    replay: dict[str, Any] = field(default_factory=dict)
    readings: dict[str, Any] = field(default_factory=dict)

    def headers(self, role: str = "operate") -> dict[str, str]:
        """The headers of one of the keys."""
        key = {"x-api-key": self.keys[role]}
        return key if role == "admin" else {**key, "x-workspace-id": self.workspace}

    def named(self, prefix: str) -> dict[str, str]:
        """The ids whose name begins so, by the rest of the name."""
        return {name.removeprefix(prefix): id_ for name, id_ in self.names.items() if name.startswith(prefix)}

    def write(self, path: Path) -> None:
        """Write them, a reading a line."""
        facts = {name: value for name, value in vars(self).items() if name != "readings"}
        lines = [f"{json.dumps(name)}: {json.dumps(value, sort_keys=True)}" for name, value in self.readings.items()]
        head = json.dumps(facts, indent=1)[:-2]
        path.write_text(head + ',\n "readings": {\n' + ",\n".join(lines) + "\n }\n}\n", "utf-8")

    @classmethod
    def load(cls, path: Path) -> "Facts":
        """Read what `write` wrote."""
        return cls(**json.loads(path.read_text("utf-8")))


def settings_for(data: Path, database: str | None, model_url: str, speed: float) -> Settings:
    """The settings that the fixtures were made with; calls go `speed` times as fast as people talk."""
    model = {"kind": "openai", "url": model_url, "model": "stub", "video": "video_url", "concurrency": SLOTS}
    return Settings.model_validate(
        {
            "data": data,
            "database": database,
            "secret": SECRET,
            "calls": {"default_trunk": TRUNK},
            "trunks": {
                TRUNK: {
                    "kind": "simulated",
                    "channels": CHANNELS,
                    "calls_per_second": 1000,
                    "speed": speed,
                    "start_log": data.parent / "starts.jsonl",
                }
            },
            "fetch": {"allow": ["127.0.0.0/8"]},
            "webhooks": {"timeout_seconds": 2.0},
            "analysis": {"sandbox": "weak"},
            "models": dict.fromkeys(MODELS, model),
        }
    )


def pack(folder: Path, kind: str, data: Path, server: PostgresServer | None, url: str | None) -> None:
    """Write down a database and its files as a kill would leave them at this moment, also while a server runs."""
    target = folder / f"{kind}.tar.xz"
    with tarfile.open(target, "w:xz", preset=9) as archive:
        for path in sorted(data.rglob("*")):
            if path.is_file() and not path.relative_to(data).parts[0].startswith(_LEFT_OUT):
                _add(archive, path.relative_to(data).as_posix(), path.read_bytes())
        if server is None or url is None:
            copy = data.parent / "copy.db"
            copy_database(data / FILE, copy)
            _add(archive, FILE, copy.read_bytes())
            copy.unlink()
        else:
            _add(archive, DUMP, _dump(url))


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    archive.addfile(entry, io.BytesIO(content))


def _dump(url: str) -> bytes:
    """The whole database in SQL that any driver can send."""
    options = ("--inserts", "--rows-per-insert=100", "--no-owner", "--no-privileges")
    command = [str(newest_of_the_wheel() / "pg_dump"), *options, url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": os.defpath})
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith((*_OF_PSQL, "--"))]
    return "\n".join([*lines, ""]).encode()


def unpack(folder: Path, kind: str, data: Path, url: str | None) -> None:
    """Put a fixture's files into `data`, and its database there or into the empty one at `url`."""
    data.mkdir(parents=True)
    with tarfile.open(folder / f"{kind}.tar.xz") as archive:
        archive.extractall(data, filter="data")
    if url is not None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute((data / DUMP).read_bytes())
        (data / DUMP).unlink()


@asynccontextmanager
async def looked_at(
    settings: Settings, clock: Calendar, facts: Facts
) -> AsyncIterator[tuple[httpx.AsyncClient, Store]]:
    """A client of the API over a database, and its store. Nothing runs: what is read is as it was written."""
    async with opened(settings, clock, lambda hint: None) as database:
        store, wakeups, worker = database.store, Wakeups(), "nobody"
        data = settings.data
        files = AssetFiles(None, data / "assets", data / "spool-assets")
        decoder, fetcher = Decoder(settings.analysis), Fetcher(settings.fetch)
        intake = Intake(store, files, decoder, fetcher, clock, settings.analysis, worker)
        services = Services(
            store=store,
            submission=Submission(store, wakeups, worker),
            wakeups=wakeups,
            clock=clock,
            settings=settings,
            metrics=Metrics(),
            worker=worker,
            recordings=Recordings(recording_spool(data), None, recordings_folder(data)),
            fetcher=fetcher,
            intake=intake,
        )
        transport = httpx.ASGITransport(app=create_app(services, routes()), client=("127.0.0.1", 1))
        try:
            async with httpx.AsyncClient(
                transport=transport, base_url="http://covey", headers=facts.headers()
            ) as client:
                yield client, store
        finally:
            await intake.close()
            await decoder.close()
            files.close()


def starts(data: Path) -> Iterator[dict[str, Any]]:
    """What the trunk dialled, in this place."""
    log = data.parent / "starts.jsonl"
    for line in log.read_text().splitlines() if log.exists() else ():
        yield json.loads(line)
