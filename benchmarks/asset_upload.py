"""Asset upload: 200 MB go up in one form, with and without a length; what the server holds in memory meanwhile.

    python -m benchmarks asset_upload

Memory is the sum over the server's whole process tree of what each process holds (PSS), sampled ten times a second.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2

from benchmarks.serving import ServerProcess, served
from benchmarks.upload import memory, sample_memory

BYTES = 200 * 1000**2 - 1000
PIECE = b"x" * 65536
SETTINGS = '[trunks.simulated]\nkind = "simulated"\n[calls]\ndefault_trunk = "simulated"\n'


async def form() -> AsyncIterator[bytes]:
    """A form with a large file that begins like a video."""
    yield b'--xx\r\nContent-Disposition: form-data; name="method"\r\n\r\ndirect\r\n--xx\r\n'
    yield b'Content-Disposition: form-data; name="file"; filename="big.mp4"\r\n\r\n\0\0\0\x20ftypisom'
    for _ in range(BYTES // len(PIECE)):
        yield PIECE
    yield b"\r\n--xx--\r\n"


@dataclass(frozen=True, slots=True)
class Measured:
    """An upload: its seconds, and the megabytes that the server's processes held before it and at most."""

    seconds: float
    idle: float
    peak: float


async def measure(server: ServerProcess, length: bool) -> Measured:
    """Measure one upload, from its first byte to its answer."""
    peaks: list[float] = []
    done = asyncio.Event()
    headers = {"content-type": "multipart/form-data; boundary=xx"}
    if length:
        headers["content-length"] = str(sum([len(piece) async for piece in form()]))
    covey = server.client()
    async with covey, httpx2.AsyncClient(timeout=600) as http:
        headers["x-api-key"] = covey.profile.api_key
        idle = memory(server.pid)
        sampling = asyncio.create_task(sample_memory(server, peaks, done))
        began = time.monotonic()
        answer = await http.post(f"{server.url}/v1.3/assets", content=form(), headers=headers)
        seconds = time.monotonic() - began
        answer.raise_for_status()
    done.set()
    await sampling
    return Measured(seconds, idle, max(peaks))


async def measured(folder: Path, length: bool) -> Measured:
    """Measure one upload to a server that has just started."""
    async with served(folder, SETTINGS) as server:
        await asyncio.sleep(1)
        return await measure(server, length)


async def run(folder: Path) -> None:
    """Upload twice, each time to a new server; print the figures."""
    for length in (True, False):
        one = await measured(folder / str(length), length)
        how = "with a length" if length else "in chunks"
        print(
            f"{BYTES / 1e6:.0f} MB {how}: {one.seconds:.1f} s, peak {one.peak:.0f} MB, idle before {one.idle:.0f} MB, "
            f"so {one.peak - one.idle:.0f} MB of the upload"
        )


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        asyncio.run(run(Path(name).absolute()))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
