"""A new batch of some calls of an earlier one (contract 12.15)."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from covey.api.kit.context import Context
from covey.api.kit.errors import Answer
from covey.api.kit.formats import utc
from covey.api.kit.idempotency import idempotent
from covey.api.kit.money import ANYTHING, Budget, amount, money, prices_of
from covey.api.kit.services import TrunkFacts
from covey.api.trillet import convert
from covey.api.trillet.numbers import never_called, zones_of
from covey.api.trillet.requests import expiry, schedule
from covey.api.trillet.submit import budget_of, kept, recover, started, submit
from covey.domain.batch import Batch, NewBatch, NewItem
from covey.domain.errors import BadRequest, Conflict
from covey.domain.ids import new_id
from covey.domain.item import Item, ItemState
from covey.domain.usage import Prices

NEVER_UNNAMED = frozenset({"outcome_unknown", "no_final_answer"})
"""Calls that may have rung: placed again only by name."""

ENDED = {"completed": ItemState.succeeded, "failed": ItemState.failed, "cancelled": ItemState.canceled}

ERASED = "erased"
"""What stands in place of the number of an erased person."""

_PAGE = 500

_ALL = 1000
"""So many batches are read at once where all of them are wanted."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls are meant: ended in one of `states`, with one of `codes` if there are any."""

    states: frozenset[ItemState]
    codes: frozenset[str]

    def takes(self, item: Item) -> bool:
        """Whether a call is meant. An erased person's never is."""
        code = item.last.code if item.last else ""
        if item.ref == ERASED:
            return False
        if item.state not in self.states or (code in NEVER_UNNAMED and code not in self.codes):
            return False
        return not self.codes or code in self.codes

    def fingerprint(self, batch: str) -> str:
        """What tells a retry that is given twice: the same selection of the calls of the same batch."""
        chosen = [sorted(state.value for state in self.states), sorted(self.codes)]
        return hashlib.sha256(orjson.dumps(["retry", batch, *chosen])).hexdigest()


async def retry_batch(ctx: Context, batch: Batch, body: dict[str, Any]) -> Answer:
    """Start a batch of the calls that `body` selects, within the limits of the first one unless `body` has others.

    The same selection is not taken twice within ten minutes or while the first one is worked on, whatever keys come
    with it: each click of a person has a key of its own. `allowDuplicate` says that it is meant.
    """
    chosen = _selection(body)
    trunk = ctx.trunk(batch.lane)
    now = ctx.services.clock.now()
    start_at = None if body["scheduledAt"] is None else schedule(body["scheduledAt"], now)
    left_out = set[int]()
    async with aclosing(_pieces(ctx, batch, chosen, left_out, live=trunk.live)) as pieces:
        nothing = await anext(pieces, None) is None
    if nothing:
        raise BadRequest("No call of the batch came out that way, so there is nothing to call again")

    keep, prices = await kept(ctx), prices_of(await ctx.workspace_settings(), batch.kind)

    async def work(ident: str) -> Answer:
        most = await _budget(ctx, batch, body["maxCost"], prices, trunk)
        new = NewBatch(
            id=ident,
            workspace=ctx.workspace,
            kind=batch.kind,
            lane=batch.lane,
            config=batch.config,
            created_at=now,
            name=body["name"] or (f"{batch.name} (again)" if batch.name else None),
            start_at=start_at,
            expires_at=_expiry(batch, body["expiresAt"], max(start_at or now, now)),
            max_tries=batch.max_tries,
            exclusive=True,
            hours=trunk.settings.hours,
            cap=body["maxConcurrent"] or batch.cap,
            pace=body["callsPerSecond"] or batch.pace,
            fingerprint=chosen.fingerprint(batch.id),
            keep=keep,
            prices=prices,
            max_cost=most.max_cost,
            run_cost=most.run_cost,
            notes={
                "live": trunk.live,
                "agentId": batch.notes.get("agentId", ""),
                "retryOf": convert.batch_out(batch.id),
            },
        )
        zoned = trunk.settings.hours is not None
        pieces = _pieces(ctx, batch, chosen, left_out, live=trunk.live, zoned=zoned)
        made = await submit(ctx, new, pieces, body["allowDuplicate"], "The same retry")
        premium = [f"{len(left_out):,} premium or satellite numbers are left out"] if left_out else []
        return Answer(started(made, [*most.warnings, *premium]))

    return await idempotent(ctx, body, work, new_id(now), lambda ident: recover(ctx, ident))


