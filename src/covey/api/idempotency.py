"""`Idempotency-Key` on every POST (contract 12.6): one key and one meaning, one answer.

The meaning is the route, the workspace and the values; never the raw body, whose multipart boundary differs every
time. Answers below 500 are kept for 24 hours. A process that dies in the middle leaves behind which object it was
about to make, so its successor can tell whether it was made.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import orjson

from covey.api.context import Context
from covey.api.errors import Answer, rendered
from covey.domain.account import KeptAnswer, Meaning
from covey.domain.errors import BadRequest, CoveyError, Unavailable

HEADER = "idempotency-key"
REPLAYED = {"Idempotency-Replayed": "true"}

_SHAPE = re.compile(r"[\x21-\x7e]{1,255}")
_ALIAS = re.compile(r"^/v1/(?=batch-calls|call\b)")

Work = Callable[[str], Awaitable[Answer]]
"""Does what was asked, making the object of the id it is given (an empty one if nothing is made)."""

Recover = Callable[[str], Awaitable[Answer | None]]
"""The answer for an object that an earlier process was about to make; None if it was not made."""


async def once(
    ctx: Context, values: Mapping[str, Any], work: Work, created: str = "", recover: Recover | None = None
) -> Answer:
    """Do `work` once for this request's key and `values`, or give the first answer again.

    Raises Unprocessable if the key came with another meaning, Conflict if the first request is still running.
    """
    given = ctx.request.headers.get(HEADER)
    if given is None:
        return await work(created)
    if not _SHAPE.fullmatch(given):
        raise BadRequest("The header Idempotency-Key takes 1 to 255 visible ASCII characters without blanks")
    meaning = _meaning(ctx, given, values)
    begun = await ctx.services.store.begin_answer(meaning, ctx.services.worker, created or None)
    if isinstance(begun, KeptAnswer):
        return Answer(None, begun.status, REPLAYED, raw=begun.body)
    if begun is not None and recover is not None:
        found = await recover(begun)
        if found is not None:
            await _keep(ctx, meaning, found)
            found.headers.update(REPLAYED)
            return found
    return await _first(ctx, meaning, work, begun or created)


async def _first(ctx: Context, meaning: Meaning, work: Work, created: str) -> Answer:
    try:
        answer = await work(created)
    except CoveyError as error:
        if error.status >= 500:
            await _forget(ctx, meaning)
            raise
        answer = Answer(rendered(error), error.status)
    except BaseException:
        await asyncio.shield(_forget(ctx, meaning))
        raise
    await _keep(ctx, meaning, answer)
    return answer


def _meaning(ctx: Context, key: str, values: Mapping[str, Any]) -> Meaning:
    request = ctx.request
    route = f"{request.method} {_ALIAS.sub('/v1/api/', request.url.path.rstrip('/'))}"
    query = sorted(request.query_params.multi_items())
    text = orjson.dumps([route, ctx.workspace, query, values], option=orjson.OPT_SORT_KEYS)
    return Meaning(ctx.workspace, key, route, hashlib.sha256(text).digest())


async def _keep(ctx: Context, meaning: Meaning, answer: Answer) -> None:
    with suppress(Unavailable):
        await ctx.services.store.keep_answer(meaning, KeptAnswer(answer.status_code, answer.kept))


async def _forget(ctx: Context, meaning: Meaning) -> None:
    with suppress(Unavailable):
        await ctx.services.store.keep_answer(meaning, None)
