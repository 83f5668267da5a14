"""What the house around the engine needs of a database: accounts, assets, webhooks, usage."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from covey.domain.account import AgentRecord, Blocked, KeptAnswer, Key, Meaning, Workspace
from covey.domain.asset import Asset
from covey.domain.run import Json
from covey.domain.usage import UsageLine
from covey.domain.webhook import Delivery, DeliveryState, Endpoint


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is to be sent now, and where to."""

    delivery: Delivery
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Tried:
    """What a try to deliver came to: the HTTP status (None: no answer), why it failed (None: it did not), when to try
    again (None: not any more), and whether the receiver said that it is gone for good. With neither status nor error
    nothing was sent, as the endpoint had not asked for it: the delivery ends, and says nothing about the endpoint."""

    status: int | None
    error: str | None
    again_at: datetime | None
    gone: bool = False
    off_after: timedelta = timedelta(days=5)

    @property
    def accepted(self) -> bool:
        """Whether the receiver took it."""
        return self.error is None and self.status is not None


class Accounts(Protocol):
    """Workspaces, keys, agents, blocked refs, idempotency."""

    async def add_workspace(self, workspace: Workspace) -> None:
        """Raises Conflict `exists`."""
        ...

    async def add_first(self, workspace: Workspace, key: Key) -> bool:
        """Add the first workspace and its key, both or none; False, and nothing is added, if there is a workspace."""
        ...

    async def workspace(self, workspace: str) -> Workspace:
        """Raises NotFound."""
        ...

    async def workspaces(self) -> list[Workspace]: ...

    async def change_workspace(self, workspace: Workspace) -> None:
        """Write name, weight and settings. Raises NotFound."""
        ...

    async def add_key(self, key: Key) -> None: ...

    async def key_by_digest(self, digest: bytes) -> Key | None:
        """The key with this SHA-256, revoked and expired ones too."""
        ...

    async def keys(self, workspace: str | None = None) -> list[Key]: ...

    async def revoke_key(self, key: str) -> bool:
        """Holds from the next request on; False if there is no such key or it was revoked."""
        ...

    async def touch_keys(self, used: dict[str, datetime]) -> None:
        """Write when keys were last used."""
        ...

    async def put_agent(self, agent: AgentRecord) -> None: ...

    async def agent(self, workspace: str, agent: str) -> AgentRecord:
        """Raises NotFound."""
        ...

    async def agents(self, workspace: str) -> list[AgentRecord]: ...

    async def delete_agent(self, workspace: str, agent: str) -> None:
        """Raises NotFound."""
        ...

    async def block(self, workspace: str, refs: Sequence[str], reason: str) -> int:
        """Never touch these refs again; how many are new."""
        ...

    async def unblock(self, workspace: str, ref: str) -> bool: ...

    async def blocked_among(self, workspace: str, refs: Sequence[str]) -> set[str]:
        """Which of these refs are never to be touched."""
        ...

    async def blocked(self, workspace: str, *, after: str = "", limit: int = 1000) -> list[Blocked]: ...

    async def erase_ref(self, workspace: str, ref: str, replacement: str) -> int:
        """Erase a person: overwrite ref, input and results of every ended item about `ref`; how many items.

        Raises Conflict `active` if an item about it is waiting or active.
        """
        ...

    async def begin_answer(self, meaning: Meaning, owner: str, created: str | None) -> KeptAnswer | str | None:
        """Begin an idempotent request that will create the object `created`.

        None: go on. A `KeptAnswer`: it was answered before. A str: it was begun by a process that is gone, and would
        have created that object. Raises Unprocessable (other meaning) or Conflict `still_running`.
        """
        ...

    async def keep_answer(self, meaning: Meaning, answer: KeptAnswer | None) -> None:
        """Keep the answer for 24 h; None forgets the request, so that it may be tried again."""
        ...


