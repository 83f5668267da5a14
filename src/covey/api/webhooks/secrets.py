"""Secrets that have to be read again are kept encrypted: AES-256-GCM, with a key that is not in the database."""

import hashlib
import os
import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from covey import private
from covey.api.webhooks.signing import Style, new_secret
from covey.domain.errors import BadRequest, NotFound
from covey.domain.webhook import Endpoint
from covey.settings import Settings
from covey.store.store import Webhooks

if TYPE_CHECKING:  # the library takes seven megabytes, which a server without webhooks does not need
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FILE_NAME = "secret.key"

_VERSION = b"\x01"
_NONCE = 12
_KEY = 32


class DecryptionFailed(Exception):
    """The secret cannot be read: the setting `secret`, or the key file, is not what it was when it was kept."""


class SecretBox:
    """Encrypts secrets and reads them again.

    The key comes from the setting `secret`. Without one it is a file in the data folder, made when it is first needed;
    where several machines share a database there is no such folder, so nothing is sealed there without the setting.
    """

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.secret
        self._shared = settings.database is not None
        self._file = settings.data / FILE_NAME
        self._cipher: AESGCM | None = None

    def seal(self, secret: str, about: str) -> bytes:
        """`secret`, encrypted; it can be read only as one of `about`. Raises BadRequest if there is no key."""
        nonce = secrets.token_bytes(_NONCE)
        return _VERSION + nonce + self._key().encrypt(nonce, secret.encode(), about.encode())

    def open(self, sealed: bytes, about: str) -> str:
        """What was sealed. Raises DecryptionFailed."""
        from cryptography.exceptions import InvalidTag

        nonce, text = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        try:
            return self._key().decrypt(nonce, text, about.encode()).decode()
        except (InvalidTag, ValueError, BadRequest):
            raise DecryptionFailed((DecryptionFailed.__doc__ or "").strip()) from None

    def _key(self) -> "AESGCM":
        if self._cipher is None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._cipher = AESGCM(self._derived())
        return self._cipher

    def _derived(self) -> bytes:
        if self._secret is not None:
            from cryptography.hazmat.primitives.hashes import SHA256
            from cryptography.hazmat.primitives.kdf.hkdf import HKDF

            given = self._secret.get_secret_value().encode()
            return HKDF(SHA256(), _KEY, salt=None, info=b"covey webhook secrets").derive(given)
        if self._shared:
            raise BadRequest(
                "The server has nothing to encrypt secrets with: whoever runs it sets `secret` "
                "(COVEY_SECRET, at least 32 characters, the same on every machine)",
                code="secret_not_set",
            )
        return _key_of(self._file)


def _key_of(file: Path) -> bytes:
    """The key in `file`, which is made if there is none: whole or not at all, and only its owner may read it."""
    if not file.exists():
        private.folder(file.parent)
        new = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(secrets.token_bytes(_KEY))
                out.flush()
                os.fsync(out.fileno())
            _take_place(new, file)
        finally:
            new.unlink(missing_ok=True)
    return file.read_bytes()


def _take_place(new: Path, file: Path) -> None:
    """Another process may have been first: then its key holds."""
    try:
        file.hardlink_to(new)
    except FileExistsError:
        return
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


MOST_VALID = 5
"""So many secrets of one endpoint are kept, the newest."""


def callbacks_id(workspace: str) -> str:
    """The id of a workspace's callback record."""
    return hashlib.sha256(f"callbacks of {workspace}".encode()).hexdigest()[:24]


async def valid_secrets(store: Webhooks, sealer: SecretBox, endpoint: Endpoint, now: datetime) -> list[str]:
    """The secrets that sign for an endpoint now, the newest first. Raises DecryptionFailed, and NotFound for a single
    call's endpoint whose workspace has no callback record."""
    if endpoint.batch is not None:
        endpoint = await store.endpoint(endpoint.workspace, callbacks_id(endpoint.workspace))
    return [sealer.open(sealed, endpoint.id) for sealed, until in endpoint.secrets if until is None or until > now]


def fresh_secret(sealer: SecretBox, endpoint: Endpoint) -> tuple[str, bytes]:
    """A new secret for an endpoint, as its receiver has it and as it is kept. Raises BadRequest if nothing can be
    sealed here."""
    secret = new_secret(Style(endpoint.style))
    return secret, sealer.seal(secret, endpoint.id)


def rotated(endpoint: Endpoint, sealed: bytes, now: datetime, overlap: timedelta) -> Endpoint:
    """The endpoint with this new secret; those before are valid for `overlap` at most."""
    until = now + overlap
    old = [(before, min(until, end or until)) for before, end in endpoint.secrets]
    kept = [each for each in old if each[1] > now][: MOST_VALID - 1]
    return replace(endpoint, secrets=((sealed, None), *kept))


async def callback_record(store: Webhooks, sealer: SecretBox, workspace: str, now: datetime) -> Endpoint:
    """What the `callback_url`s of a workspace are signed with; made when it is first needed. Raises BadRequest if
    nothing can be sealed here."""
    try:
        return await store.endpoint(workspace, callbacks_id(workspace))
    except NotFound:
        bare = Endpoint(
            id=callbacks_id(workspace),
            workspace=workspace,
            url="",
            style=Style.standard.value,
            events=(),
            secrets=(),
            created_at=now,
            description="what callback_urls are signed with",
            off_at=now,
        )
        _, sealed = fresh_secret(sealer, bare)
        return await store.put_endpoint(replace(bare, secrets=((sealed, None),)))
