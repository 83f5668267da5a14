"""API keys: `covey_sk_`, forty random characters, six of checksum.

Scanners find them; typing errors cost no look-up."""

import hashlib
import secrets
import string
import zlib
from datetime import datetime

from covey.domain.account import Key, Role
from covey.domain.ids import new_id

PREFIX = "covey_sk_"
SHOWN = len(PREFIX) + 4
"""So many first characters are kept, so that a person tells the keys apart."""

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM, _CHECK = 40, 6


def make_key(
    workspace: str | None, role: Role, name: str, now: datetime, expires_at: datetime | None = None
) -> tuple[Key, str]:
    """A new key and its secret, which is shown once and kept by nobody. An admin's key has no workspace."""
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
