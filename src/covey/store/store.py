"""What Covey needs of a database, split by role. Each method is one operation in one transaction.

An operation is a function in `operations`, written once for both databases: its docstring says what it does and what it
raises. `tests/conformance` is the specification, and every store passes it. All methods are safe to call from any task.
Errors: `Unavailable` when the database cannot answer (nothing happened, or what happened is found out by asking
again); everything else is named by the operation.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from covey.domain.errors import DatabaseFull
from covey.store import operations
from covey.store.operations.transaction import Database
from covey.store.results import WorkerInfo

P = ParamSpec("P")
T = TypeVar("T")
Operation = Callable[[Database], Coroutine[Any, Any, T]]
"""An operation whose arguments are known."""

Wanted = Callable[Concatenate[Database, P], Coroutine[Any, Any, T]]
"""An operation as it is written."""


class Transactions(ABC):
    """Runs operations, each in one transaction."""

    full = False
    """Whether a write failed for lack of room; until `Store.check_room` finds that there is some again."""

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Around every write: note when there is no room."""
        try:
            yield
        except DatabaseFull:
            self.full = True
            raise

    @abstractmethod
    async def _write(self, operation: Operation[T], *, urgent: bool = False, rows: int = 1) -> T:
        """Run `operation` in a transaction of its own, and return once it is on disk.

        `urgent` ones go first; `rows` is about how many rows it writes.
        """

    @abstractmethod
    async def _read(self, operation: Operation[T]) -> T:
        """Run `operation`, which only reads a few rows, in one snapshot."""

    @abstractmethod
    async def _page(self, operation: Operation[T]) -> T:
        """Run `operation`, which only reads and may take its time, in one snapshot."""


