"""Who may come in (contract 12.2), key first: decided from the headers, before one byte of a
body is read. The framework behind the door never sees a request that was refused."""

import hashlib
import secrets
import string
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from covey.api.kit.dialect import Dialect
from covey.api.kit.errors import too_many
from covey.domain.account import Key, Role
from covey.domain.clock import Clock
from covey.domain.errors import BadRequest, CoveyError, Forbidden, Unauthorized, Unavailable
from covey.domain.ids import new_id
from covey.store.store import Accounts

PUBLIC = frozenset({"/livez", "/readyz", "/metrics", "/docs", "/openapi.json"})
"""The routes that need no key. They say nothing about any workspace."""

ADMIN = "/v1/admin"
"""Everything below is for keys of role `admin`, everything else is not."""

_LOOKING = ("GET", "HEAD", "OPTIONS")
_LOOKING_POSTS = ("/validate", "/export-csv")
_TOUCH_EVERY = timedelta(minutes=1)
_ADDRESSES = 10_000
_GOOD_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the key and the workspace it belongs to ("" for an admin's)."""

    key: Key
    workspace: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nobody comes in: status, body, headers. `why` is the metrics' label."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    why: str


class Buckets:
    """Tokens by name, refilled steadily; the names that were not used for longest are forgotten."""

    def __init__(self, clock: Clock, size: float, per_second: float, names: int = _ADDRESSES) -> None:
        self._clock = clock
        self._size = size
        self._per_second = per_second
        self._names = names
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def left(self, name: str) -> float:
        """How many tokens `name` has now."""
        tokens, at = self._buckets.get(name, (self._size, self._clock.monotonic()))
        return min(self._size, tokens + (self._clock.monotonic() - at) * self._per_second)

    def take(self, name: str) -> float:
        """Take one token; the seconds until there would be one if there is none, else 0."""
        tokens = self.left(name)
        taken = tokens >= 1
        self._buckets[name] = (tokens - 1 if taken else tokens, self._clock.monotonic())
        self._buckets.move_to_end(name)
        if len(self._buckets) > self._names:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - tokens) / self._per_second


class Authenticator:
    """Decides about each request by its headers alone."""

    def __init__(self, accounts: Accounts, clock: Clock, failures_per_second: int, per_minute: int | None) -> None:
        """`failures_per_second` are forgiven an address; `per_minute` is a key's rate limit, None for none."""
        self._accounts = accounts
        self._clock = clock
        self._failures = Buckets(clock, failures_per_second, failures_per_second)
        self._rate = Buckets(clock, per_minute, per_minute / 60) if per_minute else None
        self._good: OrderedDict[bytes, None] = OrderedDict()
        self._touched: dict[str, datetime] = {}

    async def admit(
        self, dialect: Dialect, method: str, path: str, headers: Mapping[bytes, bytes], address: str
    ) -> Caller | Refusal:
        """The caller, or why there is none. Raises Unavailable if the keys cannot be read."""
        try:
            key = await self._key(dialect, headers, address, path)
            if isinstance(key, Refusal):
                return key
            caller = Caller(key, _workspace(dialect, key, path, headers))
            _check_role(key, method, path)
        except CoveyError as error:
            if error.status >= 500:
                raise
            if isinstance(error, Unauthorized):
                self._failures.take(address)
            return Refusal(error.status, dialect.error(path, error), {}, error.code)
        return await self._counted(dialect, caller, path)

    async def _key(self, dialect: Dialect, headers: Mapping[bytes, bytes], address: str, path: str) -> Key | Refusal:
        secret = headers.get(b"x-api-key", b"").decode("latin-1").strip()
        if not secret:
            raise Unauthorized("The header x-api-key is missing or empty; it takes a key of the workspace")
        mark = digest(secret)
        if mark not in self._good and self._failures.left(address) < 1:
            body, extra = too_many(
                dialect, self._clock, "Too many requests with unknown keys from this address", 1, path
            )
            return Refusal(429, body, extra, "too_many_failures")
        key = await self._accounts.key_by_digest(mark) if well_formed(secret) else None
        if key is None or not self._holds(key):
            self._good.pop(mark, None)
            raise Unauthorized("The API key is unknown, expired or revoked")
        self._good[mark] = None
        if len(self._good) > _GOOD_KEYS:
            self._good.popitem(last=False)
        return key

    def _holds(self, key: Key) -> bool:
        return key.revoked_at is None and (key.expires_at is None or key.expires_at > self._clock.now())

    async def _counted(self, dialect: Dialect, caller: Caller, path: str) -> Caller | Refusal:
        wait = self._rate.take(caller.key.id) if self._rate else 0.0
        if wait:
            body, extra = too_many(dialect, self._clock, "The key's rate limit is reached", wait, path)
            return Refusal(429, body, extra, "rate_limit")
        await self._touch(caller.key)
        return caller

    async def _touch(self, key: Key) -> None:
        now = self._clock.now()
        last = max((at for at in (key.last_used_at, self._touched.get(key.id)) if at), default=None)
        if last is None or now - last >= _TOUCH_EVERY:
            self._touched[key.id] = now
            with suppress(Unavailable):
                await self._accounts.touch_keys({key.id: now})


