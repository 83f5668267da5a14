"""What each fault of an endpoint leads to: `docs/models.md` says it, and this holds it to it."""

import asyncio
import re
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any, TypeVar

import pytest

from covey.analysis.backend import Busy, Down, PerhapsBroken, Refused, TryAgain
from covey.analysis.openai.endpoint import REPLY_BYTES
from covey.analysis.openai.faults import seconds_to_wait
from tests.analysis.openai.conftest import IN_SCHEMA, KEY, Asks, Backends
from tests.analysis.openai.stub import (
    TRANSCRIPTIONS,
    Reply,
    Stub,
    answer,
    bomb,
    busy,
    document,
    error,
    flood,
    half,
    hang,
    packed,
    raw,
    reset,
)
from tests.patience import patience

PAGE = Path(__file__).parents[3] / "docs" / "models.md"
T = TypeVar("T")
RIGHT, WRONG = document({"title": "Ships"}), document({"name": "Ships"})
PROSE = answer("It is about ships.")
HALVED = raw(b'{"choices": [{"message": {"content": "It is \\ud83d a ship"}, "finish_reason": "stop"}]}')
EARS = "the transcription endpoint "


def _at(seconds: float) -> dict[str, str]:
    return {"Date": formatdate(1_700_000_000, usegmt=True), "Retry_After": formatdate(1_700_000_000 + seconds)}


FAULTS: dict[str, list[list[Reply]]] = {
    "429 with `Retry-After` in seconds or as a date": [[busy("3")], [error(429, **_at(3))]],
    "429 with `x-ratelimit-reset…`": [[error(429, x_ratelimit_reset_requests="6m0s")]],
    "429 that says nothing: 5 s": [[busy()]],
    "429 because the account is not paid": [[error(429, code="insufficient_quota")]],
    "503 with `Retry-After`": [[error(503, Retry_After="7")]],
    "502, 503, 504, 529 and other 5xx": [[error(status)] for status in (501, 502, 503, 504, 520, 529)],
    "500": [[error(500)]],
    "no answer in `timeout_seconds`, or 408": [[hang()], [error(408)]],
    "connection refused, reset or broken off": [[reset()], [half()]],
    "401, 403: the key is refused": [[error(status)] for status in (401, 403)],
    "402, 404: account, model name": [[error(status)] for status in (402, 404)],
    "a redirect": [[error(307, Location="/v1/models")]],
    "400, 422 and other 4xx": [[error(400)], [error(422)], [error(409)], [error(415)]],
    "413": [[error(413)]],
    "200 with something that is no chat completion, such as a web page": [
        [raw(body)] for body in (b"", b"{}", b"<html>", b'{"choices": []}', b'{"choices": [{"message": 1}]}', b"\xff")
    ],
    "200 with more than 8 MiB, or with what unpacks to more": [[flood()], [bomb()], [raw(b" " * (REPLY_BYTES + 1))]],
    "an error of which more than 8 MiB came: as its status says, here 500": [[flood(500)], [bomb(500)]],
    "no or an unknown `finish_reason`": [
        [raw(b'{"choices": [{"message": {"content": "x"}%s}]}' % why)] for why in (b"", b', "finish_reason": "abort"')
    ],
    "a refusal, or `content_filter`": [
        [answer(None, refusal="I would rather not.")],
        [answer("It is", finish="content_filter")],
    ],
    "an empty answer": [[answer("")], [answer(None)]],
    "`length`, text asked for": [[answer("It is about", finish="length")]],
    "`length`, nothing written yet": [[answer(None, finish="length")]],
    "`length`, JSON asked for": [[document({"title": "Ships"}, finish="length")]],
    "prose instead of JSON, JSON when asked again": [[PROSE, RIGHT]],
    "prose instead of JSON, twice": [[PROSE, PROSE]],
    "wrong JSON, right when asked again": [[WRONG, RIGHT]],
    "wrong JSON, twice": [[WRONG, WRONG]],
    "wrong JSON, busy when asked again, then right": [
        [WRONG, busy("0"), RIGHT],
        [WRONG, error(503, Retry_After="0"), RIGHT],
    ],
    "wrong JSON, too long busy when asked again": [[WRONG, busy("3")]],
    "wrong JSON, not reached when asked again": [[WRONG, reset()], [WRONG, error(502)]],
    "wrong JSON, 500 when asked again": [[WRONG, error(500)]],
    "half a surrogate pair in a text: it becomes U+FFFD": [[HALVED]],
    "no usage, or a count over 10¹²": [
        [answer("It is about ships.", usage=None)],
        [answer("It is about ships.", usage=(2**63, 2**70))],
    ],
    EARS + "answers 429": [[busy("2")]],
    EARS + "answers 500": [[error(500)]],
    EARS + "answers more than 8 MiB": [[flood()], [bomb()]],
    EARS + "cannot be reached": [[reset()]],
}
LEADS: dict[str, type[Exception]] = {
    "waits": Busy,
    "goes back": Down,
    "fails": Refused,
    "unsure": PerhapsBroken,
    "again": TryAgain,
}


