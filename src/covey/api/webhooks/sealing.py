"""Secrets that have to be read again are kept encrypted: AES-256-GCM, with a key that is not in the database."""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from covey import private
from covey.domain.errors import BadRequest
from covey.settings import Settings

if TYPE_CHECKING:  # the library takes seven megabytes, which a server without webhooks does not need
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FILE_NAME = "secret.key"

_VERSION = b"\x01"
_NONCE = 12
_KEY = 32


class SealBroken(Exception):
    """The secret cannot be read: the setting `secret`, or the key file, is not what it was when it was kept."""


class Sealer:
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
        """What was sealed. Raises SealBroken."""
        from cryptography.exceptions import InvalidTag

        nonce, text = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        try:
            return self._key().decrypt(nonce, text, about.encode()).decode()
        except (InvalidTag, ValueError, BadRequest):
            raise SealBroken((SealBroken.__doc__ or "").strip()) from None

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
