"""The runner for analyses: finds the asset, the window and the model, and says what came of the answer."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Protocol, TypeVar

import structlog
from pydantic import ValidationError

from covey.analysis.backend import Backend, Busy, Down, ItemAnswer, ItemRequest, PerhapsBroken, Refused, TryAgain
from covey.analysis.config import KIND, AnalysisConfig, ItemInput, Wanted
from covey.analysis.schema import SchemaError, check_request_schema
from covey.analysis.storage import FilesUnavailable
from covey.disk import NoRoom
from covey.domain.asset import Asset, AssetState
from covey.domain.clock import Clock
from covey.domain.errors import Unavailable
from covey.domain.run import NOT_STARTED
from covey.engine.runner import Aborted, Blame, CannotGoOn, Failed, Outcome, Retry, Returned, Run, Succeeded
from covey.settings import Analysis

log = structlog.get_logger(__name__)

T = TypeVar("T")

SHORTEST_WINDOW = 1.0
"""Seconds (contract section 3)."""

BUSY_PATIENCE = 20.0
"""For so long a run keeps its slot while its model takes no more; then its item goes back, and a cancel reaches it."""

PAID_PATIENCE = 120.0
"""The same for a request that puts an answer right, say: the model was paid for that answer already."""

SHORTEST_WAIT = 1.0
"""A model that says "now" when it says that it is busy is left alone for so many seconds."""

RETRY_DELAY = timedelta(seconds=5)
READY = "ready"
VIDEO = "video"

ABORTED_CODES = {"expired": "batch_processing_timeout", "aborted": "user_canceled"}


class AssetFileSource(Protocol):
    """Where the bytes of assets are; `covey.analysis.storage.AssetFiles` is the real one."""

    def local(self, asset: str) -> AbstractAsyncContextManager[Path]:
        """A file on this machine with an asset's bytes. Raises FileNotFoundError."""
        ...


class AssetSource(Protocol):
    """The workspace's assets; `covey.analysis.assets.Intake` is the real one."""

    async def ready_asset(self, workspace: str, asset: str) -> Asset | None:
        """The asset once it was looked at; None if there is none any more."""
        ...

    async def fetched_asset(self, workspace: str, url: str) -> Asset:
        """An asset made of what is at an address, once it was looked at. Raises Refused, TryAgain, Down, NoRoom."""
        ...

    async def image(self, workspace: str, source: Mapping[str, object]) -> bytes:
        """The bytes of a media source of a prompt. Raises Refused."""
        ...


