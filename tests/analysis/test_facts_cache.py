"""Facts are read once, by one decode, for all who ask; kept facts cost none."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from covey.analysis.localfacts.backend import LocalFacts
from covey.analysis.localfacts.cache import FactsCache, Progress
from covey.analysis.media import Decoder, Facts, Undecodable
from covey.analysis.media.drawing import DrawnScene, draw
from covey.domain.asset import Asset
from covey.engine.runner import Succeeded
from tests.analysis.harness import AnalysisHarness
from tests.patience import patience


class Counting:
    """A real decoder whose readings are counted: begun, and ended early."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.begun = self.left = 0
        self.told = asyncio.Event()
        self.gone = asyncio.Event()

    async def facts(self, file: Path, progress: Progress) -> Facts:
        self.begun += 1

        def tell(done: float, of: float) -> None:
            progress(done, of)
            self.told.set()

        try:
            return await self._decoder.facts(file, tell)
        except asyncio.CancelledError:
            self.left += 1
            self.gone.set()
            raise

    @property
    def children(self) -> int:
        """The processes that decode now."""
        return len(self._decoder._running)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A second and a half of nothing but two colours."""
    file = tmp_path_factory.mktemp("book") / "clip.mp4"
    draw(file, [DrawnScene(1.0, "navy"), DrawnScene(0.5, "gold")], (160, 90))
    return file.read_bytes()


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Long enough to be left in the middle."""
    file = tmp_path_factory.mktemp("book") / "long.mp4"
    cards = [DrawnScene(1.0, ("red", "blue")[n % 2], ((f"Card {n}", 32),)) for n in range(40)]
    draw(file, cards, (320, 180), fps=10)
    return file.read_bytes()


async def of(
    book: FactsCache, analysis: AnalysisHarness, asset: Asset, progress: Progress = lambda done, of: None
) -> Facts:
    async with analysis.files.local(asset.id) as file:
        return await book.of(asset.id, file, progress)


async def test_ten_prompts_on_one_video_are_one_decode_and_later_ones_none(
    analysis: AnalysisHarness, clip: bytes
) -> None:
    counting = Counting(analysis.decoder)
    asset = await analysis.asset(clip, seconds=1.5)
    runner = analysis.with_backend(LocalFacts(FactsCache(counting, analysis.files)))
    prompts = ["List the chapters.", "What text is on screen?"] * 5
    runs = [analysis.run(asset, prompt={"input_text": prompt}, seq=n) for n, prompt in enumerate(prompts)]
    outcomes = await asyncio.gather(*(runner.run(run) for run in runs))
    assert all(isinstance(outcome, Succeeded) for outcome in outcomes)
    assert counting.begun == 1
    later = FactsCache(counting, analysis.files)
    assert (await of(later, analysis, asset)).shots
    assert counting.begun == 1


async def test_the_last_who_goes_away_ends_the_decode(analysis: AnalysisHarness, long: bytes) -> None:
    counting = Counting(analysis.decoder)
    asset, book = await analysis.asset(long), FactsCache(counting, analysis.files)
    told = [list[float](), list[float]()]
    waiting = [
        asyncio.create_task(of(book, analysis, asset, lambda done, of, heard=heard: heard.append(done)))  # type: ignore[misc]
        for heard in told
    ]
    await counting.told.wait()
    waiting[0].cancel()
    await asyncio.wait([waiting[0]])
    counting.told.clear()
    await counting.told.wait()
    assert (counting.begun, counting.left, counting.children) == (1, 0, 1)
    assert len(told[1]) > len(told[0])
    waiting[1].cancel()
    async with patience():
        await asyncio.wait([waiting[1]])
        await counting.gone.wait()
    assert (counting.begun, counting.left, counting.children) == (1, 1, 0)
    assert await analysis.files.facts(asset.id) is None


async def test_one_who_comes_after_all_others_left_gets_a_decode_of_its_own(
    analysis: AnalysisHarness, clip: bytes
) -> None:
    counting = Counting(analysis.decoder)
    asset, book = await analysis.asset(clip), FactsCache(counting, analysis.files)
    gone = asyncio.create_task(of(book, analysis, asset))
    while not counting.begun:
        await asyncio.sleep(0)
    gone.cancel()
    facts = await of(book, analysis, asset)
    assert facts.seconds == pytest.approx(1.5, abs=0.1)
    assert counting.begun == 2


async def test_facts_of_another_version_and_damaged_ones_are_read_anew(analysis: AnalysisHarness, clip: bytes) -> None:
    counting = Counting(analysis.decoder)
    asset, book = await analysis.asset(clip), FactsCache(counting, analysis.files)
    facts = await of(book, analysis, asset)
    await analysis.files.keep_facts(asset.id, replace(facts, version="0", shots=()).dump())
    assert await of(book, analysis, asset) == facts
    assert counting.begun == 2
    assert Facts.load(await analysis.files.facts(asset.id) or b"") == facts
    await analysis.files.keep_facts(asset.id, facts.dump()[:-20])
    assert await of(book, analysis, asset) == facts
    assert counting.begun == 3


async def test_all_who_wait_for_a_broken_video_are_told_so_and_nothing_is_kept(analysis: AnalysisHarness) -> None:
    counting = Counting(analysis.decoder)
    asset, book = await analysis.asset(b"no video" * 100), FactsCache(counting, analysis.files)
    told = await asyncio.gather(*(of(book, analysis, asset) for _ in range(3)), return_exceptions=True)
    assert [error.code for error in told if isinstance(error, Undecodable)] == ["video_file_broken"] * 3
    assert counting.begun == 1
    assert await analysis.files.facts(asset.id) is None
