"""What is said to a model, and what becomes of its answers."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from covey.analysis.backend import ItemRequest, Refused
from covey.analysis.config import Mode, Wanted
from covey.analysis.media import Decoder
from covey.analysis.media.drawing import DrawnScene, draw
from covey.analysis.openai import OpenAiBackend
from covey.analysis.openai.document import NoDocument, dump, find_document
from covey.settings import Analysis, Model, ModelKind
from tests.analysis.openai.conftest import DEFINITIONS, IN_SCHEMA, KEY, Asks, Backends, image
from tests.analysis.openai.stub import TRANSCRIPTIONS, Stub, answer, document, error, transcription

SEGMENTS = {"type": "segment_definitions", "segment_definitions": DEFINITIONS, "segment_time_format": "hh:mm:ss"}


def scene(start: float, end: float) -> dict[str, object]:
    return {"start_time": start, "end_time": end, "metadata": {"c": "navy"}}


async def test_an_answer_in_words(stub: Stub, backend: Backends, ask: Asks) -> None:
    stub.always(answer("A ship.", usage=(812, 3)))
    told: list[tuple[float, float]] = []
    item = ask("What is it?", start=2.0, end=6.0, max_tokens=600, progress=lambda done, of: told.append((done, of)))
    got = await backend().analyze(item)
    assert (got.data, got.finish_reason, got.tokens_in, got.tokens_out, got.estimated) == (
        "A ship.",
        "stop",
        812,
        3,
        False,
    )
    assert (got.seconds, got.made_by) == (4.0, "eyes (stub; 2 frames)")
    assert told[-1] == (4.0, 4.0)
    [seen] = stub.chats
    assert (seen.body["model"], seen.body["max_tokens"], seen.body["temperature"]) == ("stub", 600, 0.2)
    assert [part["type"] for part in seen.parts] == ["text", "text", "image_url", "text", "image_url", "text"]
    assert "At 2.00 s:" in seen.text
    assert "At 4.00 s:" in seen.text
    assert seen.images() == [item.file.read_bytes()] * 2
    assert seen.parts[-1]["text"] == "What is it?"
    assert "response_format" not in seen.body


async def test_usage_that_nobody_reported_is_estimated_and_says_so(stub: Stub, backend: Backends, ask: Asks) -> None:
    stub.always(answer("x" * 41, usage=None))
    got = await backend().analyze(ask())
    assert (got.tokens_in, got.tokens_out, got.estimated) == (None, 11, True)


async def test_text_that_was_cut_off_says_so(stub: Stub, backend: Backends, ask: Asks) -> None:
    stub.always(answer("It is about", finish="length"))
    assert (await backend().analyze(ask())).finish_reason == "length"


async def test_json_is_asked_for_checked_and_repaired_once(stub: Stub, backend: Backends, ask: Asks) -> None:
    stub.always(document({"name": 1}, usage=(100, 5)), answer('```json\n{"title": "Ships"}\n```', usage=(120, 6)))
    got = await backend().analyze(ask(response_format=IN_SCHEMA))
    assert json.loads(got.data) == {"title": "Ships"}
    assert (got.tokens_in, got.tokens_out) == (220, 11)
    first, second = stub.chats
    assert first.body["response_format"]["json_schema"]["strict"] is True
    assert first.body["response_format"]["json_schema"]["schema"]["additionalProperties"] is False
    assert second.body["messages"][:2] == first.body["messages"]
    said, told = second.body["messages"][2:]
    assert (said["role"], said["content"]) == ("assistant", '{"name": 1}')
    assert "title" in told["content"]


async def test_half_reported_usage_is_not_added_up(stub: Stub, backend: Backends, ask: Asks) -> None:
    stub.always(document({"name": 1}, usage=None), document({"title": "Ships"}, usage=(120, 6)))
    got = await backend().analyze(ask(response_format=IN_SCHEMA))
    assert (got.tokens_in, got.tokens_out, got.estimated) == (None, 6 + 3, True)


async def test_an_answer_is_repaired_once_only(stub: Stub, backend: Backends, ask: Asks) -> None:
    stub.always(answer("Ships."))
    with pytest.raises(Refused, match="asked twice") as caught:
        await backend().analyze(ask(response_format=IN_SCHEMA))
    assert caught.value.code == "invalid_model_output"
    assert len(stub.chats) == 2


async def test_response_format_is_not_sent_where_the_settings_say_so(stub: Stub, backend: Backends, ask: Asks) -> None:
    stub.always(document({"title": "Ships"}))
    await backend(response_format=False).analyze(ask(response_format=IN_SCHEMA))
    assert "response_format" not in stub.chats[0].body
    assert '"title"' in stub.chats[0].text


async def test_timestamps_go_there_and_back(stub: Stub, backend: Backends, ask: Asks) -> None:
    schema = {"type": "object", "properties": {"at": {"type": "timestamp", "format": "seconds"}}, "required": ["at"]}
    stub.always(document({"at": "00:01:05"}))
    got = await backend().analyze(ask(response_format={"type": "json_schema", "json_schema": schema}))
    assert json.loads(got.data) == {"at": 65.0}
    assert "timestamp" not in json.dumps(stub.chats[0].body["response_format"])


async def test_segments_are_written_as_asked(stub: Stub, backend: Backends, ask: Asks) -> None:
    stub.always(document({"scenes": [scene(0, 4), scene(4, 10)]}))
    item = ask(mode=Mode.time_based_metadata, response_format=SEGMENTS, min_segment_duration=2.0)
    got = json.loads((await backend().analyze(item)).data)
    assert [(one["start_time"], one["end_time"]) for one in got["scenes"]] == [
        ("00:00:00", "00:00:04"),
        ("00:00:04", "00:00:10"),
    ]
    assert "at least 2 seconds" in stub.chats[0].text
    assert stub.chats[0].body["max_tokens"] == 32768


@pytest.mark.parametrize("wrong", [scene(6, 2), scene(0, 60)])
async def test_segments_with_impossible_times_do_not_fit(
    wrong: dict[str, object], stub: Stub, backend: Backends, ask: Asks
) -> None:
    stub.always(document({"scenes": [wrong]}), document({"scenes": [scene(0, 4)]}))
    await backend().analyze(ask(mode=Mode.time_based_metadata, response_format=SEGMENTS))
    assert "scenes" in stub.chats[1].body["messages"][-1]["content"]


async def test_images_of_the_prompt_go_along_by_name(stub: Stub, backend: Backends, ask: Asks) -> None:
    sources = [{"name": "logo", "media_type": "image", "url": "http://example.com/logo.png"}]
    await backend().analyze(ask("Where is <@logo>? And <@other>?", media_sources=sources))
    [seen] = stub.chats
    assert 'Where is the image "logo"? And <@other>?' in seen.text
    assert seen.images()[-1] == await image("logo")
    assert b"example.com" not in seen.raw


async def test_a_media_source_that_is_no_image_is_refused(backend: Backends, ask: Asks, tmp_path: Path) -> None:
    sources = [{"name": "x", "media_type": "image", "url": "http://example.com/"}]
    item = ask("<@x>", media_sources=sources)

    async def page(name: str) -> bytes:
        return b"<html>"

    given = {name: getattr(item, name) for name in ItemRequest.__slots__} | {"media": page}
    with pytest.raises(Refused) as caught:
        await backend().analyze(ItemRequest(**given))
    assert caught.value.code == "media_source_invalid"


async def test_the_whole_video_goes_only_where_all_of_it_is_asked_about(
    stub: Stub, backend: Backends, ask: Asks
) -> None:
    eyes = backend(video="video_url")
    whole, part = await eyes.analyze(ask()), await eyes.analyze(ask(start=3.0))
    assert (whole.made_by, part.made_by) == ("eyes (stub; video)", "eyes (stub; 2 frames)")
    kinds = [[part["type"] for part in seen.parts] for seen in stub.chats]
    assert kinds[0] == ["text", "video_url", "text"]
    assert "video_url" not in kinds[1]
    assert stub.chats[0].parts[1]["video_url"]["url"].startswith("data:video/mp4;base64,")


async def test_a_transcript_goes_along(stub: Stub, backend: Backends, ask: Asks) -> None:
    stub.always(transcription("Ship ahoy"), path=TRANSCRIPTIONS)
    eyes = backend(transcription_url=stub.url, transcription_key="sk-ears")
    heard, silent = await eyes.analyze(ask(name="sound")), await eyes.analyze(ask())
    assert (heard.made_by, silent.made_by) == ("eyes (stub; 2 frames and a transcript)", "eyes (stub; 2 frames)")
    assert "[0.0 to 10.0 s] Ship ahoy" in stub.chats[0].text
    assert stub.counts[TRANSCRIPTIONS] == 1
    [sound] = [seen for seen in stub.seen if seen.path == TRANSCRIPTIONS]
    assert b"RIFF sound 0" in sound.raw
    assert b'name="model"\r\n\r\nwhisper-1' in sound.raw
    assert (sound.headers["authorization"], stub.chats[0].headers["authorization"]) == (
        "Bearer sk-ears",
        f"Bearer {KEY}",
    )


async def test_extra_fields_stand_over_ours(stub: Stub, backend: Backends, ask: Asks) -> None:
    await backend(extra={"temperature": 1, "max_completion_tokens": 1000, "seed": 7}).analyze(ask())
    body = stub.chats[0].body
    assert (body["temperature"], body["max_completion_tokens"], body["seed"]) == (1, 1000, 7)
    assert "max_tokens" not in body
    with pytest.raises(ValueError, match="stream cannot be set"):
        backend(extra={"stream": True})


async def test_nothing_of_the_environment_reaches_the_endpoint(
    stub: Stub, backend: Backends, ask: Asks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-somebody-else")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Other: of-somebody-else\nAuthorization: Bearer of-somebody-else")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    await backend(api_key=None).analyze(ask())
    await backend().analyze(ask())
    without, with_key = stub.chats
    assert "of-somebody-else" not in json.dumps([without.headers, with_key.headers])
    assert without.headers.get("authorization") is None
    assert with_key.headers["authorization"] == f"Bearer {KEY}"


async def test_logs_hold_no_key_prompt_or_picture(
    stub: Stub, backend: Backends, ask: Asks, caplog: pytest.LogCaptureFixture
) -> None:
    stub.when("boom", error(500))
    with caplog.at_level(logging.DEBUG):
        await backend().analyze(ask("a private question"))
        with pytest.raises(Refused):
            await backend().analyze(ask("a private question, boom"))
    assert caplog.records
    assert not [text for text in ("private", KEY, "base64") if text in caplog.text]


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    decoder = Decoder(Analysis(sandbox="weak"))
    yield decoder
    await decoder.close()


async def test_a_real_video(stub: Stub, decoder: Decoder, tmp_path: Path) -> None:
    file = tmp_path / "ships.mp4"
    draw(file, [DrawnScene(1, "navy"), DrawnScene(1, "gold")], (320, 180))
    model = Model(kind=ModelKind.openai, url=stub.url, model="stub", frames=4, frame_side=64)
    eyes = OpenAiBackend("eyes", model, decoder)
    item = ItemRequest(
        "ships", file, Mode.general, Wanted(prompt={"input_text": "?"}), 2, 0, 2, lambda done, of: None, image
    )
    assert (await eyes.analyze(item)).made_by == "eyes (stub; 4 frames)"
    pictures = stub.chats[0].images()
    assert len(pictures) == 4
    assert all(picture.startswith(b"\xff\xd8") for picture in pictures)
    file.write_bytes(b"no video")
    with pytest.raises(Refused) as caught:
        await eyes.analyze(item)
    assert caught.value.code == "video_file_broken"
    await eyes.close()


DOCUMENTS: list[tuple[str, object]] = [
    ('{"a": 1}', {"a": 1}),
    (' [1, {"a": 2}] ', [1, {"a": 2}]),
    ('Sure! Here it is:\n```json\n{"a": 1}\n```\nAnything else?', {"a": 1}),
    ('Here, see [1]: {"a": {"b": [2]}}. Done.', {"a": {"b": [2]}}),
    ('<think>{"b": 2}? No.</think>{"a": 1}', {"a": 1}),
    ("[" * 50 + ' {"a": 1}', {"a": 1}),
]


@pytest.mark.parametrize(("text", "value"), DOCUMENTS)
def test_the_document_in_an_answer_is_found(text: str, value: object) -> None:
    assert find_document(text) == value


@pytest.mark.parametrize("text", ["", "It is.", '{"a": 1} or {"a": 2}', '{"a": NaN}', '{"a": 1', "[" * 100_000])
def test_no_document_is_made_up(text: str) -> None:
    with pytest.raises(NoDocument):
        find_document(text)


def test_a_document_is_kept_without_what_no_database_keeps() -> None:
    assert dump(find_document(r'{"a\u0000": ["\ud800x", "ä"]}')) == '{"a\ufffd": ["\ufffdx", "ä"]}'
