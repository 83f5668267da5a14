"""A server with hardly any files to open, while strangers hold connections that never become a request."""

import asyncio
import contextlib
import socket
from pathlib import Path

from benchmarks.serving import AGENT, ServerProcess, write_csv

from covey.client import StartOptions

FILES = 64
SETTINGS = (
    '[calls]\ndefault_trunk = "simulated"\n[trunks.simulated]\nkind = "simulated"\nspeed = 20.0\n'
    "channels = 40\ncalls_per_second = 20\n"
)


def connections(pid: int) -> int:
    """How many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_with_few_files_calls_and_api_go_on_beside_strangers(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, SETTINGS, files=FILES)
    await server.start()
    port = int(server.url.rsplit(":", 1)[1])
    try:
        async with server.client() as covey:
            agent = await covey.agents.create(AGENT)
            with contextlib.ExitStack() as stack:
                for n in range(300):  # From three addresses, so that it is not the limit of one that holds.
                    line = stack.enter_context(socket.socket())
                    line.bind((f"127.0.0.{2 + n % 3}", 0))
                    line.connect(("127.0.0.1", port))
                most = 0
                people = write_csv(tmp_path / "people.csv", [f"+1202{2_000_000 + n}" for n in range(60)])
                batch = (await covey.batches.start(people, agent.id, StartOptions())).batch_id
                async with asyncio.timeout(100):
                    while not (await covey.batches.get(batch)).is_complete:
                        most = max(most, connections(server.pid))
                        await asyncio.sleep(0.05)
                assert most < FILES
    finally:
        await server.stop()
    log = (tmp_path / "server.log").read_text()
    assert "Too many open files" not in log
    assert '"level":"error"' not in log
