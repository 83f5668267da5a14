"""What a pattern of a schema may cost, and other text whose size a client chooses."""

from typing import Any

import pytest

from covey.analysis.localfacts import answering, segmenting
from covey.analysis.openai.document import NoDocument, find_document
from covey.analysis.schema import SchemaError, check_media_sources, check_request_schema, validate
from covey.analysis.schema import patterns as module
from covey.analysis.schema.patterns import Pattern, Patterns, Unreadable
from tests.analysis.schemas import WHERE, an_object, quickly, refused


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("a?" * 30_000, "at most 1,000 are taken"),
        ("a" * 1001, "at most 1,000 are taken"),
        (r"\pL" * 21, "over 20 categories"),
        (r"\PL" * 300, "over 20 categories"),
        (r"\p{L}{1,1000}", "too large"),
        ("(x{1000}){1000}", "repetition"),
        ("x{1000}" * 140, "too large"),
    ],
)
def test_a_pattern_that_would_hold_the_process_is_refused_where_it_stands(pattern: str, why: str) -> None:
    error = refused(an_object(a={"type": "string", "pattern": pattern}))
    assert (error.status, error.code) == (400, "parameter_invalid")
    assert error.message.startswith(f"{WHERE}.properties.a.pattern: ")
    assert why in error.message


UNITS = ["a?", r"\pL{1,8}", "[à-öµ-ſ]{9}", ".{99}", "(|a|b)*", r"[^\pL]{3}", "(?i:kſ){5}", "x{1000}", ".{1,30}"]


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_compiled_has_a_bounded_program(unit: str) -> None:
    """With four times the memory a pattern of 12 characters held the process for 150 ms."""
    for times in range(1, 1 + module.MOST_CHARACTERS // len(unit)):
        try:
            assert Pattern(unit * times).size <= 90_000
        except Unreadable:
            break


def test_the_patterns_of_one_request_are_bounded_together() -> None:
    patterns, sizes = Patterns(), list[int]()

    def take_all() -> None:
        for number in range(1000):
            sizes.append(patterns.get(f"{number}" + "a?" * 400).size)

    with pytest.raises(Unreadable, match="too large together"):
        take_all()
    assert len(sizes) > 100
    assert sum(sizes) <= module.MOST_INSTRUCTIONS + max(sizes)
    assert patterns.get("0" + "a?" * 400).size == sizes[0]


def test_as_many_small_patterns_as_a_batch_has_items_are_fine() -> None:
    patterns = Patterns()
    for number in range(1000):
        patterns.get(rf"^[A-Z]{{2}}-{number}\d*$")


def test_an_answer_costs_at_most_its_budget_of_searches() -> None:
    schema = an_object("a", a={"type": "string", "pattern": "^(.{1,30}a){1,30}$"})
    check_request_schema(schema, WHERE)
    assert "cost more" in str(validate({"a": "ab" * 100_000}, schema))
    assert validate({"a": "ba" * 100}, schema) is None
    small = an_object("a", a={"type": "string", "pattern": "^[ab ]+$"})
    assert validate({"a": "ab" * 200_000}, small) is None


def test_a_schema_that_was_kept_from_before_the_bounds_holds_nobody_up() -> None:
    schema = an_object("a", a={"type": "string", "pattern": "a?" * 30_000})
    assert "cost more" in str(quickly(lambda: validate({"a": "a"}, schema)))


def test_what_a_refusal_shows_costs_no_more_than_it_shows() -> None:
    huge = "é" * 10_000_000
    sources = [{"name": huge, "media_type": "image", "url": "http://a"}] * 2
    with pytest.raises(SchemaError) as raised:
        check_media_sources(sources, "prompt.media_sources")
    assert len(raised.value.message) < 300


def test_a_prompt_full_of_references_is_looked_at_once() -> None:
    """Without a bound each `<@` was followed to the end of the text."""
    assert quickly(lambda: answering._REFERENCE.search("<@" * 40_000)) is None
    assert answering._REFERENCE.search("what is <@logo> here") is not None


def test_a_long_description_of_a_segment_is_cut() -> None:
    definition: dict[str, Any] = {"id": "x", "description": "chapters " + "what is " * 1_000_000, "fields": []}
    assert quickly(lambda: segmenting.segments_of(definition, _Nothing(), (None, None), None)) == []  # type: ignore[arg-type]


class _Nothing:
    """A video in which nothing is seen."""

    shots = ()
    texts = ()


def test_an_answer_of_one_fence_and_newlines_is_no_document_at_once() -> None:
    def find() -> str:
        try:
            return str(find_document("```" + "\n" * 40_000))
        except NoDocument as error:
            return str(error)

    assert "not JSON" in str(quickly(find))
    assert find_document('```json  \n{"a": 1}\n```') == {"a": 1}
