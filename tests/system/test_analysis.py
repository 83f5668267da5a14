"""Batches of videos as their owner sees them: called back, expired, with hostile files, and with a model that fails."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from benchmarks.serving import children, served
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from covey.analysis.media.drawing import DrawnScene, draw
from covey.client import CoveyClient
from covey.client.analysis import AnalysisBatch
from covey.client.errors import Conflict
from tests.analysis.media import damage
from tests.analysis.openai.stub import Stub, answer, error, held, late
from tests.api.twelvelabs.asset_api import listening
from tests.patience import PATIENCE, patience
from tests.system.studio import EYES, Studio, open_studio

SLOTS = 4


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    async with Stub() as stub:
        yield stub


async def at_once(stub: Stub, count: int) -> None:
    """Wait until the model is asked so many things at once."""
    async with patience():
        while stub.at_once != count:
            await asyncio.sleep(0.01)


async def ended(studio: Studio, batch: str) -> AnalysisBatch:
    """The batch at its end."""
    async with patience():
        while not (now := await studio.look(batch)).ended:
            await asyncio.sleep(0.05)
    return now


@asynccontextmanager
async def watched(studio: Studio, batch: str) -> AsyncIterator[list[AnalysisBatch]]:
    """The batch as it is seen meanwhile, looked at without a pause."""
    seen = list[AnalysisBatch]()

    async def look() -> None:
        while True:
            seen.append(await studio.look(batch))

    looking = asyncio.create_task(look())
    yield seen
    looking.cancel()
    (fault,) = await asyncio.gather(looking, return_exceptions=True)
    assert isinstance(fault, asyncio.CancelledError), fault


async def looks(seen: list[AnalysisBatch], more: int = 10) -> None:
    """Wait until so many more looks were taken."""
    wanted = len(seen) + more
    async with patience():
        while len(seen) < wanted:
            await asyncio.sleep(0.01)


def steps(seen: list[AnalysisBatch]) -> list[str]:
    """The statuses in their order, each once in a row."""
    ordered = [now.status for now in seen]
    return [status for n, status in enumerate(ordered) if n == 0 or ordered[n - 1] != status]


async def held_batch(studio: Studio, stub: Stub, go: asyncio.Event) -> str:
    """A batch of 60: six were answered, four are being processed until `go`, fifty wait."""
    stub.when("quick", answer("at once"))
    stub.always(held(go, answer("at last")))
    prompts = ["quick"] * 6 + ["slow"] * 54
    started = await studio.client.analyses.create([studio.about(prompt) for prompt in prompts], model=EYES)
    await at_once(stub, SLOTS)
    async with patience():
        while (await studio.look(started.batch_id)).ready_items < 6:
            await asyncio.sleep(0.01)
    return started.batch_id


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_a_cancel_lets_what_is_processed_finish(database: str, tmp_path: Path, stub: Stub) -> None:
    go = asyncio.Event()
    async with open_studio(tmp_path, stub.url, database, concurrency=SLOTS) as studio:
        batch = await held_batch(studio, stub, go)
        async with watched(studio, batch) as seen:
            await looks(seen)
            now = await studio.client.analyses.cancel(batch)
            assert (now.status, now.canceled_at) == ("canceling", None)
            assert (now.queued_items, now.processing_items, now.ready_items, now.canceled_items) == (0, 4, 6, 50)
            again = await studio.client.analyses.cancel(batch)
            assert again.status == "canceling"
            lines = await studio.results(batch)
            assert [line["status"] for line in lines] == ["ready"] * 6 + ["processing"] * 4 + ["canceled"] * 50
            await looks(seen)
            go.set()
            last = await ended(studio, batch)
            await looks(seen)
        assert steps(seen) == ["processing", "canceling", "canceled"]
        assert (last.status, last.ready_items, last.canceled_items, last.failed_items) == ("canceled", 10, 50, 0)
        lines = await studio.results(batch)
        assert [line["data"]["data"] for line in lines[6:10]] == ["at last"] * 4
        assert [line["status"] for line in lines[10:]] == ["canceled"] * 50
        with pytest.raises(Conflict) as caught:
            await studio.client.analyses.cancel(batch)
        assert caught.value.code == "batch_canceled"
    assert stub.counts["/v1/chat/completions"] == 10


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_expiry_aborts_what_is_processed(database: str, tmp_path: Path, stub: Stub) -> None:
    go = asyncio.Event()
    async with open_studio(tmp_path, stub.url, database, concurrency=SLOTS) as studio:
        batch = await held_batch(studio, stub, go)
        async with watched(studio, batch) as seen:
            await looks(seen)
            studio.clock.ahead = timedelta(hours=24, seconds=1)
            await at_once(stub, 0)
            last = await ended(studio, batch)
            await looks(seen)
        assert stub.dropped.is_set()
        assert steps(seen) == ["processing", "expired"]
        assert (last.ready_items, last.canceled_items, last.failed_items) == (6, 54, 0)
        lines = await studio.results(batch)
        tasks = [await studio.client.analyses.task(lines[n]["task_id"]) for n in (0, 6, 9, 10)]
        codes = [(task["status"], (task.get("error") or {}).get("code")) for task in tasks]
        assert codes[:3] == [("ready", None), *[("canceled", "batch_processing_timeout")] * 2]
        assert codes[3][0] == "canceled"
        assert (await studio.lane()).active == 0
    assert stub.counts["/v1/chat/completions"] == 10


@pytest.mark.parametrize("count", [80, pytest.param(1000, marks=pytest.mark.slow)])
async def test_one_video_that_always_fails_among_many(tmp_path: Path, stub: Stub, count: int) -> None:
    bad = count // 2 + 17
    stub.when(f"video number {bad} of", late(0.4, error(500)))
    stub.always(late(0.4, answer("an answer")))
    async with open_studio(tmp_path, stub.url, concurrency=32) as studio:
        requests = [studio.about(f"What is in video number {n} of them?") for n in range(count)]
        batch = (await studio.client.analyses.create(requests, model=EYES)).batch_id
        looked = 0
        async with asyncio.timeout(PATIENCE + count / 10):
            while not (now := await studio.look(batch)).ended:
                lane, looked = await studio.lane(), looked + 1
                assert (lane.open_until, lane.open_reason) == (None, None)
                await asyncio.sleep(0.02)
        print(f"{looked} looks, {stub.most_at_once} at once")
        assert looked > 10
        assert (now.status, now.ready_items, now.failed_items) == ("completed", count - 1, 1)
        lines = await studio.results(batch)
        wrong = {n: line["error"]["code"] for n, line in enumerate(lines) if line["status"] != "ready"}
        assert wrong == {bad: "model_error"}
    assert sum(f"video number {bad} of" in chat.text for chat in stub.chats) == 3
    assert 16 < stub.most_at_once <= 32 + 1, "32 items, and a ping"


async def test_a_model_that_fails_for_all_burns_no_item(tmp_path: Path, stub: Stub) -> None:
    stub.always(late(0.05, answer("an answer")))
    async with open_studio(tmp_path, stub.url, concurrency=8) as studio:
        batch = (await studio.client.analyses.create([studio.about("What?")] * 60, model=EYES)).batch_id
        async with watched(studio, batch) as seen:
            async with patience():
                while not seen or seen[-1].ready_items < 5:
                    await asyncio.sleep(0)
            stub.forget()
            stub.always(late(0.05, error(500)))
            opened = set[object]()
            async with patience():
                while len(opened) < 2:
                    lane = await studio.lane()
                    if lane.open_until is not None:
                        assert lane.open_reason == "model_error"
                        opened.add(lane.open_until)
                    await asyncio.sleep(0.01)
            print(f"{seen[-1].ready_items} ready, {len(stub.chats)} requests, the lane was opened {len(opened)} times")
            stub.forget()
            last = await ended(studio, batch)
        assert {now.failed_items for now in seen} == {0}
        assert (last.status, last.ready_items) == ("completed", 60)
        assert (await studio.lane()).open_until is None


HOSTILE = ("ffconcat by its path", "hls", "hls by its url", "mpegts and ffconcat", "sdp")
BROKEN = ("text", "truncated")
CODES = ["video_file_broken"] * 7 + ["asset_unavailable", "parameter_invalid", "unsupported_by_local_facts"]


async def test_ten_bad_ones_in_a_batch_of_fifty(tmp_path: Path) -> None:
    """Bad files come from an address, as an upload of most of them is refused before any batch."""
    web, assets = tmp_path / "web", tmp_path / "data" / "assets"
    web.mkdir()
    good = tmp_path / "good.mp4"
    draw(good, [DrawnScene(1, "navy", (("Good clip", 24),)), DrawnScene(1, "gold")], (320, 180))
    settings = '[fetch]\nallow = ["127.0.0.0/8"]\n[analysis]\nsandbox = "weak"\n'
    async with served(tmp_path, settings) as server, server.client() as client:
        bad = damage.naming(assets) | damage.broken(good)
        for name in (*HOSTILE, *BROKEN):
            (web / f"{name.replace(' ', '-')}.mp4").write_bytes(bad[name])
        async with listening(Starlette(routes=[Mount("/", StaticFiles(directory=web))])) as url:
            ids = [(await client.assets.ready((await client.assets.upload(good)).id)).id for _ in range(2)]
            addresses = [f"{url}/{name.replace(' ', '-')}.mp4" for name in (*HOSTILE, *BROKEN, "missing")]
            about = {"video": {"type": "asset_id", "asset_id": ids[0]}}
            wrong: list[dict[str, Any]] = [
                *({"video": {"type": "url", "url": address}} for address in addresses),
                {**about, "start_time": 300, "end_time": 310},
                {**about, "prompt": {"input_text": "How does the speaker feel about it?"}},
            ]
            right = [{"video": {"type": "asset_id", "asset_id": ids[n % 2]}} for n in range(50)]
            requests = [wrong[n // 5] if n % 5 == 4 else right[n] for n in range(50)]
            defaults = {"prompt": {"input_text": "What text is on screen?"}}
            batch = await client.analyses.create(requests, model="local-facts", defaults=defaults)
            now = await _ended(client, batch.batch_id)
        lines = [line async for line in client.analyses.results(batch.batch_id)]
        tasks = [await client.analyses.task(task) for task in batch.tasks]
        refused = await client.analyses.create([wrong[-1]] * 40, model="local-facts")
        all_failed = await _ended(client, refused.batch_id)
        assert server.process is not None
        assert server.process.poll() is None
    assert (now.status, now.ready_items, now.failed_items) == ("completed", 40, 10)
    assert (all_failed.status, all_failed.failed_items) == ("completed", 40)
    codes = [line.get("error", {}).get("code") for line in lines]
    assert codes[4::5] == CODES
    assert Counter(codes)[None] == 40
    assert all("Good clip" in line["data"]["data"] for line in lines if line["status"] == "ready")
    kept = [path.read_text() for path in assets.glob("*facts*")]
    assert len(kept) == 2
    for said in (*map(str, lines), *map(str, tasks), *kept, (tmp_path / "server.log").read_text()):
        assert "canary" not in said.lower()


@pytest.mark.slow
async def test_kill_9_with_videos_in_hand_loses_none_and_leaves_no_decoder(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    draw(film, [DrawnScene(5, colour, ((colour.title(), 40),)) for colour in ("navy", "gold", "teal")], (640, 360))
    asked = {"prompt": {"input_text": "What text is on screen?"}}
    async with served(tmp_path, '[analysis]\nsandbox = "weak"\n') as server:
        async with server.client() as client:
            ids = [(await client.assets.ready((await client.assets.upload(film)).id)).id for _ in range(4)]
            requests = [{"video": {"type": "asset_id", "asset_id": asset}} for asset in ids]
            batch = (await client.analyses.create(requests, model="local-facts", defaults=asked)).batch_id
            async with patience():
                while (await client.analyses.get(batch)).processing_items < 2 or not _decoders(server.pid):
                    await asyncio.sleep(0.02)
        decoders = _decoders(server.pid)
        server.kill()
        async with patience():
            while any(Path(f"/proc/{pid}/cmdline").exists() for pid in decoders):
                await asyncio.sleep(0.05)
        await server.start()
        async with server.client() as client:
            now = await _ended(client, batch)
            lines = [line async for line in client.analyses.results(batch)]
            used = (await client.usage.get())["totals"]
    assert (now.status, now.ready_items) == ("completed", 4)
    assert [("Navy" in line["data"]["data"], "Teal" in line["data"]["data"]) for line in lines] == [(True, True)] * 4
    assert [(total["items"], total["seconds"]) for total in used] == [(4, 60.0)]


def _decoders(parent: int) -> list[int]:
    return children(parent, "covey.analysis.media.child")


async def _ended(client: CoveyClient, batch: str) -> AnalysisBatch:
    async with patience():
        while not (now := await client.analyses.get(batch)).ended:
            await asyncio.sleep(0.1)
    return now
