"""What an analysis comes to, whatever its model, its asset and its batch do."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from covey.analysis import runner as module
from covey.analysis.backend import Busy, Down, ItemAnswer, ItemRequest, PerhapsBroken, Refused, TryAgain
from covey.analysis.config import Mode, Wanted
from covey.analysis.localfacts.backend import LocalFacts
from covey.analysis.localfacts.cache import FactsCache
from covey.analysis.storage import FilesUnavailable
from covey.domain.asset import Asset, AssetState
from covey.engine.runner import Aborted, Blame, CannotGoOn, Failed, Retry, Returned, Succeeded
from tests.analysis.harness import SAID, WORKSPACE, AnalysisHarness, Say
from tests.api.twelvelabs import clips
from tests.api.twelvelabs.asset_api import listening
from tests.patience import patience


def raising(*errors: Exception) -> Say:
    """Raises these one after the other, then gives the usual answer."""
    left = list(errors)

    async def raise_(ask: ItemRequest) -> ItemAnswer:
        if left:
            raise left.pop(0)
        return SAID

    return raise_


async def never(ask: ItemRequest) -> ItemAnswer:
    """No answer ever."""
    await asyncio.Event().wait()
    raise AssertionError


async def test_an_answer_is_the_result_with_what_it_cost(analysis: AnalysisHarness) -> None:
    outcome = await analysis.comes_to(await analysis.asset())
    usage = {"output_tokens": 3, "input_tokens": 11}
    result = {"data": "a clip", "finish_reason": "stop", "usage": usage, "made_by": "the test"}
    assert outcome == Succeeded("ready", result, 10.0, 11, 3)


async def test_tokens_that_nobody_reported_are_not_made_up(analysis: AnalysisHarness) -> None:
    async def guess(ask: ItemRequest) -> ItemAnswer:
        return ItemAnswer("text", "length", 1, None, 2.0, "the test", estimated=True)

    analysis.voice.says = guess
    outcome = await analysis.comes_to(await analysis.asset())
    assert isinstance(outcome, Succeeded)
    assert outcome.result["usage"] == {"output_tokens": 1, "estimated": True}
    assert (outcome.tokens_in, outcome.tokens_out, outcome.seconds) == (0, 1, 2.0)
    assert outcome.result["finish_reason"] == "length"


async def test_a_refusal_fails_the_one_item_and_proves_that_the_model_works(analysis: AnalysisHarness) -> None:
    analysis.voice.says = raising(Refused("model_refused", "It will not."))
    outcome = await analysis.comes_to(await analysis.asset())
    assert outcome == Failed("model_refused", "It will not.", blame=Blame.item)
    assert analysis.voice.worked == 0


async def test_a_stored_schema_beyond_the_bounds_fails_its_item_before_the_model_is_paid(
    analysis: AnalysisHarness,
) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "a?" * 30_000}}}
    form = {"type": "json_schema", "json_schema": schema}
    outcome = await analysis.comes_to(await analysis.asset(), response_format=form)
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.blame) == ("parameter_invalid", Blame.nothing)
    assert "response_format.json_schema.properties.a.pattern" in outcome.message
    assert analysis.voice.asks == []


async def test_a_fault_on_one_video_is_tried_again_when_the_model_works_otherwise(analysis: AnalysisHarness) -> None:
    analysis.voice.says = raising(PerhapsBroken("model_error", "It failed (500)."))
    before = analysis.clock.now()
    outcome = await analysis.comes_to(await analysis.asset())
    assert isinstance(outcome, Retry)
    assert outcome.at > before
    assert outcome.otherwise == Failed("model_error", "It failed (500).")
    assert analysis.voice.worked == 1


async def test_a_fault_of_a_broken_model_gives_the_item_back(analysis: AnalysisHarness) -> None:
    analysis.voice.says, analysis.voice.ill = raising(PerhapsBroken("model_error", "It failed (500).")), "It is broken."
    outcome = await analysis.comes_to(await analysis.asset())
    assert outcome == Returned("model_error", "It is broken.", Blame.either)


async def test_a_model_that_is_not_reached_gives_the_item_back(analysis: AnalysisHarness) -> None:
    analysis.voice.says = raising(Down("Nobody is there"))
    assert await analysis.comes_to(await analysis.asset()) == Returned("model_down", "Nobody is there", Blame.either)


async def test_a_place_of_files_that_cannot_be_reached_burns_no_item(analysis: AnalysisHarness) -> None:
    analysis.voice.says = raising(FilesUnavailable())
    outcome = await analysis.comes_to(await analysis.asset())
    assert isinstance(outcome, Returned)
    assert (outcome.code, outcome.blame) == ("storage_unavailable", Blame.either)


async def test_what_nobody_thought_of_is_left_to_the_engine(analysis: AnalysisHarness) -> None:
    analysis.voice.says = raising(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await analysis.comes_to(await analysis.asset())


async def test_all_runs_of_a_lane_wait_together_while_the_model_is_busy(analysis: AnalysisHarness) -> None:
    asset, loop = await analysis.asset(), asyncio.get_running_loop()
    analysis.voice.says = raising(Busy("429", 1.2))
    started = loop.time()
    first = asyncio.create_task(analysis.comes_to(asset))
    await analysis.voice.came.wait()
    wrong = None
    while wrong is None:
        await asyncio.sleep(0)
        wrong = await analysis.runner.ping("model:voice")
    assert wrong == "the model is busy, and takes no more for 2 s"
    others = [asyncio.create_task(analysis.comes_to(asset)) for _ in range(3)]
    outcomes = await asyncio.gather(first, *others)
    assert all(isinstance(outcome, Succeeded) for outcome in outcomes)
    assert len(analysis.voice.at) == 5
    assert min(analysis.voice.at[1:]) - started >= 1.2
    assert await analysis.runner.ping("model:voice") is None


async def test_a_model_that_says_busy_and_names_no_wait_is_not_hammered(analysis: AnalysisHarness) -> None:
    analysis.voice.says = raising(Busy("429", 0.0))
    assert isinstance(await analysis.comes_to(await analysis.asset()), Succeeded)
    assert analysis.voice.at[1] - analysis.voice.at[0] >= module.SHORTEST_WAIT - 0.01


async def test_an_item_goes_back_whose_model_takes_no_more_for_too_long(
    analysis: AnalysisHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_PATIENCE", 0.2)
    analysis.voice.says = raising(Busy("429", 3600.0))
    assert await analysis.comes_to(await analysis.asset()) == Returned("not_started")
    assert len(analysis.voice.asks) == 1
    assert "takes no more for 3600 s" in str(await analysis.runner.ping("model:voice"))


async def test_what_was_not_paid_for_waits_for_a_busy_model_no_longer(
    analysis: AnalysisHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its item goes back, where a cancel reaches it at once; frames are sampled again, which costs nobody money."""
    monkeypatch.setattr(module, "BUSY_PATIENCE", 0.2)

    async def busy() -> ItemAnswer:
        raise Busy("429", 3600.0)

    async def answer(ask: ItemRequest) -> ItemAnswer:
        return await ask.patiently(busy, paid=False)

    analysis.voice.says = answer
    assert await analysis.comes_to(await analysis.asset()) == Returned("not_started")


