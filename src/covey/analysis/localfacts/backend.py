"""local-facts: answers from what can be measured in a video, on this machine. It is no model, nor called one."""

import asyncio

from covey.analysis.backend import ItemAnswer, ItemRequest, Refused
from covey.analysis.config import Mode
from covey.analysis.localfacts import answer_general, answer_segments
from covey.analysis.localfacts.cache import FactsCache
from covey.analysis.media import Undecodable


class LocalFacts:
    """A backend over the facts of assets."""

    def __init__(self, book: FactsCache) -> None:
        self._book = book

    async def analyze(self, ask: ItemRequest) -> ItemAnswer:
        """The answer. Raises Refused: for a video that cannot be read, and for what facts do not tell."""
        try:
            facts = await self._book.of(ask.asset, ask.file, ask.progress)
        except Undecodable as error:
            raise Refused(error.code, error.message) from None
        answer = answer_general if ask.mode is Mode.general else answer_segments
        return await asyncio.to_thread(answer, ask.wanted, facts, (ask.start, ask.end), ask.max_tokens)

    async def ping(self) -> str | None:
        """It is here."""
        return None

    async def works(self) -> str | None:
        """It works."""
        return None

    async def close(self) -> None:
        """Nothing is its own."""
