"""The backend for models behind an OpenAI-compatible endpoint."""

import asyncio
from typing import Any

from covey.analysis.backend import Busy, Down, ItemAnswer, ItemRequest, PerhapsBroken, Refused, TryAgain
from covey.analysis.config import Mode
from covey.analysis.media.errors import UNSAFE, Undecodable
from covey.analysis.openai.document import NoDocument, dump, find_document
from covey.analysis.openai.endpoint import WORKS_SECONDS, ModelEndpoint
from covey.analysis.openai.messages import Message, VideoSource, conversation, definitions, references, repair, view
from covey.analysis.openai.reply import LENGTH, Reply
from covey.analysis.openai.transcript import transcript_of
from covey.analysis.schema import Schema, from_openai, segments_schema, to_openai, validate, validate_segments
from covey.domain.run import Blame
from covey.settings import Model

INVALID_OUTPUT = "invalid_model_output"
TOO_FEW_TOKENS = "max_tokens_too_small"
BUSY = "model_busy"

TEMPERATURE = 0.2
"""Where nobody says any (contract section 3)."""

_LONGEST_REPAIRED = 100_000
_OURS = frozenset({"messages", "model", "stream", "n"})
_NEWER_LIMIT = "max_completion_tokens"


class OpenAiBackend:
    """Answers by one model of one endpoint. `docs/models.md` says what each fault of the endpoint leads to."""

    def __init__(self, name: str, model: Model, decoder: VideoSource) -> None:
        """`name` is the model's in the settings. Raises ValueError for an `extra` that would change the protocol."""
        if taken := _OURS & model.extra.keys():
            raise ValueError(f"models.{name}.extra: {', '.join(sorted(taken))} cannot be set there")
        self._name = name
        self._model = model
        self._decoder = decoder
        key = model.api_key.get_secret_value() if model.api_key else None
        self._endpoint = ModelEndpoint(model.url or "", key, f"The model {name}", model.timeout_seconds)
        self._ears: ModelEndpoint | None = None
        if model.transcription_url:
            key = model.transcription_key.get_secret_value() if model.transcription_key else None
            whom = f"The transcription endpoint of the model {name}"
            self._ears = ModelEndpoint(model.transcription_url, key, whom, model.timeout_seconds)

    async def analyze(self, ask: ItemRequest) -> ItemAnswer:
        """See `Backend.analyze`. Cancelling it closes the connection of the request under way."""
        seconds = ask.end - ask.start
        ask.progress(0.0, seconds)
        schema = _schema(ask)
        strict = None if schema is None else await asyncio.to_thread(to_openai, schema)
        messages, shown = await self._messages(ask, strict)
        request = self._request(ask, messages, strict)
        reply = await ask.patiently(lambda: self._endpoint.chat(request), paid=self._ears is not None)
        data = _text(reply) if schema is None else None
        if schema is not None:
            data, reply = await self._document(ask, request, reply, schema)
        ask.progress(seconds, seconds)
        return ItemAnswer(
            data=data or "",
            finish_reason=reply.finish_reason,
            tokens_out=reply.usage.tokens_out,
            tokens_in=reply.usage.tokens_in,
            seconds=seconds,
            made_by=f"{self._name} ({self._model.model}; {shown})",
            estimated=reply.usage.estimated,
        )

    async def ping(self) -> str | None:
        """See `Backend.ping`: whether the endpoint, and the one for transcripts, answer at all. Costs no tokens."""
        wrong = await self._endpoint.ping()
        return wrong if wrong or self._ears is None else await self._ears.ping()

    async def works(self) -> str | None:
        """None if the model answers a word about nothing; else a sentence. It tells a bad input from a broken model."""
        try:
            async with asyncio.timeout(WORKS_SECONDS):
                await self._endpoint.chat(self._limited([{"role": "user", "content": "Say: yes"}], 16))
        except TimeoutError:
            return f"The model {self._name} did not answer one word within {WORKS_SECONDS:g} s."
        except Busy:
            return None
        except (Refused, Down) as error:
            return str(error)
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()
        if self._ears is not None:
            await self._ears.close()

    async def _messages(self, ask: ItemRequest, schema: Schema | None) -> tuple[list[Message], str]:
        try:
            video, shown = await view(ask, self._model, self._decoder)
            transcript = ""
            if self._ears is not None:
                transcript = await transcript_of(ask, self._decoder, self._ears, self._model.transcription_model)
        except Undecodable as error:
            if error.code == UNSAFE:
                raise Down(error.message) from error
            raise Refused(error.code, error.message) from error
        images = await references(ask)
        if transcript:
            shown += " and a transcript"
        return conversation(ask, video, images, transcript, schema), shown

    def _request(self, ask: ItemRequest, messages: list[Message], strict: Schema | None) -> dict[str, Any]:
        wanted = ask.wanted.temperature
        request: dict[str, Any] = {"temperature": TEMPERATURE if wanted is None else wanted}
        if strict is not None and self._model.response_format:
            form = {"name": "answer", "strict": True, "schema": strict}
            request["response_format"] = {"type": "json_schema", "json_schema": form}
        return request | self._limited(messages, ask.max_tokens)

    def _limited(self, messages: list[Message], tokens: int) -> dict[str, Any]:
        """A request whose answer has at most so many tokens, with the fields of `extra` over ours.

        OpenAI's newer models call the limit `max_completion_tokens`; who has that in `extra` gets it by that name,
        where it also is the most there may be.
        """
        request = {"model": self._model.model, "messages": messages, **self._model.extra}
        most = request.get(_NEWER_LIMIT)
        if isinstance(most, int):
            return request | {_NEWER_LIMIT: min(most, tokens)}
        return {"max_tokens": tokens, **request}

    async def _document(
        self, ask: ItemRequest, request: dict[str, Any], reply: Reply, schema: Schema
    ) -> tuple[str, Reply]:
        """The JSON document of a reply, after one repair if need be. Raises Refused, TryAgain."""
        data, wrong = await asyncio.to_thread(_read_document, ask, reply, schema)
        if data is not None:
            return data, reply
        messages = [*request["messages"], *repair(reply.text[:_LONGEST_REPAIRED], wrong)]
        second = await self._repaired(ask, {**request, "messages": messages})
        data, wrong = await asyncio.to_thread(_read_document, ask, second, schema)
        if data is None:
            raise Refused(INVALID_OUTPUT, f"The model {self._name} gave no answer that fits, asked twice. {wrong}")
        return data, Reply(second.text, second.finish_reason, reply.usage + second.usage)

    async def _repaired(self, ask: ItemRequest, request: dict[str, Any]) -> Reply:
        """The second answer. The first was paid for, so this request waits by itself while the model is busy; and where
        it comes to nothing the item uses up a try, that nobody pays for first answers without end."""
        wanted = f"An answer of the model {self._name} did not fit, and it was asked to put it right"
        try:
            return await ask.patiently(lambda: self._endpoint.chat(request))
        except Busy:
            raise TryAgain(BUSY, f"{wanted}; it took no more for too long.", Blame.nothing) from None
        except (PerhapsBroken, Down) as error:
            raise TryAgain(error.code, f"{wanted}. {error}", Blame.either) from None


