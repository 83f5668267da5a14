"""The SIP dialogs of a dialler as seen from outside, and the requests that end them.

The stack reports every SIP message it sends and gets. From the last INVITE and the last answer to it, anyone who
has the dialler's socket can end the call in its stead: CANCEL before the answer (RFC 3261 section 9.1), BYE
after it (section 15.1.1).
"""

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

Address = tuple[str, int]

ITEM_HEADER: Final = "x-covey-item"
ATTEMPT_HEADER: Final = "x-covey-attempt"

LAST_WORD_SECONDS: Final = 32.0
"""How long the far side may take to answer our last request (RFC 3261 section 17.1: 64 times T1)."""

_CHALLENGES: Final = (401, 407)

_TRACE: Final = re.compile(r"(TX|RX) \w+ (\S+):(\d+) -> (\S+):(\d+)\r?\n")
_TAG: Final = re.compile(r";\s*tag=", re.IGNORECASE)
_URI: Final = re.compile(r"<([^>]+)>")
_HOST_PORT: Final = re.compile(r"sips?:(?:[^@>]*@)?(\[[0-9a-fA-F:]+\]|[^:;>?]+)(?::(\d+))?")
_IPV4: Final = re.compile(r"[0-9.]+")
_AUDIO: Final = re.compile(r"^m=audio \d+ \S+ (\d+)", re.MULTILINE)
_CODECS: Final = {"0": "PCMU", "8": "PCMA"}
_COMPACT: Final = {"i": "call-id", "f": "from", "t": "to", "v": "via", "m": "contact", "l": "content-length"}


