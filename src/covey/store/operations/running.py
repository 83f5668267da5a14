"""How a store runs an operation: all that its ports' methods are made of."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from covey.domain.errors import DatabaseFull
from covey.store.operations.database import Database

T = TypeVar("T")
Operation = Callable[[Database], Coroutine[Any, Any, T]]


class Running(ABC):
    """Runs operations, each in one transaction."""

    full = False
    """Whether a write failed for lack of room, and none by which that is found out has succeeded since."""

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Around every write: note when there is no room."""
        try:
            yield
        except DatabaseFull:
            self.full = True
            raise

    @abstractmethod
    async def _write(self, operation: Operation[T], *, urgent: bool = False, rows: int = 1) -> T:
        """Run `operation` in a transaction of its own, and return once it is on disk.

        `urgent` ones go first; `rows` is about how many rows it writes.
        """

    @abstractmethod
    async def _look(self, operation: Operation[T]) -> T:
        """Run `operation`, which only reads a few rows, in one snapshot."""

    @abstractmethod
    async def _page(self, operation: Operation[T]) -> T:
        """Run `operation`, which only reads and may take its time, in one snapshot."""
