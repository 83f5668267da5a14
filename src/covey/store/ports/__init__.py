"""What Covey needs of a database, in its own language, split by role.

`tests/conformance` is the specification: every store passes the same suite. All methods are safe to call from any
task. Errors: `Unavailable` when the database cannot answer (nothing happened, or what happened is found out by asking
again); everything else is named by the method.
"""

from typing import Protocol

from covey.store.ports.engine import (
    Claim,
    Claims,
    Control,
    Drafts,
    Dropped,
    Finishes,
    FinishReport,
    Lanes,
    Liveness,
    Reading,
    Stopped,
    Upkeep,
    WorkerInfo,
)
from covey.store.ports.house import Accounts, Assets, Due, Tried, Usage, Webhooks

__all__ = [
    "Accounts",
    "Assets",
    "Claim",
    "Claims",
    "Control",
    "Drafts",
    "Dropped",
    "Due",
    "FinishReport",
    "Finishes",
    "Lanes",
    "Liveness",
    "Reading",
    "Stopped",
    "Store",
    "Tried",
    "Upkeep",
    "Usage",
    "Webhooks",
    "WorkerInfo",
]


class Store(
    Drafts, Claims, Finishes, Control, Liveness, Lanes, Reading, Upkeep, Accounts, Assets, Webhooks, Usage, Protocol
):
    """A whole database."""

    async def open(self) -> None:
        """Connect, check or run the migrations. Raises StoreError with a sentence if that cannot be."""
        ...

    async def close(self) -> None: ...

    @property
    def waiting(self) -> int:
        """How many operations wait for their turn."""
        ...

    @property
    def full(self) -> bool:
        """Whether a write failed for lack of room; until `check_room` finds that there is some again."""
        ...

    async def check_room(self, worker: str) -> None:
        """Write something, and take it back. Raises Unavailable, DatabaseFull."""
        ...

    async def backup(self, path: str) -> None:
        """Copy the database, while it is in use, to a new file."""
        ...
