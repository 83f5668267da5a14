"""Who is alive, judged from looks at the workers' locks and beats. No database and no clock: both are told.

A worker holds a lock for as long as its process lives, and beats once a second while its loops turn. An observer is
a worker itself: it looks at all of them again and again, and says which are dead and which are frozen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LOOK_SECONDS = 0.5
"""How often an observer looks."""

GAP_SECONDS = 1.5
"""So long between two looks means that the observer stood still itself, or its database did: it counts anew."""

FREE_SECONDS = 2.0
"""A lock that was free at every look for so long has no owner …"""

RETURN_SECONDS = 30.0
"""… if the observer saw it held before, or its own lock has been held for so long: when the database was restarted all
locks are gone at once, and everybody has this time to come back."""

FROZEN_SECONDS = 30.0
"""A lock that is held for so long without a beat belongs to a process that stands still."""


@dataclass(frozen=True, slots=True)
class Look:
    """One worker in one look: whether its lock is held, and the seconds since its last beat by the database's clock."""

    worker: str
    has_lock: bool
    beat_age: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who is dead, and who is frozen: whose session is to be ended, whereupon it dies like any other."""

    dead: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()


class Observer:
    """What one worker remembers of the others. Times are seconds of its own monotonic clock."""

    def __init__(self, me: str, free_seconds: float = FREE_SECONDS) -> None:
        """`me` is the worker that looks; `free_seconds` is how long a lock is free until its owner is dead."""
        self._me = me
        self._patience = free_seconds
        self._session: float | None = None
        self._last: float | None = None
        self._seen_held: set[str] = set()
        self._free: dict[str, float] = {}
        self._silent: dict[str, float] = {}

    def look(self, looks: Sequence[Look], at: float, session: float | None, took: float = 0.0) -> Verdict:
        """Judge by a look that was answered at `at` after `took` seconds.

        `looks` are all workers that are not given up, oneself too; `session` is the moment from which one's own lock
        has been held without a break, None while it is not. A look in which one's own lock is free proves nothing:
        it was made of another life of the database than one's session.
        """
        if session != self._session:
            self._session = session
            self._seen_held.clear()
            self._count_anew()
        if self._last is not None and at - self._last > GAP_SECONDS:
            self._count_anew()
        self._last = at
        if session is None or not any(one.has_lock for one in looks if one.worker == self._me):
            self._count_anew()
            return Verdict()
        others = [one for one in looks if one.worker != self._me]
        self._remember(others, at)
        return self._judge(others, at - took, session)

    def _count_anew(self) -> None:
        self._free.clear()
        self._silent.clear()

    def _remember(self, others: Iterable[Look], at: float) -> None:
        """Note since when each has been free or without a beat at every look.

        The last seconds of a silence must be watched: after the database itself stood still all beats are old.
        """
        others = list(others)
        held = {one.worker for one in others if one.has_lock}
        free = {one.worker for one in others} - held
        silent = {one.worker for one in others if one.has_lock and one.beat_age >= FROZEN_SECONDS - self._patience}
        self._seen_held = (self._seen_held & free) | held
        self._free = {worker: self._free.get(worker, at) for worker in free}
        self._silent = {worker: self._silent.get(worker, at) for worker in silent}

    def _judge(self, others: Iterable[Look], sent_at: float, session: float) -> Verdict:
        everybody_is_back = sent_at - session >= RETURN_SECONDS
        dead, frozen = [], []
        for one in others:
            if self._long_enough(self._free, one, sent_at):
                if everybody_is_back or one.worker in self._seen_held:
                    dead.append(one.worker)
            elif self._long_enough(self._silent, one, sent_at) and one.beat_age >= FROZEN_SECONDS:
                frozen.append(one.worker)
        return Verdict(tuple(dead), tuple(frozen))

    def _long_enough(self, since: dict[str, float], one: Look, sent_at: float) -> bool:
        return one.worker in since and sent_at - since[one.worker] >= self._patience
