"""The demo trunk: the SIP trunk itself, pointed at phones it starts on loopback. Nobody real can be rung by it."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import structlog

from covey.calls.call import CallEnd, CallOrder, CallReport, CallWatch, Recognize
from covey.calls.trunks.demo.behaviours import is_demo_number
from covey.calls.trunks.settings import SipSettings
from covey.calls.trunks.sip import SipTrunk

logger = structlog.get_logger()

START_SECONDS: Final = 20.0


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

    def __init__(self, settings: DemoSettings, recognize: Recognize, keep_open: Sequence[int] = ()) -> None:
        sip = SipSettings(
            name=settings.name,
            host=settings.host,
            port=settings.port or 0,
            channels=settings.channels,
            local_address=settings.host,
            live=False,
        )
        super().__init__(sip, recognize, keep_open)
        self._demo = settings
        self._farm: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None

    async def start(self) -> None:
        """Start the phones, then the diallers. Raises RuntimeError if the phones do not come up."""
        try:
            if self._demo.port is None:
                self._settings = replace(self._settings, port=await self._start_phones())
            await super().start()
        except BaseException:
            await self.stop()
            raise

    async def place(self, order: CallOrder, watch: CallWatch) -> CallReport:
        """Place a call to a demo phone; any other number is refused before a dialler sees it."""
        if not is_demo_number(order.number):
            return CallReport(CallEnd.invalid_number, datetime.now(UTC), text="not one of the demo phones' numbers")
        return await super().place(order, watch)

    async def stop(self) -> None:
        """End every call, then the phones."""
        await super().stop()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        if self._farm is not None:
            await asyncio.to_thread(self._farm.wait)
            assert self._farm.stdout is not None
            self._farm.stdout.close()
            self._farm = None

    async def _start_phones(self) -> int:
        """Start the farm; answers its port. It ends when our end of its lifeline is closed, by us or by our death."""
        theirs, self._lifeline = os.pipe()
        command = [sys.executable, "-m", "covey.calls.trunks.demo", "--host", self._demo.host]
        command += ["--lifeline", str(theirs), "--seed", str(self._demo.seed)]
        command += ["--log", str(self._demo.log)] if self._demo.log else []
        command += ["--audio", str(self._demo.audio)] if self._demo.audio else []
        self._farm = subprocess.Popen(  # noqa: ASYNC220, S603
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pass_fds=(theirs,), start_new_session=True
        )
        os.close(theirs)
        assert self._farm.stdout is not None
        with contextlib.suppress(ValueError, KeyError):
            line = await asyncio.wait_for(asyncio.to_thread(self._farm.stdout.readline), START_SECONDS)
            return int(json.loads(line)["port"])
        raise RuntimeError("The demo phones did not start")
