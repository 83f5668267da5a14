"""Assets over the wire: uploaded, fetched, looked at, listed, deleted; and what is left where one of these fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx as real_httpx
import pytest
from starlette.types import Receive, Scope, Send
from twelvelabs import TwelveLabs
from twelvelabs.errors import BadRequestError, NotFoundError

from covey.domain.asset import Asset, AssetState
from covey.domain.ids import new_id
from covey.settings import Fetch
from tests.analysis.files import largest_file
from tests.api.twelvelabs import clips
from tests.api.twelvelabs.asset_api import AssetApi, listening, open_asset_api
from tests.patience import patience

ASSETS = "/v1.3/assets"


@pytest.fixture
async def asset_api(tmp_path: Path) -> AsyncIterator[AssetApi]:
    """A house with assets that may fetch from this machine."""
    async with open_asset_api(tmp_path / "house") as opened:
        yield opened


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two seconds of video."""
    return clips.video(tmp_path_factory.mktemp("clip") / "clip.mp4")


async def _empty(asset_api: AssetApi) -> bool:
    found = await asset_api.client.get(ASSETS)
    return found.json()["data"] == [] and asset_api.kept() == []


async def test_a_direct_upload_becomes_ready(asset_api: AssetApi, clip: bytes) -> None:
    answer = await asset_api.upload("holiday.mp4", clip, user_metadata='{"k": 1, "none": null}', enable_hls="false")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["status"], made["method"], made["filename"]) == ("processing", "direct", "holiday.mp4")
    found = await asset_api.looked_at(made["_id"])
    assert found["status"] == "ready"
    assert found["duration"] == pytest.approx(2.0, abs=0.11)
    assert found["size"] == len(clip)
    assert found["file_type"] == "video/mp4"
    assert found["user_metadata"] == {"k": 1}
    assert found["technical_metadata"]["video_width"] == 64
    assert found["hls"] is found["thumbnail"] is found["error"] is None
    async with asset_api.intake.files.local(made["_id"]) as file:
        assert file.read_bytes() == clip


