"""A trunk in a process of its own, to be killed: `parent.py PORT LOCK CLIP NUMBER ...` calls the numbers and prints a
line for its dialler and one for every call that rings or is answered. Open calls are marked in `open` beside LOCK."""

import asyncio
import sys
import time
from pathlib import Path

from covey.calls.call import CallOrder, Line, Recognition, Script, StartLease, Turn
from covey.calls.trunks.settings import SipSettings
from covey.calls.trunks.sip import SipTrunk


class Printer:
    def dialling(self) -> None:
        pass

    def reached(self) -> None:
        pass

    def ringing(self) -> None:
        print("ringing", flush=True)

    def answered(self) -> None:
        print("answered", flush=True)

    def turn(self, turn: Turn) -> None:
        pass


async def nothing(pcm: bytes, expected: tuple[str, ...]) -> Recognition:
    return Recognition("", 0.0)


async def main(port: str, lock: str, clip: str, *numbers: str) -> None:
    settings = SipSettings("test", "127.0.0.1", int(port), channels=50, local_address="127.0.0.1", live=False)
    with Path(lock).open("w") as held:
        trunk = SipTrunk(settings, nothing, (held.fileno(),), open_calls=Path(lock).with_name("open"))
        await trunk.start()
        print("dialler", trunk.pids[0], flush=True)
        line = Line("line", "line")
        script = Script((line,) * 60, (), line)
        now = time.monotonic()
        orders = [
            CallOrder("b" * 24, f"{at:024x}", 1, number, script, {"line": clip}, StartLease(now, now + 5), 60, 60)
            for at, number in enumerate(numbers)
        ]
        await asyncio.gather(*(trunk.place(order, Printer()) for order in orders))


asyncio.run(main(*sys.argv[1:]))
