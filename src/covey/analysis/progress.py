"""How far active items are, in this process."""


class ProgressBoard:
    """Seconds of video that are done, by item. What is not on it is not being worked on here."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, float]] = {}

    def tell(self, item: str, done: float, of: float) -> None:
        """So many seconds of an item are done, of so many."""
        self._told[item] = (done, of)

    def of(self, item: str) -> tuple[float, float] | None:
        """Seconds done, and of how many; None if nobody has told."""
        return self._told.get(item)

    def forget(self, item: str) -> None:
        """The item is not being worked on any more."""
        self._told.pop(item, None)
