"""What a workspace has beside batches, and what only an `admin` key may do."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote

from covey.client.models import Agent, BlockedList, Blocking
from covey.client.reading import items
from covey.client.transport import Json, Transport, shaped
from covey.client.upload import Csv, OnProgress, opened

AGENTS = "/v1/api/agents"
DO_NOT_CALL = "/v1/api/dnc"
PEOPLE = "/v1/api/people"
KEYS = "/v1/admin/keys"
WORKSPACES = "/v1/admin/workspaces"
WORKERS = "/v1/admin/workers"


class AccountManager(Protocol):
    """Where keys and workspaces are managed; both ways answer in the words of the wire."""

    async def keys(self, workspace: str | None) -> list[dict[str, Any]]: ...
    async def create_key(
        self, workspace: str | None, role: str, name: str, expires: datetime | None
    ) -> dict[str, Any]: ...
    async def revoke_key(self, key: str) -> None: ...
    async def workspaces(self) -> list[dict[str, Any]]: ...
    async def create_workspace(self, name: str) -> dict[str, Any]: ...


class Agents:
    """What calls the people: a greeting, questions, a voice (contract section 10.1)."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> tuple[Agent, ...]:
        """Every agent of the workspace."""
        return tuple(shaped(Agent, each) for each in items(await self._transport.json("GET", AGENTS)))

    async def get(self, agent_id: str) -> Agent:
        return await self._transport.get(Agent, _under(AGENTS, agent_id))

    async def create(self, body: Mapping[str, Any]) -> Agent:
        """Create an agent in the documented shape. Raises BadRequest."""
        return await self._transport.get(Agent, AGENTS, "POST", json=dict(body))

    async def update(self, agent_id: str, body: Mapping[str, Any]) -> Agent:
        """Change the named members of an agent. Batches that were accepted keep the agent as it was."""
        return await self._transport.get(Agent, _under(AGENTS, agent_id), "PUT", json=dict(body))

    async def delete(self, agent_id: str) -> None:
        await self._transport.json("DELETE", _under(AGENTS, agent_id))


class DoNotCall:
    """The numbers this workspace never calls."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def all(self) -> AsyncIterator[Json]:
        """Every number with its reason, fetched page by page."""
        after = ""
        while True:
            params = {"limit": 1000, **({"after": after} if after else {})}
            page = await self._transport.json("GET", DO_NOT_CALL, params=params)
            for entry in items(page.get("numbers")):
                yield entry
            after = str(page.get("after") or "")
            if not after:
                return

    async def add(self, numbers: Sequence[str], reason: str = "", *, region: str | None = None) -> Blocking:
        """Never call these again (at most 10,000 at a time), also not in batches that are running.

        `region` (two letters) reads numbers without +. What is no number is listed in the answer, the rest is taken.
        """
        body: Json = {"numbers": [*numbers], "reason": reason, **({"region": region} if region is not None else {})}
        return await self._transport.get(Blocking, DO_NOT_CALL, "POST", json=body)

    async def import_list(
        self,
        csv: Csv,
        reason: str = "",
        *,
        region: str | None = None,
        phone_column: str | None = None,
        encoding: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> BlockedList:
        """Never call the numbers of a list again: a CSV like a batch's, or numbers alone, one or more a line.

        What is not understood is listed in the answer, the rest is taken. Raises BadRequest for what concerns the whole
        file.
        """
        values = {"reason": reason or None, "region": region, "phoneColumn": phone_column, "encoding": encoding}
        data = {name: value for name, value in values.items() if value is not None}
        with opened(csv, on_progress, None) as part:
            path = f"{DO_NOT_CALL}/import"
            return await self._transport.get(BlockedList, path, "POST", data=data, files={"file": part})

    async def remove(self, number: str, *, region: str | None = None) -> None:
        """Allow calls to this number again; `region` (two letters) reads one without +."""
        await self._transport.json("DELETE", _under(DO_NOT_CALL, number), params=_region(region))


class People:
    """What is known about a person, by number."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self, number: str, *, region: str | None = None) -> Json:
        """Every call to the number, and whether it may be called; `region` (two letters) reads one without +."""
        return dict(await self._transport.json("GET", _under(PEOPLE, number), params=_region(region)))

    async def erase(self, number: str, *, region: str | None = None) -> Json:
        """Erase what is known about the person; how many calls and recordings.

        Raises Conflict while a call to the number is waiting or active.
        """
        return dict(await self._transport.json("DELETE", _under(PEOPLE, number), params=_region(region)))


class Keys:
    """API keys; needs the profile's admin key."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self, workspace: str | None = None) -> list[Json]:
        """The keys, of one workspace or of all; never their secrets."""
        params = {"workspace": workspace} if workspace is not None else {}
        return items(await self._transport.json("GET", KEYS, params=params))

    async def create(
        self, role: str, *, workspace: str | None = None, name: str = "key", expires_at: datetime | None = None
    ) -> Json:
        """Create a key; its `secret` is in this answer and never again."""
        body: Json = {"role": role, "name": name}
        if workspace is not None:
            body["workspace"] = workspace
        if expires_at is not None:
            body["expiresAt"] = expires_at.astimezone().isoformat()
        return dict(await self._transport.json("POST", KEYS, json=body))

    async def revoke(self, key_id: str) -> None:
        """Holds from the next request on."""
        await self._transport.json("DELETE", _under(KEYS, key_id))


class Workspaces:
    """The server's tenants; needs the profile's admin key."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> list[Json]:
        """Every tenant of the server."""
        return items(await self._transport.json("GET", WORKSPACES))

    async def create(self, name: str) -> Json:
        return dict(await self._transport.json("POST", WORKSPACES, json={"name": name}))


class Workers:
    """The processes that run batches; needs the profile's admin key."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self, *, every: bool = False) -> list[Json]:
        """Those that are alive or have something in hand; with `every` those that ended lately too."""
        return items(await self._transport.json("GET", WORKERS, params={"all": "true"} if every else {}))


def _under(root: str, last: str) -> str:
    return f"{root}/{quote(last, safe='')}"


def _region(region: str | None) -> Json:
    return {} if region is None else {"region": region}
