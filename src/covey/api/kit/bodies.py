"""Bodies of JSON: read with bounds, checked, and no dearer for being wrong: refused at the first thing that is."""

import hashlib
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from covey.api.kit.blank import Fields
from covey.api.kit.context import Context
from covey.api.kit.errors import BodyUnfit
from covey.api.kit.idempotency import HEADER
from covey.api.kit.json_text import MOST_VALUES, Unfit, read_json

LARGE = 64 * 1024
"""From so many bytes on a body is worked on beside the event loop."""

MOST_VALUES_OF_ITEMS = 500_000
"""So many values, names and separators a list of analyses may have: a thousand items with a form of a hundred
properties each have as many."""


class Known(Fields):
    """A part of a body that takes no keys but its own, and stops at the first other one."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _only_known(cls, data: Any) -> Any:
        """With `extra="forbid"` alone every unknown key becomes an error of its own, a million of them a gigabyte."""
        if isinstance(data, dict) and len(data) > len(cls.model_fields):
            names = {field.alias or name for name, field in cls.model_fields.items()}
            first = next((key for key in data if key not in names), None)
            if first is not None:
                error = InitErrorDetails(type="extra_forbidden", loc=(str(first),), input=None)
                raise ValidationError.from_exception_data(cls.__name__, [error])
        return data


def checked(body: bytes, model: type[BaseModel], most_values: int = MOST_VALUES) -> BaseModel | None:
    """What a body says; None for a null. Raises JSONDecodeError, BodyUnfit for the first thing that is wrong."""
    try:
        data = read_json(body, most_values)
    except Unfit as error:
        raise BodyUnfit({"type": "unfit", "loc": ("body", *error.path), "msg": error.what, "input": ""}) from None
    if data is None:
        return None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BodyUnfit({**first, "loc": ("body", *first["loc"])}) from None


async def print_of(ctx: Context) -> dict[str, str]:
    """What a body means to an Idempotency-Key; nothing where there is no key to keep it for."""
    if HEADER not in ctx.request.headers:
        return {}
    body = await ctx.request.body()
    made = hashlib.sha256(body) if len(body) < LARGE else await ctx.services.heavy.run(hashlib.sha256, body)
    return {"body": made.hexdigest()}
