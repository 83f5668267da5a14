"""Erasing a person: what files, rows and lists hold about a number, in an order that leaves no file without a row that
names it."""

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from covey.api.kit.services import Services
from covey.api.trillet.retry import ERASED
from covey.calls.paths import skipped_path
from covey.domain.errors import Conflict, NotFound
from covey.domain.item import Item, ItemState
from covey.store.store import Store

KEPT = (
    "that there was a call: its place in its batch, its outcome, its times, and the counts",
    "the do-not-call list: the number stays on it until it is taken off",
    "answers kept for an Idempotency-Key, for at most 24 hours",
    "copies that were made before, such as backups and exports",
)
"""What is not erased, in the answer's words."""

_PAGE = 1000
_SHORTEST = 7
"""Digits that are fewer than these are no phone number."""

_NUMBER = re.compile(r"\d[\d\s().\-/]*\d")


@dataclass(slots=True)
class Erasure:
    """How much was erased."""

    calls: int = 0
    recordings: int = 0
    skipped_rows: int = 0


async def erase_person(services: Services, workspace: str, number: str, actor: str) -> Erasure:
    """Erase what the workspace holds about `number` (E.164). Doing it again after a failure goes on where it ended.

    Raises Conflict `active` while a call with it is waiting or active; then nothing is erased.
    """
    done = Erasure()
    while True:
        items = await _every(services.store, workspace, number)
        _check_ended(items)
        names = [name for item in items for name in await _recordings(services.store, item)]
        await services.recordings.delete(names)
        done.recordings += len(names)
        done.calls += await services.store.erase_ref(workspace, number, ERASED)
        await _erase_singles(services.store, workspace, {item.batch for item in items}, actor)
        if not await services.store.by_ref(workspace, number, limit=1):
            break
    await services.forget_clips(workspace)
    done.skipped_rows = await _erase_skipped(services, workspace, number)
    return done


async def _every(store: Store, workspace: str, number: str) -> list[Item]:
    limit = _PAGE
    while len(items := await store.by_ref(workspace, number, limit=limit)) == limit:
        limit *= 4
    return items


def _check_ended(items: Sequence[Item]) -> None:
    if any(item.state in (ItemState.waiting, ItemState.active) for item in items):
        raise Conflict(
            "A call with this number is still waiting or active: cancel its batch, wait for its end, then erase",
            code="active",
        )


async def _recordings(store: Store, item: Item) -> list[str]:
    """The names of the recordings of every attempt."""
    if item.last is None or item.last.attempt > 1:
        item = await store.item(item.batch, item.seq)
    runs: Any = (*item.earlier, *((item.last,) if item.last else ()))
    return [str(run.result["recording"]) for run in runs if run.result.get("recording")]


async def _erase_singles(store: Store, workspace: str, batches: set[str], actor: str) -> None:
    """A single call's batch goes as a whole if it holds what somebody gave for this one person."""
    for ident in sorted(batches):
        batch = await store.batch(ident)
        if batch.origin == "single":
            held = orjson.loads(batch.config)
            if held.get("metadata") or held.get("callback_url"):
                await store.erase_batch(workspace, ident, actor)


async def _erase_skipped(services: Services, workspace: str, number: str) -> int:
    """Take the number out of the workspace's lists of skipped rows; how many rows."""
    folder, rows = skipped_path(services.settings.data, "x").parent, 0
    for path in await asyncio.to_thread(_mentioning, folder, number):
        try:
            await services.store.batch(path.stem, workspace)
        except NotFound:
            continue
        rows += await asyncio.to_thread(_rewrite, path, number)
    return rows


def _mentioning(folder: Path, number: str) -> list[Path]:
    def mentions(path: Path) -> bool:
        with path.open("rb") as file:
            return any(is_about(orjson.loads(line), number) for line in file)

    return [path for path in sorted(folder.glob("*.jsonl")) if mentions(path)]


def _rewrite(path: Path, number: str) -> int:
    """Overwrite the rows about a number; the file is the old one or the new one at every moment."""
    fresh, rows = path.with_suffix(".part"), 0
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as target, path.open("rb") as source:
        for line in source:
            row = orjson.loads(line)
            if is_about(row, number):
                row, rows = {**row, "value": ERASED, "message": "The row was erased", "suggestion": None}, rows + 1
            target.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        target.flush()
        os.fsync(target.fileno())
    fresh.replace(path)
    return rows


def is_about(row: dict[str, Any], number: str) -> bool:
    """Whether a skipped row holds the number (E.164), however it is written: with blanks, or without its country."""
    texts = (row.get(name) for name in ("value", "message", "suggestion"))
    found = (match for text in texts if isinstance(text, str) for match in _NUMBER.findall(text))
    return any(_same(text, number) for text in found)


def _same(text: str, number: str) -> bool:
    digits = "".join(str(int(sign)) for sign in text if sign.isdecimal()).lstrip("0")
    return len(digits) >= _SHORTEST and number.endswith(digits)
