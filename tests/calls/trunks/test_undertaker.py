"""Ending calls in the stead of a dead dialler, with real phones on the other side."""

import asyncio
import secrets
import socket

import pytest

from covey.calls.trunks.dialler.cleanup import DialogTerminator
from covey.calls.trunks.dialler.dialogs import Dialogs, SipMessage

from .conftest import Phones

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"


def caller() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


def invite(number: str, here: int, there: int) -> str:
    lines = (
        f"INVITE sip:{number}@127.0.0.1:{there};transport=udp SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.0.1:{here};branch=z9hG4bK{secrets.token_hex(8)};rport",
        "Max-Forwards: 70",
        f"From: <sip:covey@127.0.0.1>;tag={secrets.token_hex(4)}",
        f"To: <sip:{number}@127.0.0.1:{there};transport=udp>",
        f"Call-ID: {secrets.token_hex(8)}",
        "CSeq: 7 INVITE",
        "X-Covey-Item: 00",
        "X-Covey-Attempt: 1",
        f"Contact: <sip:covey@127.0.0.1:{here}>",
        "Content-Type: application/sdp",
        f"Content-Length: {len(SDP)}",
        "",
        SDP,
    )
    return "\r\n".join(lines)


@pytest.mark.parametrize(("number", "code"), [("+14155550165", 487), ("+14155550195", 200)])
@pytest.mark.parametrize("traced", [True, False])
async def test_a_call_that_goes_on_after_its_dialler(phones: Phones, number: str, code: int, traced: bool) -> None:
    """With `traced` false not even the INVITE was seen: its answers are enough."""
    hurry = asyncio.Event()
    with caller() as sock:
        here = sock.getsockname()[1]
        request = invite(number, here, phones.port)
        dialogs = Dialogs()
        if traced:
            dialogs.watch(f"TX UDP 127.0.0.1:{here} -> 127.0.0.1:{phones.port}\n{request}")
        sock.sendto(request.encode(), ("127.0.0.1", phones.port))
        if code == 200:
            await phones.until("answered", 1)
        burial = asyncio.create_task(DialogTerminator.terminate(sock.dup(), dialogs.open() if traced else [], hurry))
        (seen,) = await phones.until("ended", 1, 3.0)
        hurry.set()
        assert await burial == 0
    assert (seen["ended_by"], seen["code"]) == ("caller", code)


async def test_a_200_that_the_dialler_took_with_it(phones: Phones) -> None:
    """It answered and the answer was read, but only the ringing was traced: CANCEL comes too late, BYE does not."""
    with caller() as sock:
        here = sock.getsockname()[1]
        request = invite("+14155550195", here, phones.port)
        dialogs = Dialogs()
        dialogs.watch(f"TX UDP 127.0.0.1:{here} -> 127.0.0.1:{phones.port}\n{request}")
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendto(sock, request.encode(), ("127.0.0.1", phones.port))
        while True:
            answer = (await loop.sock_recv(sock, 4096)).decode()
            if " 200 OK" in answer.splitlines()[0]:
                break
            dialogs.watch(f"RX UDP 127.0.0.1:{phones.port} -> 127.0.0.1:{here}\n{answer}")
        message = SipMessage.read(answer)
        assert message is not None
        (dialog,) = dialogs.open()
        assert not dialog.answered
        hurry = asyncio.Event()
        burial = asyncio.create_task(DialogTerminator.terminate(sock.dup(), [dialog], hurry))
        (seen,) = await phones.until("ended", 1, 3.0)
        hurry.set()
        await burial
    assert (seen["ended_by"], seen["code"]) == ("caller", 200)


def test_routes_are_those_of_the_answer() -> None:
    """A BYE goes by the proxies that recorded themselves, in reverse, and to the first of them (RFC 3261 12.1.2)."""
    dialogs = Dialogs()
    request = invite("+14155550140", 5062, 5060)
    dialogs.watch(f"TX UDP 127.0.0.1:5062 -> 127.0.0.1:5060\n{request}")
    asked = SipMessage.read(request)
    assert asked is not None
    lines = (
        "SIP/2.0 200 OK",
        f"Via: {asked.get('via')}",
        "Record-Route: <sip:192.0.2.2:5070;lr>, <sip:192.0.2.1;lr>",
        f"From: {asked.get('from')}",
        f"To: {asked.get('to')};tag=x",
        f"Call-ID: {asked.call_id}",
        "CSeq: 7 INVITE",
        "Contact: <sip:far@192.0.2.9:5999>",
        "",
        "v=0\r\nm=audio 4 RTP/AVP 8 101",
    )
    dialogs.watch("RX UDP 127.0.0.1:5060 -> 127.0.0.1:5062\n" + "\r\n".join(lines))
    (dialog,) = dialogs.open()
    data, far = dialog.bye()
    bye = SipMessage.read(data.decode())
    assert bye is not None
    assert bye.start == "BYE sip:far@192.0.2.9:5999 SIP/2.0"
    assert bye.all("route") == ["<sip:192.0.2.1;lr>", "<sip:192.0.2.2:5070;lr>"]
    assert (bye.sequence, bye.tagged, far) == (8, True, ("192.0.2.1", 5060))
    assert bye.get("via").partition("branch=")[2] != asked.get("via").partition("branch=")[2]
    assert dialog.codec == "PCMA"
