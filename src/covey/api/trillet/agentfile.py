"""Agents on the wire and in the store: the documented fields, what they say, and what is kept without effect
(contract 10.1, 12.19). The wire writes camelCase; `covey.calls.agents.Agent` has the same fields in snake_case."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from covey.api.errors import sentence
from covey.api.trillet.fields import Gap, SmartCallback
from covey.calls.agents import Agent
from covey.domain.account import AgentRecord
from covey.domain.errors import BadRequest

GAPS = "gapBetweenEachAttemptForSmartCallback"

SCRIPT = {
    "greeting": "greeting",
    "questions": "questions",
    "goodbye": "goodbye",
    "voicemail": "voicemail",
    "voicemailMessage": "voicemail_message",
    "detectMachine": "detect_machine",
    "voice": "voice",
    "ringSeconds": "ring_seconds",
    "longestSeconds": "longest_seconds",
    "recording": "recording",
    "recordingNotice": "recording_notice",
    "caller": "caller",
    "smartCallback": "smart_callback",
    "maxAttemptsForSmartCallback": "max_attempts",
    GAPS: "gaps",
    "retryVoicemail": "retry_voicemail",
}
"""The fields that a call heeds: wire name → `Agent`'s."""


def _snake(wire: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", wire)


_OURS = frozenset({*SCRIPT, "name", "trunk", "type", "userId"})
_WITHOUT_EFFECT = ("ttsModel", "llmModel", "phoneNumberIds")
_WIRE = {_snake(wire): wire for wire in (*SCRIPT, *_WITHOUT_EFFECT)} | {snake: wire for wire, snake in SCRIPT.items()}
_QUESTION = {"confirmYes": "confirm_yes", "confirmNo": "confirm_no"}
_QUESTION_WIRE = {snake: wire for wire, snake in _QUESTION.items()}
_TOLD = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
_SECRET = re.compile(r"(api_?-?key|secret|password|access_?token)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FrozenAgent:
    """An agent as a batch takes it: `body` is the `Agent`'s dump, the rest is for the API."""

    id: str
    body: dict[str, Any]
    placeholders: frozenset[str]
    warnings: tuple[str, ...]
    trunk: str | None
    callback: SmartCallback | None
    retry_voicemail: bool
    recording: bool


def script_of(body: Mapping[str, Any]) -> Agent:
    """What a stored body says. Raises BadRequest naming the field, by its wire name."""
    given = {snake: body[wire] for wire, snake in SCRIPT.items() if body.get(wire) is not None}
    if isinstance(given.get("questions"), list):
        given["questions"] = [_renamed(one, _QUESTION) for one in given["questions"]]
    try:
        return Agent.model_validate(given)
    except ValidationError as error:
        first = dict(error.errors()[0])
        first["loc"] = [_told(str(part)) for part in error.errors()[0]["loc"]]
        first["msg"] = _TOLD.sub(lambda word: _told(word[0]), str(first["msg"]))
        raise BadRequest(sentence(first), code="bad_agent") from None


def _told(name: str) -> str:
    """A field's name as the wire has it."""
    return _QUESTION_WIRE.get(name) or _WIRE.get(name, name)


def freeze(record: AgentRecord) -> FrozenAgent:
    """An agent as it is now, for ever. Raises BadRequest `agent_has_no_script`."""
    agent = script_of(record.body)
    if not agent.has_script:
        raise BadRequest("The agent has nothing to say: give it a greeting or a question", code="agent_has_no_script")
    gaps = [Gap(days=gap.days, hours=gap.hours) for gap in agent.gaps]
    callback = SmartCallback(enabled=True, maxAttempts=agent.max_attempts, gaps=gaps) if agent.smart_callback else None
    return FrozenAgent(
        id=record.id,
        body=agent.model_dump(mode="json"),
        placeholders=frozenset(agent.placeholders()),
        warnings=without_effect(record.body),
        trunk=record.body.get("trunk"),
        callback=callback,
        retry_voicemail=agent.retry_voicemail,
        recording=agent.recording,
    )


def normalised(body: Mapping[str, Any]) -> dict[str, Any]:
    """A body in the wire's names, camelCase; the snake_case form of each is taken too. Raises BadRequest for secrets,
    and for a field that is given in both forms."""
    for name in _names(body):
        if _SECRET.search(name):
            raise BadRequest(
                f"{name}: secrets are not kept in an agent; the server's settings hold the speech provider's key",
                code="secret_refused",
            )
    found: dict[str, Any] = _renamed(body, _WIRE)
    if isinstance(found.get("questions"), list):
        found["questions"] = [_question(one) for one in found["questions"]]
    return found


def _question(one: Any) -> Any:
    """A question in the wire's names, without what is null: that is as good as not given."""
    if not isinstance(one, dict):
        return one
    return {name: value for name, value in _renamed(one, _QUESTION_WIRE).items() if value is not None}


def _renamed(one: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(one, Mapping):
        return one
    for name in one:
        other = names.get(name, name)
        if other != name and other in one:
            raise BadRequest(f"{other}: is given twice, as {name} too", code="bad_agent")
    return {names.get(name, name): value for name, value in one.items()}


def without_effect(body: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence for every field that is kept and changes nothing."""
    return tuple(f"{name}: kept, without effect" for name in sorted(body) if name not in _OURS)


def _names(value: Any) -> Iterator[str]:
    """All names in a JSON value. Does not recurse: with thousands of values that was the dearest part of a request."""
    open_ = [value]
    while open_:
        inner = open_.pop()
        if isinstance(inner, dict):
            yield from inner
            open_.extend(inner.values())
        elif isinstance(inner, list):
            open_.extend(inner)
