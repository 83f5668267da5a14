"""Recordings: named at once, moved behind everybody's back, found wherever they are, gone when they are to go."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest

from covey.calls.recordings import RecordingRetention, Recordings
from covey.domain.clock import SystemClock

BATCH = "6b02ed612dff3a54bd000000"


async def everywhere(batch: str) -> bool:
    """All batches are there."""
    return True


def finished(recordings: Recordings, call: str, sound: bytes) -> Path:
    """A file as a call leaves it."""
    file = recordings.path(BATCH, call)
    file.write_bytes(sound)
    return file


async def test_a_recording_has_its_name_at_once_and_can_be_heard_while_it_moves(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "spool", None, tmp_path / "kept")
    file = finished(recordings, "call-1", b"sound")
    name = recordings.keep(file)
    assert await recordings.get(name) == b"sound"
    await recordings.close()
    assert not file.exists()
    assert await recordings.get(name) == b"sound"


async def test_what_a_crash_left_is_moved_by_the_next_process_and_what_is_new_is_not(tmp_path: Path) -> None:
    left = finished(Recordings(tmp_path / "spool", None, tmp_path / "kept"), "call-1", b"cut off")
    recordings = Recordings(tmp_path / "spool", None, tmp_path / "kept")
    new = finished(recordings, "call-2", b"still going on")
    await recordings.keep_leftovers(everywhere)
    assert not left.exists()
    assert new.exists()
    assert await recordings.get(f"{BATCH}/call-1.flac") == b"cut off"


async def test_a_batch_takes_its_recordings_along(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "spool", None, tmp_path / "kept")
    name = recordings.keep(finished(recordings, "call-1", b"sound"))
    await recordings.close()
    await recordings.forget(BATCH)
    assert await recordings.get(name) is None


async def test_a_batch_takes_along_what_could_not_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bucket was away when the call ended; it must not get the recording of a batch that is gone by then."""
    spool, kept = tmp_path / "spool", tmp_path / "kept"
    recordings = Recordings(spool, None, kept)

    async def away(*_: object) -> None:
        raise OSError("the bucket does not answer")

    with monkeypatch.context() as fault:
        fault.setattr(obstore, "put_async", away)
        name = recordings.keep(finished(recordings, "call-1", b"sound"))
        other = recordings.path("f" * 24, "call-1")
        other.write_bytes(b"of another batch")
        recordings.keep(other)
        await recordings.close()
    assert await recordings.get(name) == b"sound"
    await recordings.forget(BATCH)
    assert await recordings.get(name) is None
    await Recordings(spool, None, kept).keep_leftovers(everywhere)
    assert [file.name for file in kept.rglob("*.flac")] == ["call-1.flac"]
    assert await recordings.get(f"{'f' * 24}/call-1.flac") == b"of another batch"


async def test_what_a_crash_left_of_a_batch_that_is_gone_is_not_moved(tmp_path: Path) -> None:
    left = finished(Recordings(tmp_path / "spool", None, tmp_path / "kept"), "call-1", b"cut off")
    recordings = Recordings(tmp_path / "spool", None, tmp_path / "kept")
    await recordings.forget(BATCH)
    await recordings.keep_leftovers(everywhere)
    assert not left.exists()
    assert list((tmp_path / "kept").rglob("*.flac")) == []


async def test_a_leftover_that_is_on_its_way_goes_with_its_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(Recordings(tmp_path / "spool", None, tmp_path / "kept"), "call-1", b"cut off")
    recordings = Recordings(tmp_path / "spool", None, tmp_path / "kept")
    put, begun, may_end = obstore.put_async, asyncio.Event(), asyncio.Event()

    async def slow(*asked: Any) -> Any:
        begun.set()
        await may_end.wait()
        return await put(*asked)

    monkeypatch.setattr(obstore, "put_async", slow)
    moving = asyncio.create_task(recordings.keep_leftovers(everywhere))
    await begun.wait()
    forgetting = asyncio.create_task(recordings.forget(BATCH))
    await asyncio.wait({forgetting}, timeout=0.2)
    may_end.set()
    await asyncio.gather(moving, forgetting)
    assert list((tmp_path / "spool").iterdir()) == []
    assert list((tmp_path / "kept").rglob("*.flac")) == []


async def test_old_recordings_go_and_younger_ones_stay(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "spool", None, tmp_path / "kept")
    name = recordings.keep(finished(recordings, "call-1", b"sound"))
    await recordings.close()
    await RecordingRetention(recordings, SystemClock(), timedelta(days=90), everywhere).round()
    assert await recordings.get(name) == b"sound"
    assert await recordings.forget_before(datetime.now(UTC) + timedelta(minutes=1)) == 1
    assert await recordings.get(name) is None


async def test_what_is_of_a_batch_that_another_process_erased_is_not_moved(tmp_path: Path) -> None:
    left = finished(Recordings(tmp_path / "spool", None, tmp_path / "kept"), "call-1", b"sound")
    recordings = Recordings(tmp_path / "spool", None, tmp_path / "kept")

    async def nowhere(batch: str) -> bool:
        assert batch == BATCH
        return False

    await recordings.keep_leftovers(nowhere)
    assert not left.exists()
    assert await recordings.get(f"{BATCH}/call-1.flac") is None
