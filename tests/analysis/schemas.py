"""Schemas, and how they are refused."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from covey.analysis.schema import (
    SchemaError,
    check_request_schema,
)

Json = Any


WHERE = "response_format.json_schema"


def an_object(*required: str, **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(required)}


def refused(schema: Json) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        check_request_schema(schema, WHERE)
    return caught.value


def quickly(work: Callable[[], object], most: float = 0.5) -> object:
    """Five times what was measured is allowed, for a machine that has other things to do."""
    start = time.process_time()
    try:
        return work()
    except SchemaError as error:
        return error
    finally:
        assert time.process_time() - start < most
