"""Agents: what they need, what they say, and what nothing in a row can make them say."""

from typing import Any

import pytest
from pydantic import ValidationError

from covey.calls.agents import LONGEST_LINE, LONGEST_VALUE, Agent, Question, clip_key, render
from covey.calls.call import VoicemailPolicy

ASK = "Can you come? Press 1 for yes, 2 for no."


def agent(**changes: Any) -> Agent:
    return Agent.model_validate(
        {"greeting": "Hello {first_name}.", "questions": [{"name": "q", "ask": ASK}], **changes}
    )


def greeting(text: str, row: dict[str, str]) -> str:
    return render(agent(greeting=text), row).opening[0].text


@pytest.mark.parametrize("text", ["Hello {first_name}.", "Hello {{first_name}}.", "Hello { first_name }."])
def test_placeholders_are_replaced_by_name(text: str) -> None:
    assert greeting(text, {" first_name ": "Ada"}) == "Hello Ada."


def test_column_names_match_as_they_are_written() -> None:
    with pytest.raises(KeyError):
        greeting("{first_name}", {"First_Name": "Ada"})


def test_column_names_may_hold_blanks_and_letters_of_any_language() -> None:
    assert greeting("{Vor name} {Größe}", {"Vor name": "Ada", "Größe": "9"}) == "Ada 9"


def test_placeholders_of_every_text_are_found() -> None:
    question = {
        "name": "q",
        "ask": "{a} press 1",
        "again": "{{b}} press 1",
        "confirm_yes": "{c}",
        "confirm_no": "{ d }",
    }
    full = agent(
        questions=[question],
        goodbye="{e}",
        voicemail="leave_message",
        voicemail_message="call {f}",
        recording=True,
        recording_notice="recorded for {g}",
    )
    assert full.placeholders() == {"first_name", "a", "b", "c", "d", "e", "f", "g"}


def test_one_nasty_row() -> None:
    """What a value holds is never a placeholder, a format, markup or a control."""
    row = {
        "first_name": "{phone}{{phone}} {0.__class__} %s <speak><break time='9s'/>"
        "\u202e\x01\x07\x00[[h@loU]]\r\nAda\u00ad",
        "phone": "+15550100",
    }
    said = greeting("Hello {first_name}.", row)
    assert said == "Hello phone phone 0.__class__ %s speak break time='9s'/ h@loU Ada."
    assert "+15550100" not in said


def test_huge_values_and_lines_are_cut_at_a_word() -> None:
    said = greeting("Hello {first_name}!", {"first_name": "word " * 100_000})
    assert len(said) <= LONGEST_VALUE + len("Hello !")
    assert said.endswith("word!")
    assert len(greeting("{first_name} " * 30, {"first_name": "x" * 5000})) <= LONGEST_LINE


def test_the_notice_is_the_first_thing_said_when_recording() -> None:
    script = render(agent(recording=True), {"first_name": "Ada"})
    assert [line.text for line in script.opening] == ["This call is recorded.", "Hello Ada."]
    assert len(render(agent(), {"first_name": "Ada"}).opening) == 1


def test_clips_differ_by_voice_and_text_only() -> None:
    assert clip_key("en-us", "Hello") == clip_key("en-us", "Hello")
    assert len({clip_key("en-us", "Hello"), clip_key("de", "Hello"), clip_key("", "Hello")}) == 3
    assert render(agent(), {"first_name": "Ada"}).goodbye == render(agent(), {"first_name": "Bob"}).goodbye


def test_a_question_that_names_no_digits_gets_them() -> None:
    question = Question(name="q", ask="Can you come?", yes="7", no="#")
    assert question.question_text() == "Can you come? Please say yes or no, or press 7 for yes, hash for no."
    assert question.again_text().startswith("Sorry, I did not get that. Can you come?")
    assert Question(name="q", ask=ASK).question_text() == ASK


@pytest.mark.parametrize(
    ("changes", "has"),
    [
        ({}, True),
        ({"greeting": ""}, True),
        ({"questions": []}, True),
        ({"greeting": " … ", "questions": []}, False),
        ({"greeting": "", "questions": []}, False),
    ],
)
def test_an_agent_must_have_something_to_say(changes: dict[str, Any], has: bool) -> None:
    assert agent(**changes).has_script is has


@pytest.mark.parametrize(
    "changes",
    [
        {"ring_seconds": 14},
        {"ring_seconds": 121},
        {"voicemail": "leave_message"},
        {"recording": True, "recording_notice": "…"},
        {"caller": "555"},
        {"voice": "x;rm"},
        {"questions": [{"name": "q", "ask": ASK}] * 2},
        {"questions": [{"name": "q", "ask": ASK, "yes": "1", "no": "1"}]},
        {"questions": [{"name": "q", "ask": ASK, "yes": "one"}]},
        {"maxAttemptsForSmartCallback": 11},
        {"unheard_of": 1},
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        agent(**changes)


def test_a_frozen_agent_reads_back_as_it_was() -> None:
    full = agent(voicemail="leave_message", voicemail_message="Call us.", smartCallback=True)
    assert Agent.model_validate_json(full.model_dump_json()) == full
    assert Agent.model_validate_json(full.model_dump_json(by_alias=True)) == full
    assert render(full, {"first_name": "Ada"}).voicemail is VoicemailPolicy.leave_message
