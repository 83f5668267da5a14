"""Settles the runs of dead workers, whichever worker declared them dead."""

from collections.abc import Mapping
from datetime import timedelta

from covey.domain.liveness import LOOK_SECONDS
from covey.engine.worker import Worker
from covey.loop import Loop


class Rescuer(Loop):
    """Looks twice a second; every worker's process has one."""

    name = "rescuer"
    seconds = LOOK_SECONDS

    def __init__(self, worker: Worker, hold: Mapping[str, timedelta]) -> None:
        """`hold` is how long the slots of settled runs stay taken, by lane: a far side may still be busy with them."""
        self._worker = worker
        self._hold = hold

    async def round(self) -> None:
        """Look once at who is dead, and settle them."""
        await self._worker.settle_dead(self._hold)
