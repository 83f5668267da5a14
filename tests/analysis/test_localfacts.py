"""local-facts: what it answers from facts, and that it refuses the rest. Facts are data; the answers are pure."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.analysis.backend import ItemAnswer, Refused
from covey.analysis.config import Wanted
from covey.analysis.localfacts import CAPABILITIES, answer_general, answer_segments, capabilities, count_tokens
from covey.analysis.localfacts.routing import route
from covey.analysis.media.facts import Facts, Shot, Text
from covey.analysis.schema import SchemaError, check_request_schema, read_time, validate

Json = Any
WHOLE = (0.0, 60.0)
FACTS = Facts(
    seconds=60.0,
    decoded_seconds=60.0,
    width=1280,
    height=720,
    fps=29.97,
    has_audio=True,
    shots=(
        Shot(0, 10, "blue", "none"),
        Shot(10, 12.5, "green", "some"),
        Shot(12.5, 40, "red", "much"),
        Shot(40, 60, "blue", "little"),
    ),
    texts=(
        Text("OPENING TITLE", 0.5, 9.5, 0.99, 40),
        Text("a smaller line", 0.5, 9.5, 0.9, 12),
        Text("Part one", 10.1, 12.4, 0.98, 20),
        Text("The End", 41, 59, 0.97, 44),
    ),
)


def an_object(*required: str, **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(required)}


def ask(prompt: str, schema: Json = None, window: tuple[float, float] = WHOLE, tokens: int = 4096) -> ItemAnswer:
    shape = {"type": "json_schema", "json_schema": schema} if schema is not None else None
    return answer_general(Wanted(prompt={"input_text": prompt}, response_format=shape), FACTS, window, tokens)


def fill(schema: Json, prompt: str = "Analyze the video.", window: tuple[float, float] = WHOLE) -> Json:
    check_request_schema(schema, "schema")
    made = json.loads(ask(prompt, schema, window).data)
    assert validate(made, schema) is None
    return made


def segments(*definitions: Json, window: tuple[float, float] = WHOLE, how: str | None = None, **more: Json) -> Json:
    shape = {"type": "segment_definitions", "segment_definitions": list(definitions), "segment_time_format": how}
    return json.loads(answer_segments(Wanted(response_format=shape, **more), FACTS, window, 32768).data)


STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("prompt", "kinds"),
    [
        ("What text is on screen?", ["text"]),
        ("List all on-screen text with timestamps.", ["text"]),
        ("Read the captions", ["text"]),
        ("Does the video have subtitles?", ["text"]),
        ("What does the sign say?", ["text"]),
        ("Extract every title card", ["text"]),
        ('When does "The End" appear?', ["text"]),
        ("List chapters", ["chapters"]),
        ("Give me a chapter for each part of this video", ["chapters"]),
        ("For each scene give start time, end time and headline", ["chapters"]),
        ("Where are the cuts?", ["chapters"]),
        ("Split it into segments", ["chapters"]),
        ("Summarize this video.", ["summary"]),
        ("Could you please summarise the clip in 50 words?", ["summary"]),
        ("Describe the video", ["summary"]),
        ("What is this video about?", ["summary"]),
        ("how long is it", ["technical"]),
        ("What's the frame rate and resolution?", ["technical"]),
        ("Is there an audio track?", ["technical"]),
        ("What colours are used?", ["colours"]),
        ("main color of each scene", ["colours", "chapters"]),
        ("Is there any movement?", ["motion"]),
        ("Suggest nothing, just give the title", None),
        ("Give it a title", ["title"]),
        ("What can you do?", ["help"]),
        ("Help me to list the chapters", ["chapters"]),
        ("Summarize the key points of this lecture", ["summary"]),
        ("When do the scenes change?", ["chapters"]),
        ("What words appear in the video?", ["text"]),
        ("Summarise it and list the text on screen", ["summary", "text"]),
        ("Is the presenter happy?", None),
        ("What is the dog doing?", None),
        ("Why is it green?", None),
        ("Transcribe the speech", None),
        ("Which language is spoken?", None),
        ("What is the sentiment of the video?", None),
        ("Describe the emotions", None),
        ("Describe the balloon", None),
        ("What colour is the balloon?", None),
        ("What colour is the text?", None),
        ("Is there a balloon in the first scene?", None),
        ("List the people in each scene", None),
        ("What happens?", None),
        ("Was passiert im Video?", None),
        ("", None),
    ],
)
def test_a_prompt_is_routed_by_its_words_or_refused(prompt: str, kinds: list[str] | None) -> None:
    if kinds is not None:
        assert list(route(prompt).kinds) == kinds
        assert ask(prompt).made_by == "local-facts"
        return
    with pytest.raises(Refused) as caught:
        ask(prompt)
    assert caught.value.code == "unsupported_by_local_facts"
    assert all(name in str(caught.value) for name, _ in CAPABILITIES)


def test_text_on_screen_is_listed_with_its_times() -> None:
    lines = ask("What text is on screen?").data.splitlines()
    assert lines[1:5] == [
        "- 00:00:00.5 to 00:00:09.5: OPENING TITLE",
        "- 00:00:00.5 to 00:00:09.5: a smaller line",
        "- 00:00:10.1 to 00:00:12.4: Part one",
        "- 00:00:41 to 00:00:59: The End",
    ]
    assert "local-facts" in lines[-1]
    found = ask('When does the text "the end" appear?').data
    assert "The End" in found
    assert "Part one" not in found
    assert "No text" in ask('When does the text "Nowhere" appear?').data


def test_chapters_have_the_first_text_or_the_look_as_title() -> None:
    assert ask("List chapters").data.splitlines()[1:5] == [
        "1. 00:00:00 to 00:00:10: OPENING TITLE",
        "2. 00:00:10 to 00:00:12.5: Part one",
        "3. 00:00:12.5 to 00:00:40: red scene, much movement",
        "4. 00:00:40 to 00:01:00: The End",
    ]


def test_the_summary_states_facts_and_what_was_not_read() -> None:
    said = ask("Summarize").data
    for fact in ("60 seconds", "1280x720", "4 scenes", "OPENING TITLE", "blue, red, green", "much movement"):
        assert fact in said
    half = Facts(60, 30, 10, 10, 25, False, (), (), ("damaged",))
    said = answer_general(Wanted(prompt={"input_text": "summary and technical facts"}), half, WHOLE, 4096).data
    assert "Only 30 seconds of it could be read" in said
    assert "No text was found" in said
    assert "warning: damaged" in said


def test_help_is_the_list_of_what_it_can_do() -> None:
    assert capabilities() in ask("help").data


def test_only_what_is_inside_the_window_is_said() -> None:
    said = ask("List chapters and text", window=(11, 41)).data
    assert "OPENING TITLE" not in said
    assert "The End" not in said
    assert "1. 00:00:11 to 00:00:12.5: Part one" in said
    assert ask("List chapters", window=(11, 41)).seconds == 30
    assert "00:00:11 to 00:00:41" in ask("summarize", window=(11, 41)).data


@pytest.mark.parametrize(
    "prompt",
    [
        {"input_text": "chapters", "media_sources": [{"name": "a", "media_type": "image", "url": "http://x.example"}]},
        {"input_text": "chapters like <@a>"},
    ],
)
def test_images_in_a_prompt_are_refused(prompt: Json) -> None:
    with pytest.raises(Refused, match="images"):
        answer_general(Wanted(prompt=prompt), FACTS, WHOLE, 4096)


def test_text_is_cut_at_max_tokens_and_a_document_never_is() -> None:
    cut = ask("List all text", tokens=20)
    assert (cut.finish_reason, cut.tokens_out) == ("length", 20)
    assert "local-facts" in cut.data
    whole = ask("List all text")
    assert (whole.finish_reason, whole.tokens_in, whole.estimated) == ("stop", None, True)
    assert whole.tokens_out == count_tokens(whole.data)
    with pytest.raises(Refused) as caught:
        ask("x", an_object(chapters={"type": "array", "items": STRING}), tokens=5)
    assert caught.value.code == "max_tokens_too_small"


def test_a_schema_is_filled_by_the_names_of_its_fields() -> None:
    line = an_object("text", text=STRING, start={"type": "integer"}, confidence={"type": "number"})
    chapter = an_object(
        "start_time",
        start_time=STRING,
        end_time={"type": "number"},
        title=STRING,
        color=STRING,
        lines={"type": "array", "items": line},
    )
    schema = {
        **an_object(
            "title",
            "chapters",
            "mood",
            "video",
            title=STRING,
            summary=STRING,
            durationSeconds={"type": "number"},
            length={"type": "timestamp", "format": "hh:mm:ss"},
            chapters={"type": "array", "items": {"$ref": "#/$defs/chapter"}, "minItems": 1},
            mood={"anyOf": [STRING, {"type": "null"}]},
            sentiment={"type": "string", "enum": ["good", "bad"]},
            textOnScreen={"type": "array", "items": STRING},
            colors={"type": "array", "items": {"type": "string", "enum": ["Blue", "Red", "Green"]}},
            motion=STRING,
            has_audio={"type": "boolean"},
            cuts={"type": "array", "items": {"type": "number"}},
            video=an_object("width", width={"type": "integer"}, fps={"type": "integer"}, resolution=STRING),
            made_by=STRING,
            version={"const": 2},
        ),
        "$defs": {"chapter": chapter},
    }
    made = fill(schema)
    assert made["title"] == "OPENING TITLE"
    assert (made["durationSeconds"], made["length"], made["mood"]) == (60, "00:01:00", None)
    assert "sentiment" not in made
    assert [each["title"] for each in made["chapters"]] == [
        "OPENING TITLE",
        "Part one",
        "red scene, much movement",
        "The End",
    ]
    assert made["chapters"][1]["start_time"] == "00:00:10.000"
    assert made["chapters"][3]["lines"] == [{"text": "The End", "start": 41, "confidence": 0.97}]
    assert made["textOnScreen"] == ["OPENING TITLE", "a smaller line", "Part one", "The End"]
    assert made["colors"] == ["Blue", "Red", "Green"]
    assert (made["motion"], made["has_audio"], made["cuts"]) == ("much", True, [10, 12.5, 40])
    assert made["video"] == {"width": 1280, "fps": 30, "resolution": "1280x720"}
    assert (made["made_by"], made["version"]) == ("local-facts", 2)


def test_a_list_at_the_root_is_what_the_prompt_asks_for() -> None:
    rows = {"type": "array", "items": an_object("title", title=STRING, time={"type": "number"})}
    assert fill(rows, "List the chapters", (11, 41))[1] == {"title": "red scene, much movement", "time": 12.5}
    assert fill(rows, "List the text", (11, 41)) == [{"title": "Part one", "time": 11}]
    with pytest.raises(Refused, match="root"):
        fill(rows, "Analyze")


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        (an_object("sentiment", sentiment={"type": "string", "enum": ["good"]}), "sentiment"),
        (an_object("chapters", chapters={"type": "array", "items": an_object("mood", mood=STRING)}), "mood"),
        (an_object("width", width={"type": "boolean"}), "width"),
        (an_object("color", color={"type": "string", "enum": ["magenta"]}), "color"),
        (an_object("people", people=an_object(title=STRING)), "people"),
        (an_object("warnings", warnings={"type": "array", "items": STRING, "minItems": 1}), "warnings"),
        (
            {
                "$ref": "#/$defs/n",
                "$defs": {"n": an_object("video", video={"$ref": "#/$defs/n"})},
            },
            "video",
        ),
    ],
)
def test_a_required_field_that_facts_do_not_tell_is_named(schema: Json, field: str) -> None:
    with pytest.raises(Refused) as caught:
        fill(schema)
    assert caught.value.code == "unsupported_by_local_facts"
    assert repr(field) in str(caught.value)


def test_a_document_that_does_not_fit_and_a_prompt_that_asks_beyond_are_refused() -> None:
    with pytest.raises(Refused, match="does not match"):
        fill(an_object("title", title={"type": "string", "pattern": "^x$"}))
    with pytest.raises(Refused, match="happy"):
        fill(an_object("title", title=STRING), "Is he happy?")


FIELDS = [
    {"name": "title", "type": "string", "description": "d"},
    {"name": "time", "type": "timestamp", "format": "hh:mm:ss", "description": "d"},
    {"name": "texts", "type": "array", "items": {"type": "string"}, "description": "d"},
]
SCENES = {"id": "scenes", "description": "Every scene."}


def spans(found: Json) -> list[tuple[float, float]]:
    return [(each["start_time"], each["end_time"]) for each in found]


def test_segments_by_shots_with_their_fields() -> None:
    found = segments({**SCENES, "fields": FIELDS}, how="hh:mm:ss.fff")["scenes"]
    assert found[1] == {
        "start_time": "00:00:10.000",
        "end_time": "00:00:12.500",
        "metadata": {"title": "Part one", "time": "00:00:10", "texts": ["Part one"]},
    }
    assert len(found) == 4


def test_segments_by_text_and_by_colour() -> None:
    caption = {"id": "captions", "description": "Whenever text is on screen", "fields": FIELDS[:1]}
    blue = {"id": "sky", "description": "Blue scenes"}
    moving = {"id": "moving", "description": "Scenes with movement"}
    found = segments(caption, blue, moving, window=(5, 50))
    assert spans(found["captions"]) == [(5, 9.5), (5, 9.5), (10.1, 12.4), (41, 50)]
    assert [each["metadata"]["title"] for each in found["captions"]][1] == "a smaller line"
    assert spans(found["sky"]) == [(5, 10), (40, 50)]
    assert spans(found["moving"]) == [(10, 12.5), (12.5, 40)]


def test_segment_lengths_and_time_ranges_are_kept_to() -> None:
    found = segments(SCENES, min_segment_duration=5, max_segment_duration=15)["scenes"]
    assert spans(found) == [(0, 10), (10, 25), (25, 40), (40, 50), (50, 60)]
    assert spans(segments(SCENES, min_segment_duration=25)["scenes"]) == [(0, 60)]
    ranges = [{"start_time": 0, "end_time": 5}, {"start_time": 11, "end_time": 20}]
    assert spans(segments({**SCENES, "time_ranges": ranges})["scenes"]) == [(0, 5), (11, 12.5), (12.5, 20)]
    text = {"id": "text", "description": "text"}
    assert spans(segments(text, min_segment_duration=4)["text"])[2] == pytest.approx((9.25, 13.25))


@pytest.mark.parametrize(
    "definition",
    [
        {"id": "happy", "description": "When people are happy"},
        {"id": "x", "description": "The best"},
        {"id": "x", "description": "Goals"},
        {**SCENES, "fields": [{"name": "sentiment", "type": "string", "description": "d"}]},
        {**SCENES, "fields": [{"name": "color", "type": "string", "enum": ["teal"], "description": "d"}]},
        {**SCENES, "media_sources": [{"name": "a", "media_type": "image", "url": "https://x.example/a.png"}]},
    ],
)
def test_segments_that_facts_cannot_find_are_refused(definition: Json) -> None:
    with pytest.raises(Refused) as caught:
        segments(definition)
    assert caught.value.code == "unsupported_by_local_facts"


TIMES = st.floats(min_value=0, max_value=60)


@given(st.lists(TIMES, min_size=2, max_size=8, unique=True), TIMES, TIMES, st.integers(2, 20), st.integers(0, 20))
def test_segments_always_lie_in_the_window_and_keep_their_lengths(
    edges: list[float], one: float, other: float, least: int, more: int
) -> None:
    edges.sort()
    shots = tuple(Shot(start, end, "red", "some") for start, end in pairwise(edges))
    texts = tuple(Text("words", start, end, 1.0, 20) for start, end in zip(edges, edges[2:], strict=False))
    facts = Facts(60, 60, 64, 64, 25, False, shots, texts)
    start, end = min(one, other), max(one, other)
    shape = {"type": "segment_definitions", "segment_definitions": [SCENES, {"id": "t", "description": "text"}]}
    wanted = Wanted(response_format=shape, min_segment_duration=least, max_segment_duration=least + more)
    found = json.loads(answer_segments(wanted, facts, (start, end), 1_000_000).data)
    for first, last in spans(found["scenes"]) + spans(found["t"]):
        assert start - 0.001 <= first < last <= end + 0.001
        assert least - 0.002 <= last - first <= least + more + 0.002


@given(st.text(max_size=200))
def test_any_prompt_is_answered_or_refused(prompt: str) -> None:
    try:
        answer = ask(prompt)
    except Refused as refusal:
        assert refusal.code == "unsupported_by_local_facts"  # noqa: PT017
    else:
        assert answer.data


NAMES = st.sampled_from(
    ["title", "chapters", "text", "duration", "start_time", "colors", "video", "mood", "width", "has_audio"]
)
KINDS = st.sampled_from([{"type": kind} for kind in ("string", "number", "integer", "boolean", "null")])
SCHEMAS = st.recursive(
    KINDS,
    lambda inner: (
        st.dictionaries(NAMES, inner, max_size=3).map(lambda given: an_object(*sorted(given)[:1], **given))
        | inner.map(lambda one: {"type": "array", "items": one})
        | st.lists(inner, min_size=1, max_size=2).map(lambda ways: {"anyOf": ways})
    ),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, SCHEMAS, max_size=4), st.booleans())
def test_any_schema_is_filled_so_that_it_fits_or_refused(properties: Json, required: bool) -> None:
    schema = an_object(*(properties if required else ()), **properties)
    try:
        check_request_schema(schema, "w")
        made = json.loads(ask("Analyze the video.", schema).data)
    except (SchemaError, Refused):
        return
    assert validate(made, schema) is None
    assert read_time(made.get("start_time", 0)) == 0