async def test_an_upload_without_length_is_taken(asset_api: AssetApi, clip: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'--xx\r\nContent-Disposition: form-data; name="method"\r\n\r\ndirect\r\n--xx\r\n'
        yield b'Content-Disposition: form-data; name="file"; filename="a.mp4"\r\n'
        yield b"Content-Type: application/octet-stream\r\n\r\n"
        for start in range(0, len(clip), 1000):
            yield clip[start : start + 1000]
        yield b"\r\n--xx--\r\n"

    answer = await asset_api.client.post(
        ASSETS, content=chunks(), headers={"content-type": "multipart/form-data; boundary=xx"}
    )
    assert answer.status_code == 201, answer.text
    found = await asset_api.looked_at(answer.json()["_id"])
    assert (found["status"], found["size"]) == ("ready", len(clip))


async def test_a_file_that_is_no_video_fails_with_a_sentence(asset_api: AssetApi) -> None:
    answer = await asset_api.upload("broken.mp4", b"\0\0\0\x20ftypisom" + b"nothing" * 100)
    assert answer.status_code == 201
    found = await asset_api.looked_at(answer.json()["_id"])
    assert found["status"] == "failed"
    assert found["error"]["code"] == "video_file_broken"
    assert found["error"]["message"]


async def test_images_and_documents_are_taken_too(asset_api: AssetApi) -> None:
    image = await asset_api.looked_at((await asset_api.upload("a.bin", clips.image())).json()["_id"])
    assert (image["status"], image["file_type"], image["duration"]) == ("ready", "image/png", None)
    assert image["technical_metadata"]["image_width"] == 8
    notes = await asset_api.looked_at((await asset_api.upload("notes.MD", b"# Notes")).json()["_id"])
    assert (notes["status"], notes["file_type"]) == ("ready", "text/markdown")


@pytest.mark.parametrize(
    ("fields", "name", "code"),
    [
        ({"method": "sideways"}, "a.mp4", "parameter_invalid"),
        ({"method": "url"}, "a.mp4", "parameter_not_provided"),
        ({"url": "https://example.com/a.mp4"}, "a.mp4", "parameter_invalid"),
        ({"user_metadata": "[1]"}, "a.mp4", "parameter_invalid"),
        ({"user_metadata": '{"a": {}}'}, "a.mp4", "parameter_invalid"),
        ({"enable_hls": "perhaps"}, "a.mp4", "parameter_invalid"),
        ({"colour": "red"}, "a.mp4", "parameter_unknown"),
        ({}, "a.exe", "parameter_invalid"),
    ],
)
async def test_a_wrong_form_is_refused_and_leaves_nothing(
    asset_api: AssetApi, fields: dict[str, str], name: str, code: str
) -> None:
    answer = await asset_api.upload(name, b"MZ something", **fields)
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert await _empty(asset_api)


async def test_sizes_have_limits(tmp_path: Path) -> None:
    async with open_asset_api(tmp_path, direct_bytes=100_000, image_bytes=50) as asset_api:
        over = await asset_api.upload("a.mp4", b"\0\0\0\x20ftypisom" + b"x" * 100_000)
        assert (over.status_code, over.json()["code"]) == (400, "video_filesize_too_large")
        far_over = await asset_api.upload("a.mp4", b"\0\0\0\x20ftypisom" + b"x" * 2_000_000)
        assert (far_over.status_code, far_over.json()["code"]) == (413, "video_filesize_too_large")
        picture = await asset_api.upload("a.png", clips.image() + b"x" * 50)
        assert (picture.status_code, picture.json()["code"]) == (400, "video_filesize_too_large")
        assert await _empty(asset_api)


async def left(writer: asyncio.StreamWriter) -> None:
    """Go away at once."""
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_bad_key_is_refused_before_the_body(asset_api: AssetApi) -> None:
    host, port = asset_api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {ASSETS} HTTP/1.1\r\nHost: x\r\nx-api-key: covey_sk_wrong\r\nContent-Length: 200000000\r\n"
    writer.write(head.encode() + b"Content-Type: multipart/form-data; boundary=xx\r\n\r\n")
    status = await reader.readline()
    assert b" 401 " in status
    await left(writer)
    assert await _empty(asset_api)


async def test_a_broken_upload_leaves_nothing(asset_api: AssetApi, clip: bytes) -> None:
    host, port = asset_api.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    lines = [f"POST {ASSETS} HTTP/1.1", "Host: x", "Content-Length: 100000000"]
    lines += [f"{name}: {value}" for name, value in asset_api.api.headers().items()]
    writer.write("\r\n".join([*lines, "Content-Type: multipart/form-data; boundary=xx", "", ""]).encode())
    writer.write(b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + clip)
    writer.write(b"x" * 3_000_000)
    await writer.drain()
    async with patience():
        while not asset_api.kept():
            await asyncio.sleep(0.01)
        await left(writer)
        while asset_api.kept():
            await asyncio.sleep(0.01)
    assert await _empty(asset_api)


async def test_a_full_disk_is_told_and_leaves_nothing(asset_api: AssetApi) -> None:
    with largest_file(20_000_000):
        answer = await asset_api.upload("a.mp4", b"\0\0\0\x20ftypisom" + b"x" * 21_000_000)
    assert (answer.status_code, answer.json()["code"]) == (507, "no_room")
    assert await _empty(asset_api)


async def test_an_asset_by_address(asset_api: AssetApi, clip: bytes) -> None:
    async with listening(_files({"/films/film.mp4": clip})) as there:
        answer = await asset_api.client.post(ASSETS, files=_url_form(f"{there}/films/film.mp4"))
        assert answer.status_code == 201, answer.text
        found = await asset_api.looked_at(answer.json()["_id"])
        assert (found["status"], found["method"], found["filename"]) == ("ready", "url", "film.mp4")
        assert found["size"] == len(clip)
        gone = await asset_api.client.post(ASSETS, files=_url_form(f"{there}/gone.mp4"))
        missing = await asset_api.looked_at(gone.json()["_id"])
        assert (missing["status"], missing["error"]["code"]) == ("failed", "asset_unavailable")
        assert "404" in missing["error"]["message"]


async def test_no_address_leads_into_the_server(tmp_path: Path, clip: bytes) -> None:
    """One name is allowed; what it redirects to is not."""
    allowed = Fetch.model_validate({"allow": ["127.0.0.1/32"]})
    async with listening(_files({"/a.mp4": clip})) as there, open_asset_api(tmp_path, fetch=allowed) as asset_api:
        inside = there.replace("127.0.0.1", "127.0.0.2")
        refused = await asset_api.client.post(ASSETS, files=_url_form(f"{inside}/a.mp4"))
        assert (refused.status_code, refused.json()["code"]) == (400, "parameter_invalid")
        async with listening(_files({}, to=f"{inside}/a.mp4")) as leading:
            answer = await asset_api.client.post(ASSETS, files=_url_form(f"{leading}/a.mp4"))
            found = await asset_api.looked_at(answer.json()["_id"])
        assert (found["status"], found["error"]["code"]) == ("failed", "asset_unavailable")
        assert "not on the public internet" in found["error"]["message"]


async def test_lists_have_pages_and_filters(asset_api: AssetApi, clip: bytes) -> None:
    made = [(await asset_api.upload(name, clip)).json()["_id"] for name in ("One.mp4", "two.mp4", "three.mp4")]
    picture = (await asset_api.upload("One.png", clips.image())).json()["_id"]
    for ident in (*made, picture):
        await asset_api.looked_at(ident)

    async def listed(**query: Any) -> list[str]:
        answer = await asset_api.client.get(ASSETS, params=query)
        assert answer.status_code == 200, answer.text
        return [one["_id"] for one in answer.json()["data"]]

    assert set(await listed()) == {*made, picture}
    assert await listed(asset_types="image") == [picture]
    assert set(await listed(filename="oNe")) == {made[0], picture}
    assert set(await listed(asset_ids=[made[1], made[2].upper(), "no id"])) == {made[1], made[2]}
    assert await listed(asset_ids="no id") == []
    assert await listed(page=2) == []
    first, second = await listed(page_limit=3), await listed(page_limit=3, page=2)
    assert (len(first), len(second), len({*first, *second})) == (3, 1, 4)
    info = (await asset_api.client.get(ASSETS, params={"page_limit": 3})).json()["page_info"]
    assert info == {"page": 1, "limit_per_page": 3, "total_page": 2, "total_results": 4}
    for bad in ({"page_limit": 51}, {"page": 0}, {"asset_types": "song"}):
        assert (await asset_api.client.get(ASSETS, params=bad)).status_code == 400
    other = await asset_api.client.get(ASSETS, headers=asset_api.api.headers("other"))
    assert other.json()["data"] == []


async def test_deleting(asset_api: AssetApi, clip: bytes) -> None:
    ident = (await asset_api.upload("a.mp4", clip)).json()["_id"]
    await asset_api.looked_at(ident)
    await asset_api.intake.files.keep_facts(ident, b"{}")
    other = await asset_api.client.delete(f"{ASSETS}/{ident}", headers=asset_api.api.headers("other"))
    assert other.status_code == 404
    answer = await asset_api.client.delete(f"{ASSETS}/{ident}", params={"force": "true"})
    assert (answer.status_code, answer.content) == (204, b"")
    again = await asset_api.client.delete(f"{ASSETS}/{ident}")
    assert (again.status_code, again.json()["code"]) == (404, "resource_not_exist")
    assert (await asset_api.client.get(f"{ASSETS}/{ident}")).status_code == 404
    assert await _empty(asset_api)


async def test_one_that_is_deleted_while_it_is_fetched_leaves_nothing(asset_api: AssetApi) -> None:
    asked = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 100, "more_body": True})
        asked.set()
        while (await receive())["type"] != "http.disconnect":
            pass

    async with listening(slow) as there:
        ident = (await asset_api.client.post(ASSETS, files=_url_form(f"{there}/a.mp4"))).json()["_id"]
        await asked.wait()
        assert (await asset_api.client.delete(f"{ASSETS}/{ident}")).status_code == 204
        assert await _empty(asset_api)


