"""Checks of lists over the API: how many at once, what is said when there are too many, and clients that go away."""

import asyncio
import os
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from covey.calls.intake.queue import MOST_WAITING
from tests.api.harness import PEOPLE, PREFIX, ApiHarness

VALIDATE = f"{PREFIX}/validate"
LARGE = b"phone_number,first_name\n" + b"".join(b"+1212555%04d,Ann\n" % (n % 100 + 100) for n in range(400_000))
BOUNDARY = b"a-boundary-of-the-test"


def checks_of(pid: int) -> set[int]:
    """The processes that check lists for a process. Threads and processes may end during the look."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = {child for task in tasks for child in _read(task / "children").split()}
    return {
        int(child)
        for child in children
        if b"covey.calls.intake.checker" in _read(Path(f"/proc/{child.decode()}/cmdline"))
    }


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


async def until(condition: Any) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def full(api: ApiHarness, waiting: int = 0) -> AsyncIterator[None]:
    """Every core has a check of a third workspace, and so many of its checks wait."""
    queue = api.services.checks
    async with AsyncExitStack() as stack:
        for _ in range(len(os.sched_getaffinity(0))):
            await stack.enter_async_context(queue.turn("ws-third"))
        tasks = [asyncio.create_task(queue.turn(f"ws-{n}").__aenter__()) for n in range(waiting)]
        await until(lambda: queue.waiting >= waiting)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def form(csv: bytes, agent: str) -> bytes:
    parts = (
        (b'name="agentId"', agent.encode()),
        (b'name="file"; filename="list.csv"', csv),
    )
    pieces = [b"--%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (BOUNDARY, *part) for part in parts]
    return b"".join(pieces) + b"--%s--\r\n" % BOUNDARY


class Leaving:
    """A request whose client goes away when told."""

    def __init__(self, api: ApiHarness, path: str, body: bytes, **headers: str) -> None:
        self.gone = asyncio.Event()
        self._body: bytes | None = body
        named = {**api.headers(), **headers, "content-type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "client": ("127.0.0.1", 1),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        self.task = asyncio.create_task(self._asked(api.app, scope))

    async def _asked(self, app: ASGIApp, scope: MutableMapping[str, Any]) -> None:
        await app(scope, self._receive, self._send)

    async def _receive(self) -> MutableMapping[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        """Nobody reads it."""

    async def leave(self) -> None:
        self.gone.set()
        async with asyncio.timeout(60):
            await self.task


async def nothing_is_left(api: ApiHarness) -> None:
    assert not list(api.services.spool.iterdir())
    assert (api.services.checks.running, api.services.checks.waiting) == (0, 0)
    assert checks_of(os.getpid()) == set()
    assert (await api.json(PREFIX))["pagination"]["total"] == 0


async def test_many_lists_at_once_are_as_many_processes_as_cores(api: ApiHarness) -> None:
    agent, most = await api.agent(), 0
    sent = [asyncio.create_task(api.start(agent, LARGE[:1_000_000], path=VALIDATE)) for _ in range(6)]
    while not all(task.done() for task in sent):
        most = max(most, len(checks_of(os.getpid())))
        await asyncio.sleep(0.005)
    assert {task.result().status_code for task in sent} == {200}
    assert 1 <= most <= len(os.sched_getaffinity(0))
    await nothing_is_left(api)


@pytest.mark.parametrize("path", [PREFIX, VALIDATE, f"{VALIDATE}?format=csv"])
async def test_beyond_the_line_a_list_is_to_be_sent_again_later(api: ApiHarness, path: str) -> None:
    agent, key = await api.agent(), {"idempotency-key": "a-key"}
    async with full(api, MOST_WAITING):
        answer = await api.start(agent, path=path, headers=key)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        error = answer.json()["error"]
        assert (error["code"], "later" in error["message"], "reset_at" in error) == ("too_many_checks", True, True)
    await nothing_is_left(api)
    answer = await api.start(agent, path=path, headers=key)
    assert answer.status_code == 200
    assert "idempotency-replayed" not in answer.headers


async def test_whoever_fills_the_line_keeps_no_other_workspace_out(api: ApiHarness) -> None:
    agent = await api.agent()
    async with full(api):
        sent = [asyncio.create_task(api.start(agent, path=VALIDATE)) for _ in range(MOST_WAITING)]
        await until(lambda: api.services.checks.waiting == MOST_WAITING)
        other = api.headers("other")
        theirs = (await api.client.post("/v1/api/agents", json={"name": "x", "greeting": "x"}, headers=other)).json()
        asked = asyncio.create_task(api.start(theirs["agentId"], path=VALIDATE, headers=other))
        done, _ = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result().status_code for task in done] == [429]
        assert not asked.done()
    answers = await asyncio.gather(*sent)
    assert sorted(answer.status_code for answer in answers) == [200] * (MOST_WAITING - 1) + [429]
    assert (await asked).status_code == 200


@pytest.mark.parametrize("path", [PREFIX, VALIDATE])
async def test_a_client_that_goes_away_leaves_the_line(api: ApiHarness, path: str) -> None:
    async with full(api):
        request = Leaving(api, path, form(PEOPLE, await api.agent()))
        await until(lambda: api.services.checks.waiting == 1)
        await request.leave()
        assert api.services.checks.waiting == 0
    await nothing_is_left(api)


@pytest.mark.parametrize("path", [PREFIX, VALIDATE])
async def test_a_client_that_goes_away_leaves_no_process(api: ApiHarness, path: str) -> None:
    agent, key = await api.agent(), {"idempotency-key": "a-key"}
    request = Leaving(api, path, form(LARGE, agent), **key)
    await until(lambda: checks_of(os.getpid()))
    await request.leave()
    await nothing_is_left(api)
    assert (await api.start(agent, path=path, headers=key)).status_code == 200
