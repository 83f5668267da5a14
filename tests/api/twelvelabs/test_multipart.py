"""Uploads in parts over the wire: with the published SDK's own helper, by hand, and what is left of those that fail."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx as real_httpx
import httpx2 as httpx
import pytest
from twelvelabs import TwelveLabs
from twelvelabs.errors import BadRequestError

from covey.analysis.assets import Intake
from covey.analysis.media import Decoder
from covey.analysis.storage import AssetFiles
from covey.api.app import create_app, routes
from covey.domain.errors import NotFound
from covey.fetch import Fetcher
from covey.settings import Analysis
from tests.analysis.files import on_the_disk
from tests.api.harness import WORKER
from tests.api.twelvelabs import clips
from tests.api.twelvelabs.asset_api import LOOPBACK, AssetApi, listening, open_asset_api
from tests.patience import patience

UPLOADS = "/v1.3/assets/multipart-uploads"
CHUNK = 300
"""Bytes of the chunks in these tests."""


@pytest.fixture
async def asset_api(tmp_path: Path) -> AsyncIterator[AssetApi]:
    """A house with assets that come in small chunks."""
    async with open_asset_api(tmp_path / "house") as opened:
        opened.intake.uploads.chunk_bytes = CHUNK
        yield opened


@pytest.fixture
def sdk(asset_api: AssetApi) -> Iterator[Any]:
    """The published SDK, with a connection that is closed."""
    with real_httpx.Client(timeout=60) as http:
        yield TwelveLabs(api_key=asset_api.api.secrets["operate"], base_url=f"{asset_api.url}/v1.3", httpx_client=http)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two seconds of video."""
    return clips.video(tmp_path_factory.mktemp("clip") / "clip.mp4")