async def test_what_a_dead_process_left_is_taken_over(asset_api: AssetApi, clip: bytes) -> None:
    """One whose bytes are there is looked at, one whose upload was never whole is not there any more."""
    store, now = asset_api.api.services.store, asset_api.api.clock.now()
    whole, torn = (
        Asset(new_id(now), "ws-one", name, "video", "direct", AssetState.processing, now)
        for name in ("whole.mp4", "torn.mp4")
    )
    for asset in (whole, torn):
        await store.add_asset(asset, "worker-of-the-past")
    file = asset_api.intake.files.spooled()
    file.write_bytes(clip)
    await asset_api.intake.files.keep(whole.id, file)
    await asset_api.intake.round()
    assert (await asset_api.looked_at(whole.id))["status"] == "ready"
    assert await asset_api.intake.ready_asset("ws-one", torn.id) is None


async def test_an_item_by_address_waits_for_its_asset(asset_api: AssetApi, clip: bytes) -> None:
    async with listening(_files({"/a.mp4": clip})) as there:
        found = await asset_api.intake.fetched_asset("ws-one", f"{there}/a.mp4")
        assert (found.state, found.kind) == (AssetState.ready, "video")
        failed = await asset_api.intake.fetched_asset("ws-one", f"{there}/gone.mp4")
        assert (failed.state, failed.facts["code"]) == (AssetState.failed, "asset_unavailable")
    assert asset_api.kept() == [found.id]


