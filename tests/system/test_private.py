"""What Covey writes is its owner's alone, in a folder that everybody may use, by a process that hides nothing."""

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from benchmarks.serving import SHORT_AGENT, ServerProcess, demo_numbers, served, write_csv

from covey import private
from covey.analysis.media.drawing import DrawnScene, draw
from covey.client import CoveyClient, StartOptions

EVERYBODY = 0o777
SETTINGS = '[analysis]\nsandbox = "weak"\n[fetch]\nallow = ["127.0.0.0/8"]\n'
NOTES = "notes.txt"
OF_THE_TEST = ("covey.toml", "server.log", "data", NOTES)


@pytest.fixture
def hiding_nothing() -> Iterator[None]:
    """Processes that are started make files that everybody can read and change, if they leave it at that."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def place(tmp_path: Path, hiding_nothing: None) -> Path:
    """A folder for everybody, in whose data folder an older Covey left things open, and somebody keeps notes."""
    older = tmp_path / "server" / "data" / "recordings"
    older.mkdir(parents=True)
    (older / "older.flac").touch()
    (older.parent / NOTES).touch()
    for path in (tmp_path, older.parent.parent, older.parent, older):
        path.chmod(EVERYBODY)
    return tmp_path / "server"


def left_open(folder: Path) -> list[str]:
    """What others can reach below a folder that they may enter, and read or change."""
    found = []
    for path in sorted(folder.iterdir()):
        mode = path.lstat().st_mode
        if mode & private.OTHERS and path.name not in OF_THE_TEST:
            found.append(f"{stat.filemode(mode)} {path}")
        if path.is_dir() and mode & (stat.S_IXGRP | stat.S_IXOTH):
            found += left_open(path)
    return found


async def covey(folder: Path, *words: str) -> None:
    """Run a command that works, in the folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVEY_")}
    environment = {**kept, "COVEY_PROFILE": str(folder / "profile.toml"), "COVEY_CONFIG": str(folder / "covey.toml")}
    command = [sys.executable, "-m", "covey.cli", *words]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


async def everything(server: ServerProcess, client: CoveyClient, files: Path) -> None:
    """Have the server write all that it ever writes, looking while calls are up."""
    await client.webhooks.create("http://127.0.0.1:9/hook")
    agent = await client.agents.create({**SHORT_AGENT, "recording": True})
    people = write_csv(files / "people.csv", [*demo_numbers(3, range(40)), "no number"])
    options = StartOptions(trunk="demo", on_invalid="skip")
    calls = (await client.batches.start(people, agent.id, options)).batch_id
    draw(files / "clip.mp4", [DrawnScene(1.0, "navy"), DrawnScene(0.5, "gold")], (160, 90))
    asset = await client.assets.ready((await client.assets.upload(files / "clip.mp4")).id)
    asked = [{"video": {"type": "asset_id", "asset_id": asset.id}, "prompt": {"input_text": "What is on screen?"}}]
    analysis = (await client.analyses.create(asked, model="local-facts")).batch_id
    await _a_part_of_an_upload(server, client)
    async with asyncio.timeout(60):
        while not (await client.batches.get(calls)).progress.completed:
            assert left_open(server.folder) == []
            await asyncio.sleep(0.1)
        while not (await client.batches.get(calls)).is_complete or not (await client.analyses.get(analysis)).ended:
            await asyncio.sleep(0.1)


async def _a_part_of_an_upload(server: ServerProcess, client: CoveyClient) -> None:
    headers = {"x-api-key": client.profile.api_key, "x-workspace-id": client.profile.workspace}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
        about = {"filename": "later.mp4", "type": "video", "total_size": 20_000_000}
        begun = (await http.post("/v1.3/assets/multipart-uploads", json=about)).json()
        address = begun["upload_urls"][0]["url"]
        assert (await http.put(address, content=bytes(begun["chunk_size"]))).status_code == 200


async def test_nothing_that_covey_writes_is_open_to_others(place: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    async with served(place, SETTINGS) as server:
        async with server.client() as client:
            await everything(server, client, files)
        await covey(place, "export", "--output", "results.csv")
        await covey(place, "export", "--output", "results.jsonl", "--format", "jsonl")
        await covey(place, "backup", "backup.db")
        await covey(place, "backup", "data")
        assert left_open(place) == []
    data = place / "data"
    assert private.open_in(data) == [data]
    assert {path.name for path in data.iterdir()} == {NOTES, *(path.name for path in private.written_in(data))}
    kinds = ("covey.db", "covey.lock", "secret.key", "first-key.txt", "covey-*.db", "assets/*.facts", "clips/*/*")
    more = ("recordings/*/*.flac", "skipped/*", "uploads/*/*", "phones.jsonl", "phones/*")
    assert [kind for kind in (*kinds, *more) if not any(data.glob(kind))] == []
    await covey(place, "restore", "backup.db", "--yes")
    await covey(place, "workspaces", "create", "another")
    await covey(place, "init", "other.toml")
    await covey(place, "init", "--force", "other.toml")
    assert left_open(place) == []
    names = {path.name for path in place.iterdir()}
    assert names >= {"backup.db", "other.toml", "profile.toml", "results.csv", "results.jsonl"}
