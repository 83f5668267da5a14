"""The demo trunk: the SIP trunk itself, pointed at phones it starts on loopback. Nobody real can be rung by it."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import structlog

from covey.calls.call import CallEnd, CallOrder, CallReport, CallWatch, Recognize
from covey.calls.trunks.demo.behaviours import is_demo_number
from covey.calls.trunks.settings import SipSettings
from covey.calls.trunks.sip import LONGEST_PAUSE, SipTrunk
from covey.processes.start import start_process

logger = structlog.get_logger()

START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 6.0


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """The demo trunk: its channels, and where its phones write down what they saw and heard (None: nowhere).

    `port` is that of phones that run already; with None the trunk starts its own.
    """

    name: str = "demo"
    channels: int = 40
    host: str = "127.0.0.1"
    port: int | None = None
    log: Path | None = None
    audio: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not ip_address(self.host).is_loopback:
            raise ValueError(f"the demo trunk stays on loopback; {self.host} is not")


class DemoTrunk(SipTrunk):
    """A trunk to the demo phones. It places calls to the fictional numbers only."""

    def __init__(
        self,
        settings: DemoSettings,
        recognize: Recognize,
        keep_open: Sequence[int] = (),
        *,
        open_calls: Path | None = None,
        on_restart: Callable[[], None] = lambda: None,
    ) -> None:
        """As `SipTrunk`."""
        sip = SipSettings(
            name=settings.name,
            host=settings.host,
            port=settings.port or 0,
            channels=settings.channels,
            local_address=settings.host,
            live=False,
        )
        super().__init__(sip, recognize, keep_open, open_calls=open_calls, on_restart=on_restart)
        self._demo = settings
        self._farm: asyncio.subprocess.Process | None = None
        self._lifeline: int | None = None
        self._caretaker: asyncio.Task[None] | None = None

    @property
    def phones(self) -> int | None:
        """The process id of the phones; None if they are not ours or do not run."""
        return self._farm.pid if self._farm is not None and self._farm.returncode is None else None

    async def start(self) -> None:
        """Start the phones, then the diallers; phones that die are replaced, and the diallers with them.

        Raises RuntimeError if the phones do not come up; then nothing runs.
        """
        try:
            await self._open()
        except BaseException:
            await self.stop()
            raise
        if self._farm is not None and self._caretaker is None:
            self._caretaker = asyncio.get_running_loop().create_task(self._take_care(self._farm))

    async def place(self, order: CallOrder, watch: CallWatch) -> CallReport:
        """Place a call to a demo phone; any other number is refused before a dialler sees it."""
        if not is_demo_number(order.number):
            return CallReport(CallEnd.invalid_number, datetime.now(UTC), text="not one of the demo phones' numbers")
        return await super().place(order, watch)

    async def stop(self) -> None:
        """End every call, then the phones."""
        caretaker, self._caretaker = self._caretaker, None
        if caretaker is not None:
            caretaker.cancel()
            await asyncio.gather(caretaker, return_exceptions=True)
        await super().stop()
        await self._stop_phones()

    async def _open(self) -> None:
        if self._demo.port is None and self._farm is None:
            self._settings = replace(self._settings, port=await self._start_phones())
        await super().start()

    async def _take_care(self, farm: asyncio.subprocess.Process) -> None:
        """Replace phones that die. The new ones have another port, so the diallers are replaced as well."""
        while True:
            await farm.wait()
            logger.error("demo_phones_died", pid=farm.pid, status=farm.returncode)
            farm = await self._open_again()

    async def _open_again(self) -> asyncio.subprocess.Process:
        while True:
            await super().stop()
            await self._stop_phones()
            try:
                await self._open()
            except (RuntimeError, OSError) as error:
                logger.error("demo_phones_not_replaced", error=str(error), next_in=LONGEST_PAUSE)
                await asyncio.sleep(LONGEST_PAUSE)
            else:
                assert self._farm is not None
                return self._farm

    async def _stop_phones(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        if self._farm is not None:
            try:
                await asyncio.wait_for(self._farm.wait(), STOP_SECONDS)
            except TimeoutError:
                self._farm.kill()
                await self._farm.wait()
            self._farm = None

    async def _start_phones(self) -> int:
        """Start the farm; answers its port. It ends when our end of its lifeline is closed, by us or by our death."""
        theirs, self._lifeline = os.pipe()
        command = ["-m", "covey.calls.trunks.demo", "--host", self._demo.host]
        command += ["--lifeline", str(theirs), "--seed", str(self._demo.seed)]
        command += ["--log", str(self._demo.log)] if self._demo.log else []
        command += ["--audio", str(self._demo.audio)] if self._demo.audio else []
        try:
            self._farm = await start_process(
                sys.executable,
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=(theirs,),
                start_new_session=True,
            )
        finally:
            os.close(theirs)
        assert self._farm.stdout is not None
        with contextlib.suppress(ValueError, KeyError, TimeoutError):
            line = await asyncio.wait_for(self._farm.stdout.readline(), START_SECONDS)
            return int(json.loads(line)["port"])
        raise RuntimeError("The demo phones did not start")
