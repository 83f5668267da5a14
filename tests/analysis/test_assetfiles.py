"""Where assets lie: a folder here, or a store elsewhere, from which a file is copied once for all who want it."""

import asyncio
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from covey.analysis.storage import AssetFiles, FilesUnavailable
from covey.disk import NoRoom, free_bytes
from covey.domain.ids import new_id
from tests.analysis.files import largest_file, on_the_disk


def _ident() -> str:
    return new_id(datetime.now(UTC))


@pytest.fixture(params=["folder", "store"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AssetFiles]:
    """Assets in the data folder, and in a store that is asked by URL."""
    (tmp_path / "assets").mkdir()
    url = f"file://{tmp_path / 'assets'}" if request.param == "store" else None
    opened = AssetFiles(url, tmp_path / "assets", tmp_path / "spool")
    yield opened
    opened.close()


def _spooled(files: AssetFiles, content: bytes) -> Path:
    file = files.spooled()
    file.write_bytes(content)
    return file


async def test_what_is_kept_is_lent_and_leaves_nothing_behind(files: AssetFiles, tmp_path: Path) -> None:
    asset, content = _ident(), bytes(range(256)) * 100_000
    file = _spooled(files, content)
    await files.keep(asset, file)
    assert not file.exists()
    async with files.local(asset) as one, files.local(asset) as other:
        assert one == other
        assert one.read_bytes() == content
    assert await files.has(asset)
    await files.keep_facts(asset, b"{}")
    assert await files.facts(asset) == b"{}"
    await files.delete(asset)
    await files.delete(asset)
    assert await files.facts(asset) is None
    assert list((tmp_path / "assets").iterdir()) == []
    assert [path.name for path in files.spool.iterdir()] == ["lock"]


async def test_what_is_not_there_is_said_so(files: AssetFiles) -> None:
    for name in (_ident(), "../covey.db", ""):
        with pytest.raises(FileNotFoundError):
            async with files.local(name):
                pass
    assert await files.facts(_ident()) is None
    assert not await files.has(_ident())


async def test_facts_of_a_deleted_asset_are_not_kept(files: AssetFiles, tmp_path: Path) -> None:
    await files.keep_facts(_ident(), b"{}")
    assert list((tmp_path / "assets").iterdir()) == []


async def test_one_who_goes_away_while_it_is_copied_takes_it_from_nobody(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    files = AssetFiles(f"file://{tmp_path / 'assets'}", tmp_path, tmp_path / "spool")
    asset, content = _ident(), b"x" * 20_000_000
    await files.keep(asset, _spooled(files, content))
    begun = asyncio.Event()

    async def impatient() -> None:
        begun.set()
        async with files.local(asset):
            await asyncio.Event().wait()

    leaving = asyncio.create_task(impatient())
    await begun.wait()
    async with files.local(asset) as file:
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert file.read_bytes() == content
    assert not file.exists()
    files.close()


async def test_a_store_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    url = "s3://bucket?aws_endpoint=http://127.0.0.1:9&region=x&access_key_id=a&secret_access_key=b"
    files = AssetFiles(url, tmp_path, tmp_path / "spool", retries=0)
    file = _spooled(files, b"x")
    with pytest.raises(FilesUnavailable):
        await files.keep(_ident(), file)
    files.close()


def test_the_spool_of_a_dead_process_is_swept_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    living = AssetFiles(None, tmp_path / "assets", tmp_path / "spool")
    kept = _spooled(living, b"x")
    dead = tmp_path / "spool" / "0123456789abcdef"
    dead.mkdir()
    (dead / "left").write_bytes(b"x")
    AssetFiles(None, tmp_path / "assets", tmp_path / "spool").close()
    assert kept.exists()
    assert not dead.exists()
    living.close()


async def test_what_is_kept_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = AssetFiles(None, tmp_path / "assets", tmp_path / "spool")
    asset, file = _ident(), _spooled(files, b"bytes")
    inode = file.stat().st_ino
    with on_the_disk(monkeypatch) as synced:
        await files.keep(asset, file)
    assert synced == [inode, (tmp_path / "assets").stat().st_ino]
    files.close()


async def test_what_comes_from_another_disk_is_on_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        (tmp_path / "assets").mkdir()
        files, asset = AssetFiles(None, tmp_path / "assets", Path(memory)), _ident()
        file = _spooled(files, b"bytes")
        assert file.stat().st_dev != tmp_path.stat().st_dev
        with on_the_disk(monkeypatch) as synced:
            await files.keep(asset, file)
        kept = tmp_path / "assets" / asset
        assert (kept.read_bytes(), file.exists()) == (b"bytes", False)
        assert synced[-2:] == [kept.stat().st_ino, (tmp_path / "assets").stat().st_ino]
        files.close()


def test_a_full_disk_is_no_room(tmp_path: Path) -> None:
    with largest_file(1000), pytest.raises(NoRoom), free_bytes():
        (tmp_path / "file").write_bytes(b"x" * 2000)
