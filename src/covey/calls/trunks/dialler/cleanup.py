"""Ends the calls of a dialler that died: CANCEL to the phones that ring, BYE to those that talk.

It speaks from the dead dialler's own SIP socket, of which the trunk holds a copy. So the far side sees the address
it knows, and answers that were under way when the dialler died still arrive.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog

from covey.calls.trunks.dialler.dialogs import Address, Dialog, SipMessage

logger = structlog.get_logger()

REPEATS: Final = (0.0, 0.2, 0.5, 1.0, 1.5, 2.0, 4.0)
"""When the requests are sent, in seconds, as long as the far side has not taken them (UDP loses packets)."""

ENOUGH_SECONDS: Final = 2.0
"""What is repeated after this is worth no delay when the trunk stops."""

LISTEN_SECONDS: Final = 6.0
"""How long late answers are waited for: an INVITE may still be on its way to a slow phone."""


class DialogTerminator(asyncio.DatagramProtocol):
    """Ends dialogs over one UDP socket. `on_over` is given the order of each that the far side knows to be over."""

    def __init__(self, dialogs: Iterable[Dialog], on_over: Callable[[str], None]) -> None:
        self._on_over = on_over
        self._dialogs = {dialog.call_id: dialog for dialog in dialogs}
        self._waiting = set(self._dialogs)
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def terminate(
        cls,
        sock: socket.socket,
        dialogs: Iterable[Dialog],
        hurry: asyncio.Event,
        on_over: Callable[[str], None] = lambda order: None,
    ) -> int:
        """End the dialogs; `sock` is closed after. Returns how many of them the far side left unanswered.

        Once `hurry` is set it stops as soon as everybody answered, or after two seconds.
        """
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        transport, undertaker = await loop.create_datagram_endpoint(lambda: cls(dialogs, on_over), sock=sock)
        try:
            await undertaker.work(hurry)
        finally:
            transport.close()
        return len(undertaker._waiting)

    async def work(self, hurry: asyncio.Event) -> None:
        """Send and repeat the requests until all are taken, then listen for stragglers."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for moment in (*REPEATS, LISTEN_SECONDS):
            patience = max(0.0, began + moment - loop.time())
            if self._waiting and moment < ENOUGH_SECONDS:
                await asyncio.sleep(patience)
            elif await _happens(hurry, patience):
                break
            for call_id in self._waiting:
                self._end(self._dialogs[call_id])
        if self._waiting:
            logger.warning("calls_left_unended", count=len(self._waiting))

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        message = SipMessage.read(data.decode("utf-8", "replace"))
        if message is None or not message.call_id:
            return
        far = (str(addr[0]), int(addr[1]))
        if message.status is None:
            self._answer_request(message, far)
        elif message.method == "INVITE":
            self._invite_answered(message, far)
        elif message.method == "CANCEL":
            self._cancel_answered(message)
        elif message.method == "BYE" and message.status >= 200:
            self._over(message.call_id)

    def _end(self, dialog: Dialog) -> None:
        if dialog.answered:
            self._send(*dialog.ack())
            self._send(*dialog.bye())
        else:
            self._send(*dialog.cancel())

    def _invite_answered(self, answer: SipMessage, far: Address) -> None:
        dialog = self._dialogs.get(answer.call_id)
        if dialog is None:
            dialog = self._dialogs[answer.call_id] = Dialog.from_answer(answer, far)
            self._waiting.add(dialog.call_id)
        known = dialog.final
        dialog.take(answer)
        if dialog.over:
            self._send(*dialog.refused_ack())
            self._over(dialog.call_id)
        elif dialog.answered and known is None:
            self._waiting.add(dialog.call_id)
            self._end(dialog)

    def _cancel_answered(self, answer: SipMessage) -> None:
        """A CANCEL that nobody can match (481) came after the 200 OK, which the dead dialler took with it."""
        dialog = self._dialogs.get(answer.call_id)
        if dialog is not None and answer.status == 481 and dialog.final is None:
            if dialog.answer is not None and dialog.answer.tagged:
                self._send(*dialog.bye())
            else:
                self._over(dialog.call_id)

    def _answer_request(self, request: SipMessage, far: Address) -> None:
        """The far side hangs up by itself: say yes."""
        if request.method == "BYE":
            kept = [f"{name}: {value}" for name, value in request.headers if name in _ANSWERED_WITH]
            answer = "\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""])
            self._send(answer.encode(), far)
            self._over(request.call_id)

    def _over(self, call_id: str) -> None:
        if call_id in self._waiting:
            self._waiting.discard(call_id)
            self._on_over(self._dialogs[call_id].order)

    def _send(self, data: bytes, far: Address) -> None:
        if self._transport is not None:
            self._transport.sendto(data, far)


async def _happens(event: asyncio.Event, within: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), within)
    except TimeoutError:
        return False
    return True


_ANSWERED_WITH: Final = ("via", "from", "to", "call-id", "cseq")
