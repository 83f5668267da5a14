"""What an analysis comes to, whatever its model, its asset and its batch do."""

import asyncio
import base64
from collections.abc import AsyncIterator
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
from tests.analysis.desk import SAID, WORKSPACE, Desk, Say, open_desk
from tests.api.twelvelabs import clips
from tests.api.twelvelabs.shelf import listening
from tests.patience import patience


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


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


async def test_an_answer_is_the_result_with_what_it_cost(desk: Desk) -> None:
    outcome = await desk.comes_to(await desk.asset())
    usage = {"output_tokens": 3, "input_tokens": 11}
    result = {"data": "a clip", "finish_reason": "stop", "usage": usage, "made_by": "the test"}
    assert outcome == Succeeded("ready", result, 10.0, 11, 3)


async def test_tokens_that_nobody_reported_are_not_made_up(desk: Desk) -> None:
    async def guess(ask: ItemRequest) -> ItemAnswer:
        return ItemAnswer("text", "length", 1, None, 2.0, "the test", estimated=True)

    desk.voice.says = guess
    outcome = await desk.comes_to(await desk.asset())
    assert isinstance(outcome, Succeeded)
    assert outcome.result["usage"] == {"output_tokens": 1, "estimated": True}
    assert (outcome.tokens_in, outcome.tokens_out, outcome.seconds) == (0, 1, 2.0)
    assert outcome.result["finish_reason"] == "length"


async def test_a_refusal_fails_the_one_item_and_proves_that_the_model_works(desk: Desk) -> None:
    desk.voice.says = raising(Refused("model_refused", "It will not."))
    outcome = await desk.comes_to(await desk.asset())
    assert outcome == Failed("model_refused", "It will not.", blame=Blame.item)
    assert desk.voice.worked == 0


async def test_a_stored_schema_beyond_the_bounds_fails_its_item_before_the_model_is_paid(desk: Desk) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "a?" * 30_000}}}
    form = {"type": "json_schema", "json_schema": schema}
    outcome = await desk.comes_to(await desk.asset(), response_format=form)
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.blame) == ("parameter_invalid", Blame.nothing)
    assert "response_format.json_schema.properties.a.pattern" in outcome.message
    assert desk.voice.asks == []


async def test_a_fault_on_one_video_is_tried_again_when_the_model_works_otherwise(desk: Desk) -> None:
    desk.voice.says = raising(PerhapsBroken("model_error", "It failed (500)."))
    before = desk.clock.now()
    outcome = await desk.comes_to(await desk.asset())
    assert isinstance(outcome, Retry)
    assert outcome.at > before
    assert outcome.otherwise == Failed("model_error", "It failed (500).")
    assert desk.voice.worked == 1


async def test_a_fault_of_a_broken_model_gives_the_item_back(desk: Desk) -> None:
    desk.voice.says, desk.voice.ill = raising(PerhapsBroken("model_error", "It failed (500).")), "It is broken."
    outcome = await desk.comes_to(await desk.asset())
    assert outcome == Returned("model_error", "It is broken.", Blame.either)


async def test_a_model_that_is_not_reached_gives_the_item_back(desk: Desk) -> None:
    desk.voice.says = raising(Down("Nobody is there"))
    assert await desk.comes_to(await desk.asset()) == Returned("model_down", "Nobody is there", Blame.either)


async def test_a_place_of_files_that_cannot_be_reached_burns_no_item(desk: Desk) -> None:
    desk.voice.says = raising(FilesUnavailable())
    outcome = await desk.comes_to(await desk.asset())
    assert isinstance(outcome, Returned)
    assert (outcome.code, outcome.blame) == ("storage_unavailable", Blame.either)