@pytest.mark.parametrize(
    ("wanted", "window"),
    [
        ({}, (0.0, 60.0)),
        ({"start_time": 5.0}, (5.0, 60.0)),
        ({"start_time": 5.0, "end_time": 9.5}, (5.0, 9.5)),
        ({"end_time": 600.0}, (0.0, 60.0)),
        ({"start_time": 59.0}, (59.0, 60.0)),
    ],
)
async def test_a_window_is_what_was_asked_for_within_the_video(
    wanted: dict[str, Any], window: tuple[float, float], analysis: AnalysisHarness
) -> None:
    await analysis.comes_to(await analysis.asset(), **wanted)
    assert [(ask.start, ask.end, ask.seconds) for ask in analysis.voice.asks] == [(*window, 60.0)]


@pytest.mark.parametrize(
    ("seconds", "wanted", "code"),
    [
        (60.0, {"start_time": 60.0}, "parameter_invalid"),
        (60.0, {"start_time": 59.5}, "video_duration_too_short"),
        (0.0, {}, "video_duration_too_short"),
        (None, {}, "video_duration_too_short"),
        (7201.0, {}, "video_duration_too_long"),
        (9000.0, {"start_time": 100.0, "end_time": 7301.0}, "video_duration_too_long"),
    ],
)
async def test_a_window_that_cannot_be_fails_alone(
    seconds: float | None, wanted: dict[str, Any], code: str, analysis: AnalysisHarness
) -> None:
    outcome = await analysis.comes_to(await analysis.asset(seconds=seconds), **wanted)
    assert isinstance(outcome, Failed)
    assert outcome.code == code
    assert analysis.voice.asks == []


