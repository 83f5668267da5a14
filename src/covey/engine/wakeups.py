"""Wakeups between the parts of one process: there may be work on a lane, there may be a run to drop.

A wakeup is never needed for what is right, only for what is quick: every loop also looks by itself.
"""

import asyncio
from collections.abc import Callable


class Wakeups:
    """Wakes the loops that wait."""

    def __init__(self) -> None:
        self._lanes: dict[str, asyncio.Event] = {}
        self._drops = asyncio.Event()
        self.withdraw: Callable[[str], None] = lambda batch: None
        """What this process has been handed out of a batch, and not started, is to be taken back."""
        self.event: Callable[[], None] = lambda: None
        """Called when something happened in this process that an endpoint may want to hear of."""

    def lane(self, name: str) -> asyncio.Event:
        """The event that is set when there may be work on lane `name`."""
        return self._lanes.setdefault(name, asyncio.Event())

    def work(self, lane: str) -> None:
        """There may be work on a lane."""
        self.lane(lane).set()

    def heard(self, wakeup: str) -> None:
        """A wakeup that was written with some change, by this process or another: `work:<lane>`, `withdraw:<batch>`,
        `drop`, or "" if any may have been missed."""
        match wakeup.partition(":"):
            case ("work", _, lane) if lane:
                self.work(lane)
            case ("withdraw", _, batch) if batch:
                self.withdraw(batch)
            case ("drop", _, _):
                self.drop()
            case _:
                self.drop()
                for event in self._lanes.values():
                    event.set()

    @property
    def drops(self) -> asyncio.Event:
        """The event that is set when an active run may have to be dropped."""
        return self._drops

    def drop(self) -> None:
        """An active run may have to be dropped, or one that has not started may be about something that was blocked."""
        self._drops.set()