class Assets(Protocol):
    """The files that items are about. Those of another workspace are not there."""

    async def add_asset(self, asset: Asset, owner: str) -> None:
        """Keep a new asset; `owner` is the worker that looks at it."""
        ...

    async def asset(self, workspace: str, asset: str) -> Asset:
        """Raises NotFound."""
        ...

    async def assets_among(self, workspace: str, assets: Sequence[str]) -> dict[str, Asset]:
        """Those of `assets` that the workspace has, by id; at most a few thousand are asked for."""
        ...

    async def assets(
        self,
        workspace: str,
        *,
        among: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
        name: str | None = None,
        offset: int = 0,
        limit: int = 20,
    ) -> tuple[list[Asset], int]:
        """A page, newest first, and how many there are in all. `name` is a part of their names, in any case."""
        ...

    async def change_asset(self, asset: Asset) -> None:
        """Write state, size, seconds, kind, facts and error. Raises NotFound if it was deleted meanwhile."""
        ...

    async def annotate_asset(self, workspace: str, asset: str, change: Callable[[Json], Json]) -> None:
        """Write what `change` makes of the notes that an owner keeps with an asset. Nobody else changes them meanwhile.
        `change` may be called more than once. Raises NotFound, and what `change` raises."""
        ...

    async def delete_asset(self, workspace: str, asset: str) -> None:
        """Raises NotFound."""
        ...

    async def take_over_assets(self, me: str, limit: int = 10) -> list[Asset]:
        """Assets in state `processing` whose owner is dead: from now on `me` looks at them."""
        ...


class Webhooks(Protocol):
    """Endpoints and deliveries. Deliveries are written in the transaction of what they tell of."""

    async def put_endpoint(self, endpoint: Endpoint, most: int | None = None) -> Endpoint:
        """Create an endpoint unless there is one of this id; the one that is there then.

        Raises Conflict `too_many_endpoints` if the workspace has `most` already (those of single batches, and those
        without an address, do not count; None: no limit), NotFound if the id is a deleted one's or another workspace's.
        """
        ...

    async def change_endpoint(self, workspace: str, endpoint: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint:
        """Write what `change` makes of the endpoint as it is; what it is then. Nobody else changes it meanwhile.

        `change` may be called more than once; it makes no request, keeps to what it is given, and leaves id, workspace,
        style, kind and batch alone. Raises NotFound.
        """
        ...

    async def endpoint(self, workspace: str, endpoint: str) -> Endpoint:
        """Raises NotFound."""
        ...

    async def endpoints(self, workspace: str) -> list[Endpoint]:
        """All but those of a single batch, oldest first."""
        ...

    async def delete_endpoint(self, workspace: str, endpoint: str) -> None:
        """With its deliveries. Raises NotFound."""
        ...

    async def claim_deliveries(
        self,
        lease: timedelta,
        limit: int,
        busy: Mapping[str, int],
        *,
        quick: Set[str] = frozenset(),
        resting: Set[str] = frozenset(),
    ) -> list[Due]:
        """Take deliveries that are due, of every endpoint only so many that with those in `busy` (endpoint → how many
        are on their way) each has at most a few, those in `quick` some more, those in `resting` none. Each is due again
        after `lease`, whatever becomes of the taker."""
        ...

    async def settle_deliveries(self, tries: Sequence[tuple[str, Tried]]) -> None:
        """Write what tries came to, by the id of their deliveries. An endpoint that answered 410, or had no success for
        too long, is switched off."""
        ...

    async def delivery(self, workspace: str, delivery: str) -> Delivery:
        """Raises NotFound."""
        ...

    async def deliveries(
        self,
        workspace: str,
        *,
        endpoint: str | None = None,
        batch: str | None = None,
        state: DeliveryState | None = None,
        before: str | None = None,
        limit: int = 20,
    ) -> list[Delivery]:
        """A page, newest first; `before` is the id of the last one already seen."""
        ...

    async def send_again(self, workspace: str, *, endpoint: str, since: datetime, delivery: str | None = None) -> int:
        """Have one delivery, or all of the endpoint's that failed since a time, sent again; how many."""
        ...

    async def sweep_deliveries(self, before: datetime, limit: int = 500) -> int:
        """Remove a piece of the deliveries that ended before a time, or whose endpoint was deleted, and give up those
        that wait for one that is switched off; how many. The endpoint of a batch that is gone goes once nothing waits
        for it."""
        ...


class Usage(Protocol):
    """What was used. It stays when batches are deleted."""

    async def usage(
        self, workspace: str, since: date, until: date, *, day: bool = False, batch: bool = False, key: bool = False
    ) -> list[UsageLine]:
        """What succeeded from `since` to `until` (both included, UTC), summed over what is not asked to be apart."""
        ...
