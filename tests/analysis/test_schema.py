"""The JSON-schema dialect: what a request may ask, whether an answer fits, other dialects, what hostile ones cost."""

import json
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.analysis.schema import (
    SchemaError,
    TimeFormat,
    check_media_sources,
    check_request_schema,
    check_segments,
    from_openai,
    read_time,
    to_openai,
    validate,
    write_time,
)
from covey.analysis.schema.dialect import KEYWORDS
from covey.analysis.schema.patterns import Pattern
from tests.analysis.schemas import WHERE, Json, an_object, quickly, refused

STRING, NUMBER = {"type": "string"}, {"type": "number"}
CLOCK = {"type": "timestamp", "format": "hh:mm:ss"}

FULL = {
    **an_object(
        "title",
        "id",
        title={"type": "string", "pattern": "^[A-Z].*", "description": "d", "title": "t", "default": "x"},
        id={"type": "string", "format": "uuid"},
        count={"type": "integer", "minimum": 0, "exclusiveMaximum": 10},
        tags={"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "minItems": 1},
        either={"anyOf": [{"type": "boolean"}, {"type": "null"}, {"$ref": "#/$defs/node"}]},
        kind={"const": "video"},
        at=CLOCK,
        chapters={
            "type": "array",
            "items": an_object("start_time", start_time=STRING, end_time={"type": "integer"}, at=CLOCK),
        },
        maybe={"type": ["string", "null"]},
    ),
    "$defs": {"node": an_object(next={"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}, name=STRING)},
}


def test_what_the_dialect_has_passes() -> None:
    check_request_schema(FULL, WHERE)
    check_request_schema({}, WHERE)
    check_request_schema({"type": "array", "items": STRING}, WHERE)


@pytest.mark.parametrize(
    ("inner", "status", "path"),
    [
        ({"type": "string", "minLength": 1}, 422, "a.minLength"),
        ({"type": "string", "maxLength": 1}, 422, "a.maxLength"),
        ({"type": "object", "properties": {}, "additionalProperties": False}, 422, "a.additionalProperties"),
        ({"type": "array", "items": {}, "uniqueItems": True}, 422, "a.uniqueItems"),
        ({"type": "array", "items": {}, "maxItems": 3}, 422, "a.maxItems"),
        ({"type": "array", "items": {}, "minItems": 2}, 422, "a.minItems"),
        ({"oneOf": [{}]}, 422, "a.oneOf"),
        ({"allOf": [{}]}, 422, "a.allOf"),
        ({"type": "number", "minimum": 1}, 422, "a.minimum"),
        ({"type": "integer", "multipleOf": 2}, 422, "a.multipleOf"),
        ({"type": "integer", "minimum": "1"}, 400, "a.minimum"),
        ({"type": "string", "format": "email"}, 422, "a.format"),
        ({"type": "strin"}, 400, "a.type"),
        ({"type": "string", "pattern": "(a"}, 400, "a.pattern"),
        ({"type": "string", "pattern": r"(a)\1"}, 400, "a.pattern"),
        ({"type": "string", "pattern": "(?=a)"}, 400, "a.pattern"),
        ({"type": "string", "pattern": r"\u0030"}, 400, "a.pattern"),
        ({"enum": []}, 400, "a.enum"),
        ({"enum": [[1]]}, 422, "a.enum"),
        ({"const": {}}, 422, "a.const"),
        ({"anyOf": []}, 400, "a.anyOf"),
        ({"anyOf": [{"type": "x"}]}, 400, "a.anyOf.0.type"),
        ({"$ref": "#/$defs/none"}, 400, "a.$ref"),
        ({"$ref": "http://127.0.0.1/x"}, 400, "a.$ref"),
        ({"$ref": "#"}, 400, "a.$ref"),
        ({"type": "object", "required": ["x"]}, 400, "a.required"),
        (True, 422, "a"),
        ([], 400, "a"),
        ({"type": "timestamp"}, 400, "a.format"),
        ({"type": "timestamp", "format": "time"}, 400, "a.format"),
        ({"anyOf": [CLOCK]}, 400, "a.anyOf.0"),
        ({"type": "array", "items": CLOCK}, 400, "a.items"),
        (an_object(b=CLOCK), 400, "a.properties.b"),
    ],
)
def test_what_it_does_not_have_is_refused_with_its_path(inner: Json, status: int, path: str) -> None:
    error = refused(an_object(a=inner))
    assert (error.status, error.code) == (status, "parameter_invalid")
    assert error.message.startswith(f"{WHERE}.properties.{path}:")


def test_an_unknown_keyword_is_told_those_that_there_are() -> None:
    assert all(word in refused({"propertiez": {}}).message for word in KEYWORDS)


@pytest.mark.parametrize(
    "inner",
    [
        {"type": "string", "format": "time"},
        {"type": "boolean"},
        an_object(),
        {"type": "array", "items": {}},
        {"type": "null"},
        {"anyOf": [{"type": "number"}, {"type": "null"}]},
        {"$ref": "#/$defs/no"},
        {},
    ],
)
@pytest.mark.parametrize("name", ["start_time", "end_time"])
def test_reserved_names_take_numbers_strings_and_timestamps(name: str, inner: Json) -> None:
    deep = {"type": "array", "items": an_object(**{name: inner})}
    error = refused({**an_object(list=deep), "$defs": {"no": {"type": "boolean"}}})
    assert error.status == 400
    assert f"items.properties.{name}" in error.message
    for right in (NUMBER, STRING, {"type": "integer"}, CLOCK):
        check_request_schema(an_object(list={"type": "array", "items": an_object(**{name: right})}), WHERE)


def nested(levels: int, schema: Json) -> Json:
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def doubling(levels: int) -> Json:
    defs = {f"d{level}": {"anyOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{levels}": STRING}}


def test_size_depth_and_cycles_have_limits() -> None:
    check_request_schema(nested(19, STRING), WHERE)
    for schema in (
        nested(20, STRING),
        nested(100_000, STRING),
        {"description": "x" * 70_000},
        {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}},
        doubling(30),
    ):
        assert refused(schema).status == 400


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "^(a|aa)+$", "(.*)*x", "^" + "a*" * 100 + "$", "((((a{99}){99}){99}){99}){99}", "(" * 999]
)
def test_a_hostile_pattern_costs_at_most_its_limit(pattern: str) -> None:
    schema = an_object("a", a={"type": "string", "pattern": pattern})
    if not isinstance(quickly(lambda: check_request_schema(schema, WHERE)), SchemaError):
        said = quickly(lambda: validate({"a": "a" * 20_000 + "b"}, schema))
        assert isinstance(said, str)


def test_a_long_answer_with_many_ways_is_checked() -> None:
    ways = [
        an_object("kind", kind={"const": str(index)}, note={"enum": [str(n) for n in range(100)]})
        for index in range(15)
    ]
    schema = {"type": "array", "items": {"anyOf": ways}}
    answer = [{"kind": str(index % 15), "note": "99"} for index in range(1000)]
    assert validate(answer, schema) is None


def test_hostile_schemas_cost_at_most_their_limit() -> None:
    node = {"anyOf": [{"$ref": "#/$defs/n"}, {"$ref": "#/$defs/n"}, {"type": "null"}]}
    recursive = {"$ref": "#/$defs/n", "$defs": {"n": an_object("x", x=node)}}
    deep: Json = 3
    for _ in range(60):
        deep = {"x": deep}
    wide = {"type": "array", "items": {"anyOf": [{"type": "null"}] * 3500}}
    for schema, answer in ((doubling(18), 3), (recursive, deep), (wide, [3] * 1000)):
        quickly(partial(check_request_schema, schema, WHERE))
        assert "cost more" in str(quickly(partial(validate, answer, schema)))
        quickly(partial(from_openai, {"answer": answer}, schema))
    many = {"anyOf": [{"type": "null"}] * 100_000}
    assert isinstance(quickly(lambda: check_request_schema(many, WHERE)), SchemaError)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (r"^\d{3}-[a-f]+$", ["123-abc"], ["12-abc", "123-", "123-abg"]),
        ("b", ["abc", "b"], ["", "ac"]),
        (r"^(?:x|yz){2,3}$", ["xyz", "xxx", "yzyzyz"], ["x", "xxxx", ""]),
        (r"\bcat\b", ["a cat sat", "cat"], ["cats", "concat"]),
        (r"^[^,\]\-]+$", ["ab"], ["a,b", "a]", "a-", ""]),
        (r"^\p{Lu}\p{L}*$", ["Éa", "A"], ["a", "A1"]),
        (r"^a.?$", ["a", "ab"], ["a\n", "abc"]),
        (r"^(?<year>\d{4})\x2d0$", ["2024-0"], ["2024-1"]),
        (r"^[\w.+-]+?@x{1,}$", ["a.b+c@xx"], ["@x", "a@"]),
        ("^(a*)*$", ["", "aaa"], ["b"]),
        ("a{x", ["a{x"], ["a"]),
    ],
)
def test_patterns_mean_what_they_mean_elsewhere(pattern: str, yes: list[str], no: list[str]) -> None:
    compiled = Pattern(pattern)
    assert [text for text in yes if not compiled.search(text)] == []
    assert [text for text in no if compiled.search(text)] == []


