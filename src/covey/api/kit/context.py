"""What a route is given: the caller that the door let in, and the services."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request

from covey.api.kit.auth import Caller
from covey.api.kit.services import Services, TrunkFacts
from covey.domain.account import Workspace
from covey.domain.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Context:
    """One request's caller and services."""

    services: Services
    caller: Caller
    request: Request

    @property
    def workspace(self) -> str:
        """The workspace everything in this request is about."""
        return self.caller.workspace

    @property
    def actor(self) -> str:
        """The key, as the history names it."""
        return self.caller.key.id

    async def workspace_settings(self) -> Workspace:
        """The workspace with its defaults."""
        return await self.services.store.workspace(self.workspace)

    def trunk(self, name: str) -> TrunkFacts:
        """The trunk of this name, if this workspace may use it. Raises BadRequest naming those it may."""
        found = self.services.trunks.get(name)
        if found is None or not found.open_to(self.workspace):
            known = ", ".join(sorted(t.name for t in self.services.trunks.values() if t.open_to(self.workspace)))
            raise BadRequest(
                f"trunk: there is no trunk {name!r} for this workspace; there are: {known}", code="unknown_trunk"
            )
        return found


async def _context(request: Request) -> Context:
    return Context(services_of(request), request.scope["state"]["caller"], request)


Ctx = Annotated[Context, Depends(_context)]


def services_of(request: Request) -> Services:
    """The services, as the door put them beside the request."""
    found: Any = request.scope["state"]["services"]
    assert isinstance(found, Services)
    return found
