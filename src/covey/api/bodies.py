"""Bodies of JSON that may be large: read and checked beside the event loop, and no dearer for being wrong.

A body is refused at the first thing that is wrong with it. What has far too many values is refused before anything is
made of it: a body of 32 MiB can hold ten million empty objects, which would take a gigabyte.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails
from starlette.requests import Request
from starlette.responses import Response

from covey.api.context import Context
from covey.api.errors import BodyUnfit
from covey.api.idempotency import HEADER
from covey.api.routing import Route

LARGE = 1024 * 1024
"""From so many bytes on a body is worked on in a thread."""

MOST_VALUES = 1_000_000
"""So many values, names and separators a body may have: several times what a thousand items with a form each have."""

_PIECE = 256 * 1024
_BACKSLASHES = re.compile(rb"\\*")


class Known(BaseModel):
    """A part of a body that takes no keys but its own, and stops at the first other one."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _only_known(cls, data: Any) -> Any:
        """With `extra="forbid"` alone every unknown key becomes an error of its own, a million of them a gigabyte."""
        if isinstance(data, dict) and len(data) > len(cls.model_fields):
            names = {field.alias or name for name, field in cls.model_fields.items()}
            first = next((key for key in data if key not in names), None)
            if first is not None:
                error = InitErrorDetails(type="extra_forbidden", loc=(str(first),), input=None)
                raise ValidationError.from_exception_data(cls.__name__, [error])
        return data


class BodyRoute(Route):
    """A route whose body is one model: the framework documents it, and this reads it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with a request that reads its body as said above."""
        handler = super().get_route_handler()
        model = self.body_field.field_info.annotation if self.body_field is not None else None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return handler

        async def read(request: Request) -> Response:
            return await handler(_BodyRequest(request, model))

        return read


class _BodyRequest(Request):
    """A request whose JSON is the checked model; the framework takes it as it is."""

    def __init__(self, request: Request, model: type[BaseModel]) -> None:
        super().__init__(request.scope, request.receive, request._send)
        self._model = model

    async def json(self) -> Any:
        """The model; None for a null. Raises JSONDecodeError, BodyUnfit."""
        body = await self.body()
        if len(body) < LARGE:
            return checked(body, self._model)
        return await asyncio.to_thread(checked, body, self._model)


def checked(body: bytes, model: type[BaseModel]) -> BaseModel | None:
    """What a body says. Raises JSONDecodeError, BodyUnfit for the first thing that is wrong."""
    if crowded(body, MOST_VALUES):
        what = f"it has more than {MOST_VALUES:,} values, names and separators"
        raise BodyUnfit({"type": "too_long", "loc": ("body",), "msg": what, "input": ""})
    data = orjson.loads(body)
    if data is None:
        return None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BodyUnfit({**first, "loc": ("body", *first["loc"])}) from None


def crowded(body: bytes, most: int) -> bool:
    """Whether a text of JSON has more than `most` strings, objects, lists and commas. What stands inside of strings
    does not count."""
    if sum(body.count(mark) for mark in (b'"', b",", b"{", b"[")) <= most:
        return False
    found, begin, inside = 0, 0, 0
    while begin < len(body) and found <= most:
        end = begin + _PIECE
        if body[end - 1 : end] == b"\\":
            after = _BACKSLASHES.match(body, end)
            end = (after.end() if after else end) + 1
        plain = body[begin:end].replace(rb"\\", b"").replace(rb"\"", b"")
        parts = plain.split(b'"', most)
        outside = b"".join(parts[inside::2])
        found += len(parts) // 2 + sum(outside.count(mark) for mark in (b",", b"{", b"["))
        inside ^= (len(parts) - 1) & 1
        begin = end
    return found > most


async def print_of(ctx: Context) -> dict[str, str]:
    """What a body means to an Idempotency-Key; nothing where there is no key to keep it for."""
    if HEADER not in ctx.request.headers:
        return {}
    body = await ctx.request.body()
    made = hashlib.sha256(body) if len(body) < LARGE else await asyncio.to_thread(hashlib.sha256, body)
    return {"body": made.hexdigest()}
