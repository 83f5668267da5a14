"""What the API needs of the rest: one object, made by the wiring, handed to `create_app`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from covey.domain.batch import Quota
from covey.domain.clock import Clock
from covey.engine.hints import Hints
from covey.engine.submission import Submission
from covey.metrics import Metrics
from covey.settings import Settings, Trunk
from covey.store.ports import Store


@dataclass(frozen=True, slots=True)
class TrunkFacts:
    """A trunk as the API sees it: its name (its lane's, too) and its settings."""

    name: str
    settings: Trunk

    @property
    def live(self) -> bool:
        """Whether real people's phones can ring."""
        return self.settings.live

    def open_to(self, workspace: str) -> bool:
        """Whether the workspace may use it."""
        return self.settings.workspaces is None or workspace in self.settings.workspaces


class Recordings(Protocol):
    """Where recordings lie; `covey.calls.recordings.Recordings` is the real one."""

    async def get(self, name: str) -> bytes | None:
        """The bytes of a recording, None if it is not there any more."""
        ...

    async def delete(self, names: Sequence[str]) -> None:
        """Remove recordings; those that are gone already do not matter."""
        ...


Readiness = Callable[[], str | None]
"""None while the server takes work, else a sentence saying why it does not."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the routes use.

    `worker` is this process's id, the owner of drafts and of idempotent requests. `ready` says whether the server
    takes work. `write_queue` is how many operations wait for the database's writer, for the metrics.
    """

    store: Store
    submission: Submission
    hints: Hints
    clock: Clock
    settings: Settings
    metrics: Metrics
    worker: str
    recordings: Recordings
    ready: Readiness = lambda: None
    write_queue: Callable[[], int] = lambda: 0
    trunks: Mapping[str, TrunkFacts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.trunks:
            facts = {name: TrunkFacts(name, trunk) for name, trunk in self.settings.trunks.items()}
            object.__setattr__(self, "trunks", facts)

    @property
    def spool(self) -> Path:
        """Where uploads lie until they are batches."""
        return self.settings.data / "spool"

    def quota(self, allow_duplicate: bool) -> Quota:
        """What a workspace may have open at once."""
        limits = self.settings.limits
        return Quota(limits.unended_batches, limits.waiting_items, allow_duplicate=allow_duplicate)
