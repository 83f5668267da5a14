"""Ids as people type them: with their prefix or without, of a batch or of one of its calls."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from covey.cli.exits import Exit
from covey.cli.session import leave
from covey.client.client import CoveyClient
from covey.client.errors import CoveyClientError, NotFound

_HEX = re.compile(r"[0-9a-f]{24}")
_BATCH = "batch_"
_CALL = "call_"
_AGENT = "agent_"


def is_bare(text: str) -> bool:
    """Whether `text` is an id without a prefix, as those of videos, of batches of them and of tasks are."""
    return bool(_HEX.fullmatch(text.strip().lower()))


def batch_id(text: str) -> str:
    """The id of a batch, with its prefix. A call's id leads to its batch."""
    bare = text.strip().removeprefix(_BATCH).removeprefix(_CALL)
    return f"{_BATCH}{bare[:18]}000000" if _HEX.fullmatch(bare) else text.strip()


def call_id(text: str) -> str:
    """The id of a call, with its prefix."""
    bare = text.strip().removeprefix(_CALL)
    return f"{_CALL}{bare}" if _HEX.fullmatch(bare) else text.strip()


def is_call(text: str) -> bool:
    """Whether `text` is the id of a call rather than of a batch."""
    bare = text.strip().removeprefix(_CALL)
    return bool(_HEX.fullmatch(bare)) and not bare.endswith("000000")


async def this_or_newest(client: CoveyClient, text: str | None) -> str:
    """The batch of calls that was named, or else the newest one."""
    if text:
        return batch_id(text)
    page = await client.batches.page(1, 1)
    if not page.batches:
        leave("There is no batch of calls yet; `covey submit FILE --agent AGENT` starts one.", Exit.not_found)
    return page.batches[0].id


@asynccontextmanager
async def calls_only(client: CoveyClient, text: str | None, instead: str) -> AsyncIterator[None]:
    """Something that only a batch of calls can do: if `text` is one of videos, the command ends with that sentence and
    what to do `instead`, where `{}` is its id."""
    try:
        yield
    except NotFound:
        bare = (text or "").strip().lower().removeprefix(_BATCH)
        if is_bare(bare) and not of_calls(found := await _of_either_kind(client, bare)):
            leave(f"{found} is a batch of videos; {instead.format(found)}", Exit.usage)
        raise


async def any_batch(client: CoveyClient, text: str | None) -> str:
    """The batch of either kind that was named, or else the newest one: its id, which of calls begins with `batch_`."""
    if text and not is_bare(text):
        return batch_id(text)
    if text:
        return await _of_either_kind(client, text.strip().lower())
    calls, videos = await client.batches.page(1, 1), await client.analyses.page(1, 1)
    newest = [batch.id for batch in calls.batches] + [batch.batch_id for batch in videos.batches]
    if not newest:
        leave("There is no batch yet; `covey submit` and `covey analyze` start one.", Exit.not_found)
    return max(newest, key=lambda batch: batch.removeprefix(_BATCH))


async def _of_either_kind(client: CoveyClient, bare: str) -> str:
    try:
        return (await client.analyses.get(f"{bare[:18]}000000")).batch_id
    except NotFound:
        return batch_id(bare)


def of_calls(batch: str) -> bool:
    """Whether a batch's id, as `any_batch` gives it, is of calls."""
    return batch.startswith(_BATCH)


async def agent_id(client: CoveyClient, text: str) -> str:
    """The agent that was named by its id or, if there is exactly one of it, by its name."""
    bare = text.removeprefix(_AGENT)
    if _HEX.fullmatch(bare):
        return f"{_AGENT}{bare}"
    named = [agent.id for agent in await client.agents.list() if agent.name == text]
    if len(named) > 1:
        raise CoveyClientError(f"There are {len(named)} agents named {text!r}; name one by its id: {', '.join(named)}")
    if not named:
        leave(f"There is no agent {text!r}; `covey agents list` shows those there are.", Exit.not_found)
    return named[0]
