"""What checking one answer may cost."""


class Costly(Exception):
    """The budget is used up."""


class Budget:
    """Steps that are left. Whoever works spends before it does."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int = 1) -> None:
        """Take steps off. Raises Costly once there are none left."""
        self._left -= steps
        if self._left < 0:
            raise Costly