def _expiry(batch: Batch, text: str | None, start: datetime) -> datetime | None:
    """When a retry that starts at `start` expires: as `text` says, else with the batch."""
    if text is not None:
        return expiry(text, start)
    if batch.expires_at is not None and batch.expires_at <= start:
        ended = utc(batch.expires_at)
        message = f"expiresAt: the batch's own, {ended}, is over before the new one could start; give a new one"
        raise BadRequest(message, code="expired")
    return batch.expires_at


async def _budget(ctx: Context, batch: Batch, text: str | None, prices: Prices, trunk: TrunkFacts) -> Budget:
    """What a retry may cost: what `text` says, else what is left of what the batch may. Raises Conflict if that pays
    for nothing."""
    if text is None and batch.max_cost is None:
        return ANYTHING
    agent = orjson.loads(batch.config).get("agent", {})
    if text is not None:
        return budget_of(amount("maxCost", text), prices, agent, trunk)
    assert batch.max_cost is not None
    left = max(0, batch.max_cost - await _bound(ctx, batch))
    found = budget_of(left, prices, agent, trunk)
    if left < found.run_cost:
        raise Conflict(
            f"Of the batch's maxCost of {money(batch.max_cost)}, {money(left)} is left: the rest is spent, or may be "
            f"by what has not ended of it and its retries. A call may cost {money(found.run_cost)}; give a new maxCost",
            code="budget_reached",
        )
    return found


async def _bound(ctx: Context, batch: Batch) -> int:
    """What a batch and the retries of it, and of those, have spent or may still spend, in millionths."""
    later, before = list[Batch](), None
    while before is None or before > batch.id:
        page, _ = await ctx.services.store.batches(ctx.workspace, kind=batch.kind, before=before, limit=_ALL)
        later += [one for one in page if one.id > batch.id]
        before = page[-1].id if len(page) == _ALL else batch.id
    family, bound = {convert.batch_out(batch.id)}, _most(batch)
    for one in reversed(later):
        if one.notes.get("retryOf") in family:
            family.add(convert.batch_out(one.id))
            bound += _most(one)
    return bound


def _most(batch: Batch) -> int:
    counts = batch.counts
    most = counts.spent + (counts.waiting + counts.active) * batch.run_cost
    return most if batch.max_cost is None else min(most, batch.max_cost)


def _selection(body: dict[str, Any]) -> Selection:
    named = _listed(body["status"])
    unknown = [word for word in named if word not in ENDED]
    if unknown:
        raise BadRequest(f"status: {unknown[0][:40]!r} is none of {', '.join(ENDED)}")
    return Selection(frozenset(ENDED[word] for word in named), frozenset(_listed(body["errorCode"] or [])))


def _listed(value: list[str] | str) -> list[str]:
    return [value] if isinstance(value, str) else value


async def _pieces(
    ctx: Context, batch: Batch, chosen: Selection, left_out: set[int], *, live: bool, zoned: bool = False
) -> AsyncGenerator[list[NewItem], None]:
    """The selected calls as new items, in the order of the list, never an empty piece. Numbers that no trunk calls, of
    a batch that an earlier version took, go into `left_out`.

    `zoned` asks for the numbers' time zones, which calling hours need.
    """
    after = -1
    state = next(iter(chosen.states)) if len(chosen.states) == 1 else None
    while True:
        _, items = await ctx.services.store.items(batch.id, state, after=after, limit=_PAGE)
        if not items:
            return
        after = items[-1].seq
        taken = {item.seq: item.ref for item in items if item.ref and chosen.takes(item)}
        for seq in await asyncio.to_thread(never_called, taken, live=live):
            del taken[seq]
            left_out.add(seq)
        zones = await asyncio.to_thread(zones_of, taken) if zoned else {}
        if taken:
            yield [NewItem(i.input, i.ref, zones.get(i.seq), i.custom_id) for i in items if i.seq in taken]
