"""What the API document says of each route."""

from collections.abc import Iterator
from typing import Any

from tests.api.document import document


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation
