"""The lives of a process's workers, and what each of them thinks of all the others."""

import time
from collections.abc import Callable
from typing import Any

import structlog

from covey.domain.errors import Conflict, Unavailable
from covey.domain.liveness import FREE_SECONDS, Look, Observer, Verdict
from covey.store.operations.database import Database
from covey.store.postgres.life import LOCK_CLASS, Life

log = structlog.get_logger(__name__)


class Lives:
    """What a store knows of who is alive. It is only as good as how often `dead_workers` is asked."""

    def __init__(
        self,
        url: str,
        heard: Callable[[str], None] = lambda hint: None,
        *,
        free_seconds: float = FREE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`url` leads to PostgreSQL itself; `heard` as for `Life.begin`; `free_seconds` as for `Observer`."""
        self._url = url
        self._heard = heard
        self._free_seconds = free_seconds
        self._monotonic = monotonic
        self._lives: dict[str, tuple[Life, Observer]] = {}

    async def begin(self, worker: str) -> Life:
        """Begin a worker's life. Raises StoreError behind a pooler, Unavailable without a database."""
        life = await Life.begin(self._url, worker, heard=self._heard, monotonic=self._monotonic)
        self._lives[worker] = life, Observer(worker, self._free_seconds)
        return life

    async def end(self, worker: str) -> None:
        """End a worker's session, if it has one here. Unless its row says that it is dead, others will soon."""
        life, _ = self._lives.pop(worker, (None, None))
        if life is not None:
            await life.end()

    async def close(self) -> None:
        """End all lives."""
        for worker in list(self._lives):
            await self.end(worker)

    def life(self, worker: str) -> Life | None:
        """The life of a worker of this process."""
        return self._lives.get(worker, (None, None))[0]

    def check(self, worker: str) -> None:
        """Whether a worker may claim as far as is known here; the database itself looks at its row.

        Raises Conflict `worker_gone` for one that was given up, Unavailable for one whose beats are not answered.
        """
        life = self.life(worker)
        if life is not None and life.gone:
            raise Conflict("This worker was given up", code="worker_gone")
        if life is not None and not life.fresh:
            raise Unavailable("the database has not answered this worker's beats lately")
        if life is not None and life.session_since is None:
            raise Unavailable("this worker's lock session is lost")
        if life is not None and life.settling:
            raise Unavailable("the database is back: everybody compares what is in their hands first")

    async def dead_workers(self, me: str, database: Database) -> list[str]:
        """See `Liveness.dead_workers`. `database` is one READ COMMITTED transaction."""
        declared = await self._declare(me, database) if me in self._lives else []
        to_settle = [row[0] for row in await database.rows("lives_to_settle", {"me": me})]
        return list(dict.fromkeys([*declared, *to_settle]))

    async def _declare(self, me: str, database: Database) -> list[str]:
        """Look at all workers once; those that are now declared dead."""
        verdict, beats = await self._look(me, database)
        for worker in verdict.frozen:
            if await database.rows("lives_end_session", _of(worker, beats)):
                log.warning("a worker stands still: its lock session was ended", worker=worker)
        declared = []
        for worker in verdict.dead:
            seen = {**_of(worker, beats), "me": me}
            if await database.rows("lives_hold", seen) and await database.rows("lives_dead", seen):
                log.warning("a worker is dead", worker=worker)
                declared.append(worker)
        return declared

    async def _look(self, me: str, database: Database) -> tuple[Verdict, dict[str, int]]:
        """The verdict of one look, and the beats it saw. Who cannot beat himself judges nobody: what is wrong with the
        others may be wrong with the database."""
        life, observer = self._lives[me]
        asked = self._monotonic()
        rows = await database.named("lives_look", {"class": LOCK_CLASS})
        at = self._monotonic()
        looks = [Look(row.id, bool(row.held), row.beat_age / 1e6) for row in rows]
        verdict = observer.look(looks, at, life.session_since if life.fresh else None, at - asked)
        return verdict, {row.id: row.beat_at for row in rows}


def _of(worker: str, beats: dict[str, int]) -> dict[str, Any]:
    return {"class": LOCK_CLASS, "worker": worker, "beat_at": beats[worker]}
