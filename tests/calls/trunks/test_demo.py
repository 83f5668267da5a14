"""The demo trunk: it brings its own phones, rings no other number, and takes everything along when it goes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from covey.calls.call import CallEnd
from covey.calls.speech.recognition import PocketsphinxRecognizer
from covey.calls.trunks.demo import DemoSettings, DemoTrunk
from tests.patience import patience

from .conftest import OrderMaker, Watch, alive, until_gone


async def test_the_demo_trunk_brings_its_phones(order: OrderMaker, tmp_path: Path) -> None:
    log = tmp_path / "phones.jsonl"
    recognizer = PocketsphinxRecognizer()
    trunk = DemoTrunk(DemoSettings(log=log), recognizer.recognize)
    try:
        await trunk.start()
        dialler = trunk.pids[0]
        assert (trunk.name, trunk.live, await trunk.ping()) == ("demo", False, None)
        real = await trunk.place(order("+4930901820"), Watch())
        busy = await trunk.place(order("+12125550162"), Watch())
    finally:
        await trunk.stop()
        await recognizer.close()
    assert (real.end, real.dialled_at) == (CallEnd.invalid_number, None)
    assert busy.end is CallEnd.busy
    assert [json.loads(line)["number"] for line in log.read_text().splitlines()] == ["+12125550162"] * 2
    assert not alive(dialler)


@pytest.mark.parametrize("how", ["lifeline", "signal"])
async def test_phones_leave_when_told(how: str) -> None:
    theirs, ours = os.pipe()
    command = [sys.executable, "-m", "covey.calls.trunks.demo", "--swallow", "--lifeline", str(theirs)]
    phones = subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=(theirs,))
    os.close(theirs)
    assert phones.stdout is not None
    assert json.loads(await asyncio.to_thread(phones.stdout.readline))["host"] == "127.0.0.1"
    if how == "signal":
        phones.send_signal(signal.SIGTERM)
    else:
        os.close(ours)
    await until_gone(phones.pid)
    assert phones.wait() == 0
    phones.stdout.close()
    if how == "signal":
        os.close(ours)


@pytest.mark.parametrize("switches", [["--host", "192.0.2.1"], ["--answer-all", "200"]])
def test_phones_refuse_to_start_wrongly(switches: list[str]) -> None:
    command = [sys.executable, "-m", "covey.calls.trunks.demo", *switches]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


async def test_phones_that_die_are_replaced(order: OrderMaker, tmp_path: Path) -> None:
    recognizer = PocketsphinxRecognizer()
    trunk = DemoTrunk(DemoSettings(log=tmp_path / "phones.jsonl"), recognizer.recognize)
    try:
        await trunk.start()
        phones, dialler = trunk.phones, trunk.pids[0]
        assert phones is not None
        os.kill(phones, signal.SIGKILL)
        await until_gone(phones)
        assert await trunk.ping() is not None
        async with patience():
            while trunk.phones in (phones, None) or await trunk.ping() is not None or not trunk.pids:
                await asyncio.sleep(0.02)
        assert dialler not in trunk.pids
        assert (await trunk.place(order("+12125550162", room=10.0), Watch())).end is CallEnd.busy
    finally:
        await trunk.stop()
        await recognizer.close()
    assert trunk.phones is None


async def test_the_demo_starts_again_after_a_start_that_failed(order: OrderMaker, tmp_path: Path) -> None:
    """The log cannot be written, so the phones do not come up."""
    folder = tmp_path / "folder"
    recognizer = PocketsphinxRecognizer()
    trunk = DemoTrunk(DemoSettings(log=folder / "phones.jsonl"), recognizer.recognize)
    folder.touch()
    try:
        with pytest.raises(RuntimeError, match="did not start"):
            await trunk.start()
        assert trunk.phones is None
        folder.unlink()
        folder.mkdir()
        await trunk.start()
        assert (await trunk.place(order("+12125550162"), Watch())).end is CallEnd.busy
    finally:
        await trunk.stop()
        await recognizer.close()
