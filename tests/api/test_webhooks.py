"""Webhooks over the API, told to real receivers that check what they get."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from covey.api.webhooks.bodies import rendering
from covey.api.webhooks.routes import sender_of
from covey.api.webhooks.schemas import KNOWN, TASK_WORDS
from covey.api.webhooks.secrets import DecryptionFailed, SecretBox, callbacks_id, valid_secrets
from covey.api.webhooks.signing import Style
from covey.domain.batch import NewBatch, NewItem, StopReason
from covey.domain.errors import BadRequest
from covey.domain.ids import new_id
from covey.domain.webhook import Delivery, DeliveryState
from covey.engine.deliveries import Deliveries
from covey.fetch import Fetcher
from covey.settings import DatabaseUrl, Fetch, Settings
from covey.store.results import Due
from tests.api.harness import BUSY, ApiHarness, succeeded
from tests.api.receiving import HOOKS, check_twelvelabs, receiver
from tests.fetch.receivers import says, serving
from tests.patience import patience

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _loopback(api: ApiHarness) -> None:
    """The receivers of the tests are on this machine."""
    allowed = Fetcher(Fetch(allow=(ip_network("127.0.0.0/8"),)))
    object.__setattr__(api.services, "fetcher", allowed)


@asynccontextmanager
async def delivering(api: ApiHarness) -> AsyncIterator[Deliveries]:
    """The loop that sends deliveries."""
    loop = Deliveries(api.services.store, api.clock, sender_of(api.services), timedelta(seconds=20))
    loop.start()
    try:
        yield loop
    finally:
        await loop.stop()


async def endpoint(api: ApiHarness, url: str, **more: Any) -> dict[str, Any]:
    answer = await api.client.post(HOOKS, json={"url": url, **more})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_batch_is_told_from_beginning_to_end(api: ApiHarness) -> None:
    async with receiver() as there, delivering(api) as loop:
        made = await endpoint(api, there.url, events=["batch.started", "batch.completed", "item.succeeded"])
        batch = await api.planted(name="July")
        for taken in await api.claim(3):
            await api.finish(taken, BUSY if taken[1].seq else succeeded())
        loop.look()
        told = [await there.next() for _ in range(3)]
        found = {got.json["type"]: Webhook(made["secret"]).verify(got.body, got.headers) for got in told}
    assert set(found) == {"batch.started", "batch.completed", "item.succeeded"}
    done = found["batch.completed"]["data"]
    assert (done["batchId"], done["name"], done["kind"], done["trunk"]) == (batch, "July", "calls", "demo")
    assert done["counts"]["succeeded"] == 1
    assert done["counts"]["failed"] == 2
    assert done["createdAt"].endswith("Z")
    item = found["item.succeeded"]["data"]
    assert (item["batchId"], item["call"]["status"], item["call"]["callId"]) == (batch, "completed", item["callId"])
    assert item["details"]["code"] == "successful"
    assert len({got.headers["webhook-id"] for got in told}) == 3


async def test_the_style_of_the_other_api(api: ApiHarness) -> None:
    async with receiver() as there:
        made = await endpoint(api, there.url, style="twelvelabs")
        assert (made["kind"], set(made["events"])) == ("analysis", set(KNOWN[Style.twelvelabs]))
        store = api.services.store
        held = await store.endpoint("ws-one", made["id"])
        batch = await api.planted()
        at = round(NOW.timestamp() * 1e6)
        counts = {"total": 6, "waiting": 0, "active": 0, "succeeded": 3, "failed": 2, "canceled": 1}
        ended: dict[str, Any] = {
            "kind": "analysis",
            "origin": "batch",
            "lane": "model:local-facts",
            "mode": "general",
            "counts": counts,
        }
        ended |= {"createdAt": at, "expiresAt": at + 86_400_000_000}
        one = Delivery(
            batch.removeprefix("batch_")[:-1] + "7",
            made["id"],
            "ws-one",
            "0" * 24,
            None,
            "batch.completed",
            NOW + timedelta(hours=1),
            ended,
            DeliveryState.waiting,
            1,
            None,
        )
        for _ in range(2):
            tried = await sender_of(api.services).send(Due(one, held), api.clock.now())
            assert (tried.status, tried.error) == (204, None)
        first, second = [check_twelvelabs(await there.next(), made["secret"]) for _ in range(2)]
    assert first["id"] == second["id"]
    assert first["id"].startswith("whe_")
    assert len(first["id"]) == 36
    assert first["type"] == "analyze.batch.completed"
    assert first["data"] == {
        "batch_id": "0" * 24,
        "analysis_mode": "general",
        "model_name": "local-facts",
        "status": "completed",
        "total_items": 6,
        "queued_items": 0,
        "processing_items": 0,
        "ready_items": 3,
        "failed_items": 2,
        "canceled_items": 1,
        "created_at": "2026-07-01T12:00:00.000Z",
        "expires_at": "2026-07-02T12:00:00.000Z",
        "completed_at": "2026-07-01T13:00:00.000Z",
    }


@pytest.mark.parametrize(
    ("events", "type_", "origin", "counts", "word"),
    [
        (None, "batch.canceled", "batch", {}, "analyze.batch.canceled"),
        (None, "batch.expired", "batch", {}, "analyze.batch.expired"),
        (None, "batch.completed", "single", {"succeeded": 1}, "analyze.task.ready"),
        (None, "batch.completed", "single", {"failed": 1}, "analyze.task.failed"),
        (None, "batch.canceled", "single", {"canceled": 1}, "analyze.task.canceled"),
        (list(TASK_WORDS), "batch.completed", "batch", {}, None),
        (["analyze.task.failed"], "batch.completed", "single", {"succeeded": 1}, None),
        (["analyze.batch.expired"], "batch.expired", "batch", {}, "analyze.batch.expired"),
    ],
)
async def test_the_words_of_the_other_api(
    api: ApiHarness, events: list[str] | None, type_: str, origin: str, counts: dict[str, int], word: str | None
) -> None:
    more = {"events": events} if events else {}
    made = await endpoint(api, "http://127.0.0.1:9/", style="twelvelabs", **more)
    held = await api.services.store.endpoint("ws-one", made["id"])
    assert type_ in held.events
    data = {"kind": "analysis", "origin": origin, "counts": counts}
    one = Delivery(
        "a" * 24, held.id, "ws-one", "b" * 18 + "0" * 6, None, type_, NOW, data, DeliveryState.waiting, 1, None
    )
    message = await rendering(api.services.store).message(Due(one, held))
    assert (message and message.type) == word
    if message and origin == "single":
        assert json.loads(message.body)["data"]["status"] == word.rpartition(".")[2] if word else False


async def test_two_secrets_are_valid_while_one_is_replaced(api: ApiHarness) -> None:
    async with receiver() as there:
        for style in Style:
            made = await endpoint(api, there.url, style=style.value)
            path = f"{HOOKS}/{made['id']}"
            new = (await api.client.post(f"{path}/rotate", json={"overlapHours": 1})).json()
            assert new["secret"] != made["secret"]
            assert (await api.client.post(f"{path}/test")).json()["delivered"] is True
            both = await there.next()
            api.clock.ahead += timedelta(hours=1, seconds=1)
            assert (await api.client.post(f"{path}/test")).json()["delivered"] is True
            later = await there.next()
            api.clock.ahead = timedelta(0)
            if style is Style.standard:
                for secret in (made["secret"], new["secret"]):
                    assert Webhook(secret).verify(both.body, both.headers)["type"] == "webhook.test"
                assert len(later.headers["webhook-signature"].split()) == 1
                with pytest.raises(WebhookVerificationError):
                    Webhook(made["secret"]).verify(both.body + b" ", both.headers)
            else:
                for secret in (made["secret"], new["secret"]):
                    assert check_twelvelabs(both, secret)["type"] == "webhook.test"
                assert later.headers["tl-signature"].count("v1=") == 1


async def _valid(api: ApiHarness, ident: str) -> list[str]:
    store, sealer = api.services.store, api.services.sealer
    return await valid_secrets(store, sealer, await store.endpoint("ws-one", ident), api.clock.now())


async def test_requests_at_the_same_moment_lose_no_secret(api: ApiHarness) -> None:
    made = await endpoint(api, "https://hooks.example.com/x")
    path = f"{HOOKS}/{made['id']}"
    first, one, _, two, _, three, four = await asyncio.gather(
        api.client.post(f"{HOOKS}/callback-secret", json={}),
        api.client.post(f"{path}/rotate", json={}),
        api.client.patch(path, json={"description": "ours"}),
        api.client.post(f"{path}/rotate", json={}),
        api.client.patch(path, json={"disabled": True}),
        api.client.post(f"{HOOKS}/callback-secret", json={}),
        api.client.post(f"{HOOKS}/callback-secret", json={}),
    )
    rotated = {made["secret"], one.json()["secret"], two.json()["secret"]}
    assert set(await _valid(api, made["id"])) == rotated
    shown = await api.json(path)
    assert (shown["description"], shown["disabled"]) == ("ours", True)
    callbacks = {answer.json()["secret"] for answer in (first, three, four)}
    assert callbacks < set(await _valid(api, callbacks_id("ws-one")))


async def test_a_workspace_has_as_many_endpoints_as_it_may(api: ApiHarness) -> None:
    most = api.services.settings.webhooks.endpoints
    assert (await api.client.post(f"{HOOKS}/callback-secret", json={})).status_code == 200
    made = [await endpoint(api, f"https://hooks.example.com/{n}") for n in range(most)]
    refused = await api.client.post(HOOKS, json={"url": "https://hooks.example.com/more"})
    assert (refused.status_code, refused.json()["error"]) == (409, "too_many_endpoints")
    assert f"{most} webhook endpoints" in refused.json()["message"]
    assert (await api.client.delete(f"{HOOKS}/{made[0]['id']}")).status_code == 200
    await endpoint(api, "https://hooks.example.com/more")


async def test_what_was_not_asked_for_is_shown_as_skipped(api: ApiHarness) -> None:
    async with delivering(api) as loop:
        made = await endpoint(api, "http://127.0.0.1:9/", style="twelvelabs", events=["analyze.batch.canceled"])
        path = f"{HOOKS}/{made['id']}"
        now = api.clock.now()
        batch = NewBatch(new_id(now), "ws-one", "analysis", "demo", b"{}", now, origin="batch")
        store = api.services.store
        await store.draft(batch, "worker-of-the-test")
        await store.append(batch.id, 0, [NewItem(b"{}")])
        await store.accept(batch.id, 1, api.services.quota(True))
        await store.change_endpoint(
            "ws-one", made["id"], lambda held: replace(held, events=("batch.canceled", "analyze.batch.expired"))
        )
        await store.stop("ws-one", batch.id, StopReason.cancel)
        loop.look()
        async with patience():
            while (told := (await api.json(f"{path}/deliveries"))["deliveries"])[0]["state"] == "waiting":
                await asyncio.sleep(0.01)
    assert [(one["state"], one["attempts"], one["status"]) for one in told] == [("skipped", 0, None)]
    assert ((await api.json(path))["deliveredAt"], (await api.json(path))["failingSince"]) == (None, None)


async def test_an_endpoint_is_looked_at_and_changed(api: ApiHarness) -> None:
    made = await endpoint(api, "https://hooks.example.com/x", kind="calls", description="ours")
    path = f"{HOOKS}/{made['id']}"
    shown = await api.json(path)
    assert "secret" not in shown
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert await api.json(HOOKS) == [shown]
    change = {"url": "https://hooks.example.com/y", "events": ["batch.failed"], "disabled": True}
    changed = (await api.client.patch(path, json=change)).json()
    assert (changed["url"], changed["events"], changed["disabled"]) == (change["url"], ["batch.failed"], True)
    assert changed["disabledReason"]
    again = (await api.client.patch(path, json={"disabled": False})).json()
    assert (again["disabled"], again["disabledAt"], again["description"]) == (False, None, "ours")
    for method, where in (("GET", path), ("PATCH", path), ("DELETE", path), ("GET", f"{path}/deliveries")):
        body: Any = {} if method == "PATCH" else None
        answer = await api.client.request(method, where, headers=api.headers("other"), json=body)
        assert answer.status_code == 404, where
    assert (await api.client.get(path, headers=api.headers("read"))).status_code == 200
    assert (await api.client.delete(path, headers=api.headers("read"))).status_code == 403
    assert (await api.client.post(f"{path}/test", headers=api.headers("read"))).status_code == 403
    assert (await api.client.delete(path)).status_code == 200
    assert (await api.client.delete(path)).status_code == 404
    assert await api.json(HOOKS) == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"url": "http://10.0.0.1/"}, "not on the public internet"),
        ({"url": "http://0x0a000001/"}, "not on the public internet"),
        ({"url": "ftp://example.com/"}, "http or https"),
        ({"url": "https://a:b@example.com/"}, "user name"),
        ({"url": "https://example.com/", "events": ["batch.exploded"]}, "there are: batch.scheduled"),
        ({"url": "https://example.com/", "events": ["batch.completed"], "style": "twelvelabs"}, "analyze.task.ready"),
        ({"url": "https://example.com/", "kind": "calls", "style": "twelvelabs"}, "kind"),
        ({"url": "https://example.com/", "events": []}, "events"),
        ({"url": "https://example.com/", "secret": "mine"}, "no such field"),
    ],
)
async def test_what_is_refused_says_why(api: ApiHarness, body: dict[str, Any], says: str) -> None:
    answer = await api.client.post(HOOKS, json=body)
    assert answer.status_code == 400
    assert says in answer.json()["message"]
    assert await api.json(HOOKS) == []


async def test_a_secret_is_shown_once_and_kept_encrypted(api: ApiHarness, tmp_path: Path) -> None:
    headers = {"idempotency-key": "one"}
    body = {"url": "https://hooks.example.com/"}
    first = (await api.client.post(HOOKS, json=body, headers=headers)).json()
    again = (await api.client.post(HOOKS, json=body, headers=headers)).json()
    assert (again["id"], again["secret"]) == (first["id"], None)
    held = await api.services.store.endpoint("ws-one", first["id"])
    [(sealed, until)] = held.secrets
    assert until is None
    assert first["secret"].encode() not in sealed
    assert (api.services.settings.data / "secret.key").stat().st_mode & 0o777 == 0o600
    elsewhere = SecretBox(Settings(data=tmp_path / "elsewhere"))
    for sealer, about in ((elsewhere, held.id), (api.services.sealer, "another")):
        with pytest.raises(DecryptionFailed):
            sealer.open(sealed, about)


def test_many_machines_need_a_secret_in_their_settings(tmp_path: Path) -> None:
    shared = Settings(data=tmp_path, database=DatabaseUrl("postgresql://x@y/z"))
    with pytest.raises(BadRequest, match="COVEY_SECRET"):
        SecretBox(shared).seal("whsec_x", "a")
    assert not (tmp_path / "secret.key").exists()
    here = shared.model_copy(update={"secret": SecretStr("s" * 32)})
    assert SecretBox(here).open(SecretBox(here).seal("whsec_x", "a"), "a") == "whsec_x"


async def test_deliveries_are_listed_and_sent_again(api: ApiHarness) -> None:
    async with receiver("500 Oops", "410 Gone") as there, delivering(api) as loop:
        made = await endpoint(api, there.url, events=["batch.completed"])
        path = f"{HOOKS}/{made['id']}"
        batch = await api.planted()
        for taken in await api.claim(3):
            await api.finish(taken, BUSY)
        loop.look()
        first = await there.next()
        waiting = await _listed(api, path, 1, "waiting")
        assert (waiting["status"], waiting["attempts"], waiting["batchId"]) == (500, 1, batch)
        assert waiting["error"] == "The receiver answered 500"
        api.clock.ahead += timedelta(seconds=10)
        loop.look()
        second = await there.next()
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == waiting["messageId"]
        gone = await _listed(api, path, 2, "failed")
        assert (gone["status"], gone["nextAt"]) == (410, None)
        assert (await api.json(path))["disabled"] is True
        await api.client.patch(path, json={"disabled": False})
        resend = f"{path}/deliveries/{gone['id']}/resend"
        assert (await api.client.post(resend)).json() == {"count": 1}
        loop.look()
        third = await there.next()
        Webhook(made["secret"]).verify(third.body, third.headers)
        assert third.headers["webhook-id"] == first.headers["webhook-id"]
        await _listed(api, path, 1, "delivered")
    assert len((await api.json(f"{path}/deliveries", batch=batch, state="delivered"))["deliveries"]) == 1
    assert (await api.json(f"{path}/deliveries", before=gone["id"]))["deliveries"] == []
    assert (await api.client.get(f"{path}/deliveries", params={"batch": "nonsense"})).status_code == 400
    assert (await api.client.post(f"{path}/deliveries/{'0' * 24}/resend")).status_code == 404
    none = await api.client.post(f"{path}/resend", json={"since": "2026-01-01T00:00:00Z"})
    assert none.json() == {"count": 0}
    assert (await api.client.post(f"{path}/resend", json={"since": "yesterday"})).status_code == 400


async def _listed(api: ApiHarness, path: str, attempts: int, state: str) -> Any:
    """The only delivery, once it is in this state: the receiver has it before its answer is written down."""
    async with patience():
        while True:
            [found] = (await api.json(f"{path}/deliveries"))["deliveries"]
            if (found["attempts"], found["state"]) == (attempts, state) and found["status"]:
                return found
            await asyncio.sleep(0.01)


async def test_a_redirect_and_an_address_inside_are_not_asked(api: ApiHarness) -> None:
    async with serving(says(), host="127.0.0.1") as inside:
        to = f"http://127.0.0.1:{inside.port}/"
        async with serving(says("307 Go", location=to)) as there:
            made = await endpoint(api, f"http://127.0.0.2:{there.port}/")
            tested = (await api.client.post(f"{HOOKS}/{made['id']}/test")).json()
            assert (tested["delivered"], tested["status"]) == (False, 307)
            assert "redirect" in tested["error"]
        object.__setattr__(api.services, "fetcher", Fetcher(Fetch()))
        refused = (await api.client.post(f"{HOOKS}/{made['id']}/test")).json()
        assert (refused["delivered"], refused["status"]) == (False, None)
        assert "not on the public internet" in refused["error"]
    assert inside.heads == []


async def test_a_single_call_tells_its_callback_url(api: ApiHarness) -> None:
    async with receiver() as there, delivering(api) as loop:
        first = (await api.client.post(f"{HOOKS}/callback-secret", json={})).json()["secret"]
        body = {"to": "+12125550101", "call_agent_id": await api.agent(greeting="Hello"), "callback_url": there.url}
        started = (await api.client.post("/v1/api/call", json=body)).json()
        second = (await api.client.post(f"{HOOKS}/callback-secret", json={})).json()["secret"]
        [taken] = await api.claim(1)
        await api.finish(taken, succeeded())
        loop.look()
        got = await there.next()
    for secret in (first, second):
        told = Webhook(secret).verify(got.body, got.headers)
    assert told["type"] == "batch.completed"
    assert (told["data"]["callId"], told["data"]["call"]["status"]) == (started["call_id"], "completed")
    assert "batchId" not in told["data"]
    assert await api.json(HOOKS) == []
    assert (await api.client.get(f"{HOOKS}/{callbacks_id('ws-one')}")).status_code == 404


async def test_a_refused_call_leaves_no_endpoint(api: ApiHarness) -> None:
    agent = await api.agent(greeting="Hello")
    body = {"to": "+12125550101", "call_agent_id": agent, "callback_url": "http://192.168.0.1/"}
    answer = await api.client.post("/v1/api/call", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "address_refused")


async def test_a_date_beyond_all_calendars_is_tried_again_as_usual(api: ApiHarness) -> None:
    answer = "503 Service Unavailable\r\nRetry-After: Mon, 01 Jan 99999999999 00:00:00 GMT"
    async with receiver(answer) as there, delivering(api) as loop:
        made = await endpoint(api, there.url, events=["batch.completed"])
        await api.planted()
        for taken in await api.claim(3):
            await api.finish(taken, succeeded())
        loop.look()
        await there.next()
        waiting = await _listed(api, f"{HOOKS}/{made['id']}", 1, "waiting")
    assert waiting["error"] == "The receiver answered 503"