def test_an_answer_that_fits_and_ones_that_do_not() -> None:
    good = {
        "title": "A",
        "id": "123e4567-e89b-12d3-a456-426614174000",
        "at": "00:01:02",
        "either": {"name": "n", "next": None},
        "chapters": [{"start_time": "00:00:01.500", "end_time": 3, "at": "00:00:01"}],
        "maybe": None,
    }
    assert validate(good, FULL) is None
    for change, path in (
        ({"title": "a"}, "$.title"),
        ({"id": "123"}, "$.id"),
        ({"at": 62}, "$.at"),
        ({"at": "00:01:62"}, "$.at"),
        ({"count": 10}, "$.count"),
        ({"tags": []}, "$.tags"),
        ({"tags": ["c"]}, "$.tags[0]"),
        ({"kind": "x"}, "$.kind"),
        ({"chapters": [{"start_time": "1.5"}]}, "$.chapters[0].start_time"),
        ({"chapters": [{}]}, "$.chapters[0]"),
    ):
        said = validate({**good, **change}, FULL)
        assert said is not None
        assert said.startswith(f"At {path}:"), said
    assert "title" in str(validate({"id": good["id"]}, FULL))
    assert "NaN" in str(validate(float("nan"), {}))


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("date", ["2024-02-29"], ["2023-02-29", "20240229", "x"]),
        ("date-time", ["2024-01-01T10:00:00Z", "2024-01-01T10:00:00.5+02:00"], ["2024-01-01", "2024-01-01T10:00:00"]),
        ("time", ["10:00:00Z"], ["10:00:00", "25:00:00Z"]),
        ("uuid", ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567e89b12d3a456426614174000"]),
    ],
)
def test_formats(kind: str, right: list[str], wrong: list[str]) -> None:
    schema = {"type": "string", "format": kind}
    assert [text for text in right if validate(text, schema)] == []
    assert [text for text in wrong if not validate(text, schema)] == []