def _schema(ask: ItemRequest) -> Schema | None:
    """The schema that the answer is to fit; None where text is asked for."""
    form = ask.wanted.response_format or {}
    if ask.mode is Mode.time_based_metadata:
        return segments_schema(definitions(ask), form.get("segment_time_format"))
    schema: Schema | None = form.get("json_schema")
    return schema


def _text(reply: Reply) -> str:
    """The text of a reply. A text that ends early is one; none at all is not."""
    if not reply.text.strip():
        if reply.finish_reason == LENGTH:
            raise Refused(TOO_FEW_TOKENS, "The model used up max_tokens before it wrote anything.")
        raise Refused(INVALID_OUTPUT, "The model's answer is empty.")
    return reply.text


def _read_document(ask: ItemRequest, reply: Reply, schema: Schema) -> tuple[str | None, str]:
    """The document of a reply as text, or None and what is wrong. Raises Refused for one that was cut off."""
    if reply.finish_reason == LENGTH:
        raise Refused(TOO_FEW_TOKENS, f"The JSON answer needs more than max_tokens, {ask.max_tokens}, and was cut off.")
    try:
        document = from_openai(find_document(reply.text), schema)
    except NoDocument as error:
        return None, str(error)
    wrong = _wrong(ask, document, schema)
    return (dump(document), "") if wrong is None else (None, wrong)


def _wrong(ask: ItemRequest, document: object, schema: Schema) -> str | None:
    if ask.mode is Mode.general:
        return validate(document, schema)
    how = (ask.wanted.response_format or {}).get("segment_time_format")
    return validate_segments(document, definitions(ask), how, (ask.start, ask.end))
