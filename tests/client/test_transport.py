"""What is asked again, and how: a server that answers by a script stands at the other end of a real ASGI transport."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from covey.client import (
    ApiError,
    BadRequest,
    Conflict,
    CoveyClient,
    DuplicateBatch,
    InvalidRows,
    NotFound,
    Profile,
    RateLimited,
    Refused,
    ServerError,
    StartOptions,
    TooLarge,
    Unavailable,
    UnexpectedAnswer,
    Unprocessable,
    Unreachable,
)

Reply = tuple[int, dict[str, str], bytes]

STARTED: Reply = (200, {}, b'{"batchId": "batch_1", "totalCalls": 1, "status": "queued"}')
BUSY: Reply = (503, {"retry-after": "2"}, b'{"error": "unavailable", "message": "later"}')

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass
class Script:
    """An ASGI application that gives the next answer of its list to every request, and remembers the requests."""

    answers: list[Reply]
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append((scope["method"], scope["raw_path"].decode(), headers, body))
        status, extra, answer = self.answers.pop(0)
        pairs = [(name.encode(), value.encode()) for name, value in extra.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer})


class Talk:
    """A client in front of a script, with its waits written down instead of waited."""

    def __init__(self, *answers: Reply, profile: Profile | None = None) -> None:
        self.script = Script(list(answers))
        self.waits: list[float] = []
        self.client = CoveyClient(
            profile or Profile("http://covey.test", "key", "space", admin_key="root"),
            transport=httpx2.ASGITransport(self.script),
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


class Refusing(httpx2.AsyncBaseTransport):
    """A network in which nobody listens, for a while."""

    def __init__(self, times: int, then: Script) -> None:
        self.times = times
        self._then = httpx2.ASGITransport(then)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.times:
            self.times -= 1
            raise httpx2.ConnectError("refused", request=request)
        return await self._then.handle_async_request(request)


async def test_a_post_is_repeated_with_the_same_idempotency_key_and_the_whole_file() -> None:
    talk = Talk(BUSY, BUSY, STARTED)
    seen: list[tuple[int, int]] = []
    content = b"phone_number\n" + b"+12025550100\n" * 20_000
    async with talk.client as covey:
        started = await covey.batches.start(content, "agent_1", on_progress=lambda *at: seen.append(at))
    assert started.batch_id == "batch_1"
    assert talk.waits == [2, 2]
    keys = {headers["idempotency-key"] for _, _, headers, _ in talk.script.requests}
    assert len(keys) == 1
    assert len(talk.script.requests) == 3
    assert all(content in body for _, _, _, body in talk.script.requests)
    assert seen[-1] == (len(content), len(content))


async def test_two_requests_never_share_an_idempotency_key() -> None:
    talk = Talk(STARTED, STARTED)
    async with talk.client as covey:
        await covey.batches.start(b"a", "agent_1")
        await covey.batches.start(b"a", "agent_1")
    first, second = (headers["idempotency-key"] for _, _, headers, _ in talk.script.requests)
    assert first != second


async def test_a_503_without_retry_after_is_not_repeated() -> None:
    talk = Talk((503, {}, b'{"error": "unavailable", "message": "no"}'))
    async with talk.client as covey:
        with pytest.raises(Unavailable):
            await covey.batches.get("batch_1")
    assert talk.waits == []


async def test_a_server_that_stays_busy_is_given_up() -> None:
    talk = Talk(*[BUSY] * 4)
    async with talk.client as covey:
        with pytest.raises(Unavailable, match="later"):
            await covey.batches.get("batch_1")
    assert len(talk.script.requests) == 4


async def test_a_long_retry_after_is_not_waited_for() -> None:
    talk = Talk((503, {"retry-after": "3600"}, b'{"error": "unavailable"}'))
    async with talk.client as covey:
        with pytest.raises(Unavailable):
            await covey.batches.get("batch_1")
    assert talk.waits == []


async def test_a_list_that_came_while_too_many_waited_is_sent_again() -> None:
    full: Reply = (429, {"retry-after": "30"}, b'{"error": {"code": "too_many_checks", "message": "later"}}')
    limit: Reply = (429, {"retry-after": "30"}, b'{"error": {"code": "rate_limit_exceeded", "message": "no"}}')
    talk = Talk(full, STARTED, limit)
    async with talk.client as covey:
        await covey.batches.start(b"a", "agent_1")
        with pytest.raises(RateLimited):
            await covey.batches.start(b"a", "agent_1")
    assert talk.waits == [30]


async def test_a_refused_connection_is_tried_again() -> None:
    talk = Talk()
    script = Script([STARTED])
    async with CoveyClient(Profile("http://covey.test"), transport=Refusing(2, script), sleep=talk._sleep) as covey:
        await covey.batches.start(b"a", "agent_1")
    assert len(script.requests) == 1
    assert len(talk.waits) == 2


async def test_nobody_there_says_how_to_start_a_server() -> None:
    talk = Talk()
    async with CoveyClient(
        Profile("http://covey.test"), transport=Refusing(99, Script([])), sleep=talk._sleep
    ) as covey:
        with pytest.raises(Unreachable, match="covey serve"):
            await covey.batches.get("batch_1")


async def test_an_equal_request_that_still_runs_is_waited_for() -> None:
    running: Reply = (409, {}, b'{"error": "still_running", "message": "not yet"}')
    talk = Talk(running, (200, {"idempotency-replayed": "true"}, STARTED[2]))
    async with talk.client as covey:
        assert (await covey.batches.start(b"a", "agent_1")).replayed
    assert talk.waits == [0.5]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error": "bad_request", "message": "no"}', BadRequest),
        (400, b'{"error": "x", "invalidRows": [{"row": 2, "column": null}], "invalidCount": 7}', InvalidRows),
        (401, b'{"error": "unauthorized", "message": "no"}', Refused),
        (403, b'{"error": "forbidden", "message": "no"}', Refused),
        (404, b'{"status": "not_found", "error": "not_found", "message": "no"}', NotFound),
        (409, b'{"error": "ended", "message": "no"}', Conflict),
        (409, b'{"error": "duplicate_batch", "batchId": "batch_7"}', DuplicateBatch),
        (413, b'{"error": "too_large", "message": "no"}', TooLarge),
        (422, b'{"error": "unprocessable", "message": "no"}', Unprocessable),
        (429, b'{"error": {"code": "rate_limit_exceeded", "message": "no"}}', RateLimited),
        (500, b"<html>", ServerError),
    ],
)
async def test_every_refusal_has_its_error(status: int, body: bytes, kind: type[ApiError]) -> None:
    talk = Talk((status, {"x-request-id": "r1"}, body))
    async with talk.client as covey:
        with pytest.raises(kind) as caught:
            await covey.batches.get("batch_1")
    assert type(caught.value) is kind
    assert len(talk.script.requests) == 1


async def test_the_bad_rows_are_in_the_error() -> None:
    body = b'{"error": "invalid_rows", "message": "m", "invalidRows": [{"row": 2, "value": "x"}], "invalidCount": 7}'
    async with Talk((400, {}, body)).client as covey:
        with pytest.raises(InvalidRows) as caught:
            await covey.batches.start(b"a", "agent_1")
    assert caught.value.count == 7
    assert [(row.row, row.value, row.column) for row in caught.value.rows] == [(2, "x", "")]


@pytest.mark.parametrize("answer", [b"<html>hello</html>", b"[]", b'{"id": 1}'])
async def test_another_kind_of_server_is_recognised(answer: bytes) -> None:
    async with Talk((200, {}, answer)).client as covey:
        with pytest.raises(UnexpectedAnswer):
            await covey.batches.get("batch_1")


async def test_an_admins_key_goes_to_admin_routes_only() -> None:
    talk = Talk((200, {}, b"[]"), (200, {}, b"[]"))
    async with talk.client as covey:
        await covey.workspaces.list()
        await covey.agents.list()
    (_, _, admin, _), (_, _, other, _) = talk.script.requests
    assert (admin["x-api-key"], "x-workspace-id" in admin) == ("root", False)
    assert (other["x-api-key"], other["x-workspace-id"]) == ("key", "space")


async def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    talk = Talk((404, {}, b'{"error": "not_found"}'))
    async with talk.client as covey:
        with pytest.raises(NotFound):
            await covey.batches.get("../../agents?x=1")
    assert talk.script.requests[0][1] == "/v1/api/batch-calls/..%2F..%2Fagents%3Fx%3D1"


async def test_pages_are_followed_to_the_last_by_cursor() -> None:
    def page(number: int, more: bool) -> Reply:
        after = f', "after": "c{number}"' if more else ""
        calls = f'[{{"jobId": "call_{number}", "status": "waiting"}}]'
        shape = f'{{"calls": {calls}, "pagination": {{"hasNext": {str(more).lower()}{after}}}}}'
        return 200, {}, shape.encode()

    talk = Talk(page(1, True), page(2, True), page(3, False))
    async with talk.client as covey:
        ids = [call.job_id async for call in covey.batches.calls("batch_1")]
    assert ids == ["call_1", "call_2", "call_3"]


def test_options_make_the_documented_form() -> None:
    options = StartOptions(
        allow_duplicate=True, max_concurrent=3, on_invalid="skip", smart_callback={"enabled": True, "maxAttempts": 2}
    )
    assert options.form("agent_1") == {
        "agentId": "agent_1",
        "onInvalid": "skip",
        "allowDuplicate": "true",
        "maxConcurrent": "3",
        "smartCallbackConfig": '{"enabled": true, "maxAttempts": 2}',
    }