@dataclass(frozen=True, slots=True)
class SipMessage:
    """A SIP message, read as far as ending a call needs: its first line and its headers, names in lower case."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: str = ""

    @classmethod
    def read(cls, text: str) -> "SipMessage | None":
        """The message in `text`; None if it is not one."""
        head, _, body = text.replace("\r\n", "\n").partition("\n\n")
        start, *lines = head.split("\n")
        if "SIP/2.0" not in start:
            return None
        pairs = (line.partition(":") for line in lines if ":" in line)
        return cls(start, tuple((_long(name), value.strip()) for name, _, value in pairs), body)

    def all(self, name: str) -> list[str]:
        """The values of a header, in order; several in one line are taken apart."""
        values = [value for header, value in self.headers if header == name]
        return [part.strip() for value in values for part in _split(value)]

    def get(self, name: str) -> str:
        """The first value of a header, or ""."""
        return next((value for header, value in self.headers if header == name), "")

    @property
    def status(self) -> int | None:
        """The code of an answer; None for a request."""
        return int(self.start[8:11]) if self.start.startswith("SIP/2.0 ") else None

    @property
    def method(self) -> str:
        """What is asked, or what is answered."""
        return self.get("cseq").partition(" ")[2].strip()

    @property
    def sequence(self) -> int:
        return int(self.get("cseq").partition(" ")[0] or 0)

    @property
    def call_id(self) -> str:
        return self.get("call-id")

    @property
    def tagged(self) -> bool:
        """Whether the far side has named its half of the dialog."""
        return _TAG.search(self.get("to")) is not None


def _long(name: str) -> str:
    name = name.strip().lower()
    return _COMPACT.get(name, name)


def _split(value: str) -> list[str]:
    return re.split(r",(?=\s*<)", value)


@dataclass(slots=True)
class Dialog:
    """One call as the wire saw it. `heard` is whether anything came back; `answer` is the last answer that says
    more than 100 Trying, and stays the first final one; `parted` is whether the far side said BYE or answered ours."""

    call_id: str
    uri: str
    via: str
    caller: str
    callee: str
    sequence: int
    far: Address
    routes: list[str] = field(default_factory=list)
    answer: SipMessage | None = None
    heard: bool = False
    parted: bool = False
    order: str = ""

    @classmethod
    def from_invite(cls, invite: SipMessage, far: Address) -> "Dialog":
        """The dialog that this INVITE, sent to `far`, wants to begin."""
        return cls(
            call_id=invite.call_id,
            uri=invite.start.split(" ")[1],
            via=invite.get("via"),
            caller=invite.get("from"),
            callee=invite.get("to"),
            sequence=invite.sequence,
            far=far,
            routes=invite.all("route"),
            order=f"{invite.get(ITEM_HEADER)}-{invite.get(ATTEMPT_HEADER)}",
        )

    @classmethod
    def from_answer(cls, answer: SipMessage, far: Address) -> "Dialog":
        """The dialog that this answer to an INVITE belongs to, when the INVITE itself was not seen."""
        callee = _TAG.split(answer.get("to"))[0]
        uri = _URI.search(callee)
        via = re.sub(r";(received|rport)=[^;]*", r";rport", answer.get("via").split(",")[0])
        target = uri[1] if uri else callee
        return cls(answer.call_id, target, via, answer.get("from"), callee, answer.sequence, far, answer=answer)

    def hear(self, message: SipMessage) -> None:
        """Take anything the far side sends in this dialog."""
        if message.method == "BYE":
            done = message.status is None or (message.status >= 200 and message.status not in _CHALLENGES)
            self.parted = self.parted or done
        elif message.method == "INVITE" and message.status is not None:
            self.take(message)

    def take(self, answer: SipMessage) -> None:
        """Remember an answer to the INVITE unless a final one is known."""
        if answer.sequence == self.sequence:
            self.heard = True
        if answer.sequence == self.sequence and (answer.status or 0) >= 101 and not self.final:
            self.answer = answer

    @property
    def final(self) -> int | None:
        """The code of the final answer; None as long as there is none."""
        status = self.answer.status if self.answer else None
        return status if status is not None and status >= 200 else None

    @property
    def answered(self) -> bool:
        return self.final is not None and self.final < 300

    @property
    def over(self) -> bool:
        """Whether the far side has refused the call."""
        return self.final is not None and self.final >= 300

    @property
    def hears_us(self) -> bool:
        """Whether the far side would take a CANCEL or a BYE: it has answered the last INVITE, and not by a refusal,
        after which another INVITE may leave (with a password, or to another address)."""
        return self.heard and not self.over

    @property
    def ended(self) -> bool:
        """Whether the far side knows that the call is over."""
        return self.over or self.parted

    @property
    def codec(self) -> str | None:
        """The codec the far side chose (the first payload type of its SDP); None if it is not G.711."""
        chosen = _AUDIO.search(self.answer.body) if self.answer and self.answered else None
        return _CODECS.get(chosen[1]) if chosen else None

    def cancel(self) -> tuple[bytes, Address]:
        """The CANCEL of the INVITE and where to send it."""
        return self._request("CANCEL", self.uri, self.via, self.callee, self.sequence, self.routes), self.far

    def refused_ack(self) -> tuple[bytes, Address]:
        """The ACK of a refusal (RFC 3261 section 17.1.1.3)."""
        to = self.answer.get("to") if self.answer else self.callee
        return self._request("ACK", self.uri, self.via, to, self.sequence, self.routes), self.far

    def ack(self) -> tuple[bytes, Address]:
        """The ACK of a 200 OK and where to send it."""
        return self._inside("ACK", self.sequence)

    def bye(self) -> tuple[bytes, Address]:
        """The BYE that ends the dialog and where to send it."""
        return self._inside("BYE", self.sequence + 1)

    def _inside(self, method: str, sequence: int) -> tuple[bytes, Address]:
        to = self.answer.get("to") if self.answer else self.callee
        contact = _URI.search(self.answer.get("contact")) if self.answer else None
        target = contact[1] if contact else self.uri
        routes = list(reversed(self.answer.all("record-route"))) if self.answer else []
        via = re.sub(r"branch=[^;\s]+", f"branch=z9hG4bK{secrets.token_hex(8)}", self.via)
        far = _address(routes[0] if routes else target) or self.far
        return self._request(method, target, via, to, sequence, routes), far

    def _request(self, method: str, uri: str, via: str, to: str, sequence: int, routes: list[str]) -> bytes:
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: {via}",
            *(f"Route: {route}" for route in routes),
            "Max-Forwards: 70",
            f"To: {to}",
            f"From: {self.caller}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {sequence} {method}",
            "Content-Length: 0",
        ]
        return "\r\n".join([*lines, "", ""]).encode()


def _address(uri: str) -> Address | None:
    found = _HOST_PORT.search(uri)
    if found is None:
        return None
    host = found[1].strip("[]")
    if not _IPV4.fullmatch(host) and ":" not in host:
        return None
    return host, int(found[2] or 5060)


class Dialogs:
    """The dialogs of one dialler's orders, kept up to date from the stack's trace of its messages.

    A dialog outlives its order until the far side has answered the last request, or its time to do so is up. One
    thread may watch while another asks.
    """

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, on_heard: Callable[[str], None] = lambda order: None
    ) -> None:
        """`on_heard` is given the order whose INVITE the far side answered with anything, at its first answer."""
        self._monotonic = monotonic
        self._on_heard = on_heard
        self._by_order: dict[str, Dialog] = {}
        self._by_call_id: dict[str, Dialog] = {}
        self._leaving: dict[str, float] = {}

    def watch(self, trace: str) -> str | None:
        """Take one line of the trace: which way, from where to where, and the message. Answers the order of an
        INVITE that left, None for everything else."""
        head = _TRACE.match(trace)
        message = SipMessage.read(trace[head.end() :]) if head else None
        if head is None or message is None:
            return None
        if head[1] == "TX" and message.method == "INVITE" and message.status is None and not message.tagged:
            dialog = Dialog.from_invite(message, (head[4].strip("[]"), int(head[5])))
            self._by_call_id[dialog.call_id] = self._by_order[dialog.order] = dialog
            return dialog.order
        if head[1] == "RX" and (known := self._by_call_id.get(message.call_id)):
            unheard = not known.heard
            known.hear(message)
            if unheard and known.heard:
                self._on_heard(known.order)
            if known.ended and message.call_id in self._leaving:
                self._drop(message.call_id)
        return None

    def forget(self, order: str) -> None:
        """The order came to its end: its dialog is kept only until that is known to the far side too."""
        dialog = self._by_order.pop(order, None)
        if dialog is None:
            return
        if dialog.ended:
            self._drop(dialog.call_id)
        else:
            self._leaving.pop(dialog.call_id, None)
            self._leaving[dialog.call_id] = self._monotonic() + LAST_WORD_SECONDS
        self._drop_late()

    def of(self, order: str) -> Dialog | None:
        """The dialog of an order."""
        return self._by_order.get(order)

    def open(self) -> list[Dialog]:
        """The dialogs that somebody has to end."""
        self._drop_late()
        return [dialog for dialog in list(self._by_call_id.values()) if not dialog.ended]

    def _drop_late(self) -> None:
        """Drop those whose last request the far side will not answer any more; the oldest come first."""
        now = self._monotonic()
        for call_id, until in list(self._leaving.items()):
            if until > now:
                return
            self._drop(call_id)

    def _drop(self, call_id: str) -> None:
        self._by_call_id.pop(call_id, None)
        self._leaving.pop(call_id, None)