async def twice(request: Callable[[], Awaitable[T]], /, *, paid: bool = True) -> T:
    """The patience for one more request, at once."""
    try:
        return await request()
    except Busy:
        return await request()


def documented() -> dict[str, tuple[str, str]]:
    """The rows of the page: fault, what follows, code."""
    table = PAGE.read_text().split("| the endpoint | what follows | code |\n")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]
    return {fault: (follows, code.strip("`")) for fault, follows, code in rows}


def test_the_page_names_every_fault_that_is_tested() -> None:
    assert list(documented()) == list(FAULTS)


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_a_fault_leads_to(fault: str, stub: Stub, backend: Backends, ask: Asks) -> None:
    follows, code = documented()[fault]
    for replies in FAULTS[fault]:
        stub.always(*replies, path=TRANSCRIPTIONS if fault.startswith(EARS) else "/v1/chat/completions")
        settings: dict[str, Any] = {"timeout_seconds": 0.3} if replies[0].how == "hang" else {}
        if fault.startswith(EARS):
            settings["transcription_url"] = stub.url
        json = {"response_format": IN_SCHEMA} if "JSON" in fault else {}
        eyes = backend(**settings)
        item = ask(name="sound", **json)
        if "busy" in fault and follows == "succeeds":
            item = replace(item, patiently=twice)
        if follows == "succeeds":
            assert (await eyes.analyze(item)).data
        else:
            with pytest.raises(LEADS[follows]) as caught:
                await eyes.analyze(item)
            assert type(caught.value) is LEADS[follows]
            assert getattr(caught.value, "code", "") == code
        stub.forget()


async def test_an_endpoint_that_is_not_there_is_down(backend: Backends, ask: Asks) -> None:
    eyes = backend(url="http://127.0.0.1:1/v1")
    with pytest.raises(Down, match="could not be reached"):
        await eyes.analyze(ask())
    assert await eyes.ping() is not None


WAITS: list[tuple[dict[str, str], float]] = [
    ({}, 5),
    ({"retry-after": "3"}, 3),
    ({"retry-after": "1.5"}, 1.5),
    ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
    ({"retry-after": "99999999"}, 3600),
    ({"retry-after": "-1"}, 5),
    ({"retry-after": "nan"}, 5),
    ({"retry-after": "soon"}, 5),
    ({"date": "Sun, 06 Nov 1994 08:49:37 GMT", "retry-after": "Sun, 06 Nov 1994 08:50:37 GMT"}, 60),
    ({"date": "Sun, 06 Nov 1994 08:49:37 GMT", "retry-after": "Sun, 06 Nov 1994 08:00:00 GMT"}, 0),
    ({"x-ratelimit-reset-requests": "1h6m1.5s"}, 3600),
    ({"x-ratelimit-reset-tokens": "20ms"}, 0.02),
    ({"x-ratelimit-reset-tokens": "9m", "x-ratelimit-remaining-tokens": "4", "x-ratelimit-reset-requests": "2s"}, 2),
    ({"date": "Sun, 06 Nov 1994 08:49:37 GMT", "x-ratelimit-reset": "784111787"}, 3600),
    ({"date": "Tue, 14 Nov 2023 22:13:20 GMT", "x-ratelimit-reset": "1700000012"}, 12),
    ({"date": "Tue, 14 Nov 2023 22:13:20 GMT", "x-ratelimit-reset": "1700000012000"}, 12),
]


@pytest.mark.parametrize(("headers", "seconds"), WAITS)
def test_how_long_to_wait(headers: dict[str, str], seconds: float) -> None:
    assert seconds_to_wait(headers) == pytest.approx(seconds)


async def test_busy_says_for_how_long(stub: Stub, backend: Backends, ask: Asks) -> None:
    stub.always(busy("3"))
    with pytest.raises(Busy) as caught:
        await backend().analyze(ask())
    assert caught.value.seconds == 3
    assert stub.counts["/v1/chat/completions"] == 1


async def test_one_bad_video_among_many_fails_alone(stub: Stub, backend: Backends, ask: Asks) -> None:
    stub.when("clip-13.", error(500))
    eyes = backend()
    asks = [ask(name=f"clip-{number}.") for number in range(40)]
    ends = await asyncio.gather(*map(eyes.analyze, asks), return_exceptions=True)
    assert [number for number, end in enumerate(ends) if isinstance(end, Exception)] == [13]
    assert isinstance(ends[13], PerhapsBroken)
    assert await eyes.ping() is None
    assert await eyes.works() is None


async def test_a_model_that_fails_for_all_does_not_work_though_it_answers_pings(stub: Stub, backend: Backends) -> None:
    stub.always(error(500))
    eyes = backend()
    assert await eyes.ping() is None
    assert "500" in str(await eyes.works())


