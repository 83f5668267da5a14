"""The demo's own server: a fresh folder, a workspace and a key in it, a child process, and its end."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from covey import private
from covey.cli.local.folder import DATABASE
from covey.client import CoveyClient, Profile, Unreachable, save_profile
from covey.client.errors import CoveyClientError

START_SECONDS = 60.0
STOP_SECONDS = 15.0
LOG_LINES = 20

SETTINGS = """\
# Of the demo. The trunk rings the demo phones on this machine and nothing else.
host = "127.0.0.1"
port = {port}
data = {data}
drain_seconds = 0

[trunks.demo]
kind = "demo"
ring_seconds = 15.0
"""


class DemoFailed(CoveyClientError):
    """The demo cannot go on."""


@dataclass(frozen=True, slots=True)
class DemoServer:
    """Where the demo lives."""

    folder: Path
    profile: Profile
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def profile_file(self) -> Path:
        return self.folder / "profile.toml"

    def ended(self) -> DemoFailed | None:
        """Why the server is no more, None while it lives."""
        if self.process.poll() is None:
            return None
        tail = "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-LOG_LINES:])
        return DemoFailed(f"The server ended with code {self.process.returncode}. Its log, {self.log}, ends:\n{tail}")


@asynccontextmanager
async def running(*, keep: bool) -> AsyncIterator[DemoServer]:
    """A server on a fresh folder that is ready. It is ended on the way out, unless all went well and `keep`."""
    folder = fresh_folder()
    demo = await _start(folder, keep=keep)
    try:
        await _until_ready(demo)
        yield demo
    except BaseException:
        await stop(demo)
        raise
    if not keep:
        await stop(demo)


def fresh_folder() -> Path:
    """A new folder below ./demo-data, or below the system's temporary folder if that cannot be written."""
    name = f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{os.getpid()}"
    folder = Path("demo-data").absolute() / name
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="covey-demo-"))
    return folder


async def _start(folder: Path, *, keep: bool) -> DemoServer:
    port = _free_port(8000 if keep else 0)
    settings = folder / "covey.toml"
    private.write_text(settings, SETTINGS.format(port=port, data=json.dumps(str(folder))))
    profile = await _open_account(folder, f"http://127.0.0.1:{port}")
    save_profile(profile, folder / "profile.toml")
    command = [sys.executable, "-m", "covey.cli.demo.server", str(settings), *([] if keep else ["--with-parent"])]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220, S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=own_environment(os.environ),
            start_new_session=True,
        )
    return DemoServer(folder, profile, process)


def own_environment(environment: "os._Environ[str] | dict[str, str]") -> dict[str, str]:
    """The environment without anything that would set the server."""
    return {name: value for name, value in environment.items() if not name.upper().startswith("COVEY_")}


async def _open_account(folder: Path, url: str) -> Profile:
    from covey.cli.local.accounts import OnDatabase
    from covey.domain.clock import SystemClock
    from covey.store.sqlite import SqliteStore

    store = SqliteStore(folder / DATABASE, SystemClock())
    await store.open()
    try:
        accounts = OnDatabase(store)
        workspace = await accounts.create_workspace("demo")
        key = await accounts.create_key(workspace["id"], "operate", "demo", None)
    finally:
        await store.close()
    return Profile(url, key["secret"], workspace["id"])


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return _free_port(0)
        return int(probe.getsockname()[1])


async def _until_ready(demo: DemoServer) -> None:
    async with CoveyClient(demo.profile, attempts=1) as client, asyncio.timeout(START_SECONDS):
        while True:
            trouble = demo.ended()
            if trouble is not None:
                raise trouble
            with suppress(Unreachable):
                if await client.ready():
                    return
            await asyncio.sleep(0.1)


async def stop(demo: DemoServer) -> None:
    """End the server, whatever it does, and wait for it. Calls that are active are hung up."""
    if demo.process.poll() is not None:
        return
    demo.process.terminate()
    if not await _gone(demo, STOP_SECONDS):
        demo.process.kill()
        demo.process.wait()


async def _gone(demo: DemoServer, seconds: float) -> bool:
    try:
        await asyncio.wait_for(asyncio.to_thread(demo.process.wait, seconds), seconds + 1)
    except (subprocess.TimeoutExpired, TimeoutError):
        return False
    return True
