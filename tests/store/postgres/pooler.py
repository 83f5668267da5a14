"""What may stand between a process and PostgreSQL: a far side that answers with another server process's number, and
one that swallows everything."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ...postgres_server import free_port, unprivileged

BACKEND_KEY_DATA = b"K"
START_SECONDS = 20.0


class Proxy:
    """Passes bytes on between clients and the server of a URL. `rename` tells clients of another backend than
    theirs, as a pooler does; while `swallow` is set nothing passes either way, not even that one side is gone."""

    def __init__(self, url: str, *, rename: bool = False) -> None:
        given = conninfo_to_dict(url)
        self._host, self._port = str(given["host"]), int(given.get("port") or 5432)
        self._rename = rename
        self._tasks: set[asyncio.Task[None]] = set()
        self.swallow = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        server_reader, server_writer = await self._connected()
        back = self._renamed if self._rename else self._passed
        ways = [
            asyncio.create_task(self._passed(reader, server_writer)),
            asyncio.create_task(back(server_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if self.swallow:
                await asyncio.Event().wait()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            server_writer.close()
            writer.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._host.startswith("/"):
            return await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        return await asyncio.open_connection(self._host, self._port)

    async def _passed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while some := await reader.read(1 << 16):
            if not self.swallow:
                writer.write(some)

    async def _renamed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Message by message: a type, the length of what follows with itself, and what follows."""
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(5)
                body = await reader.readexactly(int.from_bytes(head[1:]) - 4)
                if head[:1] == BACKEND_KEY_DATA:
                    body = (int.from_bytes(body[:4]) ^ 1).to_bytes(4) + body[4:]
                writer.write(head + body)

    async def end(self) -> None:
        """Cut everybody off."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def proxied(url: str, *, rename: bool = False) -> AsyncIterator[tuple[Proxy, str]]:
    """A proxy before the server of a URL, and the URL of the same database by way of it, in clear."""
    proxy = Proxy(url, rename=rename)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy, make_conninfo(url, host="127.0.0.1", port=port, sslmode="disable", gssencmode="disable")
    finally:
        listener.close()
        await proxy.end()


@contextlib.asynccontextmanager
async def pgbouncer(url: str, mode: str) -> AsyncIterator[str]:
    """A PgBouncer before a database; its URL."""
    given, port = conninfo_to_dict(url), free_port()
    login = " ".join(
        f"{name}={given[name]}" for name in ("host", "port", "dbname", "user", "password") if name in given
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        config = Path(folder) / "pgbouncer.ini"
        config.write_text(
            f"[databases]\nd = {login}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
            f"unix_socket_dir =\nauth_type = any\npool_mode = {mode}\n"
        )
        process = await asyncio.create_subprocess_exec(
            "pgbouncer", str(config), stderr=asyncio.subprocess.PIPE, **unprivileged()
        )
        assert process.stderr is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                while b"process up" not in await process.stderr.readline():
                    assert process.returncode is None
            yield f"postgresql://{given['user']}@127.0.0.1:{port}/d"
        finally:
            process.kill()
            await process.communicate()
