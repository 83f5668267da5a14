"""An empty field is a mistake, never the same as an absent one (contract 12.6): an empty `scheduledAt`, out of a shell
variable that is not set, must not dial now.

Every field of a form, a query or a body of JSON whose text is empty or blank is refused by its name. JSON's null stands
for an absent field, as generated clients send it. What is exempt is listed here, with its reason.
"""

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from covey.domain.errors import BadRequest

WHAT = "it is empty; give it a value or leave it out"

MAY_BE_EMPTY = frozenset(
    {
        # What people write for people. Empty, it says nothing and changes nothing.
        "name",
        "reason",
        "description",
        # What an agent says. Empty, it says nothing; answers show agents so, and what they show is taken again.
        "greeting",
        "goodbye",
        "voicemailMessage",
        "recordingNotice",
        "ask",
        "again",
        "confirmYes",
        "confirmNo",
        # Numbers for the do-not-call list are read one by one, like cells; the answer lists those that are none.
        "numbers",
    }
)
"""Fields that may be empty wherever they stand. The keys and values of a caller's own objects (`metadata`,
`dynamic_variables`, `user_metadata`, JSON schemas) and the cells of a CSV are no fields of ours."""

EMPTY_FROM_SDK = frozenset({"url", "filename", "enable_hls", "enable_thumbnail", "user_metadata"})
"""Fields of the form of `POST /v1.3/assets` that count as absent when they are empty: the Python SDK sends them so for
its None."""


def is_blank(value: Any) -> bool:
    """Whether a field's value is text with nothing in it."""
    return isinstance(value, str) and not value.strip()


def check_query(items: Iterable[tuple[str, str]]) -> None:
    """Raises BadRequest naming the first parameter that is empty."""
    for name, value in items:
        if is_blank(value) and name not in MAY_BE_EMPTY:
            raise BadRequest(f"{name[:100]}: {WHAT}")


class Fields(BaseModel):
    """A part of a body of JSON: no text is empty, and null stands for an absent field.

    A field whose type has a None of its own gets the null: where a change (PUT, PATCH) says that null removes
    something, it does (RFC 7396).
    """

    @model_validator(mode="before")
    @classmethod
    def _neither_blank_nor_null(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        known = {field.alias or name: field for name, field in cls.model_fields.items()}
        texts = (name for name in known if name in data and name not in MAY_BE_EMPTY)
        place = next((place for name in texts for place in _blanks(name, data[name])), None)
        if place is not None:
            error = InitErrorDetails(type=PydanticCustomError("blank", WHAT), loc=place, input="")
            raise ValidationError.from_exception_data(cls.__name__, [error])
        return {
            name: value
            for name, value in data.items()
            if value is not None or name not in known or type(None) in get_args(known[name].annotation)
        }


def _blanks(name: str, value: Any) -> Iterator[tuple[str | int, ...]]:
    """Where in a field there is a blank text: as its value, or in its list."""
    if is_blank(value):
        yield (name,)
    elif isinstance(value, list):
        yield from ((name, index) for index, one in enumerate(value) if is_blank(one))
