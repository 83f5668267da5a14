"""The API document, and whether a real answer is one that it declares."""

import re
from functools import cache
from typing import Any

import httpx2 as httpx
import orjson
from jsonschema import Draft202012Validator

from covey.api.app import DIALECTS
from covey.api.app import document as made


@cache
def document() -> Any:
    """The document as the code makes it."""
    return orjson.loads(made())


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    paths = sorted(document()["paths"], key=lambda path: (path.count("{"), path))
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in paths]


def operation(method: str, path: str) -> Any:
    """What the document says of a request; None if it knows no such route. HEAD is as GET, of which it says nothing."""
    path, method = DIALECTS.documented_path(path), "GET" if method == "HEAD" else method
    for pattern, template in _patterns():
        if pattern.fullmatch(path) and method.lower() in document()["paths"][template]:
            return document()["paths"][template][method.lower()]
    return None


@cache
def _validator(schema: bytes) -> Draft202012Validator:
    return Draft202012Validator({**orjson.loads(schema), "components": document()["components"]})


def check_body(schema: Any, body: Any) -> None:
    """Raises if `body` is not what `schema` says."""
    _validator(orjson.dumps(schema)).validate(body)


async def declared(response: httpx.Response) -> None:
    """Raises if the document does not declare this answer. An event hook of the tests' client."""
    await response.aread()
    found = operation(response.request.method, response.request.url.path)
    if found is None and response.request.url.path in ("/docs", "/openapi.json"):
        return
    if found is None:
        assert response.status_code in (401, 403, 400, 404, 405), response.text
        return
    status = str(response.status_code)
    if status == "405":
        return
    if status == "204":
        assert status in found["responses"]
        assert not response.content
        return
    assert status in found["responses"], f"{status} is not declared: {response.text[:300]}"
    contents = found["responses"][status].get("content", {})
    kind = response.headers["content-type"].partition(";")[0]
    assert kind in contents, f"{kind} is not declared for {status}"
    if kind == "application/json" and response.request.method != "HEAD":
        check_body(contents[kind]["schema"], response.json())
