"""`Idempotency-Key` on every POST (contract 12.6): one key and one meaning, one answer.

The meaning is the route, the workspace and the values; never the raw body, whose multipart boundary differs every
time. Answers below 500 are kept for 24 hours, but not a 429, which says itself when to ask again, nor one
that says that nothing is to be kept of it. A request may end without an answer: its process dies, its time is up, its
server stops, the database fails. Before it begins it has written down which object it is about to make; so whoever
comes next looks whether that object was made.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import orjson

from covey.api.kit.context import Context
from covey.api.kit.dialect import dialect_of
from covey.api.kit.errors import Answer
from covey.domain.account import RequestFingerprint, StoredResponse
from covey.domain.errors import BadRequest, Conflict, CoveyError, TooMany, Unavailable
from covey.engine.submission import settled

HEADER = "idempotency-key"
REPLAYED = {"Idempotency-Replayed": "true"}

_SHAPE = re.compile(r"[\x21-\x7e]{1,255}")

Work = Callable[[str], Awaitable[Answer]]
"""Does what was asked, making the object of the id it is given (an empty one if nothing is made)."""

Recover = Callable[[str], Awaitable[Answer | None]]
"""The answer for an object that an earlier request was about to make; None if it was not made, and then it never will
be, or if it was called back because its caller went away: whatever that request left is out of the way."""


async def idempotent(
    ctx: Context,
    values: Mapping[str, Any],
    work: Work,
    created: str = "",
    recover: Recover | None = None,
    *,
    keep_refusals: bool = True,
) -> Answer:
    """Do `work` once for this request's key and `values`, or give the first answer again.

    `created` is the id of the object that `work` will make; with it comes `recover`. Without both, doing `work` twice
    must do no harm. Without `keep_refusals` a refusal is forgotten, so that a client's own retries may find that its
    reason is gone. Raises Unprocessable if the key came with another meaning, Conflict if the first request is still
    running.
    """
    given = ctx.request.headers.get(HEADER)
    if given is None:
        return await work(created)
    if not _SHAPE.fullmatch(given):
        raise BadRequest("The header Idempotency-Key takes 1 to 255 visible ASCII characters without blanks")
    one = _Once(ctx, _meaning(ctx, given, values), work, created, recover, keep_refusals)
    return await one.answer()


def _meaning(ctx: Context, key: str, values: Mapping[str, Any]) -> RequestFingerprint:
    request = ctx.request
    route = f"{request.method} {request.url.path.rstrip('/')}"
    query = sorted(request.query_params.multi_items())
    text = orjson.dumps([route, ctx.workspace, query, values], option=orjson.OPT_SORT_KEYS)
    return RequestFingerprint(ctx.workspace, key, route, hashlib.sha256(text).digest())


class _Once:
    """One request with a key."""

    def __init__(
        self,
        ctx: Context,
        meaning: RequestFingerprint,
        work: Work,
        created: str,
        recover: Recover | None,
        keep_refusals: bool,
    ) -> None:
        self._request = ctx.request
        self._store = ctx.services.store
        self._worker = ctx.services.worker
        self._unsettled = ctx.services.unsettled
        self._place = (meaning.workspace, meaning.key)
        self._meaning = meaning
        self._work = work
        self._created = created
        self._recover = recover
        self._keep_refusals = keep_refusals

    async def answer(self) -> Answer:
        """The answer, this time's or the first one."""
        begun = await self._begin()
        if isinstance(begun, StoredResponse):
            return Answer(None, begun.status, REPLAYED, raw=begun.body)
        if begun is not None:
            found = await self._resume(begun)
            if isinstance(found, StoredResponse):
                return Answer(None, found.status, REPLAYED, raw=found.body)
            if found is not None:
                found.headers.update(REPLAYED)
                return found
        return await self._first()

    async def _begin(self) -> StoredResponse | str | None:
        """As `begin_answer`; also a str for what an earlier request of this process left without an answer."""
        asking = asyncio.ensure_future(self._store.begin_answer(self._meaning, self._worker, self._created or None))
        try:
            begun = await settled(asking)
        except Conflict:
            left = self._unsettled.pop(self._place, None)
            if left is None:
                raise
            return left
        except asyncio.CancelledError:
            if (
                not asking.cancelled()
                and asking.exception() is None
                and not isinstance(asking.result(), StoredResponse)
            ):
                self._unsettled[self._place] = str(asking.result() or self._created)
            raise
        self._unsettled.pop(self._place, None)
        return begun

    async def _resume(self, begun: str) -> Answer | StoredResponse | None:
        """What became of the object of an earlier request; None if there is none, then this request may make its own.

        Its own, under its own id: rows of the other one may not be swept yet.
        """
        found = await self._settle(begun)
        return found if found is not None else await self._begin_anew()

    async def _begin_anew(self) -> StoredResponse | None:
        begun = await self._begin()
        if isinstance(begun, str):
            self._unsettled[self._place] = begun
            raise Conflict("The first request with this Idempotency-Key is still running", code="still_running")
        return begun

    async def _first(self) -> Answer:
        try:
            answer = await self._work(self._created)
        except CoveyError as error:
            if error.status >= 500 or isinstance(error, TooMany) or not self._keep_refusals:
                return await self._made_all_the_same(error)
            dialect = dialect_of(self._request)
            answer = Answer(dialect.error(self._request.url.path, error), error.status)
        except Exception as error:
            return await self._made_all_the_same(error)
        except BaseException:
            with suppress(Unavailable):
                await settled(self._settle(self._created))
            raise
        await settled(self._keep(answer, self._created))
        return answer

    async def _made_all_the_same(self, error: Exception) -> Answer:
        """The answer for what was made before `error`. Raises `error` if nothing was."""
        try:
            found = await settled(self._settle(self._created))
        except Unavailable:
            found = None
        if found is None:
            raise error
        return found

    async def _settle(self, created: str) -> Answer | None:
        """Find out whether the object was made: keep its answer, or forget the key. Raises Unavailable if nobody can
        tell now; then the next request with this key tries again."""
        try:
            found = await self._recover(created) if self._recover is not None else None
            if found is None:
                await self._store.keep_answer(self._meaning, None)
            else:
                await self._keep(found, created)
        except BaseException:
            self._unsettled[self._place] = created
            raise
        return found

    async def _keep(self, answer: Answer, created: str) -> None:
        kept = None if answer.stored is None else StoredResponse(answer.status_code, answer.stored)
        try:
            await self._store.keep_answer(self._meaning, kept)
        except Unavailable:
            self._unsettled[self._place] = created
