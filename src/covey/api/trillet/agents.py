"""Agents (contract 10.1, 12.19)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired

from fastapi import Path as PathParameter
from fastapi import Response
from pydantic import ConfigDict, Field, ValidationError, with_config
from typing_extensions import TypedDict

from covey.api.kit import formats, schemas
from covey.api.kit.blank import Fields
from covey.api.kit.context import Context, Ctx
from covey.api.kit.errors import Answer
from covey.api.kit.idempotency import idempotent
from covey.api.kit.numerals import Real, Whole
from covey.api.kit.openapi import WITH_BODY, new_router, said
from covey.api.kit.validation import sentence
from covey.api.trillet import convert
from covey.api.trillet import schemas as out
from covey.api.trillet.dialect import POSTED
from covey.api.trillet.requests import CallbackGap, SmartCallback, check_gaps
from covey.calls.agents import Agent
from covey.calls.agents import RetryGap as AgentGap
from covey.calls.call import VoicemailPolicy
from covey.domain.account import AgentRecord
from covey.domain.errors import BadRequest, NotFound
from covey.domain.ids import new_id
from covey.engine.submission import settled
from covey.settings import LEAST_GAP

router = new_router("Agents", "/v1/api/agents")

AgentId = Annotated[str, PathParameter(description="An agent's id, such as agent_…")]
Text = Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")]


class Gap(Fields, AgentGap):
    """How long to wait before the next attempt: a minute at least."""

    days: Annotated[Real, Field(ge=0, le=30)] = 0
    hours: Annotated[Real, Field(ge=0, le=24 * 30)] = 0


class QuestionIn(Fields):
    """A question that is answered with yes or no, spoken or by a digit. `confirmYes` and `confirmNo` are what is said
    to the one and the other (also taken as `confirm_yes`, `confirm_no`)."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    ask: Text
    again: Text | None = None
    confirmYes: Text | None = None
    confirmNo: Text | None = None
    yes: Annotated[str, Field(pattern="^[0-9*#]$")] = "1"
    no: Annotated[str, Field(pattern="^[0-9*#]$")] = "2"
    required: bool = True


class AgentChange(Fields):
    """An agent: the documented fields, and what it says. Any other field is kept, without effect.

    The fields are camelCase, here and in every answer; their snake_case forms are taken too. `voice` is one of the
    built-in voice's, such as `en-us` or `de`, unless the server speaks through an endpoint, which has names of its
    own.
    """

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")] | None = None
    greeting: Text | None = None
    questions: Annotated[list[QuestionIn], Field(max_length=20)] | None = None
    goodbye: Text | None = None
    voicemail: VoicemailPolicy | None = None
    voicemailMessage: Text | None = None
    detectMachine: bool | None = None
    voice: Annotated[str, Field(pattern=r"^[\w+-]{0,64}$")] | None = None
    ringSeconds: Annotated[Whole, Field(ge=15, le=120)] | None = None
    longestSeconds: Annotated[Whole, Field(ge=10, le=3600)] | None = None
    recording: bool | None = None
    recordingNotice: Text | None = None
    caller: Annotated[str, Field(pattern=r"^\+[1-9]\d{1,14}$")] | None = None
    retryVoicemail: bool | None = None
    trunk: Annotated[str, Field(pattern="^[a-z0-9_-]{1,40}$")] | None = None
    smartCallback: bool | None = None
    maxAttemptsForSmartCallback: Annotated[Whole, Field(ge=1, le=10)] | None = None
    gapBetweenEachAttemptForSmartCallback: Annotated[list[Gap], Field(min_length=1, max_length=10)] | None = None
    ttsModel: dict[str, Any] | None = None
    llmModel: Annotated[str, Field(max_length=200)] | None = None
    settings: dict[str, Any] | None = None
    variables: dict[str, Any] | None = None
    phoneNumberIds: list[str] | None = None
    type: Annotated[str, Field(pattern="^voice$")] | None = None


