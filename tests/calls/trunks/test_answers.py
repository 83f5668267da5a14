"""The close-text table, the numbers of the demo phones, and what crosses the wire to a dialler."""

import asyncio
import socket
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import orjson
import pytest

from covey.calls.call import CallEnd, CallOrder, CallReport, Media, Speaker, StartLease, Turn
from covey.calls.trunks.demo import DemoSettings, behaviour_of, behaviours, is_demo_number
from covey.calls.trunks.dialler.protocol import read_order, read_report
from covey.calls.trunks.sip_codes import BY_CODE, SipRefusal, read_close
from covey.processes.channel import Channel

from .conftest import script


@pytest.mark.parametrize(
    ("text", "end", "code"),
    [
        ("486 Busy Here", CallEnd.busy, 486),
        ("600 Busy Everywhere", CallEnd.busy, 600),
        ("408 Request Timeout", CallEnd.no_answer, 408),
        ("480 Temporarily Unavailable", CallEnd.unavailable, 480),
        ("487 Request Terminated", CallEnd.no_answer, 487),
        ("603 Decline", CallEnd.rejected, 603),
        ("607 Unwanted", CallEnd.rejected, 607),
        ("404 Not Found", CallEnd.invalid_number, 404),
        ("484 Address Incomplete", CallEnd.invalid_number, 484),
        ("604 Does Not Exist Anywhere", CallEnd.invalid_number, 604),
        ("401 Unauthorized", CallEnd.trunk_auth, 401),
        ("403 Forbidden", CallEnd.trunk_auth, 403),
        ("407 Proxy Authentication Required", CallEnd.trunk_auth, 407),
        ("488 Not Acceptable Here", CallEnd.codec_mismatch, 488),
        ("302 Moved Temporarily", CallEnd.moved, 302),
        ("500 Server Internal Error", CallEnd.trunk_unavailable, 500),
        ("503", CallEnd.trunk_unavailable, 503),
        ("483 Too Many Hops", CallEnd.trunk_unavailable, 483),
        ("Connection refused [111]", CallEnd.trunk_unavailable, None),
        ("Protocol error [71]", CallEnd.trunk_unavailable, None),
        ("Destination address required [89]", CallEnd.trunk_unavailable, None),
        ("Connection timed out [110]", CallEnd.no_final_answer, None),
        ("Something never seen before", CallEnd.no_final_answer, None),
        ("", CallEnd.no_final_answer, None),
        ("4864 not a code", CallEnd.no_final_answer, None),
    ],
)
def test_close_texts(text: str, end: CallEnd, code: int | None) -> None:
    assert read_close(text, rang=True) == SipRefusal(end, code)


def test_a_timeout_of_a_proxy_that_rang_nobody_is_not_the_numbers_alone() -> None:
    assert read_close("408 Request Timeout", rang=False) == SipRefusal(CallEnd.unavailable, 408)
    assert read_close("486 Busy Here", rang=False) == SipRefusal(CallEnd.busy, 486)


def test_every_code_is_a_refusal() -> None:
    assert all(300 <= code <= 699 for code in BY_CODE)


def test_every_fictional_number_has_one_behaviour() -> None:
    covered = [last for row in behaviours() for last in range(row.first, row.last + 1)]
    assert covered == list(range(100))
    row = behaviour_of("+12125550163")
    assert row is not None
    assert row.end is CallEnd.busy


@pytest.mark.parametrize(
    "number",
    [
        "+14155550200",
        "+14155560140",
        "+10155550140",
        "+4930123456",
        "14155550140",
        "+141555501400",
        "+1415555014\u0660",
    ],
)
def test_no_other_number_is_a_demo_phone(number: str) -> None:
    assert not is_demo_number(number)
    assert behaviour_of(number) is None


@pytest.mark.parametrize("host", ["192.0.2.1", "0.0.0.0", "::"])
def test_the_demo_stays_on_loopback(host: str) -> None:
    assert not ip_address(host).is_loopback
    with pytest.raises(ValueError, match="loopback"):
        DemoSettings(host=host)


async def test_orders_and_reports_survive_the_wire() -> None:
    order = CallOrder(
        "b", "i", 3, "+14155550140", script(), {"opening": "/o"}, StartLease(1.5, 2.0), 30, 600, "+1", "/r"
    )
    report = CallReport(
        CallEnd.declined,
        datetime.now(UTC),
        answered_at=datetime.now(UTC),
        sip_code=200,
        turns=(Turn(Speaker.callee, "pressed 2", 1.25, digit="2"),),
        answers={"come": False},
        media=Media("PCMU", 5, 6, 7, 0.03),
        answerer="human",
    )
    assert read_order(orjson.loads(orjson.dumps(order))) == order
    assert read_report(orjson.loads(orjson.dumps(report))) == report


async def test_frames_keep_their_bounds_and_the_end_is_seen() -> None:
    ours, theirs = socket.socketpair()
    here, there = await Channel.over(ours), await Channel.over(theirs)
    sound = bytes(range(256)) * 500
    sent: list[tuple[dict[str, Any], bytes]] = [({"say": "a"}, b""), ({"say": "b"}, sound), ({"say": "c"}, b"x")]
    for message, tail in sent:
        here.send(message, tail)
    flushed = asyncio.create_task(here.flush())
    assert [await there.receive() for _ in sent] == sent
    await flushed
    here.close()
    assert await there.receive() is None
    there.close()
