"""`python -m covey.calls.trunks.demo`: the demo phones as a process. Its first line on stdout is JSON with its port."""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from covey.calls.trunks.demo.phones import DemoPhones, DemoPhonesSettings
from covey.logging import setup_logging

_LAST_CALLS_SECONDS = 3.0
"""How long the phones outlive their parent, to see how their callers leave."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="covey.calls.trunks.demo", description="Phones to call, on loopback")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="the SIP port (default: any free one)")
    parser.add_argument("--log", type=Path, help="write what the phones saw to this file, one JSON object a line")
    parser.add_argument("--audio", type=Path, help="keep what the phones heard in this folder, as WAV")
    parser.add_argument("--seed", type=int, default=0, help="for how long each phone rings")
    parser.add_argument("--ring", type=float, help="seconds every phone rings, instead of 0.3 to 1")
    parser.add_argument("--answer-all", type=int, metavar="CODE", help="refuse everybody with this code")
    parser.add_argument("--swallow", action="store_true", help="take every INVITE and answer nothing")
    parser.add_argument("--silent", type=float, default=0.0, help="seconds in which no INVITE is answered at all")
    parser.add_argument("--broken", action="append", default=[], metavar="NUMBER", help="answers 503, always")
    parser.add_argument("--lifeline", type=int, metavar="FD", help="end when this inherited pipe is closed")
    return parser.parse_args()


async def _main() -> None:
    arguments = vars(_arguments())
    setup_logging()
    lifeline = arguments.pop("lifeline")
    farm = DemoPhones(DemoPhonesSettings(**{**arguments, "broken": frozenset(arguments["broken"])}))
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    orphaned = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    if lifeline is not None:
        loop.add_reader(lifeline, _read, lifeline, stopped, orphaned)
    await farm.start()
    sys.stdout.write(json.dumps({"host": farm.host, "port": farm.port, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    await stopped.wait()
    if orphaned.is_set():
        await farm.last_calls(_LAST_CALLS_SECONDS)
    await farm.stop()


def _read(lifeline: int, stopped: asyncio.Event, orphaned: asyncio.Event) -> None:
    if not os.read(lifeline, 1):
        asyncio.get_running_loop().remove_reader(lifeline)
        orphaned.set()
        stopped.set()


if __name__ == "__main__":
    asyncio.run(_main())
