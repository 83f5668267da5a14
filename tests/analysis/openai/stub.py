"""A stub of an OpenAI-compatible endpoint on loopback, with faults on demand.

It is a stub, not a recording: it says nothing about what any real service answers. What it sends as an answer is
checked against the `openai` SDK's own types when it is built, so that it cannot drift from the protocol.

    async with Stub() as stub:
        stub.when("clip-7", error(500))          # for requests whose text or pictures hold these bytes
        stub.when("slow", busy("1"), answer("at last"))     # one after the other, the last for good
        backend = OpenAiBackend("m", Model(kind="openai", url=stub.url, model="stub"), decoder)
"""

import asyncio
import base64
import gzip
import json
import time
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from types import TracebackType
from typing import Any, Self

from openai.types import Model as ListedModel
from openai.types.audio import Transcription
from openai.types.chat import ChatCompletion
from openai.types.shared import ErrorObject

CHAT = "/v1/chat/completions"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
MODELS = "/v1/models"
PIECES = 256


@dataclass(frozen=True)
class Reply:
    """What the stub does with a request. `how`: `answer`; `hang` until the client goes; `reset`; `half` of the body;
    `flood`: the body and then `again` so often that no client wants it all.
    With `after`, an answer comes only when that event is set; a client that goes meanwhile was dropped. `late` are the
    seconds that the model thinks about it.
    """

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    how: str = "answer"
    again: bytes = b""
    after: asyncio.Event | None = None
    late: float = 0.0


@dataclass(frozen=True)
class Seen:
    """A request as it came. `body` is the JSON of it, `{}` where it was none."""

    path: str
    headers: dict[str, str]
    raw: bytes
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The parts of the user's first message."""
        content = next(message["content"] for message in self.body["messages"] if message["role"] == "user")
        return content if isinstance(content, list) else [{"type": "text", "text": content}]

    @property
    def text(self) -> str:
        """All that is said in it."""
        return "\n".join(part["text"] for part in self.parts if part["type"] == "text")

    def images(self) -> list[bytes]:
        """The pictures, decoded."""
        return [_bytes_of(part["image_url"]["url"]) for part in self.parts if part["type"] == "image_url"]

    def holds(self, marker: bytes) -> bool:
        """Whether the marker is in the text, the sound or a picture."""
        return marker in self.raw or (self.path == CHAT and any(marker in image for image in self.images()))


def answer(
    text: str | None, *, finish: str = "stop", usage: tuple[int, int] | None = (100, 7), refusal: str | None = None
) -> Reply:
    """A chat completion; `usage` is tokens in and out, None: not reported."""
    body: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "stub",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text, "refusal": refusal},
                "logprobs": None,
            }
        ],
    }
    if usage is not None:
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        body["usage"] = dict(zip(names, (*usage, sum(usage)), strict=True))
    ChatCompletion.model_validate(body)
    return _json(200, body)


def document(value: object, **how: Any) -> Reply:
    """A chat completion whose text is a JSON document."""
    return answer(json.dumps(value), **how)


def error(status: int, message: str = "it failed", code: str | None = None, **headers: str) -> Reply:
    """An error as OpenAI sends it. Underscores in the names of headers are dashes."""
    about = {"message": message, "type": "stub_error", "param": None, "code": code}
    ErrorObject.model_validate(about)
    return _json(status, {"error": about}, tuple((name.replace("_", "-"), value) for name, value in headers.items()))


def busy(seconds: str | None = None) -> Reply:
    """429, with Retry-After or without."""
    return error(429, "slow down", **({"Retry_After": seconds} if seconds else {}))


def transcription(text: str) -> Reply:
    """What is said in a sound."""
    return _json(200, Transcription.model_validate({"text": text}).model_dump(exclude_none=True))


def raw(body: bytes, status: int = 200, content_type: str = "application/json") -> Reply:
    """Any bytes."""
    return Reply(status, body, (("Content-Type", content_type),))


def hang() -> Reply:
    """No answer while the client stays."""
    return Reply(how="hang")


def held(after: asyncio.Event, reply: Reply) -> Reply:
    """A reply that comes when the event is set."""
    return replace(reply, after=after)


def late(seconds: float, reply: Reply) -> Reply:
    """A reply that takes the model so long."""
    return replace(reply, late=seconds)


def reset() -> Reply:
    """The connection is reset."""
    return Reply(how="reset")


def half() -> Reply:
    """Half of an answer, then the connection ends."""
    whole = answer("half of it")
    return Reply(200, whole.body, whole.headers, how="half")


def flood(status: int = 200) -> Reply:
    """An answer of 256 MiB, the length of which is not said."""
    return Reply(status, b'{"choices": [', (("Content-Type", "application/json"),), "flood", b" " * 2**20)


