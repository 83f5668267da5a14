"""One execution of an item: what a claim hands out, what a runner answers, and what that makes of the item.

`decide` is the outcome table of the engine. Every store asks it, so both databases decide alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, assert_never

Json = Mapping[str, Any]

START_LEASE_SECONDS = 0.5
"""How long a claim allows a start, counted from before the worker asked. A stop does not wait for workers that do not
answer: this is the time after which nothing that they were handed can start any more."""

MAX_RETURNS = 3
MAX_LOSSES = 3
RETURN_DELAYS = (timedelta(seconds=2), timedelta(seconds=10), timedelta(seconds=30))
OURS_DELAY = timedelta(seconds=5)

NOT_STARTED = "not_started"
OUTCOME_UNKNOWN = "outcome_unknown"
PROVIDER_ERROR = "provider_error"
WORKER_LOST = "worker_lost"
DO_NOT_CALL = "do_not_call"


class RunState(StrEnum):
    """How a run ended. A run that ended `retried` or `returned` was not its item's last."""

    succeeded = "succeeded"
    failed = "failed"
    canceled = "canceled"
    retried = "retried"
    returned = "returned"


class Blame(StrEnum):
    """What a failure tells about its lane: that it works (`item`), that it may be broken (`either`), or `nothing`."""

    item = "item"
    either = "either"
    nothing = "nothing"


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The work was done. `code` names the kind of success, `seconds` is what averages count. Usage counts `charged`
    seconds (None: the same), and the tokens where somebody reported them."""

    code: str
    result: Json = field(default_factory=dict)
    seconds: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    charged: float | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The far side was reached, or may have been, and the work was not done.

    `message` is a sentence for a person.
    """

    code: str
    message: str
    result: Json = field(default_factory=dict)
    blame: Blame = Blame.item


INTERNAL_ERROR = Failed("internal_error", "Something went wrong inside the server", blame=Blame.nothing)
"""What a run comes to when the runner or the server itself broke."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again at `at`, as long as tries are left; `otherwise` is what holds when none is."""

    at: datetime
    otherwise: Succeeded | Failed


@dataclass(frozen=True, slots=True)
class Returned:
    """Nobody was reached: the item goes back, and no try is used. With `ours` the cause is known to be this server's
    own (its network, its disk, its storage), and the return is never counted against the item."""

    code: str
    message: str = ""
    blame: Blame = Blame.nothing
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Aborted:
    """The run was dropped on demand before it reached anybody."""

    code: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker died with the run in its hands. Only settling says this, never a runner."""


Outcome = Succeeded | Failed | Retry | Returned | Aborted
"""What a runner answers for one run."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that came to its end in a worker, to be written down.

    `attempt` is the fence. `started_at` is the moment the far side was first addressed, None if it never was.
    """

    batch: str
    seq: int
    attempt: int
    outcome: Outcome
    started_at: datetime | None
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an active run says it is: `done` of `whole`, in its runner's unit."""

    batch: str
    seq: int
    attempt: int
    done: float
    whole: float


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run handed to a worker. `start_at` is its own start time on the store's clock."""

    seq: int
    attempt: int
    tries: int
    custom_id: str | None
    ref: str | None
    input: bytes
    start_at: datetime


@dataclass(frozen=True, slots=True)
class ClaimedRuns:
    """What one claim took, all of one batch. `now` is the store's clock at the claim; `config` is JSON. `slack` is how
    late a start may be (None: as late as the start lease allows)."""

    batch: str
    workspace: str
    kind: str
    lane: str
    config: bytes
    now: datetime
    runs: tuple[Claimed, ...]
    slack: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ItemBudget:
    """What the table must know about an item and its batch. `aborted`: its run, or all of the batch's, is to end now.

    `tries`, `returns` and `losses` are what was spent before this outcome; `lane_works` is whether the lane worked for
    others lately.
    """

    stopped: bool
    aborted: bool
    repeatable: bool
    tries: int
    max_tries: int
    returns: int
    losses: int
    lane_works: bool


@dataclass(frozen=True, slots=True)
class End:
    """The item ends here, in `state`. `tried` says whether this run used a try: it may have reached the far side."""

    state: RunState
    code: str
    message: str = ""
    result: Json = field(default_factory=dict)
    seconds: float = 0.0
    tried: bool = True
    tokens_in: int = 0
    tokens_out: int = 0
    charged: float = 0.0


@dataclass(frozen=True, slots=True)
class Defer:
    """The item is to start again at `at` (None: at once), with these budgets spent.

    The run that led here is written down as `state`, unless it reached nobody and is not worth a row (None).
    """

    at: datetime | None
    reason: str
    state: RunState | None
    tries: int
    returns: int
    losses: int
    message: str = ""
    result: Json = field(default_factory=dict)


Decision = End | Defer


def decide(outcome: Outcome | Lost, standing: ItemBudget, now: datetime) -> Decision:
    """The outcome table: what `outcome` makes of an item with this `standing`."""
    match outcome:
        case Succeeded() | Failed():
            return _ended(outcome)
        case Retry():
            return _retried(outcome, standing)
        case Returned():
            return _returned(outcome, standing, now)
        case Aborted():
            return End(RunState.canceled, outcome.code, tried=False)
        case Lost():
            return _lost(standing)
        case _:
            assert_never(outcome)


def _ended(outcome: Succeeded | Failed) -> End:
    if isinstance(outcome, Succeeded):
        charged = outcome.seconds if outcome.charged is None else outcome.charged
        used = (outcome.seconds, True, outcome.tokens_in, outcome.tokens_out, charged)
        return End(RunState.succeeded, outcome.code, "", outcome.result, *used)
    return End(RunState.failed, outcome.code, outcome.message, outcome.result)


def _retried(outcome: Retry, standing: ItemBudget) -> Decision:
    final = _ended(outcome.otherwise)
    if standing.aborted:
        return End(RunState.canceled, final.code, final.message, final.result)
    tries = standing.tries + 1
    if standing.stopped or tries >= standing.max_tries:
        return final
    return Defer(
        outcome.at, final.code, RunState.retried, tries, standing.returns, standing.losses, final.message, final.result
    )


def _returned(outcome: Returned, standing: ItemBudget, now: datetime) -> Decision:
    if standing.stopped or standing.aborted:
        return End(RunState.canceled, outcome.code, outcome.message, tried=False)
    if outcome.code == NOT_STARTED:
        return Defer(None, NOT_STARTED, None, standing.tries, standing.returns, standing.losses)
    returns = standing.returns + (standing.lane_works and not outcome.ours)
    if returns >= MAX_RETURNS:
        return End(RunState.failed, PROVIDER_ERROR, outcome.message, tried=False)
    at = now + (OURS_DELAY if outcome.ours else RETURN_DELAYS[max(0, returns - 1)])
    return Defer(at, outcome.code, RunState.returned, standing.tries, returns, standing.losses, outcome.message)


def _lost(standing: ItemBudget) -> Decision:
    if not standing.repeatable:
        return End(RunState.failed, OUTCOME_UNKNOWN, "The server stopped during the run; what came of it is not known")
    if standing.stopped or standing.aborted:
        return End(RunState.canceled, WORKER_LOST, tried=False)
    losses = standing.losses + 1
    if losses >= MAX_LOSSES:
        return End(RunState.failed, WORKER_LOST, f"The worker was lost {losses} times with this item in its hands")
    return Defer(None, WORKER_LOST, RunState.returned, standing.tries, standing.returns, losses)