def test_openai_strict_mode_and_back() -> None:
    strict = to_openai(FULL)
    assert_strict(strict)
    assert strict["properties"]["at"]["anyOf"][0] == {
        "type": "string",
        "description": "A moment of the video, as hh:mm:ss.",
    }
    answer = dict.fromkeys(strict["properties"])
    answer |= {"title": "A", "id": "123e4567-e89b-12d3-a456-426614174000", "at": 61.6, "maybe": None}
    answer["either"] = {"next": {"next": None, "name": "inner"}, "name": None}
    answer["chapters"] = [{"start_time": "1:02.5", "end_time": 2.5, "at": None}]
    back = from_openai(answer, FULL)
    assert back == {
        "title": "A",
        "id": "123e4567-e89b-12d3-a456-426614174000",
        "at": "00:01:02",
        "either": {"next": {"next": None, "name": "inner"}},
        "chapters": [{"start_time": "00:01:02.500", "end_time": 3}],
        "maybe": None,
    }
    assert validate(back, FULL) is None


def test_a_root_that_is_no_object_is_wrapped() -> None:
    schema = {"type": "array", "items": {"type": "integer"}}
    assert to_openai(schema)["properties"]["answer"] == schema
    assert from_openai({"answer": [1]}, schema) == [1]
    assert from_openai([1], schema) == [1]