async def test_a_window_of_two_hours_in_a_longer_video_and_a_video_under_a_second_are_fine(
    analysis: AnalysisHarness,
) -> None:
    long = await analysis.asset(seconds=14_400.0)
    assert isinstance(await analysis.comes_to(long, start_time=100.0, end_time=7300.0), Succeeded)
    assert isinstance(await analysis.comes_to(await analysis.asset(seconds=0.4)), Succeeded)


async def test_the_item_stands_over_the_defaults_of_its_batch(analysis: AnalysisHarness) -> None:
    asset = await analysis.asset()
    run = analysis.run(asset, temperature=0.7)
    run.config = run.config.model_copy(update={"defaults": Wanted(temperature=0.1, end_time=30.0)})
    await analysis.runner.run(run)
    (ask,) = analysis.voice.asks
    assert (ask.wanted.temperature, ask.end, ask.asset, ask.trace) == (0.7, 30.0, asset.id, run.item)
    assert ask.file.read_bytes() == b"bytes"


async def test_an_asset_that_was_deleted_fails_its_item(analysis: AnalysisHarness) -> None:
    asset = await analysis.asset()
    await analysis.intake.delete(WORKSPACE, asset.id)
    outcome = await analysis.comes_to(asset)
    assert isinstance(outcome, Failed)
    assert outcome.code == "asset_unavailable"


async def test_an_asset_whose_bytes_are_gone_fails_its_item(analysis: AnalysisHarness) -> None:
    asset = await analysis.asset()
    await analysis.files.delete(asset.id)
    outcome = await analysis.comes_to(asset)
    assert isinstance(outcome, Failed)
    assert outcome.code == "asset_unavailable"


async def test_an_asset_of_another_workspace_is_none(analysis: AnalysisHarness) -> None:
    outcome = await analysis.comes_to(await analysis.asset(workspace="ws-other"))
    assert isinstance(outcome, Failed)
    assert outcome.code == "asset_unavailable"
    assert analysis.voice.asks == []


async def test_a_failed_asset_fails_its_items_with_its_own_reason(analysis: AnalysisHarness) -> None:
    asset = await analysis.asset(state=AssetState.failed, error="It is too large", facts={"code": "video_too_large"})
    assert await analysis.comes_to(asset) == Failed("video_too_large", "It is too large", blame=Blame.nothing)


async def test_what_is_no_video_fails_its_item(analysis: AnalysisHarness) -> None:
    outcome = await analysis.comes_to(await analysis.asset(kind="image", seconds=None))
    assert isinstance(outcome, Failed)
    assert outcome.code == "video_file_broken"
    assert "image" in outcome.message


async def test_an_item_waits_for_its_asset_to_be_looked_at(analysis: AnalysisHarness, tmp_path: Path) -> None:
    spooled = analysis.files.spooled()
    clips.video(tmp_path / "clip.mp4")
    spooled.write_bytes((tmp_path / "clip.mp4").read_bytes())
    asset = await analysis.intake.make_asset(WORKSPACE, name="clip.mp4", file=spooled)
    assert asset.state is AssetState.processing
    assert isinstance(await analysis.comes_to(asset), Succeeded)
    assert analysis.voice.asks[0].seconds == pytest.approx(2.0, abs=0.11)


async def test_items_about_addresses(analysis: AnalysisHarness, tmp_path: Path) -> None:
    folder = tmp_path / "web"
    folder.mkdir()
    content = clips.video(folder / "clip.mp4")
    (folder / "words.mp4").write_text("ffconcat version 1.0\nfile clip.mp4\n" * 10)
    async with listening(Starlette(routes=[Mount("/", StaticFiles(directory=folder))])) as url:
        assert isinstance(await analysis.comes_to(f"{url}/clip.mp4"), Succeeded)
        gone = await analysis.comes_to(f"{url}/no.mp4")
        words = await analysis.comes_to(f"{url}/words.mp4")
    private = await analysis.comes_to("http://10.0.0.1/clip.mp4")
    assert analysis.voice.asks[0].file.read_bytes() == content
    assert [outcome.code for outcome in (gone, words, private) if isinstance(outcome, Failed)] == [
        "asset_unavailable",
        "video_file_broken",
        "asset_unavailable",
    ]
    assert len(analysis.voice.asks) == 1


