"""A batch of videos by URL while the server's own network or disk is gone: nothing is burned."""

import asyncio
import socket
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from covey.analysis.backend import ItemAnswer, ItemRequest
from covey.analysis.config import AnalysisConfig, ItemInput, Mode, Wanted
from covey.domain.batch import NewBatch, NewItem, Quota
from covey.domain.ids import new_id
from covey.domain.lane import Lane
from covey.engine.runner import Blame, Failed, Returned
from covey.engine.wakeups import Wakeups
from covey.engine.worker import Worker
from covey.metrics import Metrics
from tests.analysis.files import largest_file
from tests.analysis.harness import SAID, WORKSPACE, AnalysisHarness, open_analysis
from tests.api.twelvelabs import clips
from tests.api.twelvelabs.asset_api import listening
from tests.patience import patience

LANE = "model:voice"
VIDEOS = 12


class NameServer:
    """Answers with this machine once it is `up`; before that it gives no answer at all."""

    def __init__(self) -> None:
        self.up = False

    async def resolve(self, host: str, port: int) -> list[str]:
        """The address of every name."""
        if not self.up:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return ["127.0.0.1"]


async def accepted(analysis: AnalysisHarness, worker: str, url: str) -> str:
    """A batch of as many videos at an address; its id."""
    config = AnalysisConfig(model="voice", mode=Mode.general, defaults=Wanted(prompt={"input_text": "What is it?"}))
    now = analysis.clock.now()
    batch = NewBatch(new_id(now), WORKSPACE, "analysis", LANE, config.dump(), now, max_tries=3, repeatable=True)
    await analysis.store.draft(batch, worker)
    items = [NewItem(ItemInput(url=f"{url}?{n}").dump(), f"u{n}") for n in range(VIDEOS)]
    await analysis.store.append(batch.id, 0, items)
    await analysis.store.accept(batch.id, VIDEOS, Quota())
    return batch.id


async def test_a_batch_outlives_a_lost_network(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    clips.video(tmp_path / "web" / "clip.mp4")
    names, wakeups = NameServer(), Wakeups()
    async with (
        listening(Starlette(routes=[Mount("/", StaticFiles(directory=tmp_path / "web"))])) as url,
        open_analysis(tmp_path, names.resolve) as analysis,
    ):
        await analysis.store.put_lane(Lane(LANE, 8))
        worker = Worker(analysis.store, analysis.clock, wakeups, {LANE: analysis.runner}, 8, Metrics(), "worker")
        await worker.enlist()
        batch = await accepted(analysis, "worker", url.replace("127.0.0.1", "videos.test") + "/clip.mp4")
        worker.start()
        wakeups.work(LANE)
        async with patience():
            while (lane := await analysis.store.lane(LANE)) is None or lane.open_since is None:
                await asyncio.sleep(0.01)
            assert lane.open_reason == "network_lost"
            assert (await analysis.store.batch(batch)).counts.failed == 0
            names.up = True
            while (counts := (await analysis.store.batch(batch)).counts).succeeded < VIDEOS:
                assert counts.failed == 0
                await asyncio.sleep(0.05)
        hurry = asyncio.Event()
        hurry.set()
        await worker.drain(0, hurry)
        await worker.stop()


async def test_our_own_lost_network_burns_no_item(tmp_path: Path) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        what = socket.EAI_NONAME if host == "nowhere.test" else socket.EAI_AGAIN
        raise socket.gaierror(what, "the name server's word")

    source = {"name": "logo", "media_type": "image", "url": "http://videos.test/logo.png"}

    async def look(ask: ItemRequest) -> ItemAnswer:
        await ask.media("logo")
        return SAID

    async with open_analysis(tmp_path, resolve) as analysis:
        lost = Returned(
            "network_lost", "No name server answered what the address of videos.test is", blame=Blame.either, ours=True
        )
        assert await analysis.comes_to("http://videos.test/a.mp4") == lost
        outcome = await analysis.comes_to("http://nowhere.test/a.mp4")
        analysis.voice.says = look
        image = await analysis.comes_to(await analysis.asset(), prompt={"input_text": "?", "media_sources": [source]})
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.blame) == ("asset_unavailable", Blame.nothing)
    assert isinstance(image, Returned)
    assert (image.code, image.blame, image.ours) == ("network_lost", Blame.either, True)


async def test_a_full_disk_burns_no_item_whose_video_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "long.mp4").write_bytes(b"x" * 9_000_000)
    async with (
        listening(Starlette(routes=[Mount("/", StaticFiles(directory=tmp_path / "web"))])) as url,
        open_analysis(tmp_path) as analysis,
    ):
        with largest_file(8_000_000):
            outcome = await analysis.comes_to(f"{url}/long.mp4")
    assert isinstance(outcome, Returned)
    assert (outcome.code, outcome.blame, outcome.ours) == ("no_room", Blame.either, True)
    assert list((tmp_path / "assets").iterdir()) == []
