"""Phone numbers as SIP addresses. Nothing but E.164 digits ever gets into a URI (RFC 3261 section 19.1)."""

import re
from typing import Final

_E164: Final = re.compile(r"\+[1-9][0-9]{4,14}", re.ASCII)


def is_e164(number: str) -> bool:
    """Whether `number` is E.164 with its `+`: 5 to 15 digits, the first not zero."""
    return _E164.fullmatch(number) is not None


def sip_uri(number: str, host: str, port: int, transport: str) -> str:
    """The URI that rings `number` at a trunk. Raises ValueError if `number` is not E.164."""
    if not is_e164(number):
        raise ValueError("a number to dial must be E.164: + and 5 to 15 digits")
    return f"sip:{number}@{bracketed(host)}:{port};transport={transport}"


def bracketed(host: str) -> str:
    """`host` as it stands in a URI: an IPv6 address gets its brackets."""
    return f"[{host}]" if ":" in host else host
