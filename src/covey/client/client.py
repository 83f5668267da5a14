"""The client: one object with the parts of the API as its attributes."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import httpx2

from covey.client.accounts import Agents, DoNotCall, Keys, People, Workers, Workspaces
from covey.client.analysis import Analyses, Assets
from covey.client.batches import Batches
from covey.client.calls import Calls
from covey.client.profile import Profile, load_profile
from covey.client.transport import ATTEMPTS, Transport
from covey.client.webhooks import Usage, Webhooks


class CoveyClient:
    """Talks to a Covey server.

        async with CoveyClient() as covey:
            started = await covey.batches.start("contacts.csv", agent_id)
            async for call in covey.batches.calls(started.batch_id):
                print(call.phone_number, call.status)

    Without a profile the environment and the profile file of this user are read (`covey login` writes it). Errors
    are those of `covey.client.errors`.
    """

    batches: Batches
    calls: Calls
    assets: Assets
    analyses: Analyses
    webhooks: Webhooks
    usage: Usage
    agents: Agents
    do_not_call: DoNotCall
    people: People
    keys: Keys
    workspaces: Workspaces
    workers: Workers

    def __init__(
        self,
        profile: Profile | None = None,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        attempts: int = ATTEMPTS,
    ) -> None:
        """`transport` replaces the network (an ASGI application, for one); `attempts` counts the first one too."""
        self.profile = profile or load_profile()
        self._transport = Transport(self.profile, transport=transport, sleep=sleep, attempts=attempts)
        self.batches = Batches(self._transport)
        self.calls = Calls(self._transport)
        self.assets = Assets(self._transport)
        self.analyses = Analyses(self._transport)
        self.webhooks = Webhooks(self._transport)
        self.usage = Usage(self._transport)
        self.agents = Agents(self._transport)
        self.do_not_call = DoNotCall(self._transport)
        self.people = People(self._transport)
        self.keys = Keys(self._transport)
        self.workspaces = Workspaces(self._transport)
        self.workers = Workers(self._transport)

    async def ready(self) -> bool:
        """Whether the server takes work now. Raises Unreachable if nobody answers."""
        status, _ = await self._transport.status("/readyz")
        return status == 200

    async def close(self) -> None:
        """Give the connections back."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
