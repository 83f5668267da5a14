"""The keeper of assets: takes over what dead processes were looking at, and does what could not be done before."""

from typing import ClassVar

from covey.analysis.intake import Intake
from covey.loop import Loop


class AssetKeeper(Loop):
    """Rounds of an intake."""

    name: ClassVar[str] = "assets"
    seconds: ClassVar[float] = 2.0

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def stop(self) -> None:
        """End the loop, and what is under way."""
        await super().stop()
        await self._intake.close()

    async def round(self) -> None:
        """One round."""
        await self._intake.round()