class NewAgent(AgentChange):
    """A new agent. Only its name is needed; to place calls it also needs a greeting or a question."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


@with_config(ConfigDict(extra="allow"))
class AgentOut(TypedDict):
    """An agent, with every field that was given. `warnings` names those without effect."""

    _id: str
    agentId: str
    workspaceId: str
    userId: str
    name: str
    type: str
    status: str
    activeSessions: list[dict[str, Any]]
    createdAt: str
    updatedAt: str
    placeholders: list[str]
    warnings: list[str]
    ttsModel: NotRequired[dict[str, Any]]
    llmModel: NotRequired[str]
    settings: NotRequired[dict[str, Any]]


def shown(record: AgentRecord) -> dict[str, Any]:
    """An agent as the wire has it."""
    agent = script_of(record.body)
    return {
        "ttsModel": {},
        "llmModel": "gpt-4o-mini",
        "settings": {},
        "greeting": agent.greeting,
        "goodbye": agent.goodbye,
        "voicemail": agent.voicemail.value,
        **{name: value for name, value in record.body.items() if value is not None},
        "_id": convert.agent_out(record.id),
        "agentId": convert.agent_out(record.id),
        "workspaceId": record.workspace,
        "userId": record.body.get("userId", ""),
        "type": "voice",
        "status": "ready" if agent.has_script else "draft",
        "activeSessions": [],
        "placeholders": sorted(agent.placeholders()),
        "warnings": list(without_effect(record.body)),
        "createdAt": formats.iso(record.created_at),
        "updatedAt": formats.iso(record.updated_at),
    }


@router.post(
    "",
    summary="Create an agent",
    operation_id="createAgent",
    responses={**said(s200=AgentOut), **POSTED, **WITH_BODY},
)
async def create(ctx: Ctx, body: NewAgent) -> Response:
    """Makes an agent. Texts may hold `{column}` for any column of a list."""
    given = await _checked(ctx, _given(body))
    now = ctx.services.clock.now()

    async def work(ident: str) -> Answer:
        record = AgentRecord(ident, ctx.workspace, {**given, "userId": ctx.actor}, now, now)
        await settled(ctx.services.store.put_agent(record))
        return Answer(shown(record))

    return await idempotent(ctx, given, work, new_id(now), lambda ident: _recover(ctx, ident))


def _given(body: AgentChange) -> dict[str, Any]:
    """What a body gives, in the wire's names. An agent that was stored before there was a least gap may have shorter
    ones; they may not be given anew."""
    given = normalised(body.model_dump(mode="json", exclude_unset=True))
    if given.get(GAPS) is not None:
        check_gaps(GAPS, [gap.seconds for gap in script_of({GAPS: given[GAPS]}).gaps], LEAST_GAP)
    return given


async def _checked(ctx: Context, body: dict[str, Any]) -> dict[str, Any]:
    body = normalised(body)
    for own in ("_id", "agentId", "workspaceId", "userId", "status", "activeSessions", "createdAt", "updatedAt", "__v"):
        body.pop(own, None)
    for own in ("placeholders", "warnings"):
        body.pop(own, None)
    script_of(body)
    if body.get("trunk"):
        ctx.trunk(body["trunk"])
    if body.get("voice"):
        wrong = await ctx.services.check_voice(body["voice"])
        if wrong is not None:
            raise BadRequest(f"voice: {wrong}", code="bad_agent")
    return body


async def _recover(ctx: Context, ident: str) -> Answer | None:
    try:
        return Answer(shown(await ctx.services.store.agent(ctx.workspace, ident)))
    except NotFound:
        return None


@router.get("", summary="List agents", operation_id="listAgents", responses=said(s200=list[AgentOut]))
async def list_agents(ctx: Ctx) -> Response:
    """The workspace's agents."""
    return Answer([shown(record) for record in await ctx.services.store.agents(ctx.workspace)])


_ONE: Any = said(s200=AgentOut, s404=out.BatchNotFound)


@router.get("/{agentId}", summary="Get an agent", operation_id="getAgent", responses=_ONE)
async def get(ctx: Ctx, agentId: AgentId) -> Response:
    """One agent."""
    return Answer(shown(await find_agent(ctx, agentId)))


@router.put("/{agentId}", summary="Update an agent", operation_id="updateAgent", responses={**_ONE, **WITH_BODY})
@router.patch("/{agentId}", summary="Update an agent", operation_id="patchAgent", responses={**_ONE, **WITH_BODY})
async def update(ctx: Ctx, agentId: AgentId, body: AgentChange) -> Response:
    """Replaces the fields that are given, null removes one. Batches keep the agent they were started with."""
    record = await find_agent(ctx, agentId)
    given = _given(body)
    kept = {name: value for name, value in {**record.body, **given}.items() if value is not None}
    user = record.body.get("userId", "")
    changed = {**await _checked(ctx, kept), "userId": user, "name": kept.get("name", record.body.get("name", ""))}
    now = ctx.services.clock.now()
    new = AgentRecord(record.id, record.workspace, changed, record.created_at, now)
    await ctx.services.store.put_agent(new)
    return Answer(shown(new))


@router.delete(
    "/{agentId}",
    summary="Delete an agent",
    operation_id="deleteAgent",
    responses=said(s200=schemas.Done, s404=out.BatchNotFound),
)
async def delete(ctx: Ctx, agentId: AgentId) -> Response:
    """Removes an agent. Batches that were started with it go on."""
    record = await find_agent(ctx, agentId)
    try:
        await ctx.services.store.delete_agent(ctx.workspace, record.id)
    except NotFound:
        raise convert.no_agent(agentId) from None
    answer: schemas.Done = {"id": agentId, "message": "The agent is deleted"}
    return Answer(answer)


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
    gaps = [CallbackGap(days=gap.days, hours=gap.hours) for gap in agent.gaps]
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


async def find_agent(ctx: Context, agent_id: str) -> Any:
    """The workspace's agent of a wire id. Raises NotFound."""
    ident = convert.agent_in(agent_id)
    try:
        return await ctx.services.store.agent(ctx.workspace, ident)
    except NotFound:
        raise convert.no_agent(agent_id) from None