def page(status: int) -> Route:
    async def answer(request: Request) -> Response:
        return Response(status_code=status)

    return Route(f"/{status}.mp4", answer)


async def test_an_address_that_may_work_another_time_uses_up_a_try(analysis: AnalysisHarness) -> None:
    routes = [page(status) for status in (404, 410, 429, 503)]
    async with listening(Starlette(routes=routes)) as url:
        for status in (429, 503):
            outcome = await analysis.comes_to(f"{url}/{status}.mp4")
            assert isinstance(outcome, Retry)
            said = f"127.0.0.1 answered {status}"
            assert outcome.otherwise == Failed("asset_unavailable", said, blame=Blame.nothing)
        for status in (404, 410):
            said = f"127.0.0.1 answered {status}"
            assert await analysis.comes_to(f"{url}/{status}.mp4") == Failed(
                "asset_unavailable", said, blame=Blame.nothing
            )
    assert isinstance(await analysis.comes_to(f"{url}/503.mp4"), Retry)
    assert await analysis.store.assets(WORKSPACE) == ([], 0)


async def test_a_run_that_is_dropped_while_its_asset_is_made_leaves_none(
    analysis: AnalysisHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, reached, go = analysis.store.add_asset, asyncio.Event(), asyncio.Event()

    async def slow(asset: Asset, owner: str) -> None:
        reached.set()
        await go.wait()
        await add(asset, owner)

    monkeypatch.setattr(analysis.store, "add_asset", slow)
    run = analysis.run("http://127.0.0.1:9/a.mp4")
    running = asyncio.create_task(analysis.runner.run(run))
    await reached.wait()
    run.drop("aborted")
    assert await running == Aborted("user_canceled")
    go.set()
    async with patience():
        while not analysis.intake._doubtful:
            await asyncio.sleep(0.01)
    await analysis.intake.round()
    assert await analysis.store.assets(WORKSPACE) == ([], 0)


async def test_an_asset_that_cannot_be_dealt_with_fails_and_nobody_waits_for_it(
    analysis: AnalysisHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(asset: str) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(analysis.files, "has", breaks)
    spooled = analysis.files.spooled()
    spooled.write_bytes(clips.video(tmp_path / "clip.mp4"))
    asset = await analysis.intake.make_asset(WORKSPACE, name="clip.mp4", file=spooled)
    async with patience():
        outcome = await analysis.comes_to(asset)
    assert isinstance(outcome, Failed)
    assert outcome.code == "internal_error"


async def test_a_busy_model_is_waited_for_with_the_request_that_puts_right_alone(analysis: AnalysisHarness) -> None:
    """The model pays for its first answer once, however often the second is put off."""
    asked = list[str]()
    second = [Busy("429", 0.0), Busy("429", 0.0)]

    async def put_right() -> ItemAnswer:
        asked.append("second")
        if second:
            raise second.pop()
        return SAID

    async def answer(ask: ItemRequest) -> ItemAnswer:
        asked.append("first")
        return await ask.patiently(put_right)

    analysis.voice.says = answer
    assert isinstance(await analysis.comes_to(await analysis.asset()), Succeeded)
    assert asked == ["first", "second", "second", "second"]


async def test_what_cannot_be_put_right_now_uses_up_a_try(analysis: AnalysisHarness) -> None:
    analysis.voice.says = raising(TryAgain("model_busy", "It took no more for too long.", Blame.nothing))
    outcome = await analysis.comes_to(await analysis.asset())
    assert isinstance(outcome, Retry)
    assert outcome.otherwise == Failed("model_busy", "It took no more for too long.", blame=Blame.nothing)
    assert analysis.voice.worked == 0


async def test_media_sources_are_given_by_their_names(analysis: AnalysisHarness) -> None:
    picture, seen = clips.image(), list[bytes]()

    async def look(ask: ItemRequest) -> ItemAnswer:
        seen.append(await ask.media("logo"))
        await ask.media("other")
        return SAID

    analysis.voice.says = look
    source = {"name": "logo", "media_type": "image", "base64_string": base64.b64encode(picture).decode()}
    outcome = await analysis.comes_to(
        await analysis.asset(), prompt={"input_text": "Where is <@logo>?", "media_sources": [source]}
    )
    assert seen == [picture]
    assert outcome == Failed("parameter_invalid", "There is no media source called 'other'")


async def test_media_sources_of_segments_are_given_too(analysis: AnalysisHarness) -> None:
    picture, seen = clips.image(), list[bytes]()

    async def look(ask: ItemRequest) -> ItemAnswer:
        seen.append(await ask.media("logo"))
        return SAID

    analysis.voice.says = look
    source = {"name": "logo", "media_type": "image", "base64_string": base64.b64encode(picture).decode()}
    form = {
        "type": "segment_definitions",
        "segment_definitions": [{"id": "a", "description": "b", "media_sources": [source]}],
    }
    await analysis.comes_to(await analysis.asset(), mode=Mode.time_based_metadata, prompt=None, response_format=form)
    assert seen == [picture]


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("expired", Aborted("batch_processing_timeout")),
        ("aborted", Aborted("user_canceled")),
        ("interrupted", Returned("not_started")),
    ],
)
async def test_a_dropped_run_drops_its_request(reason: str, outcome: object, analysis: AnalysisHarness) -> None:
    analysis.voice.says = never
    run = analysis.run(await analysis.asset())
    running = asyncio.create_task(analysis.runner.run(run))
    await analysis.voice.came.wait()
    run.drop(reason)
    async with patience():
        assert await running == outcome
        await analysis.voice.left.wait()