def assert_strict(schema: Json) -> None:
    """The rules of strict mode: every object closed, every property required, no timestamp."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert schema["required"] == list(schema["properties"])
        assert schema.get("type") != "timestamp"
        for inner in schema.values():
            assert_strict(inner)
    elif isinstance(schema, list):
        for inner in schema:
            assert_strict(inner)


@pytest.mark.parametrize(
    ("seconds", "clock", "fine"),
    [(0, "00:00:00", "00:00:00.000"), (83.5, "00:01:24", "00:01:23.500"), (3599.9996, "01:00:00", "01:00:00.000")],
)
def test_times_in_three_formats(seconds: float, clock: str, fine: str) -> None:
    assert write_time(seconds, TimeFormat.clock) == clock
    assert write_time(seconds, TimeFormat.milliseconds) == fine
    assert read_time(fine) == pytest.approx(seconds, abs=0.001)
    assert write_time(-3, TimeFormat.clock) == "00:00:00"
    assert [read_time(value) for value in ("1:02", "12.5 s", "x", True, None, "1:2:3:4")] == [62, 12.5, *[None] * 4]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from((*KEYWORDS, "a", "start_time")), inner, max_size=4)
    ),
    max_leaves=12,
)
LEAVES = st.sampled_from(
    [STRING, NUMBER, {"type": "integer", "minimum": 0}, {"type": "boolean"}, {"enum": ["a", 1, None]}, {"type": "null"}]
)
NAMES = st.sampled_from(["a", "b", "c", "start_time"])


def objects(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    properties = st.dictionaries(NAMES, inner, max_size=3).map(
        lambda given: {name: NUMBER if name == "start_time" else schema for name, schema in given.items()}
    )
    return properties.flatmap(
        lambda given: st.sets(st.sampled_from(sorted(given)) if given else st.nothing()).map(
            lambda required: an_object(*sorted(required), **given)
        )
    )


SCHEMAS = objects(
    st.recursive(
        LEAVES,
        lambda inner: (
            objects(inner)
            | inner.map(lambda one: {"type": "array", "items": one})
            | st.lists(inner, min_size=1, max_size=3).map(lambda ways: {"anyOf": ways})
        ),
        max_leaves=6,
    )
)


@given(VALUES)
def test_whatever_comes_as_a_schema_only_schema_errors_leave(value: Json) -> None:
    for check in (check_request_schema, check_segments, check_media_sources):
        judged(check, value)


@given(st.data(), VALUES)
def test_a_good_schema_with_one_thing_changed_is_judged(data: st.DataObject, value: Json) -> None:
    schema = json.loads(json.dumps(FULL))
    place = schema
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place)))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = value
    if judged(check_request_schema, schema):
        assert_strict(to_openai(schema))
        validate({"title": "A"}, schema)


def judged(check: Callable[[object, str], None], value: Json) -> bool:
    """Whether it passes; if not, by an error that a caller can use."""
    refusal = None
    try:
        check(value, "w")
    except SchemaError as error:
        refusal = error
    assert refusal is None or (refusal.status in (400, 422) and refusal.message.startswith("w"))
    return refusal is None


@given(st.text(alphabet="ab(|)*+?{}[]^$\\.,-12dwpLbu<:", max_size=20), st.text(alphabet="ab1 -", max_size=30))
def test_whatever_comes_as_a_pattern_is_matched_or_refused(pattern: str, text: str) -> None:
    schema = {"type": "string", "pattern": pattern}
    try:
        check_request_schema(schema, "w")
    except SchemaError:
        return
    assert validate(text, schema) is None or "pattern" in str(validate(text, schema))


@given(SCHEMAS, VALUES)
def test_any_good_schema_becomes_a_strict_one_and_any_answer_is_judged(schema: Json, answer: Json) -> None:
    check_request_schema(schema, "w")
    assert_strict(to_openai(schema))
    said = validate(answer, schema)
    assert said is None or said.startswith(("At $", "The answer"))
    from_openai(answer, schema)


@given(st.data(), SCHEMAS)
def test_a_strict_answer_comes_back_as_one_that_fits(data: st.DataObject, schema: Json) -> None:
    answer = data.draw(answers(to_openai(schema)))
    back = from_openai(answer, schema)
    assert validate(back, schema) is None


def answers(strict: Json) -> st.SearchStrategy[Json]:
    """Answers that strict mode lets a model write."""
    if "anyOf" in strict:
        return st.one_of([answers(way) for way in strict["anyOf"]])
    if "enum" in strict:
        return st.sampled_from(strict["enum"])
    match strict["type"]:
        case "object":
            return st.fixed_dictionaries({name: answers(inner) for name, inner in strict["properties"].items()})
        case "array":
            return st.lists(answers(strict["items"]), max_size=2)
        case "string":
            return st.text(max_size=5)
        case "integer":
            return st.integers(min_value=0, max_value=1000)
        case "number":
            return st.floats(min_value=0, max_value=1000)
        case "boolean":
            return st.booleans()
        case _:
            return st.none()
