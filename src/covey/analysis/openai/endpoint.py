"""One OpenAI-compatible base URL, spoken to by the official SDK. What goes wrong comes as the backend's exceptions.

The SDK neither retries (the engine decides that) nor follows redirects, and nothing of the environment reaches the
endpoint: no proxy, no key, organisation or header of somebody else's (the SDK would read `OPENAI_API_KEY` and more).
Each request has a connection of its own: one that the endpoint closes while it is idle would look like a fault. Of a
reply no more is taken than `transport.REPLY_BYTES`.
"""

import asyncio
from typing import Any, cast

import httpx2
import openai

from covey.analysis.openai.faults import fault_of, malformed, timed_out, too_long
from covey.analysis.openai.reply import MalformedReply, Reply, read_reply

CONNECT_SECONDS = 10.0
PING_SECONDS = 5.0
WORKS_SECONDS = 60.0
_ALIVE = frozenset({400, 404, 405, 422, 429})
"""Answers to `GET /models` of a server that works: it may not have that route, or be busy."""

_HEADERS = frozenset(
    {"host", "accept", "accept-encoding", "connection", "content-type", "content-length", "transfer-encoding"}
)


class ModelEndpoint:
    """Sends requests. `whom` names it in sentences; the key never leaves but in the `Authorization` of its requests."""

    def __init__(self, url: str, key: str | None, whom: str, timeout_seconds: float) -> None:
        """`url` ends before `/chat/completions`; `timeout_seconds` is of one whole request."""
        self.whom = whom
        self._key = key
        self._timeout = timeout_seconds
        self._reading = asyncio.Lock()  # a bad reply of a few megabytes may take hundreds while it is read
        timeout = httpx2.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds))
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        http = httpx2.AsyncClient(
            transport=BoundedTransport(trust_env=False, limits=limits),
            trust_env=False,
            follow_redirects=False,
            event_hooks={"request": [self._only_ours]},
        )
        self._client = openai.AsyncOpenAI(
            api_key=key or "none", base_url=url, max_retries=0, timeout=timeout, http_client=http
        )

    async def chat(self, request: dict[str, Any]) -> Reply:
        """`POST /chat/completions`. Raises Refused, Unsure, Busy or Down."""
        body = await self._post("/chat/completions", self._timeout, body=request)
        try:
            async with self._reading:
                return await asyncio.to_thread(read_reply, body, self.whom)
        except MalformedReply:
            raise malformed(self.whom, body) from None

    async def transcribe(self, sound: bytes, model: str) -> bytes:
        """`POST /audio/transcriptions` of a WAV file; the JSON body. Raises as `chat`."""
        files = {"file": ("sound.wav", sound, "audio/wav")}
        form = {"model": model, "response_format": "json"}
        options = {"headers": {"Content-Type": "multipart/form-data"}}
        return await self._post("/audio/transcriptions", self._timeout, body=form, files=files, options=options)

    async def ping(self) -> str | None:
        """None if anything answers `GET /models`; else a sentence."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._client.get("/models", cast_to=httpx2.Response)
        except openai.APIStatusError as error:
            if error.status_code in (401, 403):
                return str(fault_of(error, self.whom, self._key))
            if error.status_code not in _ALIVE:
                return f"{self.whom} answered {error.status_code} when it was pinged"
        except openai.APIConnectionError as error:
            return str(fault_of(error, self.whom, self._key))
        except TimeoutError:
            return f"{self.whom} did not answer a ping within {PING_SECONDS:g} s"
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _post(self, path: str, timeout: float, **what: Any) -> bytes:
        """The body of a 2xx, if it is not too long. A caller that is cancelled takes the connection with it."""
        try:
            async with asyncio.timeout(timeout):
                response = cast(httpx2.Response, await self._client.post(path, cast_to=httpx2.Response, **what))
        except TimeoutError:
            raise timed_out(self.whom) from None
        except openai.APIError as error:
            raise fault_of(error, self.whom, self._key) from None
        if was_cut(response):
            raise too_long(self.whom, REPLY_BYTES)
        return response.content

    async def _only_ours(self, request: httpx2.Request) -> None:
        for name in set(request.headers) - _HEADERS:
            del request.headers[name]
        request.headers["User-Agent"] = "covey"
        request.headers["Accept-Encoding"] = "identity"
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"


REPLY_BYTES = 8 * 2**20
"""The most of a reply that is kept, unpacked: of a chat completion, a transcription, or an error. An answer of 128,000
tokens has less than 4 MB, even with every character of it escaped."""

_CUT = "covey.cut"
_OF_THE_WHOLE = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
"""Headers that say how the body came; they are not true of what is kept."""


class BoundedTransport(httpx2.AsyncHTTPTransport):
    """Answers with bodies that are read and unpacked, up to REPLY_BYTES. The connection of a longer one is closed."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The reply to a request, all there. Raises what reading it raises."""
        response = await super().handle_async_request(request)
        response.request = request
        try:
            body = await _beginning(response)
        finally:
            await response.aclose()
        return httpx2.Response(
            response.status_code,
            headers=[(name, value) for name, value in response.headers.raw if name.lower() not in _OF_THE_WHOLE],
            content=bytes(body[:REPLY_BYTES]),
            extensions={**response.extensions, _CUT: len(body) > REPLY_BYTES},
        )


def was_cut(response: httpx2.Response) -> bool:
    """Whether the endpoint sent more than was kept."""
    return bool(response.extensions.get(_CUT))


async def _beginning(response: httpx2.Response) -> bytearray:
    """The body, unpacked; or its beginning, longer than REPLY_BYTES by a piece. Pieces have a megabyte at most, however
    little was sent for them."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > REPLY_BYTES:
            break
    return body
