"""What a delivery says: its body, in the envelope of its endpoint's style.

standard      {"type", "timestamp", "data"}
twelvelabs    {"id", "created_at", "type", "data"}      contract twelvelabs 9.4, 13.3
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, assert_never

from covey.api.kit.formats import iso
from covey.api.kit.json_text import write_json
from covey.api.webhooks.schemas import TEST, type_of
from covey.api.webhooks.signing import Style, message_id
from covey.domain.batch import Batch
from covey.domain.errors import NotFound
from covey.domain.ids import item_id
from covey.domain.item import Item
from covey.domain.run import Json
from covey.domain.webhook import Delivery
from covey.store.results import Due
from covey.store.store import Reading

RARE = ("expiresAt", "mode")
"""What a snapshot only shows where the batch has it."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: the event's word on the wire, and the body."""

    type: str
    body: bytes


class Snapshots:
    """The batches and items that events are about, as they were then or later: a database that is asked for the same
    item by many deliveries answers once."""

    def __init__(self, store: Reading) -> None:
        self._store = store
        self._recent = Recent[tuple[Batch, list[Item]]]()

    async def batch(self, delivery: Delivery) -> Batch | None:
        """The batch; None if it is not there any more."""
        try:
            return await self._store.batch(delivery.batch, delivery.workspace)
        except NotFound:
            return None

    async def item(self, delivery: Delivery, seq: int) -> tuple[Batch, Item] | None:
        """An item and its batch; None if they are not there any more."""
        batch, store = delivery.batch, self._store
        try:
            found, items = await self._recent.get(
                (batch, seq, delivery.at), lambda: store.items(batch, after=seq - 1, limit=1)
            )
        except NotFound:
            return None
        return next(((found, item) for item in items if item.seq == seq), None)


Body = Callable[[Snapshots, Delivery], Awaitable[Mapping[str, Any]]]
"""Writes the `data` of an event."""


class Rendering:
    """Writes bodies, from a delivery's own snapshot and from the batch as far as it is still there."""

    def __init__(self, store: Reading, standard: Mapping[str, Body], twelvelabs: Body) -> None:
        """`standard` writes events of a kind of batch in the standard style, those of other kinds have one form;
        `twelvelabs` writes all events of that style."""
        self._snapshots = Snapshots(store)
        self._standard = standard
        self._twelvelabs = twelvelabs

    async def message(self, due: Due) -> Message | None:
        """What to send; None if the endpoint did not ask for this."""
        delivery, style = due.delivery, Style(due.endpoint.style)
        word = type_of(due.endpoint, delivery.type, delivery.data)
        if word is None:
            return None
        data = await self._data(delivery, style)
        match style:
            case Style.standard:
                envelope = {"type": word, "timestamp": iso(delivery.at), "data": data}
            case Style.twelvelabs:
                ident = message_id(style, delivery.id)
                envelope = {"id": ident, "created_at": iso(delivery.at), "type": word, "data": data}
            case _:
                assert_never(style)
        return Message(word, write_json(envelope, default=str))

    async def _data(self, delivery: Delivery, style: Style) -> Mapping[str, Any]:
        if delivery.type == TEST:
            return delivery.data
        if style is Style.twelvelabs:
            return await self._twelvelabs(self._snapshots, delivery)
        body = self._standard.get(str(delivery.data.get("kind")), _any_kind)
        return await body(self._snapshots, delivery)


async def _any_kind(snapshots: Snapshots, delivery: Delivery) -> Mapping[str, Any]:
    ids = {"batchId": delivery.batch}
    if delivery.seq is not None:
        ids["itemId"] = item_id(delivery.batch, delivery.seq)
    return {**ids, **snapshot(delivery.data)}


def time_of(micros: int | None) -> str | None:
    """Times are microseconds in the database."""
    return None if micros is None else iso(datetime.fromtimestamp(micros / 1e6, UTC))


def snapshot(data: Json) -> dict[str, Any]:
    """The batch as it was: names and times as the wire has them, what is special about the event under `details`."""
    known = {name: value for name, value in data.items() if value is not None or name not in RARE}
    shown: dict[str, Any] = _with_times(known)
    details = shown.pop("data", None)
    return {**shown, "details": _with_times(details)} if details else shown


def _with_times(data: Json) -> dict[str, Any]:
    return {_camel(name): time_of(value) if _is_time(name, value) else _camelled(value) for name, value in data.items()}


def _is_time(name: str, value: Any) -> bool:
    return name.endswith(("At", "_at")) and isinstance(value, int)


def _camelled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_camel(str(name)): _camelled(held) for name, held in value.items()}
    return [_camelled(one) for one in value] if isinstance(value, list | tuple) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


T = TypeVar("T")

MOST = 256
SECONDS = 2.0


class Recent(Generic[T]):
    """Keeps the last few answers, each for a moment; whoever asks while one is being read waits for that one."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, tuple[float, asyncio.Future[T]]] = {}

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` answers, or answered a moment ago for this key. What it raises is not kept."""
        now = asyncio.get_running_loop().time()
        at, answer = self._answers.get(key, (0.0, None))
        if answer is None or now - at > SECONDS or (answer.done() and (answer.cancelled() or answer.exception())):
            self._forget(now)
            self._answers.pop(key, None)
            answer = asyncio.ensure_future(read())
            self._answers[key] = now, answer
        return await asyncio.shield(answer)

    def _forget(self, now: float) -> None:
        """Drop what is old, and the oldest where there is too much."""
        for key, (at, _) in list(self._answers.items()):
            if now - at <= SECONDS and len(self._answers) < MOST:
                break
            del self._answers[key]
