"""`python -m tests.fuzz` sends a running server, on each database in turn, what schemathesis makes of its API document.

    python -m tests.fuzz [--seconds 1200] [--seed N] [--database sqlite]

Half of the time of a database goes to ids that schemathesis makes up, half to ids of things that are there. Its trunk
is simulated, so nobody is rung. It fails on any 5xx in the server's log. With the seed that it prints a run is made
again, as far as the server's own ids and times allow.
"""

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
import orjson
from benchmarks.serving import served

from covey.api.app import document
from covey.api.kit.auth import make_key
from covey.domain.account import Role, Workspace
from covey.domain.clock import SystemClock
from covey.store.postgres.store import PostgresStore
from covey.store.sqlite import SqliteStore
from covey.store.store import Store
from tests.postgres_server import PostgresServer

SECONDS = 20 * 60
LEAST_REQUESTS = 100
"""Fewer than so many, and schemathesis did not run."""
DATABASES = ("sqlite", "postgres")
WORKSPACE = "fuzzed"
SETTINGS = """
secret = "only for this run, and thrown away with it"
[trunks.simulated]
kind = "simulated"
channels = 10
calls_per_second = 10
[calls]
default_trunk = "simulated"
[limits]
failed_authentications_per_second = 100000
[analysis]
sandbox = "weak"
"""
UPLOAD = {"filename": "a.mp4", "type": "video", "total_size": 9}
PEOPLE = b"phone_number,first_name\n+12125550101,Ann\n+12125550102,Bob\n+12125550103,Cid\n"


@dataclass(frozen=True)
class Target:
    """A server that runs, and its keys."""

    url: str
    key: str
    admin_key: str

    @property
    def headers(self) -> dict[str, str]:
        """Those of a client of the workspace."""
        return {"x-api-key": self.key, "x-workspace-id": WORKSPACE}


@asynccontextmanager
async def serving(folder: Path, database: str | None) -> AsyncIterator[Target]:
    """A server over SQLite in `folder`, or over the PostgreSQL at a URL."""
    data = folder / "data"
    data.mkdir(parents=True, mode=0o700)
    store: Store = SqliteStore(data / "covey.db", SystemClock()) if database is None else PostgresStore(database)
    await store.open()
    try:
        now = datetime.now(UTC)
        await store.add_workspace(Workspace(WORKSPACE, WORKSPACE, now))
        key, secret = make_key(WORKSPACE, Role.operate, "fuzz", now)
        admin, admin_secret = make_key(None, Role.admin, "fuzz", now)
        await store.add_key(key)
        await store.add_key(admin)
    finally:
        await store.close()
    settings = SETTINGS if database is None else f'database = "{database}"\n{SETTINGS}'
    async with served(folder, settings) as server:
        yield Target(server.url, secret, admin_secret)


async def furnish(target: Target) -> dict[str, str]:
    """One of everything; the ids, as paths name them."""
    async with httpx.AsyncClient(base_url=target.url, headers=target.headers, timeout=60) as http:

        async def made(path: str, **more: Any) -> Any:
            answer = await http.post(path, **more)
            answer.raise_for_status()
            return answer.json()

        agent = (await made("/v1/api/agents", json={"name": "a", "greeting": "Hello {first_name}"}))["agentId"]
        form = {"agentId": agent, "trunk": "simulated"}
        batch = (await made("/v1/api/batch-calls", data=form, files={"file": ("a.csv", PEOPLE)}))["batchId"]
        calls = (await http.get(f"/v1/api/batch-calls/{batch}/calls")).json()["calls"]
        form = {"method": "direct", "filename": "a.md"}
        asset = (await made("/v1.3/assets", data=form, files={"file": ("a.md", b"# Notes")}))["_id"]
        upload = await made(
            "/v1.3/assets/multipart-uploads", json={"filename": "a.mp4", "type": "video", "total_size": 9}
        )
        endpoint = (await made("/v1/api/webhooks", json={"url": "https://covey.invalid/told"}))["id"]
    call = calls[0]["jobId"]
    return {
        "agentId": agent,
        "batchId": batch,
        "jobId": call,
        "callHistoryId": call,
        "recordId": call,
        "asset_id": asset,
        "upload_id": upload["upload_id"],
        "endpointId": endpoint,
        "workspaceId": WORKSPACE,
        "number": "+12125550101",
    }


def configuration(target: Target, ids: Mapping[str, str]) -> str:
    """schemathesis.toml: the keys, and what stands for each parameter of a path."""
    lines = [f"[headers]\n{_table(target.headers)}"]
    if ids:
        lines.append("[parameters]\n" + _table({f"path.{name}": value for name, value in ids.items()}))
    lines.append(
        '[[operations]]\ninclude-path-regex = "^/v1/admin"\n'
        f"headers = {{ {_table({'x-api-key': target.admin_key}, ', ')} }}"
    )
    return "\n".join(lines) + "\n"


def _table(values: Mapping[str, str], between: str = "\n") -> str:
    return between.join(f'"{name}" = "{value}"' for name, value in values.items()) + ("" if between == ", " else "\n")


def schemathesis(folder: Path, target: Target, seconds: int, seed: int, ids: Mapping[str, str]) -> int:
    """Run it; its exit code."""
    folder.mkdir()
    (folder / "openapi.json").write_bytes(document())
    (folder / "schemathesis.toml").write_text(configuration(target, ids))
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", "schemathesis.toml"]
    command += ["run", "openapi.json", "--url", target.url, "--checks", "not_a_server_error", "--seed", str(seed)]
    command += ["--max-time", str(seconds), "--continue-on-failure", "--request-timeout", "60", "--warnings", "off"]
    command += ["--suppress-health-check", "all", "--generation-database", "none", "--no-color"]
    return subprocess.run(command, cwd=folder, check=False).returncode


async def fuzz(name: str, folder: Path, url: str | None, seconds: int, seed: int) -> bool:
    """Fuzz a server on one database; whether no answer was a 5xx."""
    async with serving(folder, url) as target:
        ids = await furnish(target)
        codes = []
        for part, known in enumerate(({}, ids)):
            print(f"== {name}, {'ids that are there' if known else 'any ids'}, seed {seed + part}", flush=True)
            run = (folder / f"run-{part}", target, max(seconds // 2, 1), seed + part, known)
            codes.append(await asyncio.to_thread(schemathesis, *run))
        async with httpx.AsyncClient(base_url=target.url) as http:
            alive = (await http.get("/livez")).status_code == 200
    lines = [orjson.loads(line) for line in (folder / "server.log").read_bytes().splitlines() if line[:1] == b"{"]
    statuses = Counter(line["status"] for line in lines if line.get("event") == "request")
    failed = sum(times for status, times in statuses.items() if status >= 500)
    failed += sum(line.get("event") == "request_failed" for line in lines)
    state = "lives" if alive else "is gone"
    print(f"== {name}: {sum(statuses.values())} requests, {failed} with 5xx; the server {state}")
    print(f"   schemathesis ended {codes}: 1 may also be a fault of its own, which it prints")
    return alive and not failed and sum(statuses.values()) >= LEAST_REQUESTS


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for each database (1200)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--database", choices=DATABASES, action="append", help="only this one")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    good = True
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="covey-fuzz-"))
        for name in asked.database or DATABASES:
            url = None
            if name == "postgres":
                server = PostgresServer().start()
                stack.callback(server.close)
                server.create_database("fuzz")
                url = server.tcp_url("fuzz")
            good &= asyncio.run(fuzz(name, home / name, url, asked.seconds, asked.seed))
    print(f"logs and reports: {home}")
    sys.exit(not good)


if __name__ == "__main__":
    main()
