"""What a batch is and does, told a second time in plain Python, for the histories to compare a store with."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from covey.domain.batch import Counts, StopReason
from covey.domain.run import Aborted, Blame, Failed, Outcome, Retry, Returned, Succeeded
from covey.domain.usage import Prices

PRICES = Prices(item=1, second=2, token_out=0.5)
COST = 5
"""What one item costs that succeeded."""


class What(StrEnum):
    """What a run comes to; `lost`: its worker died with it."""

    good = "good"
    bad = "bad"
    down = "down"
    retry = "retry"
    returned = "returned"
    not_started = "not_started"
    aborted = "aborted"
    lost = "lost"


def outcome(what: What, now: datetime) -> Outcome:
    """The outcome that a runner would answer."""
    outcomes: dict[What, Outcome] = {
        What.good: Succeeded("good", {}, 1.5, 10, 2),
        What.bad: Failed("bad", "No"),
        What.down: Failed("down", "503", blame=Blame.either),
        What.retry: Retry(now + timedelta(seconds=5), Failed("busy", "Number busy")),
        What.returned: Returned("no_route"),
        What.not_started: Returned("not_started"),
        What.aborted: Aborted("aborted"),
    }
    return outcomes[what]


@dataclass
class ModelItem:
    """An item; `due` is the earliest time of its next start, `code` what its end goes by."""

    ref: str | None
    state: str = "waiting"
    attempt: int = 0
    tries: int = 0
    returns: int = 0
    losses: int = 0
    due: datetime | None = None
    code: str | None = None
    worker: str | None = None
    dropped: bool = False


@dataclass
class ModelBatch:
    """A batch and its items."""

    id: str
    items: list[ModelItem]
    max_tries: int
    exclusive: bool
    repeatable: bool
    cap: int | None
    start_at: datetime | None
    expires_at: datetime | None
    max_cost: int | None = None
    run_cost: int = 0
    spent: int = 0
    paused: bool = False
    stopped: StopReason | None = None
    aborted: bool = False
    canceled_by_stop: set[int] = field(default_factory=set)

    def count(self, state: str) -> int:
        return sum(item.state == state for item in self.items)

    @property
    def open(self) -> bool:
        return self.stopped is None and bool(self.count("waiting") + self.count("active"))

    def agrees(self, counts: Counts) -> bool:
        """Whether a store's counts are those of the items here."""
        states = ("waiting", "active", "succeeded", "failed", "canceled")
        return counts.spent == self.spent and all(getattr(counts, state) == self.count(state) for state in states)

    @property
    def reserved(self) -> int:
        return self.run_cost * self.count("active")

    @property
    def broke(self) -> bool:
        """Nothing is active, and what is left does not pay for one more."""
        short = self.max_cost is not None and self.run_cost > self.max_cost - self.spent
        return self.open and short and not self.count("active")

    def charge(self) -> None:
        """One more item succeeded; it is active no more."""
        cost = COST
        if self.max_cost is not None:
            cost = min(cost, self.run_cost, self.max_cost - self.spent - self.reserved)
        self.spent += cost

    def stop(self, reason: StopReason, *, abort: bool) -> None:
        """What waits is canceled, for good; the first reason stays."""
        if self.open:
            self.stopped = reason
            for seq, item in enumerate(self.items):
                if item.state == "waiting":
                    item.state = "canceled"
                    self.canceled_by_stop.add(seq)
        self.aborted |= abort and bool(self.count("active"))

    def end(self, seq: int, what: What, now: datetime, *, lane_works: bool) -> None:
        """What follows from each outcome, as `covey.domain.run` says."""
        item = self.items[seq]
        aborted = self.aborted or item.dropped
        item.worker, item.dropped = None, False
        match what:
            case What.good:
                self._close(item, "succeeded", "good")
                self.charge()
            case What.bad | What.down:
                self._close(item, "failed", what.value)
            case What.retry:
                self._retry(item, now, aborted=aborted)
            case What.returned | What.not_started:
                self._give_back(item, what, now, lane_works=lane_works, aborted=aborted)
            case What.aborted:
                self._close(item, "canceled", "aborted", tried=0)
            case What.lost:
                self._lose(item, now, aborted=aborted)

    @staticmethod
    def _close(item: ModelItem, state: str, code: str, tried: int = 1) -> None:
        item.state, item.code, item.due = state, code, None
        item.tries += tried

    @staticmethod
    def _defer(item: ModelItem, due: datetime) -> None:
        item.state, item.due = "waiting", due

    def _retry(self, item: ModelItem, now: datetime, *, aborted: bool) -> None:
        if aborted:
            self._close(item, "canceled", "busy")
        elif self.stopped or item.tries + 1 >= self.max_tries:
            self._close(item, "failed", "busy")
        else:
            item.tries += 1
            self._defer(item, now + timedelta(seconds=5))

    def _give_back(self, item: ModelItem, what: What, now: datetime, *, lane_works: bool, aborted: bool) -> None:
        if self.stopped or aborted:
            self._close(item, "canceled", "no_route" if what is What.returned else "not_started", tried=0)
            return
        if what is What.not_started:
            self._defer(item, now)
            return
        item.returns += lane_works
        if item.returns == 3:
            self._close(item, "failed", "provider_error", tried=0)
        else:
            self._defer(item, now + timedelta(seconds=2))

    def _lose(self, item: ModelItem, now: datetime, *, aborted: bool) -> None:
        if not self.repeatable:
            self._close(item, "failed", "outcome_unknown")
        elif self.stopped or aborted:
            self._close(item, "canceled", "worker_lost", tried=0)
        elif item.losses == 2:
            self._close(item, "failed", "worker_lost")
        else:
            item.losses += 1
            self._defer(item, now)
