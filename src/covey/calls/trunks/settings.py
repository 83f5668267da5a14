"""What a SIP trunk needs to know of its far side."""

import re
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

CALLS_PER_DIALLER: Final = 100
"""One SIP stack carries about 250 handles before it fails with a text that does not say so; well below that."""

Transport = Literal["udp", "tcp", "tls"]


@dataclass(frozen=True, slots=True)
class SipSettings:
    """A SIP trunk: where it is, who we are there, and how much it takes.

    `user` is the name in our From header when an order has no `caller` of its own; `auth_user` and `password`
    answer a digest challenge. `local_address` is the address or interface to bind (needed on loopback). `proxy` is
    an outbound proxy, `host:port`. `srtp` demands encrypted sound; with `tls` the far side's certificate is checked
    against `ca_file`. `media_timeout` is how many seconds without RTP end a call.
    """

    name: str
    host: str
    port: int = 5060
    transport: Transport = "udp"
    user: str = "covey"
    auth_user: str | None = None
    password: str = field(default="", repr=False)
    caller: str | None = None
    channels: int = 2
    local_address: str | None = None
    proxy: str | None = None
    srtp: bool = False
    ca_file: str | None = None
    media_timeout: int = 25
    live: bool = True

    def __post_init__(self) -> None:
        if self.transport not in get_args(Transport):
            raise ValueError(f"transport must be one of {', '.join(get_args(Transport))}, not {self.transport!r}")
        if self.channels < 1:
            raise ValueError(f"a trunk needs at least one channel, not {self.channels}")
        if self.transport == "tls" and not self.ca_file:
            raise ValueError("a trunk over tls needs ca_file: the authorities its certificate is checked against")


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