@pytest.mark.parametrize(
    ("status", "alive"), [(200, True), (404, True), (405, True), (429, True), (401, False), (503, False)]
)
async def test_what_a_ping_makes_of_an_answer(status: int, alive: bool, stub: Stub, backend: Backends) -> None:
    stub.always(raw(b"{}", status), path="/v1/models")
    assert (await backend().ping() is None) == alive


@pytest.mark.parametrize("where", ["/v1/chat/completions", TRANSCRIPTIONS])
async def test_a_cancelled_run_drops_its_request_at_once(where: str, stub: Stub, backend: Backends, ask: Asks) -> None:
    stub.always(hang(), path=where)
    eyes = backend(transcription_url=stub.url)
    work = asyncio.create_task(eyes.analyze(ask(name="sound")))
    await stub.hanging.wait()
    work.cancel()
    async with patience():
        await stub.dropped.wait()
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_a_refusal_tells_why_without_pictures_and_keys(stub: Stub, backend: Backends, ask: Asks) -> None:
    stub.always(error(400, f"too many tokens for {KEY} in data:image/jpeg;base64,AAAA " + "x" * 1000))
    with pytest.raises(Refused, match="too many tokens") as caught:
        await backend().analyze(ask())
    assert not re.search(f"{KEY}|base64", str(caught.value))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (KEY, "The model eyes refused the key that is set for it (401)"),
        (None, "The model eyes wants a key, and none is set for it (401)"),
    ],
)
async def test_a_key_that_is_refused_is_said_to_be(
    key: str | None, said: str, stub: Stub, backend: Backends, ask: Asks
) -> None:
    stub.always(error(401))
    stub.always(error(401), path="/v1/models")
    eyes = backend(api_key=key)
    assert await eyes.ping() == await eyes.works() == said
    with pytest.raises(Down) as caught:
        await eyes.analyze(ask())
    assert (str(caught.value), caught.value.code) == (said, "model_key_refused")


async def test_a_web_page_in_the_place_of_an_answer_is_said_to_be_one(stub: Stub, backend: Backends) -> None:
    stub.always(raw(b"\n<!doctype html><title>Sign in</title>", content_type="text/html"))
    assert "answered with a web page" in str(await backend().works())


@pytest.mark.parametrize("status", [200, 429, 503])
@pytest.mark.parametrize("flooding", [flood, bomb])
async def test_of_a_flood_little_is_taken(
    flooding: Callable[[int], Reply], status: int, stub: Stub, backend: Backends, ask: Asks
) -> None:
    stub.always(flooding(status))
    eyes = backend()
    tracemalloc.start()
    try:
        async with patience():
            with pytest.raises((PerhapsBroken, Busy, Down)) as caught:
                await eyes.analyze(ask())
            await stub.dropped.wait()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert type(caught.value) is {200: PerhapsBroken, 429: Busy, 503: Down}[status]
    assert most < 4 * REPLY_BYTES
    assert stub.flooded < 4 * REPLY_BYTES
    if status == 200:
        said = f"The model eyes answered more than {REPLY_BYTES:,} bytes; the rest was not read."
        assert str(caught.value) == said
        assert said in str(await eyes.works())


async def test_the_longest_answer_is_taken_whole(stub: Stub, backend: Backends, ask: Asks) -> None:
    whole = answer("It is about ships.")
    stub.always(replace(whole, body=whole.body.ljust(REPLY_BYTES)))
    assert (await backend().analyze(ask())).data == "It is about ships."


async def test_answers_are_asked_for_unpacked_and_read_though_they_are_packed(
    stub: Stub, backend: Backends, ask: Asks
) -> None:
    stub.always(packed(answer("It is about ships.")))
    assert (await backend().analyze(ask())).data == "It is about ships."
    assert stub.chats[0].headers["accept-encoding"] == "identity"


async def test_an_endpoint_lives_though_its_list_of_models_is_a_flood(stub: Stub, backend: Backends) -> None:
    stub.always(flood(), path="/v1/models")
    assert await backend().ping() is None
    async with patience():
        await stub.dropped.wait()
    assert stub.flooded < 4 * REPLY_BYTES


async def test_half_a_surrogate_pair_harms_nothing_that_is_around_it(stub: Stub, backend: Backends, ask: Asks) -> None:
    stub.always(HALVED)
    assert (await backend().analyze(ask())).data == "It is \ufffd a ship"
    stub.forget()
    stub.always(answer(r'{"title": "\ud83d ship"}'))
    assert (await backend().analyze(ask(response_format=IN_SCHEMA))).data == '{"title": "\ufffd ship"}'
    assert stub.counts["/v1/chat/completions"] == 2


async def test_what_is_put_right_late_costs_both_answers_and_one_first(
    stub: Stub, backend: Backends, ask: Asks
) -> None:
    stub.always(WRONG, busy("0"), RIGHT)
    got = await backend().analyze(replace(ask(response_format=IN_SCHEMA), patiently=twice))
    assert (got.tokens_in, got.tokens_out) == (200, 14)
    first, *repairs = stub.chats
    assert [len(one.body["messages"]) > len(first.body["messages"]) for one in repairs] == [True, True]