async def test_a_run_that_waits_for_a_busy_model_is_dropped_too(analysis: AnalysisHarness) -> None:
    analysis.voice.says = raising(Busy("429", 60.0))
    run = analysis.run(await analysis.asset())
    running = asyncio.create_task(analysis.runner.run(run))
    await analysis.voice.came.wait()
    run.drop("expired")
    async with patience():
        assert await running == Aborted("batch_processing_timeout")


async def test_a_lease_that_is_over_starts_nothing(analysis: AnalysisHarness) -> None:
    run = analysis.run(await analysis.asset())
    run.lease_until = analysis.clock.monotonic() - 0.001
    assert await analysis.runner.run(run) == Returned("not_started")
    assert run.started is None
    assert analysis.voice.asks == []


async def test_a_run_starts_at_its_own_start_time(analysis: AnalysisHarness) -> None:
    run = analysis.run(await analysis.asset())
    run.start_at, run.lease_until = analysis.clock.monotonic() + 0.2, analysis.clock.monotonic() + 5
    assert isinstance(await analysis.runner.run(run), Succeeded)
    assert run.started is not None
    assert run.started >= run.start_at


async def test_a_batch_that_cannot_be_read_cannot_go_on(analysis: AnalysisHarness) -> None:
    with pytest.raises(CannotGoOn, match="configuration"):
        analysis.runner.load_config(b'{"model": "voice", "mode": "sideways"}')
    run = analysis.run(await analysis.asset(), seq=7)
    run.input = b'{"sound": 1}'
    with pytest.raises(CannotGoOn, match="Item 7"):
        await analysis.runner.run(run)


async def test_progress_is_told_while_it_lasts(analysis: AnalysisHarness) -> None:
    told = list[tuple[float, float] | None]()
    run = analysis.run(await analysis.asset())

    async def tell(ask: ItemRequest) -> ItemAnswer:
        ask.progress(12.0, 60.0)
        told.append(run.progress)
        return SAID

    analysis.voice.says = tell
    await analysis.runner.run(run)
    assert told == [(12.0, 60.0)]


async def test_local_facts_says_what_it_read_and_refuses_what_it_cannot_know(
    analysis: AnalysisHarness, tmp_path: Path
) -> None:
    asset = await analysis.asset(clips.video(tmp_path / "clip.mp4"), seconds=2.0)
    local = analysis.with_backend(LocalFacts(FactsCache(analysis.decoder, analysis.files)))
    answer = await local.run(analysis.run(asset, prompt={"input_text": "List the chapters."}))
    assert isinstance(answer, Succeeded)
    assert "local-facts" in str(answer.result["made_by"])
    assert answer.seconds == 2.0
    refused = await local.run(analysis.run(asset, prompt={"input_text": "How does the speaker feel?"}))
    assert isinstance(refused, Failed)
    assert refused.code == "unsupported_by_local_facts"
    text = await analysis.asset(b"no video at all" * 100)
    broken = await local.run(analysis.run(text))
    assert isinstance(broken, Failed)
    assert broken.code == "video_file_broken"
    assert await local.ping("model:local-facts") is None
