"""What the API needs of the rest: one object, made by the wiring, handed to `create_app`."""

import asyncio
import contextvars
import functools
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from covey.analysis.assets import Intake
from covey.api.webhooks.secrets import SecretBox
from covey.calls.intake import CheckQueue
from covey.calls.speech import SpeechError, Synthesizer
from covey.calls.speech.synthesis import EspeakSynthesizer
from covey.disk import free_bytes
from covey.domain.batch import Quota
from covey.domain.clock import Clock
from covey.engine.orders import Orders
from covey.engine.submission import Submission
from covey.engine.wakeups import Wakeups
from covey.engine.withdrawals import Withdrawals
from covey.fetch import Fetcher
from covey.metrics import Metrics
from covey.processes.child import ChildRefused
from covey.settings import Settings, TrunkSettings
from covey.store.store import Store

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TrunkFacts:
    """A trunk as the API sees it: its name (its lane's, too) and its settings."""

    name: str
    settings: TrunkSettings

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

ForgetClips = Callable[[str], Awaitable[None]]
"""Removes every clip of a workspace: they may speak a person's name."""

VoiceCheck = Callable[[str], Awaitable[str | None]]
"""What is wrong with a voice, a sentence; None if it can be used, or if nobody can tell before a call."""


async def _nothing_to_forget(workspace: str) -> None:
    return None


async def _any_voice(voice: str) -> str | None:
    return None


def voice_check(synthesizer: Synthesizer) -> VoiceCheck:
    """Asks the built-in voice by having it speak a syllable; of an endpoint's voices nobody knows before a call."""
    if not isinstance(synthesizer, EspeakSynthesizer):
        return _any_voice

    async def check(voice: str) -> str | None:
        try:
            await synthesizer.speak("a", voice)
        except SpeechError as error:
            return str(error) if isinstance(error.__cause__, ChildRefused) else None
        return None

    return check


OBSERVED_SECONDS = 2.0
"""For so long one look at the database serves all who ask for the metrics."""


class SingleFlight:
    """Does a thing for everybody who asks while it is being done, and at most once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._doing: asyncio.Task[None] | None = None
        self._until = 0.0

    async def do(self, work: Callable[[], Coroutine[Any, Any, None]], now: float) -> None:
        """Wait for `work`, unless it was done a short while ago. `now` is monotonic. Raises what it raises; then the
        next who asks tries again."""
        if self._doing is None:
            if now < self._until:
                return
            self._doing = asyncio.create_task(work())
            self._doing.add_done_callback(self._done)
            self._until = now + self._seconds
        await asyncio.shield(self._doing)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._doing = None
        if task.cancelled() or task.exception() is not None:
            self._until = 0.0


class HeavyWork:
    """Does CPU work for requests beside the event loop, one piece after the other.

    Several threads at once would be no faster, as there is one interpreter, and each would keep the loop from it in
    turn.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "heavy")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` comes to."""
        context = contextvars.copy_context()
        doing = functools.partial(context.run, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, doing)


class FileRoom:
    """Whether there is room for files; `full` is set where an upload found none."""

    def __init__(self) -> None:
        self.full = False

    async def check(self, folder: Path) -> None:
        """Write a file, and take it back. Raises NoRoom."""
        await asyncio.to_thread(_write_and_remove, folder / "room")
        self.full = False


def _write_and_remove(file: Path) -> None:
    try:
        with free_bytes():
            file.write_bytes(bytes(64 * 1024))
    finally:
        file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the routes use.

    `worker` is this process's id, the owner of drafts and of once requests. `ready` says whether the server
    takes work. `write_queue` is how many operations wait for the database's writer, for the metrics. `forget_clips`
    removes what was spoken for a workspace, `check_voice` says whether an agent's voice is known. `unsettled` are
    requests with an Idempotency-Key (workspace, key) that ended without anybody knowing whether they made the object
    of this id. `checks` is the line before the checks of lists. `observing` keeps the metrics from asking the database
    more often than they change. `heavy` works out what takes long. `intake` takes assets in; None where none are kept.
    `fetcher` asks addresses that clients gave, `sealer` keeps secrets; both are made from the settings unless they are
    given. `orders` carries out what takes runs back: by default where no worker has any.
    """

    store: Store
    submission: Submission
    wakeups: Wakeups
    clock: Clock
    settings: Settings
    metrics: Metrics
    worker: str
    recordings: Recordings
    ready: Readiness = lambda: None
    write_queue: Callable[[], int] = lambda: 0
    forget_clips: ForgetClips = _nothing_to_forget
    check_voice: VoiceCheck = _any_voice
    unsettled: dict[tuple[str, str], str] = field(default_factory=dict)
    checks: CheckQueue = field(default_factory=CheckQueue)
    observing: SingleFlight = field(default_factory=lambda: SingleFlight(OBSERVED_SECONDS))
    heavy: HeavyWork = field(default_factory=HeavyWork)
    trunks: Mapping[str, TrunkFacts] = field(default_factory=dict)
    fetcher: Fetcher = None  # type: ignore[assignment]
    sealer: SecretBox = None  # type: ignore[assignment]
    intake: Intake | None = None
    orders: Orders = None  # type: ignore[assignment]
    file_room: FileRoom = field(default_factory=FileRoom)

    def __post_init__(self) -> None:
        if not self.trunks:
            facts = {name: TrunkFacts(name, trunk) for name, trunk in self.settings.trunks.items()}
            object.__setattr__(self, "trunks", facts)
        if self.orders is None:
            object.__setattr__(self, "orders", Orders(self.store, self.wakeups, Withdrawals({})))
        if self.fetcher is None:
            object.__setattr__(self, "fetcher", Fetcher(self.settings.fetch))
        if self.sealer is None:
            object.__setattr__(self, "sealer", SecretBox(self.settings))

    @property
    def spool(self) -> Path:
        """Where uploads lie until they are batches."""
        return self.settings.data / "spool"

    def quota(self, allow_duplicate: bool) -> Quota:
        """What a workspace may have open at once."""
        limits = self.settings.limits
        return Quota(limits.unended_batches, limits.waiting_items, allow_duplicate=allow_duplicate)