async def test_the_published_sdk(asset_api: AssetApi, clip: bytes, tmp_path: Path) -> None:
    (tmp_path / "sdk.mp4").write_bytes(clip)

    def drive(http: real_httpx.Client) -> None:
        key = asset_api.api.secrets["operate"]
        client = TwelveLabs(api_key=key, base_url=f"{asset_api.url}/v1.3", httpx_client=http)
        with (tmp_path / "sdk.mp4").open("rb") as file:
            made = client.assets.create(method="direct", file=file, enable_hls=False, user_metadata='{"k": 1}')
        assert made.id
        assert made.status == "processing"
        while (found := client.assets.retrieve(made.id)).status == "processing":
            pass
        assert (found.status, found.filename, found.user_metadata) == ("ready", "sdk.mp4", {"k": 1})
        assert [one.id for one in client.assets.list(page_limit=1, asset_types=["video"])] == [made.id]
        client.assets.delete(made.id, force=True)
        with (tmp_path / "sdk.mp4").open("rb") as file:  # for each None it sends an empty part
            made = client.assets.create(
                method="direct", file=file, url=None, filename=None, enable_hls=None, user_metadata=None
            )
        assert (made.filename, made.user_metadata) == ("sdk.mp4", None)
        client.assets.delete(str(made.id), force=None)
        assert list(client.assets.list(filename=None)) == []
        with pytest.raises(BadRequestError) as error:
            client.assets.create(method="url")
        assert error.value.body["code"] == "parameter_not_provided"

    with real_httpx.Client(timeout=60) as http:
        await asyncio.to_thread(drive, http)


async def test_the_sdk_changes_what_is_kept_with_an_asset(asset_api: AssetApi, clip: bytes) -> None:
    made = (await asset_api.upload("a.mp4", clip, user_metadata='{"k": 1, "old": true}')).json()["_id"]
    await asset_api.looked_at(made)

    def drive(http: real_httpx.Client) -> None:
        key = asset_api.api.secrets["operate"]
        assets = TwelveLabs(api_key=key, base_url=f"{asset_api.url}/v1.3", httpx_client=http).assets
        assets.update_user_metadata(made, user_metadata={"k": "two", "old": None, "tags": ["a"], "empty": ""})
        found = assets.retrieve(made)
        assert (found.status, found.user_metadata) == ("ready", {"k": "two", "tags": ["a"]})
        assert found.technical_metadata is not None
        assets.update_user_metadata(made, user_metadata={"k": "", "tags": []})
        assert assets.retrieve(made).user_metadata == {"k": "two", "tags": ["a"]}
        assets.replace_user_metadata(made, user_metadata={"n": 1.5, "none": None})
        assert next(iter(assets.list())).user_metadata == {"n": 1.5}
        assets.delete_user_metadata(made)
        assert assets.retrieve(made).user_metadata is None
        refused: list[Any] = [{"a": {}}, {"long": "x" * 20_000}]
        for wrong in refused:
            with pytest.raises(BadRequestError) as error:
                assets.replace_user_metadata(made, user_metadata=wrong)
            assert error.value.body["code"] == "parameter_invalid"
        for call in (assets.replace_user_metadata, assets.update_user_metadata):
            with pytest.raises(NotFoundError):
                call("0" * 24, user_metadata={"k": 1})
        with pytest.raises(NotFoundError):
            assets.delete_user_metadata("nonsense")

    with real_httpx.Client(timeout=60) as http:
        await asyncio.to_thread(drive, http)


async def test_changes_at_once_lose_none(asset_api: AssetApi, clip: bytes) -> None:
    made = (await asset_api.upload("a.mp4", clip)).json()["_id"]
    path = f"{ASSETS}/{made}/user-metadata"
    keys = [f"k{n}" for n in range(12)]
    answers = await asyncio.gather(
        *(asset_api.client.patch(path, json={"user_metadata": {name: name}}) for name in keys)
    )
    assert {answer.status_code for answer in answers} == {204}
    assert (await asset_api.looked_at(made))["user_metadata"] == {name: name for name in keys}


def _url_form(url: str) -> dict[str, tuple[None, str]]:
    return {"method": (None, "url"), "url": (None, url)}


def _files(files: dict[str, bytes], to: str | None = None) -> Any:
    """An application that gives files, or leads to another place."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found = files.get(scope["path"])
        status = 302 if to else 200 if found is not None else 404
        headers = [(b"location", to.encode())] if to else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": found or b""})

    return app