class AnalysisRunner:
    """Runs the items of one model."""

    kind = KIND

    def __init__(
        self,
        backend: Backend,
        repository: AssetSource,
        files: AssetFileSource,
        clock: Clock,
        settings: Analysis,
    ) -> None:
        self._backend = backend
        self._repository = repository
        self._files = files
        self._clock = clock
        self._settings = settings
        self._not_before = 0.0

    async def ping(self, lane: str) -> str | None:
        """What is wrong with the model. One that asked us to wait is left alone."""
        wait = self._not_before - self._clock.monotonic()
        if wait > 0:
            return f"the model is busy, and takes no more for {math.ceil(wait)} s"
        return await self._backend.ping()

    async def close(self) -> None:
        """End what the backend started."""
        await self._backend.close()

    async def run(self, run: Run) -> Outcome:
        """Execute one run; see `Runner.run`."""
        config, given = run.config, _input(run)
        work = asyncio.create_task(self._started(run, config, given))
        dropped = asyncio.create_task(run.dropped.wait())
        try:
            await asyncio.wait([work, dropped], return_when=asyncio.FIRST_COMPLETED)
            if run.dropped.is_set() and (run.started is None or not work.done()):
                return _dropped(run)
            return work.result()
        finally:
            for task in (work, dropped):
                task.cancel()
            await asyncio.gather(work, dropped, return_exceptions=True)

    async def _started(self, run: Run, config: AnalysisConfig, source: ItemInput) -> Outcome:
        """What comes of the run, begun at its own start time and not after its start lease, unless it is withdrawn."""
        if not await run.turn(self._clock.monotonic):
            return run.unstarted()
        return await self._outcome(run, config, source)

    def load_config(self, config: bytes) -> AnalysisConfig:
        """The batch's frozen configuration."""
        try:
            return AnalysisConfig.load(config)
        except ValidationError as error:
            raise CannotGoOn(f"Its configuration cannot be read: {error.error_count()} fields are wrong") from error

    async def _outcome(self, run: Run, config: AnalysisConfig, source: ItemInput) -> Outcome:
        try:
            return _succeeded(await self._answer(run, config, source))
        except PerhapsBroken as error:
            return await self._unsure(error)
        except TryAgain as error:
            return Retry(self._clock.now() + RETRY_DELAY, Failed(error.code, str(error), blame=error.blame))
        except Refused as error:
            return Failed(error.code, str(error), blame=error.blame)
        except Busy:
            return Returned(NOT_STARTED)
        except Down as error:
            return Returned(error.code, str(error), Blame.either, error.ours)
        except (FilesUnavailable, NoRoom, Unavailable) as error:
            return Returned(error.code, error.message, Blame.either, ours=True)

    async def _unsure(self, error: PerhapsBroken) -> Outcome:
        """One answer does not prove whether the model or the video is to blame; a tiny question does."""
        wrong = await self._backend.works()
        if wrong is not None:
            return Returned(error.code, wrong, Blame.either)
        return Retry(self._clock.now() + RETRY_DELAY, Failed(error.code, str(error)))

    async def _answer(self, run: Run, config: AnalysisConfig, source: ItemInput) -> ItemAnswer:
        asset = await self._asset(run, source)
        wanted = source.wanted.over(config.defaults)
        await asyncio.to_thread(_check_schema, wanted)
        start, end = self._window(wanted, asset)
        sources = _media_sources(wanted)

        async def media(name: str) -> bytes:
            if name not in sources:
                raise Refused("parameter_invalid", f"There is no media source called {name!r}")
            return await self._repository.image(run.workspace, sources[name])

        async with self._local(asset) as file:
            ask = ItemRequest(
                asset=asset.id,
                file=file,
                mode=config.mode,
                wanted=wanted,
                seconds=asset.seconds or 0.0,
                start=start,
                end=end,
                progress=run.advance,
                media=media,
                trace=run.item,
                patiently=self._patiently,
            )
            return await self._patiently(lambda: self._backend.analyze(ask), paid=False)

    async def _patiently(self, request: Callable[[], Awaitable[T]], /, *, paid: bool = True) -> T:
        """Send the request, and while the model takes no more wait as long as it says; all runs of the lane wait
        together."""
        until = self._clock.monotonic() + (PAID_PATIENCE if paid else BUSY_PATIENCE)
        while True:
            now = self._clock.monotonic()
            if self._not_before > now:
                await asyncio.sleep(min(self._not_before, until) - now)
            try:
                if self._not_before > until:
                    raise Busy("The model takes no more for longer than an item waits", self._not_before - until)
                return await request()
            except Busy as busy:
                now = self._clock.monotonic()
                self._not_before = max(self._not_before, now + max(busy.seconds, SHORTEST_WAIT))
                if now >= until:
                    raise

    async def _asset(self, run: Run, source: ItemInput) -> Asset:
        if source.asset is not None:
            asset = await self._repository.ready_asset(run.workspace, source.asset)
        else:
            asset = await self._repository.fetched_asset(run.workspace, source.url or "")
        if asset is None:
            raise _unusable("asset_unavailable", "The asset was deleted before its turn came")
        if asset.state is not AssetState.ready:
            raise _unusable(str(asset.facts.get("code") or "video_file_broken"), asset.error or "It cannot be used")
        if asset.kind != VIDEO:
            raise _unusable("video_file_broken", f"This is a file of the kind {asset.kind}; a video is needed")
        return asset

    def _window(self, wanted: Wanted, asset: Asset) -> tuple[float, float]:
        lasts = asset.seconds or 0.0
        if lasts <= 0:
            raise Refused("video_duration_too_short", "The video has no length")
        start, end = wanted.start_time or 0.0, min(wanted.end_time or lasts, lasts)
        if start >= lasts:
            raise Refused("parameter_invalid", f"start_time: {start:g} s is after the end of the video at {lasts:g} s")
        if end - start < min(SHORTEST_WINDOW, lasts):
            raise Refused("video_duration_too_short", f"The window of {end - start:g} s is shorter than 1 s")
        if end - start > self._settings.window_seconds:
            most = f"{self._settings.window_seconds:g} s"
            raise Refused("video_duration_too_long", f"The window of {end - start:g} s is longer than {most}")
        return start, end

    @contextlib.asynccontextmanager
    async def _local(self, asset: Asset) -> AsyncIterator[Path]:
        try:
            async with self._files.local(asset.id) as file:
                yield file
        except FileNotFoundError:
            raise _unusable("asset_unavailable", "The asset's file is not there any more") from None


def _check_schema(wanted: Wanted) -> None:
    """Raise Refused, before any model is paid, for a schema that the rules of today refuse. One that an earlier version
    took may have a pattern that would hold the whole process."""
    schema = (wanted.response_format or {}).get("json_schema")
    if schema is not None:
        try:
            check_request_schema(schema, "response_format.json_schema")
        except SchemaError as error:
            raise Refused(error.code, error.message, Blame.nothing) from None


def _unusable(code: str, message: str) -> Refused:
    """What is wrong with an asset; the model was not asked, so it proves nothing of it."""
    return Refused(code, message, Blame.nothing)


def _input(run: Run) -> ItemInput:
    try:
        return ItemInput.load(run.input)
    except ValidationError as error:
        raise CannotGoOn(f"Item {run.seq} cannot be read: {error.error_count()} fields are wrong") from error


def _media_sources(wanted: Wanted) -> dict[str, Mapping[str, object]]:
    """The images that a request brings, by name: of its prompt, or of its segment definitions."""
    given = [wanted.prompt or {}, *((wanted.response_format or {}).get("segment_definitions") or ())]
    return {str(source.get("name")): source for each in given for source in each.get("media_sources") or ()}


def _succeeded(answer: ItemAnswer) -> Succeeded:
    usage: dict[str, object] = {"output_tokens": answer.tokens_out}
    if answer.tokens_in is not None:
        usage["input_tokens"] = answer.tokens_in
    if answer.estimated:
        usage["estimated"] = True
    result = {"data": answer.data, "finish_reason": answer.finish_reason, "usage": usage, "made_by": answer.made_by}
    return Succeeded(READY, result, answer.seconds, answer.tokens_in or 0, answer.tokens_out)


def _dropped(run: Run) -> Outcome:
    """What a dropped run comes to: its request is dropped with it. A server that ends gives it back as if it had not
    started: repeating it harms nobody."""
    if run.drop_reason == "interrupted":
        return Returned(NOT_STARTED)
    return Aborted(ABORTED_CODES.get(run.drop_reason or "", "user_canceled"))
