"""The facts of assets: read once by one decode, kept beside the asset, shared by all who ask at the same time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from covey.analysis.media.facts import VERSION, Facts

log = structlog.get_logger(__name__)

Progress = Callable[[float, float], None]
"""Is told seconds done, and of how many."""


class FactsFiles(Protocol):
    """Where facts are kept; `covey.analysis.storage.AssetFiles` is the real one."""

    async def facts(self, asset: str) -> bytes | None:
        """What was kept of an asset; None if nothing was."""
        ...

    async def keep_facts(self, asset: str, facts: bytes) -> None:
        """Keep an asset's facts."""
        ...


class FactsReader(Protocol):
    """What reads facts off a file; `covey.analysis.media.Decoder` is the real one."""

    async def facts(self, file: Path, progress: Progress) -> Facts:
        """Raises Undecodable."""
        ...


@dataclass(slots=True)
class _Reading:
    """A decode under way, and those who wait for it."""

    task: asyncio.Task[Facts]
    listeners: list[Progress] = field(default_factory=list)


class FactsCache:
    """Gives the facts of an asset. Ten who ask at once cost one decode; the last who goes away ends it."""

    def __init__(self, reader: FactsReader, files: FactsFiles) -> None:
        self._reader = reader
        self._files = files
        self._under_way: dict[str, _Reading] = {}

    async def of(self, asset: str, file: Path, progress: Progress) -> Facts:
        """The facts of the asset whose bytes are in `file`. Raises Undecodable."""
        reading = self._under_way.get(asset)
        if reading is None:
            reading = _Reading(asyncio.create_task(self._read(asset, file)))
            self._under_way[asset] = reading
        reading.listeners.append(progress)
        try:
            return await asyncio.shield(reading.task)
        finally:
            reading.listeners.remove(progress)
            if not reading.listeners:
                self._under_way.pop(asset, None)
                reading.task.cancel()

    async def _read(self, asset: str, file: Path) -> Facts:
        kept = await self._files.facts(asset)
        if kept is not None and (known := _known(kept)) is not None:
            return known

        def report(done: float, of: float) -> None:
            for listener in tuple(self._under_way[asset].listeners if asset in self._under_way else ()):
                listener(done, of)

        facts = await self._reader.facts(file, report)
        await self._files.keep_facts(asset, facts.dump())
        return facts


def _known(data: bytes) -> Facts | None:
    """Kept facts, if this version wrote them."""
    try:
        facts = Facts.load(data)
    except (ValueError, TypeError, KeyError):
        return None
    return facts if facts.version == VERSION else None