def _workspace(dialect: Dialect, key: Key, path: str, headers: Mapping[bytes, bytes]) -> str:
    """The workspace the request is about; an admin's route needs none, and in some dialects the key alone names it."""
    if is_admin(path):
        return ""
    if key.role is Role.admin:
        raise Forbidden("An admin key manages workspaces and keys; this route takes a key of the workspace")
    named = headers.get(b"x-workspace-id", b"").decode("latin-1").strip()
    if not named and key.workspace is not None and not dialect.names_workspace:
        return key.workspace
    if not named:
        raise BadRequest("The header x-workspace-id is missing or empty; it names the key's workspace")
    if key.workspace is None or named != key.workspace:
        raise Forbidden("The API key does not belong to the workspace that x-workspace-id names")
    return key.workspace


def _check_role(key: Key, method: str, path: str) -> None:
    if is_admin(path):
        if key.role is not Role.admin:
            raise Forbidden("This route takes a key of role admin")
        return
    if key.role is Role.read and not _looks(method, path):
        raise Forbidden("The API key has the role read; this needs operate")


def _looks(method: str, path: str) -> bool:
    return method in _LOOKING or (method == "POST" and path.endswith(_LOOKING_POSTS))


def is_admin(path: str) -> bool:
    """Whether a path is one of the admin's."""
    return path == ADMIN or path.startswith(ADMIN + "/")


PREFIX = "covey_sk_"
SHOWN = len(PREFIX) + 4
"""So many first characters are kept, so that a person tells the keys apart."""

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM, _CHECK = 40, 6


def make_key(
    workspace: str | None, role: Role, name: str, now: datetime, expires_at: datetime | None = None
) -> tuple[Key, str]:
    """A new key and its secret, which is shown once and never stored. An admin's key has no workspace."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    secret = f"{PREFIX}{body}{_checksum(body)}"
    key = Key(new_id(now), workspace, role, name, secret[:SHOWN], digest(secret), now, expires_at=expires_at)
    return key, secret


def digest(secret: str) -> bytes:
    """What is stored of a key: its SHA-256 (a key has 238 random bits, so nothing slower is needed)."""
    return hashlib.sha256(secret.encode()).digest()


def well_formed(secret: str) -> bool:
    """Whether this can be a key at all."""
    body, check = secret[len(PREFIX) : -_CHECK], secret[-_CHECK:]
    return (
        secret.isascii()
        and secret.startswith(PREFIX)
        and len(body) == _RANDOM
        and secrets.compare_digest(check, _checksum(body))
    )


def _checksum(body: str) -> str:
    value, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK):
        value, rest = divmod(value, len(_ALPHABET))
        digits += _ALPHABET[rest]
    return digits
