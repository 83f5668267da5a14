"""Receivers that check what they get accept every delivery of batches' whole lives, through a change of secrets."""

import json
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from covey.api.webhooks.bodies import rendering
from covey.api.webhooks.routes import sender_of
from covey.api.webhooks.schemas import KNOWN
from covey.api.webhooks.signing import Style
from covey.engine.deliveries import Deliveries
from covey.fetch import Fetcher
from covey.settings import Fetch
from covey.store.results import Due
from tests.api.receiving import HOOKS, Got, Receiver, check_twelvelabs, receiver
from tests.api.twelvelabs.analysis_api import AnalysisApi, open_analysis_api
from tests.patience import patience

BATCHES, TASKS = "/v1.3/analyze/batches", "/v1.3/analyze/tasks"


def accepted(style: Style, secret: str, got: Got) -> Any:
    """What a receiver that holds this secret makes of it; it raises if it does not accept it."""
    return check_twelvelabs(got, secret) if style is Style.twelvelabs else Webhook(secret).verify(got.body, got.headers)


async def live(api: AnalysisApi) -> str:
    """One batch that ends, held in its middle, paused and resumed; one that is cancelled; two tasks. The first's id."""
    held = await api.create("hello", "fail", "hold")
    await api.echo.holding(1)
    await api.services.store.pause("ws-one", held["batch_id"], "by hand")
    await api.services.store.resume("ws-one", held["batch_id"])
    stopped = await api.create("hold", "hold")
    await api.echo.holding(3)
    answer = await api.client.post(f"{BATCHES}/{stopped['batch_id']}/cancel")
    assert answer.status_code == 202, answer.text
    return str(held["batch_id"])


async def after(api: AnalysisApi, held: str) -> None:
    """What comes after the change of secrets: tasks, and the end of the first batch."""
    await api.create("release")
    await api.until(f"{BATCHES}/{held}", "completed")
    for prompt in ("hello", "fail"):
        body = api.body(prompt)
        one = {"model_name": body["model_name"], "video": body["requests"][0]["video"], "prompt": prompt}
        answer = await api.client.post(TASKS, json=one)
        assert answer.status_code < 300, answer.text
        await api.until(f"{TASKS}/{answer.json()['task_id']}", "ready", "failed")


async def everything(api: AnalysisApi, there: Receiver, events: int, loop: Deliveries) -> list[Got]:
    """The next deliveries, so many."""
    loop.look()
    return [await there.next() for _ in range(events)]


async def test_every_delivery_of_whole_lives_is_accepted_through_a_rotation(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(open_analysis_api(tmp_path))
        fetcher = Fetcher(Fetch(allow=(ip_network("127.0.0.0/8"),)))
        object.__setattr__(api.services, "fetcher", fetcher)
        loop = Deliveries(api.services.store, api.clock, sender_of(api.services), timedelta(seconds=20))
        stack.push_async_callback(loop.stop)
        there = {style: await stack.enter_async_context(receiver()) for style in Style}
        api.client.headers["x-workspace-id"] = "ws-one"
        made: dict[Style, Any] = {}
        for style in Style:
            body = {"url": there[style].url, "style": style.value, "events": list(KNOWN[style])}
            answer = await api.client.post(HOOKS, json=body)
            assert answer.status_code == 200, answer.text
            made[style] = answer.json()
        loop.start()

        held = await live(api)
        first = {
            Style.standard: await everything(api, there[Style.standard], 6, loop),
            Style.twelvelabs: [],
        }
        new = {}
        for style in Style:
            answer = await api.client.post(f"{HOOKS}/{made[style]['id']}/rotate", json={"overlapHours": 1})
            new[style] = answer.json()["secret"]
        await after(api, held)
        words: dict[Style, Counter[str]] = {style: Counter() for style in Style}
        for style in Style:
            for got in first[style]:
                words[style][accepted(style, made[style]["secret"], got)["type"]] += 1
        wanted = {
            Style.standard: {
                "batch.started": 3, "batch.paused": 1, "batch.resumed": 1, "batch.completed": 2, "batch.canceled": 1,
                "item.succeeded": 6, "item.failed": 2,
            },
            Style.twelvelabs: {
                "analyze.batch.completed": 2, "analyze.batch.canceled": 1, "analyze.task.ready": 1,
                "analyze.task.failed": 1,
            },
        }  # fmt: skip
        async with patience():
            for style in Style:
                while words[style].total() < sum(wanted[style].values()):
                    got = await there[style].next()
                    told = accepted(style, new[style], got)
                    assert accepted(style, made[style]["secret"], got) == told, "the old secret is valid for an hour"
                    words[style][told["type"]] += 1
        assert words == wanted


async def listens(api: AnalysisApi) -> None:
    """Let an endpoint of this style be there; nothing is sent to it."""
    object.__setattr__(api.services, "fetcher", Fetcher(Fetch(allow=(ip_network("127.0.0.0/8"),))))
    api.client.headers["x-workspace-id"] = "ws-one"
    answer = await api.client.post(HOOKS, json={"url": "http://127.0.0.1:9/", "style": "twelvelabs"})
    assert answer.status_code == 200, answer.text


async def rendered(api: AnalysisApi, word: str) -> Any:
    """What the only endpoint is told by its next event with this word."""
    held = (await api.services.store.endpoints("ws-one"))[0]
    for one in await api.services.store.deliveries("ws-one"):
        message = await rendering(api.services.store).message(Due(one, held))
        if message is not None and message.type == word:
            return json.loads(message.body)["data"]
    raise AssertionError(f"nothing is told of {word}")


async def test_a_batch_is_told_as_it_is_shown_even_after_it_was_deleted(tmp_path: Path) -> None:
    async with open_analysis_api(tmp_path) as api:
        await listens(api)
        made = await api.create("hello", "fail")
        shown = await api.until(f"{BATCHES}/{made['batch_id']}", "completed")
        told = await rendered(api, "analyze.batch.completed")
        assert told == {name: shown[name] for name in told}
        assert shown.keys() - told.keys() <= {"webhooks", "deletes_at", "spent", "paused", "holding"}
        answer = await api.client.delete(f"{BATCHES}/{made['batch_id']}")
        assert answer.status_code == 204
        while made["batch_id"] not in await api.services.store.sweep_erased():
            pass
        after = await rendered(api, "analyze.batch.completed")
        assert after == told


async def test_the_video_of_a_task_is_told_by_its_address_without_what_may_be_secret(tmp_path: Path) -> None:
    async with open_analysis_api(tmp_path) as api:
        await listens(api)
        for video, told in (
            ({"type": "url", "url": "https://example.com/a.mp4?key=s"}, "https://example.com/a.mp4"),
            ({"type": "asset_id", "asset_id": api.asset}, api.asset),
        ):
            body = {"model_name": "local-facts", "video": video, "prompt": "hello"}
            answer = await api.client.post(TASKS, json=body)
            assert answer.status_code < 300, answer.text
            await api.until(f"{TASKS}/{answer.json()['task_id']}", "ready")
            data = await rendered(api, "analyze.task.ready")
            name = "url" if video["type"] == "url" else "asset_id"
            assert data["video_source"] == {"type": video["type"], name: told}