async def test_what_nobody_thought_of_is_left_to_the_engine(desk: Desk) -> None:
    desk.voice.says = raising(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await desk.comes_to(await desk.asset())


async def test_all_runs_of_a_lane_wait_together_while_the_model_is_busy(desk: Desk) -> None:
    asset, loop = await desk.asset(), asyncio.get_running_loop()
    desk.voice.says = raising(Busy("429", 1.2))
    started = loop.time()
    first = asyncio.create_task(desk.comes_to(asset))
    await desk.voice.came.wait()
    wrong = None
    while wrong is None:
        await asyncio.sleep(0)
        wrong = await desk.runner.ping("model:voice")
    assert wrong == "the model is busy, and takes no more for 2 s"
    others = [asyncio.create_task(desk.comes_to(asset)) for _ in range(3)]
    outcomes = await asyncio.gather(first, *others)
    assert all(isinstance(outcome, Succeeded) for outcome in outcomes)
    assert len(desk.voice.at) == 5
    assert min(desk.voice.at[1:]) - started >= 1.2
    assert await desk.runner.ping("model:voice") is None


async def test_a_model_that_says_busy_and_names_no_wait_is_not_hammered(desk: Desk) -> None:
    desk.voice.says = raising(Busy("429", 0.0))
    assert isinstance(await desk.comes_to(await desk.asset()), Succeeded)
    assert desk.voice.at[1] - desk.voice.at[0] >= module.SHORTEST_WAIT - 0.01


async def test_an_item_goes_back_whose_model_takes_no_more_for_too_long(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_PATIENCE", 0.2)
    desk.voice.says = raising(Busy("429", 3600.0))
    assert await desk.comes_to(await desk.asset()) == Returned("not_started")
    assert len(desk.voice.asks) == 1
    assert "takes no more for 3600 s" in str(await desk.runner.ping("model:voice"))


async def test_what_was_not_paid_for_waits_for_a_busy_model_no_longer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its item goes back, where a cancel reaches it at once; frames are sampled again, which costs nobody money."""
    monkeypatch.setattr(module, "BUSY_PATIENCE", 0.2)

    async def busy() -> ItemAnswer:
        raise Busy("429", 3600.0)

    async def answer(ask: ItemRequest) -> ItemAnswer:
        return await ask.patiently(busy, paid=False)

    desk.voice.says = answer
    assert await desk.comes_to(await desk.asset()) == Returned("not_started")


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
    wanted: dict[str, Any], window: tuple[float, float], desk: Desk
) -> None:
    await desk.comes_to(await desk.asset(), **wanted)
    assert [(ask.start, ask.end, ask.seconds) for ask in desk.voice.asks] == [(*window, 60.0)]


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
    seconds: float | None, wanted: dict[str, Any], code: str, desk: Desk
) -> None:
    outcome = await desk.comes_to(await desk.asset(seconds=seconds), **wanted)
    assert isinstance(outcome, Failed)
    assert outcome.code == code
    assert desk.voice.asks == []


async def test_a_window_of_two_hours_in_a_longer_video_and_a_video_under_a_second_are_fine(desk: Desk) -> None:
    long = await desk.asset(seconds=14_400.0)
    assert isinstance(await desk.comes_to(long, start_time=100.0, end_time=7300.0), Succeeded)
    assert isinstance(await desk.comes_to(await desk.asset(seconds=0.4)), Succeeded)


async def test_the_item_stands_over_the_defaults_of_its_batch(desk: Desk) -> None:
    asset = await desk.asset()
    run = desk.run(asset, temperature=0.7)
    run.config = run.config.model_copy(update={"defaults": Wanted(temperature=0.1, end_time=30.0)})
    await desk.runner.run(run)
    (ask,) = desk.voice.asks
    assert (ask.wanted.temperature, ask.end, ask.asset, ask.trace) == (0.7, 30.0, asset.id, run.item)
    assert ask.file.read_bytes() == b"bytes"


async def test_an_asset_that_was_deleted_fails_its_item(desk: Desk) -> None:
    asset = await desk.asset()
    await desk.intake.delete(WORKSPACE, asset.id)
    outcome = await desk.comes_to(asset)
    assert isinstance(outcome, Failed)
    assert outcome.code == "asset_unavailable"


async def test_an_asset_whose_bytes_are_gone_fails_its_item(desk: Desk) -> None:
    asset = await desk.asset()
    await desk.files.delete(asset.id)
    outcome = await desk.comes_to(asset)
    assert isinstance(outcome, Failed)
    assert outcome.code == "asset_unavailable"


async def test_an_asset_of_another_workspace_is_none(desk: Desk) -> None:
    outcome = await desk.comes_to(await desk.asset(workspace="ws-other"))
    assert isinstance(outcome, Failed)
    assert outcome.code == "asset_unavailable"
    assert desk.voice.asks == []


async def test_a_failed_asset_fails_its_items_with_its_own_reason(desk: Desk) -> None:
    asset = await desk.asset(state=AssetState.failed, error="It is too large", facts={"code": "video_too_large"})
    assert await desk.comes_to(asset) == Failed("video_too_large", "It is too large", blame=Blame.nothing)


async def test_what_is_no_video_fails_its_item(desk: Desk) -> None:
    outcome = await desk.comes_to(await desk.asset(kind="image", seconds=None))
    assert isinstance(outcome, Failed)
    assert outcome.code == "video_file_broken"
    assert "image" in outcome.message


async def test_an_item_waits_for_its_asset_to_be_looked_at(desk: Desk, tmp_path: Path) -> None:
    spooled = desk.files.spooled()
    clips.video(tmp_path / "clip.mp4")
    spooled.write_bytes((tmp_path / "clip.mp4").read_bytes())
    asset = await desk.intake.make_asset(WORKSPACE, name="clip.mp4", file=spooled)
    assert asset.state is AssetState.processing
    assert isinstance(await desk.comes_to(asset), Succeeded)
    assert desk.voice.asks[0].seconds == pytest.approx(2.0, abs=0.11)


async def test_items_about_addresses(desk: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "web"
    folder.mkdir()
    content = clips.video(folder / "clip.mp4")
    (folder / "words.mp4").write_text("ffconcat version 1.0\nfile clip.mp4\n" * 10)
    async with listening(Starlette(routes=[Mount("/", StaticFiles(directory=folder))])) as url:
        assert isinstance(await desk.comes_to(f"{url}/clip.mp4"), Succeeded)
        gone = await desk.comes_to(f"{url}/no.mp4")
        words = await desk.comes_to(f"{url}/words.mp4")
    private = await desk.comes_to("http://10.0.0.1/clip.mp4")
    assert desk.voice.asks[0].file.read_bytes() == content
    assert [outcome.code for outcome in (gone, words, private) if isinstance(outcome, Failed)] == [
        "asset_unavailable",
        "video_file_broken",
        "asset_unavailable",
    ]
    assert len(desk.voice.asks) == 1


def page(status: int) -> Route:
    async def answer(request: Request) -> Response:
        return Response(status_code=status)

    return Route(f"/{status}.mp4", answer)


async def test_an_address_that_may_work_another_time_uses_up_a_try(desk: Desk) -> None:
    routes = [page(status) for status in (404, 410, 429, 503)]
    async with listening(Starlette(routes=routes)) as url:
        for status in (429, 503):
            outcome = await desk.comes_to(f"{url}/{status}.mp4")
            assert isinstance(outcome, Retry)
            said = f"127.0.0.1 answered {status}"
            assert outcome.otherwise == Failed("asset_unavailable", said, blame=Blame.nothing)
        for status in (404, 410):
            said = f"127.0.0.1 answered {status}"
            assert await desk.comes_to(f"{url}/{status}.mp4") == Failed("asset_unavailable", said, blame=Blame.nothing)
    assert isinstance(await desk.comes_to(f"{url}/503.mp4"), Retry)
    assert await desk.store.assets(WORKSPACE) == ([], 0)


async def test_a_run_that_is_dropped_while_its_asset_is_made_leaves_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, reached, go = desk.store.add_asset, asyncio.Event(), asyncio.Event()

    async def slow(asset: Asset, owner: str) -> None:
        reached.set()
        await go.wait()
        await add(asset, owner)

    monkeypatch.setattr(desk.store, "add_asset", slow)
    run = desk.run("http://127.0.0.1:9/a.mp4")
    running = asyncio.create_task(desk.runner.run(run))
    await reached.wait()
    run.drop("aborted")
    assert await running == Aborted("user_canceled")
    go.set()
    async with patience():
        while not desk.intake._doubtful:
            await asyncio.sleep(0.01)
    await desk.intake.round()
    assert await desk.store.assets(WORKSPACE) == ([], 0)


async def test_an_asset_that_cannot_be_dealt_with_fails_and_nobody_waits_for_it(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(asset: str) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(desk.files, "has", breaks)
    spooled = desk.files.spooled()
    spooled.write_bytes(clips.video(tmp_path / "clip.mp4"))
    asset = await desk.intake.make_asset(WORKSPACE, name="clip.mp4", file=spooled)
    async with patience():
        outcome = await desk.comes_to(asset)
    assert isinstance(outcome, Failed)
    assert outcome.code == "internal_error"


async def test_a_busy_model_is_waited_for_with_the_request_that_puts_right_alone(desk: Desk) -> None:
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

    desk.voice.says = answer
    assert isinstance(await desk.comes_to(await desk.asset()), Succeeded)
    assert asked == ["first", "second", "second", "second"]


async def test_what_cannot_be_put_right_now_uses_up_a_try(desk: Desk) -> None:
    desk.voice.says = raising(TryAgain("model_busy", "It took no more for too long.", Blame.nothing))
    outcome = await desk.comes_to(await desk.asset())
    assert isinstance(outcome, Retry)
    assert outcome.otherwise == Failed("model_busy", "It took no more for too long.", blame=Blame.nothing)
    assert desk.voice.worked == 0


async def test_media_sources_are_given_by_their_names(desk: Desk) -> None:
    picture, seen = clips.image(), list[bytes]()

    async def look(ask: ItemRequest) -> ItemAnswer:
        seen.append(await ask.media("logo"))
        await ask.media("other")
        return SAID

    desk.voice.says = look
    source = {"name": "logo", "media_type": "image", "base64_string": base64.b64encode(picture).decode()}
    outcome = await desk.comes_to(
        await desk.asset(), prompt={"input_text": "Where is <@logo>?", "media_sources": [source]}
    )
    assert seen == [picture]
    assert outcome == Failed("parameter_invalid", "There is no media source called 'other'")


async def test_media_sources_of_segments_are_given_too(desk: Desk) -> None:
    picture, seen = clips.image(), list[bytes]()

    async def look(ask: ItemRequest) -> ItemAnswer:
        seen.append(await ask.media("logo"))
        return SAID

    desk.voice.says = look
    source = {"name": "logo", "media_type": "image", "base64_string": base64.b64encode(picture).decode()}
    form = {
        "type": "segment_definitions",
        "segment_definitions": [{"id": "a", "description": "b", "media_sources": [source]}],
    }
    await desk.comes_to(await desk.asset(), mode=Mode.time_based_metadata, prompt=None, response_format=form)
    assert seen == [picture]


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("expired", Aborted("batch_processing_timeout")),
        ("aborted", Aborted("user_canceled")),
        ("interrupted", Returned("not_started")),
    ],
)
async def test_a_dropped_run_drops_its_request(reason: str, outcome: object, desk: Desk) -> None:
    desk.voice.says = never
    run = desk.run(await desk.asset())
    running = asyncio.create_task(desk.runner.run(run))
    await desk.voice.came.wait()
    run.drop(reason)
    async with patience():
        assert await running == outcome
        await desk.voice.left.wait()


async def test_a_run_that_waits_for_a_busy_model_is_dropped_too(desk: Desk) -> None:
    desk.voice.says = raising(Busy("429", 60.0))
    run = desk.run(await desk.asset())
    running = asyncio.create_task(desk.runner.run(run))
    await desk.voice.came.wait()
    run.drop("expired")
    async with patience():
        assert await running == Aborted("batch_processing_timeout")


async def test_a_licence_that_is_over_starts_nothing(desk: Desk) -> None:
    run = desk.run(await desk.asset())
    run.lease_until = desk.clock.monotonic() - 0.001
    assert await desk.runner.run(run) == Returned("not_started")
    assert run.started is None
    assert desk.voice.asks == []


async def test_a_run_starts_at_its_own_start_time(desk: Desk) -> None:
    run = desk.run(await desk.asset())
    run.start_at, run.lease_until = desk.clock.monotonic() + 0.2, desk.clock.monotonic() + 5
    assert isinstance(await desk.runner.run(run), Succeeded)
    assert run.started is not None
    assert run.started >= run.start_at


async def test_a_batch_that_cannot_be_read_cannot_go_on(desk: Desk) -> None:
    with pytest.raises(CannotGoOn, match="configuration"):
        desk.runner.load_config(b'{"model": "voice", "mode": "sideways"}')
    run = desk.run(await desk.asset(), seq=7)
    run.input = b'{"sound": 1}'
    with pytest.raises(CannotGoOn, match="Item 7"):
        await desk.runner.run(run)


async def test_progress_is_told_while_it_lasts(desk: Desk) -> None:
    told = list[tuple[float, float] | None]()
    run = desk.run(await desk.asset())

    async def tell(ask: ItemRequest) -> ItemAnswer:
        ask.progress(12.0, 60.0)
        told.append(run.progress)
        return SAID

    desk.voice.says = tell
    await desk.runner.run(run)
    assert told == [(12.0, 60.0)]


async def test_local_facts_says_what_it_read_and_refuses_what_it_cannot_know(desk: Desk, tmp_path: Path) -> None:
    asset = await desk.asset(clips.video(tmp_path / "clip.mp4"), seconds=2.0)
    local = desk.with_backend(LocalFacts(FactsCache(desk.decoder, desk.files)))
    answer = await local.run(desk.run(asset, prompt={"input_text": "List the chapters."}))
    assert isinstance(answer, Succeeded)
    assert "local-facts" in str(answer.result["made_by"])
    assert answer.seconds == 2.0
    refused = await local.run(desk.run(asset, prompt={"input_text": "How does the speaker feel?"}))
    assert isinstance(refused, Failed)
    assert refused.code == "unsupported_by_local_facts"
    text = await desk.asset(b"no video at all" * 100)
    broken = await local.run(desk.run(text))
    assert isinstance(broken, Failed)
    assert broken.code == "video_file_broken"
    assert await local.ping("model:local-facts") is None
