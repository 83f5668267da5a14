"""Calls over real SIP to real phones: every behaviour, licence, hang-up, limits, and what comes in unasked."""

import asyncio
import contextlib
import secrets
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from structlog.testing import capture_logs

from covey.calls.call import SAMPLE_RATE, CallEnd
from covey.calls.recording import Recording
from covey.calls.trunks.demo import BehaviourKind, behaviours
from covey.calls.trunks.dialler.call import OutboundCall
from covey.calls.trunks.dialler.stack import Stack
from covey.calls.trunks.settings import SipSettings
from covey.calls.trunks.sip import SipTrunk

from .conftest import OrderMaker, Phones, PhonesMaker, TrunkMaker, Watch, descriptor_of, far_end

ONE = "+14155550140"
RINGS = "+14155550165"
SILENT = "+14155550195"


def number(last_two: int) -> str:
    return f"+141555501{last_two:02d}"


async def test_every_phone_ends_its_call_as_documented(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    table = behaviours()
    orders = [order(number(row.first), ring_seconds=1.5) for row in table]
    reports = await asyncio.gather(*(trunk.place(each, Watch()) for each in orders))
    assert {row.kind: report.end for row, report in zip(table, reports, strict=True)} == {
        row.kind: row.end for row in table
    }
    ended = await phones.until("ended", len(table))
    assert {line["item"] for line in ended} == {each.item for each in orders}
    assert {line["call_id"] for line in ended} == {report.sip_call_id for report in reports}
    codes = {line["behaviour"]: line["code"] for line in ended}
    assert codes["busy"] == 486
    assert codes["never_answers"] == 487
    answerers = {row.kind: report.answerer for row, report in zip(table, reports, strict=True)}
    assert answerers[BehaviourKind.mailbox] == "machine"
    assert answerers[BehaviourKind.busy] is None


async def test_the_report_tells_what_happened(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    watch = Watch()
    report = await trunk.place(order(ONE), watch)
    (seen,) = await phones.until("ended", 1)
    assert report.end is CallEnd.successful
    assert report.answers == {"come": True}
    assert [turn.text for turn in report.turns] == ["opening", "question", "pressed 1", "yes", "goodbye"]
    assert watch.turns == list(report.turns)
    assert report.sip_code == 200
    assert report.answerer == "human"
    assert report.media.codec == "PCMU"
    assert report.media.lost == 0
    assert report.media.sent >= seen["received"] > 50
    assert report.media.first_word is not None
    assert report.media.first_word < report.turns[1].at
    assert seen["first_voice_at"] - seen["answered_at"] < report.turns[1].at
    assert report.dialled_at is not None
    assert abs(report.dialled_at.timestamp() - seen["invite_at"]) < seen["bye_at"] - seen["invite_at"]


async def test_the_phone_hears_what_was_said(
    phones_maker: PhonesMaker, trunk_maker: TrunkMaker, order: OrderMaker, clips: dict[str, str], tmp_path: Path
) -> None:
    phones = phones_maker("--ring", "0.1", "--audio", str(tmp_path / "heard"))
    trunk = await trunk_maker(phones.port)
    report = await trunk.place(order(ONE, recording=str(tmp_path / "call.flac")), Watch())
    (seen,) = await phones.until("ended", 1)
    assert report.recording is not None
    ours, _ = soundfile.read(report.recording, dtype="int16")
    heard, _ = soundfile.read(seen["audio"], dtype="int16")
    for line in ("opening", "question", "yes", "goodbye"):
        said = np.fromfile(clips[line], dtype="<i2")
        assert best_correlation(said, heard) >= 0.99, line
        assert best_correlation(said, ours[:, 0]) >= 0.99, line


def best_correlation(said: "np.ndarray[Any, Any]", heard: "np.ndarray[Any, Any]") -> float:
    """The correlation of `said` with the place in `heard` where it fits best."""
    said, heard = said.astype(float), heard.astype(float)
    at = int(np.argmax(np.correlate(heard, said, "valid")))
    return float(np.corrcoef(said, heard[at : at + len(said)])[0, 1])


async def test_a_late_lease_rings_nobody(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    report = await trunk.place(order(ONE, delay=-1.0, room=0.5), Watch())
    assert report.end is CallEnd.not_started
    assert report.dialled_at is None
    assert phones.lines("invite") == []


async def test_a_call_starts_when_its_lease_begins(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    late, clocks = order(number(60), delay=0.4), time.time() - time.monotonic()
    early = order(number(60))
    await asyncio.gather(trunk.place(late, Watch()), trunk.place(early, Watch()))
    first, second = (await phones.until("invite", 2))[:2]
    assert first["item"] == early.item
    assert second["item"] == late.item
    assert late.lease.start_at < second["invite_at"] - clocks < late.lease.until


async def test_hanging_up_before_the_dial_rings_nobody(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    waiting = order(ONE, delay=5.0)
    placed = asyncio.create_task(trunk.place(waiting, Watch()))
    await asyncio.sleep(0)
    await trunk.hang_up(waiting.id)
    assert (await placed).end is CallEnd.aborted
    assert phones.lines("invite") == []


@pytest.mark.parametrize(("to", "code"), [(RINGS, 487), (SILENT, 200)])
async def test_hanging_up_cancels_or_says_bye(
    trunk: SipTrunk, phones: Phones, order: OrderMaker, to: str, code: int
) -> None:
    watch, placed = Watch(), order(to)
    call = asyncio.create_task(trunk.place(placed, watch))
    await (watch.rang if to == RINGS else watch.talks).wait()
    await trunk.hang_up(placed.id)
    report = await call
    (seen,) = await phones.until("ended", 1)
    assert report.end is CallEnd.aborted
    assert (seen["ended_by"], seen["code"]) == ("caller", code)


async def test_the_longest_call_ends_by_itself(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    report = await trunk.place(order(SILENT, longest_seconds=1.0), Watch())
    (seen,) = await phones.until("ended", 1)
    assert report.end is CallEnd.too_long
    assert seen["bye_at"] - seen["answered_at"] > 0.9


async def test_only_e164_gets_into_a_uri(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    for to in ("+1415555014x", "sip:abc@127.0.0.1", "+1 415 555 0140", "+14155550140\r\nX: y", ""):
        report = await trunk.place(order(to), Watch())
        assert report.end is CallEnd.invalid_number
    assert phones.lines("invite") == []


async def test_the_dialler_holds_the_lock_it_was_given(phones: Phones, trunk_maker: TrunkMaker, tmp_path: Path) -> None:
    path = tmp_path / "owner.lock"
    with path.open("w") as lock:
        trunk = await trunk_maker(phones.port, (lock.fileno(),))
    assert descriptor_of(trunk.pids[0], path)


async def test_nothing_is_lost_when_the_loop_is_blocked(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    """100 calls at once to phones that refuse at once: their ends come before the dials return."""
    orders = [order(number(60 + place % 5), room=5.0) for place in range(100)]
    reports = await asyncio.gather(*(trunk.place(each, Watch()) for each in orders))
    assert [report.end for report in reports] == [CallEnd.busy] * 100


async def test_an_order_without_its_sound_rings_nobody(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    bad = replace(order(ONE), clips={"opening": "/nowhere/opening.pcm"})
    good = order(number(60))
    reports = await asyncio.gather(trunk.place(bad, Watch()), trunk.place(good, Watch()))
    assert [report.end for report in reports] == [CallEnd.not_started, CallEnd.busy]
    assert [line["item"] for line in phones.lines("invite")] == [good.item]


async def test_a_fault_in_one_call_ends_that_call_only(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    """The question's sound is missing, which shows when it is to be said."""
    good, bad = order(ONE), order(ONE)
    bad = replace(bad, clips={"opening": bad.clips["opening"]})
    fine, broken = await asyncio.gather(trunk.place(good, Watch()), trunk.place(bad, Watch()))
    assert fine.end is CallEnd.successful
    assert (broken.end, broken.text) == (CallEnd.outcome_unknown, "internal error: KeyError")
    ended = await phones.until("ended", 2)
    assert {line["ended_by"] for line in ended} == {"caller"}
    assert trunk.restarts == 0


async def test_ping_says_what_is_wrong(trunk: SipTrunk, phones: Phones, trunk_maker: TrunkMaker) -> None:
    assert await trunk.ping() is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        silent = await trunk_maker(deaf.getsockname()[1])
        assert "did not answer" in (await silent.ping() or "")
    assert "refused" in (await silent.ping() or "")


async def test_the_stop_of_a_trunk_ends_its_calls(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    watch = Watch()
    call = asyncio.create_task(trunk.place(order(SILENT), watch))
    await watch.talks.wait()
    await trunk.stop()
    assert (await call).end is CallEnd.aborted
    (seen,) = await phones.until("ended", 1)
    assert seen["ended_by"] == "caller"


async def test_a_trunk_that_refuses_everybody(
    phones_maker: PhonesMaker, trunk_maker: TrunkMaker, order: OrderMaker
) -> None:
    trunk = await trunk_maker(phones_maker("--answer-all", "403").port)
    report = await trunk.place(order(ONE), Watch())
    assert (report.end, report.sip_code) == (CallEnd.trunk_auth, 403)


async def test_a_proxy_whose_far_side_is_dead(
    phones_maker: PhonesMaker, trunk_maker: TrunkMaker, order: OrderMaker
) -> None:
    trunk = await trunk_maker(phones_maker("--answer-all", "408").port)
    report = await trunk.place(order(ONE), Watch())
    assert (report.end, report.sip_code) == (CallEnd.unavailable, 408)


async def test_a_recording_cut_short_is_told(order: OrderMaker) -> None:
    settings = SipSettings("test", "127.0.0.1")
    placed = order(SILENT, recording="/dev/full")
    call = OutboundCall(placed, settings, Stack(settings, lambda text: None, lambda: None), {})
    call._recording = Recording(Path("/dev/full"))
    call._recording.heard(bytes(SAMPLE_RATE))
    with capture_logs() as said:
        assert call._close_recording() == "/dev/full"
    assert [(line["event"], line["call"]) for line in said] == [("recording_not_whole", placed.id)]


async def test_one_broken_number(phones_maker: PhonesMaker, trunk_maker: TrunkMaker, order: OrderMaker) -> None:
    trunk = await trunk_maker(phones_maker("--ring", "0.1", "--broken", ONE).port)
    reports = await asyncio.gather(*(trunk.place(order(to), Watch()) for to in (ONE, number(60))))
    assert [(report.end, report.sip_code) for report in reports] == [
        (CallEnd.trunk_unavailable, 503),
        (CallEnd.busy, 486),
    ]


async def test_a_redirect_is_not_followed(phones: Phones, trunk_maker: TrunkMaker, order: OrderMaker) -> None:
    contact = f"Contact: <sip:+14155550140@127.0.0.1:{phones.port}>"
    async with far_end("302 Moved Temporarily", contact) as port:
        trunk = await trunk_maker(port)
        report = await trunk.place(order(ONE), Watch())
    assert (report.end, report.sip_code) == (CallEnd.moved, 302)
    assert phones.lines("invite") == []


async def test_unsolicited_calls_disturb_nobody(trunk: SipTrunk, phones: Phones, order: OrderMaker) -> None:
    target = sip_port(trunk)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        here = stranger.getsockname()[1]
        for _ in range(300):
            stranger.sendto(invite(here, target), ("127.0.0.1", target))
        orders = [order(number(40), room=5.0) for _ in range(20)]
        reports = await asyncio.gather(*(trunk.place(each, Watch()) for each in orders))
        stranger.setblocking(False)
        answers = []
        with contextlib.suppress(BlockingIOError):
            while True:
                answers.append(stranger.recv(4096).split(b"\r\n")[0])
    assert [report.end for report in reports] == [CallEnd.successful] * 20
    assert any(answer.startswith(b"SIP/2.0 4") for answer in answers)
    assert not any(answer.startswith(b"SIP/2.0 2") for answer in answers)


def sip_port(trunk: SipTrunk) -> int:
    """The UDP port of the trunk's only dialler, from the kernel's table."""
    inodes = set()
    for link in Path(f"/proc/{trunk.pids[0]}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            inodes.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    rows = [row.split() for row in Path("/proc/net/udp").read_text().splitlines()[1:]]
    (port,) = [int(row[1].split(":")[1], 16) for row in rows if row[9] in inodes and row[1].startswith("0100007F")]
    return port


def invite(here: int, there: int) -> bytes:
    body = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {here} RTP/AVP 0\r\n"
    lines = (
        f"INVITE sip:covey@127.0.0.1:{there} SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.0.1:{here};branch=z9hG4bK{secrets.token_hex(8)};rport",
        "Max-Forwards: 70",
        f"From: <sip:stranger@127.0.0.1>;tag={secrets.token_hex(4)}",
        f"To: <sip:covey@127.0.0.1:{there}>",
        f"Call-ID: {secrets.token_hex(8)}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:stranger@127.0.0.1:{here}>",
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
        "",
        body,
    )
    return "\r\n".join(lines).encode()