async def begin(asset_api: AssetApi, size: int, **more: Any) -> Any:
    """The answer to a create that works."""
    body = {"filename": "holiday.mp4", "type": "video", "total_size": size, **more}
    answer = await asset_api.client.post(UPLOADS, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def put(url: str, content: Any) -> httpx.Response:
    """PUT a chunk as a stranger does."""
    async with httpx.AsyncClient(verify=False) as http:
        return await http.put(url, content=content)


async def sent(made: Any, content: bytes, *indexes: int) -> list[dict[str, Any]]:
    """PUT chunks; what is to be reported of them."""
    proofs = []
    for one in made["upload_urls"]:
        index = one["chunk_index"]
        if index in indexes or not indexes:
            piece = content[(index - 1) * CHUNK : index * CHUNK]
            answer = await put(one["url"], piece)
            assert answer.status_code == 200, answer.text
            etag = answer.headers["etag"]
            proofs.append({"chunk_index": index, "proof": etag, "proof_type": "etag", "chunk_size": len(piece)})
    return proofs


async def report(asset_api: AssetApi, made: Any, proofs: list[dict[str, Any]]) -> httpx.Response:
    """Report chunks."""
    return await asset_api.client.post(f"{UPLOADS}/{made['upload_id']}", json={"completed_chunks": proofs})


def parts(asset_api: AssetApi) -> list[str]:
    """The files that uploads in parts lie in."""
    return sorted(path.name for path in (asset_api.data / "uploads").rglob("*") if path.is_file())


async def test_the_sdk_uploads_a_file_in_parts(asset_api: AssetApi, sdk: Any, clip: bytes, tmp_path: Path) -> None:
    file = tmp_path / "holiday.mp4"
    file.write_bytes(clip)
    told: list[float] = []

    def upload() -> Any:
        return sdk.multipart_upload.upload_file(
            file, batch_size=3, progress_callback=lambda progress: told.append(progress.percentage)
        )

    result = await asyncio.to_thread(upload)
    assert result.asset_url == f"{asset_api.url}/v1.3/assets/{result.asset_id}"
    assert told[-1] == 100
    found = await asset_api.looked_at(result.asset_id)
    assert (found["status"], found["method"], found["size"]) == ("ready", "multipart", len(clip))
    assert found["duration"] == pytest.approx(2.0, abs=0.11)
    async with asset_api.intake.files.local(result.asset_id) as whole:
        assert whole.read_bytes() == clip
    assert parts(asset_api) == ["upload.json"]

    def status() -> Any:
        return sdk.multipart_upload.wait_for_upload_completion(result.asset_id)

    assert (await asyncio.to_thread(status)).completed_chunks == -(-len(clip) // CHUNK)
    assert await asyncio.to_thread(lambda: list(sdk.multipart_upload.list_incomplete_uploads())) == []


async def test_the_sdk_gets_addresses_that_did_not_come_at_once(
    asset_api: AssetApi, sdk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More chunks than addresses come with the create; the file is no video, which is found out at its end."""
    monkeypatch.setattr("covey.api.twelvelabs.multipart.FIRST_ADDRESSES", 2)
    content = b"\0\0\0\x20ftypisom" + b"nothing" * 200
    file = tmp_path / "odd.mp4"
    file.write_bytes(content)
    result = await asyncio.to_thread(lambda: sdk.multipart_upload.upload_file(file, batch_size=3))
    found = await asset_api.looked_at(result.asset_id)
    assert (found["status"], found["error"]["code"]) == ("failed", "video_file_broken")


async def test_chunks_come_in_any_order_and_again(asset_api: AssetApi, clip: bytes) -> None:
    made = await begin(asset_api, len(clip), user_metadata={"k": 1}, enable_hls=True)
    assert (made["total_chunks"], made["chunk_size"]) == (-(-len(clip) // CHUNK), CHUNK)
    assert (await asset_api.client.get(f"/v1.3/assets/{made['asset_id']}")).json()["status"] == "processing"
    wrong = await put(made["upload_urls"][1]["url"], b"x" * CHUNK)
    assert wrong.headers["etag"] == f'"{hashlib.sha256(b"x" * CHUNK).hexdigest()}"'
    made["upload_urls"].reverse()
    proofs = await sent(made, clip)
    said = (await report(asset_api, made, proofs[:2])).json()
    assert (said["url"], said["processed_chunks"], said["total_completed"]) == (None, 2, 2)
    state = (await asset_api.client.get(f"{UPLOADS}/{made['upload_id']}?page_limit=50")).json()
    assert (state["status"], state["chunks_completed"], state["uploaded_chunks"][0]["status"]) == (
        "active",
        2,
        "pending",
    )
    assert state["uploaded_chunks"][-1]["status"] == "completed"
    listed = (await asset_api.client.get(UPLOADS)).json()
    assert [one["upload_id"] for one in listed["data"]] == [made["upload_id"]]
    assert (await asset_api.client.get(UPLOADS + "?page=2")).json()["data"] == []
    said = (await report(asset_api, made, proofs)).json()
    assert (said["processed_chunks"], said["duplicate_chunks"]) == (len(proofs) - 2, 2)
    assert said["url"]
    assert said["total_completed"] == made["total_chunks"]
    again = (await report(asset_api, made, proofs)).json()
    assert (again["url"], again["duplicate_chunks"]) == (said["url"], len(proofs))
    found = await asset_api.looked_at(made["asset_id"])
    assert (found["status"], found["user_metadata"], found["file_type"]) == ("ready", {"k": 1}, "video/mp4")
    late = await put(made["upload_urls"][0]["url"], b"")
    assert (late.status_code, late.json()["code"]) == (400, "upload_completed")


async def test_a_chunk_that_was_replaced_is_reported_anew(asset_api: AssetApi) -> None:
    content = b"a" * CHUNK + b"b"
    made = await begin(asset_api, len(content))
    proofs = await sent(made, content)
    assert (await report(asset_api, made, proofs[:1])).json()["total_completed"] == 1
    changed = await put(made["upload_urls"][0]["url"], b"c" * CHUNK)
    answer = await report(asset_api, made, proofs[1:])
    assert (answer.json()["url"], answer.json()["total_completed"]) == (None, 1)
    answer = await report(asset_api, made, proofs[:1])
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid")
    answer = await report(asset_api, made, [{**proofs[0], "proof": changed.headers["etag"]}])
    assert answer.json()["url"] is not None
    async with asset_api.intake.files.local(made["asset_id"]) as whole:
        assert whole.read_bytes() == b"c" * CHUNK + b"b"


async def test_what_the_disk_spoiled_is_found_out_and_comes_anew(asset_api: AssetApi) -> None:
    content = b"a" * CHUNK + b"b" * CHUNK + b"c" * CHUNK + b"d"
    made = await begin(asset_api, len(content))
    proofs = await sent(made, content)
    assert (await report(asset_api, made, proofs[:3])).json()["total_completed"] == 3
    folder = asset_api.data / "uploads" / made["upload_id"]
    next(folder.glob("1-*")).write_bytes(b"")
    next(folder.glob("3-*")).write_bytes(b"C" * CHUNK)
    answer = await report(asset_api, made, proofs[3:])
    assert (answer.status_code, answer.json()["code"]) == (400, "chunks_damaged")
    assert "1, 3;" in answer.json()["message"]
    assert asset_api.kept() == []
    state = (await asset_api.client.get(f"{UPLOADS}/{made['upload_id']}")).json()
    assert (state["status"], state["chunks_completed"]) == ("active", 2)
    await asset_api.intake.round()
    assert (await report(asset_api, made, proofs[:1])).json()["code"] == "parameter_invalid"
    anew = await sent(made, content, 1, 3)
    assert (await report(asset_api, made, anew)).json()["url"] is not None
    async with asset_api.intake.files.local(made["asset_id"]) as whole:
        assert whole.read_bytes() == content


async def test_a_chunk_that_was_answered_is_on_the_disk(asset_api: AssetApi, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await begin(asset_api, CHUNK + 1)
    with on_the_disk(monkeypatch) as synced:
        await sent(made, b"x" * (CHUNK + 1), 1)
    folder = asset_api.data / "uploads" / made["upload_id"]
    chunk = next(folder.glob("1-*"))
    assert synced == [chunk.stat().st_ino, folder.stat().st_ino]


async def test_wrong_reports_change_nothing(asset_api: AssetApi, sdk: Any, clip: bytes) -> None:
    made = await begin(asset_api, len(clip))
    first, second = await sent(made, clip, 1, 2)
    for wrong in (
        {**second, "proof": "0" * 64},
        {**second, "chunk_index": 3},
        {**second, "chunk_index": 0},
        {**second, "chunk_index": 10**6},
        {**second, "chunk_size": CHUNK - 1},
        {**second, "proof_type": "md5"},
    ):
        answer = await report(asset_api, made, [first, wrong])
        assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid"), wrong
    state = (await asset_api.client.get(f"{UPLOADS}/{made['upload_id']}")).json()
    assert state["chunks_completed"] == 0
    with pytest.raises(BadRequestError):
        await asyncio.to_thread(lambda: sdk.multipart_upload.report_chunk_batch(made["upload_id"], completed_chunks=[]))


async def test_chunks_of_another_size_leave_nothing(asset_api: AssetApi, clip: bytes) -> None:
    made = await begin(asset_api, len(clip))
    url = made["upload_urls"][0]["url"]

    async def streamed(length: int) -> AsyncIterator[bytes]:
        yield b"x" * length

    for content in (b"x" * (CHUNK - 1), b"x" * (CHUNK + 1), streamed(CHUNK + 1), b""):
        answer = await put(url, content)
        assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid")
    last = made["upload_urls"][-1]["url"]
    assert (await put(last, b"x" * CHUNK)).status_code == 400
    assert parts(asset_api) == ["upload.json"]
    assert (await put(url, streamed(CHUNK))).status_code == 200


async def test_a_chunk_that_breaks_off_leaves_nothing(asset_api: AssetApi, clip: bytes) -> None:
    made = await begin(asset_api, len(clip))
    parted = urlsplit(made["upload_urls"][0]["url"])
    _, writer = await asyncio.open_connection(parted.hostname, parted.port)
    writer.write(
        f"PUT {parted.path}?{parted.query} HTTP/1.1\r\nhost: x\r\ncontent-length: {CHUNK}\r\n\r\n".encode() + b"x" * 50
    )
    await writer.drain()
    async with patience():
        while len(parts(asset_api)) == 1:
            await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()
        while len(parts(asset_api)) > 1:
            await asyncio.sleep(0.01)
    assert parts(asset_api) == ["upload.json"]


async def test_an_address_that_was_tampered_with_is_refused(asset_api: AssetApi, clip: bytes) -> None:
    made, other = await begin(asset_api, len(clip)), await begin(asset_api, len(clip))
    url = made["upload_urls"][0]["url"]
    given = {name: value[0] for name, value in parse_qs(urlsplit(url).query).items()}
    bare, size = url.partition("?")[0], b"x" * CHUNK
    later = str(int(given["expires"]) + 1)
    for wrong in (
        bare,
        f"{bare}?expires={given['expires']}&signature={'0' * 64}",
        f"{bare}?expires={later}&signature={given['signature']}",
        f"{bare}?expires=soon&signature={given['signature']}",
        f"{bare}?expires={given['expires']}&signature=%C3%A4",
        url.replace("/chunks/1?", "/chunks/2?"),
        url.replace(made["upload_id"], other["upload_id"]),
        url.replace(made["upload_id"], "0" * 24),
    ):
        answer = await put(wrong, size)
        assert answer.status_code == 403, wrong
        assert answer.json()["code"] == answer.json()["error"]["code"] == "api_not_allowed"
    async with httpx.AsyncClient(verify=False) as http:
        assert (await http.get(url)).status_code == 401
        assert (await http.post(url, content=size)).status_code == 401
        assert (await http.put(bare.replace("/chunks/1", ""), content=size)).status_code == 401
    assert parts(asset_api) == ["upload.json"] * 2


async def test_what_is_asked_for_is_checked(asset_api: AssetApi) -> None:
    for wrong, code in (
        ({"total_size": 0}, "parameter_invalid"),
        ({"total_size": 4 * 1000**3 + 1}, "video_filesize_too_large"),
        ({"total_size": 33 * 1000**2, "type": "image"}, "video_filesize_too_large"),
        ({"type": "document"}, "parameter_invalid"),
        ({"filename": ""}, "parameter_invalid"),
        ({"user_metadata": {"a": {}}}, "parameter_invalid"),
        ({"more": 1}, "parameter_unknown"),
    ):
        body = {"filename": "a.mp4", "type": "video", "total_size": 5, **wrong}
        answer = await asset_api.client.post(UPLOADS, json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert parts(asset_api) == []
    assert (await asset_api.client.get("/v1.3/assets")).json()["data"] == []
    made = await begin(asset_api, 5 * CHUNK)
    path = f"{UPLOADS}/{made['upload_id']}/presigned-urls"
    assert (await asset_api.client.post(path, json={"start": 6, "count": 1})).status_code == 400
    assert (await asset_api.client.post(path, json={"start": 4, "count": 9})).json()["count"] == 2


async def test_another_workspace_sees_nothing(asset_api: AssetApi, clip: bytes) -> None:
    made = await begin(asset_api, len(clip))
    path, headers = f"{UPLOADS}/{made['upload_id']}", asset_api.api.headers("other")
    proof = {"chunk_index": 1, "proof": "x", "proof_type": "etag", "chunk_size": CHUNK}
    answers = [
        await asset_api.client.get(path, headers=headers),
        await asset_api.client.post(path, json={"completed_chunks": [proof]}, headers=headers),
        await asset_api.client.post(f"{path}/presigned-urls", json={"start": 1, "count": 1}, headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [404] * 3
    assert (await asset_api.client.get(UPLOADS, headers=headers)).json()["data"] == []
    reading = asset_api.api.headers("read")
    assert (await asset_api.client.get(path, headers=reading)).status_code == 200
    assert (await asset_api.client.post(f"{path}/presigned-urls", json={}, headers=reading)).status_code == 403


async def test_a_restart_in_the_middle_changes_nothing(asset_api: AssetApi, clip: bytes) -> None:
    """Another intake, of another worker, takes the row over, waits for its parts, and puts them together."""
    made = await begin(asset_api, len(clip))
    assert (await report(asset_api, made, await sent(made, clip, 1, 2, 3))).status_code == 200
    await asset_api.intake.close()
    services, settings = asset_api.api.services, Analysis(sandbox="weak")
    decoder, fetcher = Decoder(settings), Fetcher(LOOPBACK)
    files = AssetFiles(None, asset_api.data / "assets", asset_api.data / "asset-spool")
    intake = Intake(services.store, files, decoder, fetcher, asset_api.api.clock, settings, f"{WORKER}-next")
    await intake.round()
    app = create_app(replace(services, intake=intake), routes())
    headers = asset_api.api.headers()
    async with listening(app) as url, httpx.AsyncClient(base_url=url, headers=headers) as asset_api.api.client:
        asset_api.intake = intake
        assert (await asset_api.client.get(f"/v1.3/assets/{made['asset_id']}")).json()["status"] == "processing"
        body = {"start": 1, "count": 1000}
        more = (await asset_api.client.post(f"{UPLOADS}/{made['upload_id']}/presigned-urls", json=body)).json()
        assert (await report(asset_api, made, await sent(more, clip, *range(4, made["total_chunks"] + 1)))).json()[
            "url"
        ]
        assert (await asset_api.looked_at(made["asset_id"]))["status"] == "ready"
        await intake.close()
        await decoder.close()
    files.close()


async def test_what_was_complete_when_the_server_died_is_put_together_by_a_round(
    asset_api: AssetApi, clip: bytes
) -> None:
    made = await begin(asset_api, len(clip))
    proofs = await sent(made, clip)
    files = asset_api.intake.files

    async def dies(asset: str, file: Path) -> None:
        raise OSError("the machine goes down")

    kept, files.keep = files.keep, dies  # type: ignore[method-assign]
    async with httpx.AsyncClient(base_url=asset_api.url, headers=asset_api.api.headers()) as http:
        body = {"completed_chunks": proofs}
        assert (await http.post(f"{UPLOADS}/{made['upload_id']}", json=body)).status_code == 500
    files.keep = kept  # type: ignore[method-assign]
    assert asset_api.kept() == []
    await asset_api.intake.round()
    assert (await asset_api.looked_at(made["asset_id"]))["status"] == "ready"
    assert (await asset_api.client.get(f"{UPLOADS}/{made['upload_id']}")).json()["status"] == "completed"
    assert parts(asset_api) == ["upload.json"]


async def test_an_upload_expires_and_leaves_nothing(asset_api: AssetApi, clip: bytes) -> None:
    made = await begin(asset_api, len(clip))
    proofs = await sent(made, clip, 1, 2)
    asset_api.api.clock.ahead = timedelta(hours=1, seconds=2)
    assert (await put(made["upload_urls"][0]["url"], clip[:CHUNK])).status_code == 403
    path = f"{UPLOADS}/{made['upload_id']}"
    fresh = (await asset_api.client.post(f"{path}/presigned-urls", json={"start": 1, "count": 1})).json()
    assert (await put(fresh["upload_urls"][0]["url"], clip[:CHUNK])).status_code == 200
    asset_api.api.clock.ahead = timedelta(hours=24, seconds=2)
    assert (await asset_api.client.get(path)).json()["status"] == "expired"
    assert (await report(asset_api, made, proofs)).json()["code"] == "upload_expired"
    await asset_api.intake.round()
    assert parts(asset_api) == ["upload.json"]
    assert (await asset_api.client.get(f"/v1.3/assets/{made['asset_id']}")).status_code == 404
    state = (await asset_api.client.get(path)).json()
    assert (state["status"], state["chunks_completed"]) == ("expired", 0)
    asset_api.api.clock.ahead = timedelta(hours=48, seconds=4)
    await asset_api.intake.round()
    assert list((asset_api.data / "uploads").iterdir()) == []
    assert (await asset_api.client.get(path)).status_code == 404


async def test_deleting_the_asset_ends_the_upload(asset_api: AssetApi, clip: bytes) -> None:
    made = await begin(asset_api, len(clip))
    proofs = await sent(made, clip, 1)
    assert (await asset_api.client.delete(f"/v1.3/assets/{made['asset_id']}")).status_code == 204
    assert list((asset_api.data / "uploads").iterdir()) == []
    assert (await report(asset_api, made, proofs)).status_code == 404
    assert (await put(made["upload_urls"][0]["url"], clip[:CHUNK])).status_code == 403
    with pytest.raises(NotFound):
        await asset_api.intake.uploads.get("ws-one", made["upload_id"])


async def test_a_workspace_has_so_many_uploads_at_once(asset_api: AssetApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covey.analysis.uploads.service.ACTIVE_UPLOADS", 1)
    made = await begin(asset_api, 5)
    body = {"filename": "a.mp4", "type": "video", "total_size": 5}
    answer = await asset_api.client.post(UPLOADS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_uploads")
    await asset_api.client.delete(f"/v1.3/assets/{made['asset_id']}")
    assert (await asset_api.client.post(UPLOADS, json=body)).status_code == 201