class StoreMethod(Generic[P, T]):
    """A store's method that is made of an operation, with the operation's own signature."""

    def __init__(self, operation: Wanted[P, T]) -> None:
        self._operation = operation
        self.__doc__ = operation.__doc__

    @overload
    def __get__(self, store: None, owner: type) -> Self: ...
    @overload
    def __get__(self, store: Transactions, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, store: Transactions | None, owner: type) -> Self | Callable[P, Coroutine[Any, Any, T]]:
        if store is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
            return self._run(store, lambda database: self._operation(database, *args, **kwargs), args, kwargs)

        return method

    def _run(
        self, store: Transactions, operation: Operation[T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, T]:
        raise NotImplementedError


class write(StoreMethod[P, T]):
    """A method that writes. `urgent` ones go first; `rows` is about how many rows it writes, or the name of the
    parameter that says it, by its value or its length."""

    def __init__(self, operation: Wanted[P, T], *, urgent: bool = False, rows: int | str = 1) -> None:
        super().__init__(operation)
        self._urgent = urgent
        self._rows = rows
        if isinstance(rows, str):
            parameters = list(inspect.signature(operation).parameters.values())[1:]
            self._place = [parameter.name for parameter in parameters].index(rows)
            self._default = parameters[self._place].default

    def _run(
        self, store: Transactions, operation: Operation[T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, T]:
        return store._write(operation, urgent=self._urgent, rows=self._count(args, kwargs))

    def _count(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        if isinstance(self._rows, int):
            return self._rows
        value = args[self._place] if len(args) > self._place else kwargs.get(self._rows, self._default)
        return value if isinstance(value, int) else len(value)


class read(StoreMethod[P, T]):
    """A method that reads a few rows."""

    def _run(
        self, store: Transactions, operation: Operation[T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, T]:
        return store._read(operation)


class page(StoreMethod[P, T]):
    """A method that reads and may take its time: no quick read ever waits behind it."""

    def _run(
        self, store: Transactions, operation: Operation[T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, T]:
        return store._page(operation)


class Drafts(Transactions):
    """Filling a batch: nobody sees or claims a draft until it is accepted."""

    draft = write(operations.drafts.draft)
    append = write(operations.drafts.append, rows="items")
    accept = write(operations.drafts.accept)
    discard = write(operations.drafts.discard)


class Claims(Transactions):
    """Handing items to workers."""

    claim = write(operations.claim.claim, rows="capacity")

    async def time(self) -> datetime:
        """The store's clock, by the quickest question there is."""
        return await self._read(lambda database: database.now())


class Finishes(Transactions):
    """Writing down what becomes of runs."""

    advance = write(operations.lanes.advance, rows="progress")
    finish = write(operations.finish.finish, urgent=True, rows="finished")


class Control(Transactions):
    """What people do to a batch. All but `drop` raise NotFound for a batch that is not the workspace's."""

    stop = write(operations.control.stop, urgent=True)
    pause = write(operations.control.pause, urgent=True)
    resume = write(operations.control.resume, urgent=True)
    adjust = write(operations.control.adjust, urgent=True)
    drop = write(operations.control.drop, urgent=True)
    erase_batch = write(operations.control.erase_batch)


class Liveness(Transactions):
    """Which workers are alive, and what becomes of the runs of those that are not."""

    @abstractmethod
    async def enlist(self, worker: str) -> None:
        """Begin a worker's life."""

    @abstractmethod
    async def retire(self, worker: str) -> None:
        """End a worker's life whose runs are all finished."""

    @abstractmethod
    async def dead_workers(self, me: str) -> list[str]:
        """Workers that are given up and still have something to settle, now declared dead if they were not."""

    @abstractmethod
    async def workers(self) -> list[WorkerInfo]:
        """Every worker that is known, the living first; the dead are forgotten after a while."""

    settle = write(operations.settle.settle, rows=operations.settle.PIECE)
    in_hand = read(operations.lanes.in_hand)
    to_drop = read(operations.lanes.to_drop)


class Lanes(Transactions):
    """The lanes' limits and breakers."""

    put_lane = write(operations.lanes.put_lane)
    lane = read(operations.lanes.lane)
    lanes = read(operations.lanes.lanes)
    open_lane = write(operations.lanes.open_lane)
    close_lane = write(operations.lanes.close_lane)


class Reading(Transactions):
    """Looking. Each method reads one snapshot; batches that are drafts or erased are not there.

    A batch's config and an item's input may have megabytes. What is read `bare` has none: both are `b""` then.
    """

    batch = read(operations.reading.batch)
    batches = page(operations.reading.batches)
    find_fingerprint = read(operations.duplicates.find_fingerprint)
    refs_elsewhere = page(operations.duplicates.refs_elsewhere)
    items = page(operations.reading.items)
    item = read(operations.reading.item)
    recent = read(operations.reading.recent)
    outcomes = read(operations.reading.outcomes)
    history = page(operations.reading.history)
    by_ref = page(operations.reading.by_ref)
    count_by_ref = page(operations.reading.count_by_ref)
    item_totals = page(operations.reading.item_totals)
    recount = page(operations.reading.recount)


class Upkeep(Transactions):
    """What the sweeper does, in pieces, again and again. Each returns how many rows or batches it dealt with."""

    expire = write(operations.upkeep.expire)
    stop_stranded = write(operations.upkeep.stop_stranded)
    sweep_drafts = write(operations.upkeep.sweep_drafts)
    next_erased = read(operations.upkeep.next_erased)
    sweep_erased = write(operations.upkeep.sweep_erased, rows="limit")
    sweep_leftovers = write(operations.upkeep.sweep_leftovers, rows="limit")
    retire_batches = write(operations.upkeep.retire_batches)


class Accounts(Transactions):
    """Workspaces, keys, agents, blocked refs, idempotency."""

    add_workspace = write(operations.accounts.add_workspace)
    add_first = write(operations.accounts.add_first)
    workspace = read(operations.accounts.workspace)
    workspaces = read(operations.accounts.workspaces)
    change_workspace = write(operations.accounts.change_workspace)
    add_key = write(operations.accounts.add_key)
    key_by_digest = read(operations.accounts.key_by_digest)
    keys = read(operations.accounts.keys)
    revoke_key = write(operations.accounts.revoke_key)
    touch_keys = write(operations.accounts.touch_keys)
    put_agent = write(operations.accounts.put_agent)
    agent = read(operations.accounts.agent)
    agents = read(operations.accounts.agents)
    delete_agent = write(operations.accounts.delete_agent)
    block = write(operations.accounts.block, rows="refs")
    unblock = write(operations.accounts.unblock)
    blocked_among = read(operations.accounts.blocked_among)
    blocked = page(operations.accounts.blocked)
    erase_ref = write(operations.accounts.erase_ref)
    begin_answer = write(operations.accounts.begin_answer)
    keep_answer = write(operations.accounts.keep_answer)


class Assets(Transactions):
    """The files that items are about. Those of another workspace are not there."""

    add_asset = write(operations.assets.add_asset)
    asset = read(operations.assets.asset)
    assets_among = page(operations.assets.assets_among)
    assets = page(operations.assets.assets)
    change_asset = write(operations.assets.change_asset)
    annotate_asset = write(operations.assets.annotate_asset)
    delete_asset = write(operations.assets.delete_asset)
    take_over_assets = write(operations.assets.take_over_assets)


class Webhooks(Transactions):
    """Endpoints and deliveries. Deliveries are written in the transaction of what they tell of."""

    put_endpoint = write(operations.endpoints.put_endpoint)
    change_endpoint = write(operations.endpoints.change_endpoint)
    endpoint = read(operations.endpoints.endpoint)
    endpoints = read(operations.endpoints.endpoints)
    delete_endpoint = write(operations.endpoints.delete_endpoint)
    claim_deliveries = write(operations.deliveries.claim_deliveries, rows="limit")
    settle_deliveries = write(operations.deliveries.settle_deliveries, rows="tries")
    delivery = read(operations.deliveries.delivery)
    deliveries = page(operations.deliveries.deliveries)
    send_one_again = write(operations.deliveries.send_one_again)
    _send_chunk_again = write(operations.deliveries.send_chunk_again, rows=operations.deliveries.PIECE)

    async def send_again(self, workspace: str, endpoint: str, since: datetime) -> int:
        """Have all of the endpoint's deliveries that failed since a time sent again, in pieces; how many. Raises
        NotFound, and Conflict `endpoint_off`."""
        chunk, until = await self._send_chunk_again(workspace, endpoint, since, None)
        sent = chunk
        while chunk:
            chunk, _ = await self._send_chunk_again(workspace, endpoint, since, until)
            sent += chunk
        return sent

    sweep_deliveries = write(operations.deliveries.sweep_deliveries, rows="limit")


class Usage(Transactions):
    """What was used. It stays when batches are deleted."""

    usage = page(operations.usage.usage)


class Store(
    Drafts, Claims, Finishes, Control, Liveness, Lanes, Reading, Upkeep, Accounts, Assets, Webhooks, Usage, ABC
):
    """A whole database."""

    @abstractmethod
    async def open(self) -> None:
        """Connect, check or run the migrations. Raises StoreError with a sentence if that cannot be."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the database."""

    @property
    @abstractmethod
    def waiting(self) -> int:
        """How many operations wait for their turn."""

    _check_room = write(operations.upkeep.check_room)

    async def check_room(self, worker: str) -> None:
        """Write something, and take it back. Raises Unavailable, DatabaseFull."""
        await self._check_room(worker)
        self.full = False

    @abstractmethod
    async def backup(self, path: str) -> None:
        """Copy the database, while it is in use, to a new file."""
