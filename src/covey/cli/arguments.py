"""Ids as people type them: with their prefix or without, of a batch or of one of its calls."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import typer

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


_GAP = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?")


def moment(text: str) -> datetime:
    """A moment: RFC 3339, a local `2026-11-23 09:00`, or `+2h30m` from now. Raises typer.BadParameter, for a day alone,
    too: nobody who names a day means its midnight."""
    if text.startswith("+"):
        return datetime.now(UTC) + gap(text[1:])
    with suppress(ValueError):
        only = date.fromisoformat(text)
        raise typer.BadParameter(f"{text!r} has no clock time; 9 in the morning of that day is {only}T09:00")
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time; try 2026-11-23T09:00, 2026-11-23T08:00:00Z or +2h") from None


def gap(text: str) -> timedelta:
    """A length of time: `1d`, `2h`, `30m`, `1d2h`. Raises typer.BadParameter."""
    found = _GAP.fullmatch(text)
    if not text or found is None:
        raise typer.BadParameter(f"{text!r} is no length of time; try 30m, 2h or 1d2h")
    days, hours, minutes = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)


def wire_gap(text: str) -> dict[str, float]:
    """A gap as the API has it: days and hours."""
    length = gap(text)
    return {"days": length.days, "hours": length.seconds / 3600}


def day(text: str) -> date:
    """A day, `2026-11-23`. Raises typer.BadParameter."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; try 2026-11-23") from None


_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_REAL = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?")

N = TypeVar("N", int, float)


def whole(help_: str, least: int = 1, most: int | None = None) -> Any:
    """An option that is a whole number from `least` to `most`."""
    return typer.Option(parser=_parser(int, _WHOLE, least, most), metavar="INTEGER", help=help_ + _range(least, most))


def real(help_: str, least: float) -> Any:
    """An option that is a number from `least` on."""
    return typer.Option(parser=_parser(float, _REAL, least, None), metavar="FLOAT", help=help_ + _range(least, None))


def _range(least: float, most: float | None) -> str:
    return f" At least {least:g}." if most is None else f" From {least:g} to {most:g}."


def _parser(kind: type[N], shape: re.Pattern[str], least: N, most: N | None) -> Callable[[Any], N]:
    def parse(text: Any) -> N:
        if isinstance(text, int | float):  # a default
            return kind(text)
        if shape.fullmatch(text) is None:
            what = "a whole number" if kind is int else "a number"
            raise typer.BadParameter(f"{text!r} is not {what} in the digits 0 to 9")
        value = kind(text)
        if value < least or (most is not None and value > most):
            raise typer.BadParameter(f"{text} is not in the range:{_range(least, most).lower()[:-1]}")
        return value

    return parse