def bomb(status: int = 200) -> Reply:
    """An answer of 256 KiB that unpacks to 256 MiB: gzip, whether asked for or not."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    begin = packer.compress(b'{"choices": [') + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    headers = (("Content-Type", "application/json"), ("Content-Encoding", "gzip"))
    return Reply(status, begin, headers, "flood", piece)


def packed(reply: Reply) -> Reply:
    """A reply in gzip."""
    return replace(reply, body=gzip.compress(reply.body), headers=(*reply.headers, ("Content-Encoding", "gzip")))


def _models() -> Reply:
    model = ListedModel.model_validate({"id": "stub", "object": "model", "created": 1_700_000_000, "owned_by": "us"})
    return _json(200, {"object": "list", "data": [model.model_dump()]})


def _json(status: int, body: object, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    return Reply(status, json.dumps(body).encode(), (("Content-Type", "application/json"), *headers))


def _bytes_of(data_url: str) -> bytes:
    return base64.b64decode(data_url.partition(";base64,")[2])


class Stub:
    """The server. `seen` are the requests in order, `hanging` is set when one hangs, `dropped` when its client left, or
    that of a flood, of which so many bytes were `flooded` before."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.dropped = asyncio.Event()
        self.hanging = asyncio.Event()
        self.most_at_once = 0
        self.flooded = 0
        self._at_once = 0
        self._plans: list[tuple[str, bytes, list[Reply]]] = []
        self._paths = {CHAT: answer("an answer"), TRANSCRIPTIONS: transcription("what was said"), MODELS: _models()}
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The base URL."""
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}/v1"

    @property
    def at_once(self) -> int:
        """How many requests are being answered now."""
        return self._at_once

    @property
    def counts(self) -> Counter[str]:
        """How many requests came, by path."""
        return Counter(one.path for one in self.seen)

    @property
    def chats(self) -> list[Seen]:
        """The chat completions asked for."""
        return [one for one in self.seen if one.path == CHAT]

    def when(self, marker: str | bytes, *replies: Reply, path: str = CHAT) -> None:
        """What requests with `marker` in them get: one after the other, the last for good. Earlier plans go first."""
        marker = marker.encode() if isinstance(marker, str) else marker
        self._plans.append((path, marker, list(replies)))

    def always(self, *replies: Reply, path: str = CHAT) -> None:
        """What every other request gets."""
        self.when(b"", *replies, path=path)

    def forget(self) -> None:
        """Answer as at first."""
        self._plans.clear()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=2**20)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while seen := await _read(reader):
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                try:
                    if not await self._reply(seen, reader, writer):
                        return
                finally:
                    self._at_once -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _reply(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self.seen.append(seen)
        reply = self._choose(seen)
        if reply.how == "hang" or (reply.after is not None and not await _set_before_gone(reply.after, reader)):
            self.hanging.set()
            await _gone(reader)
            self.dropped.set()
            return False
        await asyncio.sleep(reply.late)
        if reply.how == "reset":
            writer.transport.abort()
            return False
        if reply.how == "flood":
            await self._flood(reply, reader, writer)
            return False
        headers = dict(reply.headers) | {"Content-Length": str(len(reply.body))}
        headers.setdefault("Date", formatdate(time.time(), usegmt=True))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        body = reply.body[: len(reply.body) // 2] if reply.how == "half" else reply.body
        writer.write(f"HTTP/1.1 {reply.status} Stub\r\n{head}\r\n".encode() + body)
        await writer.drain()
        return reply.how == "answer"

    async def _flood(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in reply.headers)
        writer.write(f"HTTP/1.1 {reply.status} Stub\r\n{head}Connection: close\r\n\r\n".encode() + reply.body)
        with suppress(ConnectionError):
            for _ in range(PIECES):
                writer.write(reply.again)
                await writer.drain()
                self.flooded += len(reply.again)
            writer.write_eof()
            await _gone(reader)
        self.dropped.set()

    def _choose(self, seen: Seen) -> Reply:
        for path, marker, replies in self._plans:
            if path == seen.path and seen.holds(marker):
                return replies.pop(0) if len(replies) > 1 else replies[0]
        return self._paths.get(seen.path, error(404, "no such route"))


async def _read(reader: asyncio.StreamReader) -> Seen | None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1") if not reader.at_eof() else ""
    if not head:
        return None
    request, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    raw_body = await reader.readexactly(int(headers.get("content-length", 0)))
    body = json.loads(raw_body) if headers.get("content-type") == "application/json" else {}
    return Seen(request.split()[1], headers, raw_body, body)


async def _gone(reader: asyncio.StreamReader) -> None:
    try:
        await reader.read(1)
    except ConnectionError:
        return


async def _set_before_gone(event: asyncio.Event, reader: asyncio.StreamReader) -> bool:
    """Whether the event was set before the client went."""
    going, waiting = asyncio.create_task(_gone(reader)), asyncio.create_task(event.wait())
    await asyncio.wait([going, waiting], return_when=asyncio.FIRST_COMPLETED)
    for task in (going, waiting):
        task.cancel()
    await asyncio.gather(going, waiting, return_exceptions=True)
    return event.is_set()
