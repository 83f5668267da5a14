"""How deliveries are signed: as Standard Webhooks say, or with `TL-Signature` (contract twelvelabs 9.4).

While a secret is replaced two are valid, and everything is signed with both, the newest first.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from standardwebhooks import Webhook

PREFIX = "whsec_"


class Style(StrEnum):
    """The envelope and signature of an endpoint."""

    standard = "standard"
    twelvelabs = "twelvelabs"


def new_secret(style: Style) -> str:
    """A fresh secret. A receiver of style twelvelabs takes its whole text as the key."""
    key = secrets.token_bytes(32)
    match style:
        case Style.standard:
            return PREFIX + base64.b64encode(key).decode()
        case Style.twelvelabs:
            return PREFIX + key.hex()
        case _:
            assert_never(style)


def message_id(style: Style, delivery: str) -> str:
    """The id that a delivery has on the wire, the same at every try."""
    match style:
        case Style.standard:
            return f"msg_{delivery}"
        case Style.twelvelabs:
            return f"whe_{hashlib.sha256(delivery.encode()).hexdigest()[:32]}"
        case _:
            assert_never(style)


def signed(style: Style, valid: Sequence[str], delivery: str, body: bytes, now: datetime) -> dict[str, str]:
    """The headers that prove where `body` comes from; `valid` are the secrets, the newest first."""
    match style:
        case Style.standard:
            return _standard(valid, message_id(style, delivery), body, now)
        case Style.twelvelabs:
            return {"TL-Signature": _twelvelabs(valid, body, now)}
        case _:
            assert_never(style)


def _standard(valid: Sequence[str], ident: str, body: bytes, now: datetime) -> dict[str, str]:
    marks = [Webhook(secret).sign(ident, now, body.decode()) for secret in valid]
    return {
        "webhook-id": ident,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(marks),
    }


def _twelvelabs(valid: Sequence[str], body: bytes, now: datetime) -> str:
    stamp = str(int(now.timestamp()))
    text = stamp.encode() + b"." + body
    marks = [hmac.new(secret.encode(), text, hashlib.sha256).hexdigest() for secret in valid]
    return ",".join([f"t={stamp}", *(f"v1={mark}" for mark in marks)])
