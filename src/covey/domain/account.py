"""Who may do what: workspaces, their keys, their agents, and the numbers or assets they keep from being touched."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from covey.domain.run import Json


class Role(StrEnum):
    """What a key allows. `read` looks, `operate` also submits and stops; `admin` manages the server's workspaces and
    keys and is refused on every route of a workspace."""

    read = "read"
    operate = "operate"
    admin = "admin"


@dataclass(frozen=True, slots=True)
class Workspace:
    """A tenant. `weight` is its part of every lane beside others; `settings` are defaults of the APIs."""

    id: str
    name: str
    created_at: datetime
    weight: float = 1.0
    settings: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as the server knows it: never the secret, only its SHA-256 and its first characters."""

    id: str
    workspace: str | None
    role: Role
    name: str
    prefix: str
    digest: bytes
    created_at: datetime
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An agent as it is stored; what it says is the calls runner's business."""

    id: str
    workspace: str
    body: Json
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Blocked:
    """A `ref` that a workspace never wants touched, and why."""

    ref: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RequestFingerprint:
    """What an once request asks for: equal meanings of one key get one answer."""

    workspace: str
    key: str
    route: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The first answer to an once request."""

    status: int
    body: bytes
