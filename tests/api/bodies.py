"""A body for each route that takes one."""

from collections.abc import Iterator
from typing import Any

from covey.api.kit.auth import is_admin
from tests.api.document import document
from tests.api.harness import ApiHarness

ID = "0123456789abcdef01234567"


def bodies() -> Iterator[tuple[str, str, list[str]]]:
    """Every documented route that takes a body of JSON: method, path, and the fields of the body."""
    schemas = document()["components"]["schemas"]
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                schema = content["application/json"]["schema"]
                ways = [schema, *schema.get("anyOf", ())]
                name = next(way["$ref"] for way in ways if "$ref" in way).rpartition("/")[2]
                yield method.upper(), path, list(schemas[name]["properties"])


BODIES = list(bodies())


async def send(api: ApiHarness, method: str, path: str, content: bytes) -> Any:
    """A request with a body as it stands; ids in the path lead nowhere."""
    for name in ("number", "index"):
        path = path.replace("{" + name + "}", "1")
    path = "/".join(ID if part.startswith("{") else part for part in path.split("/"))
    headers = {**api.headers("admin" if is_admin(path) else "operate"), "content-type": "application/json"}
    return await api.client.request(method, path, content=content, headers=headers)


def message(answer: Any) -> str:
    """What a refusal says, in whichever shape."""
    body = answer.json()
    found = body["error"]["message"] if isinstance(body.get("error"), dict) else body["message"]
    return str(found)
