"""No field of a form, a query or a body may be empty, whichever route takes it; null in a body is an absent field.

The fields are those of the API's own document, so that none that is new can be forgotten.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from covey.api.kit.auth import is_admin
from covey.api.kit.blank import EMPTY_FROM_SDK, MAY_BE_EMPTY
from tests.api.document import document
from tests.api.harness import PEOPLE, PREFIX, ApiHarness
from tests.api.routes import operations

BLANKS = ("", " ", "\t\n")
FORMS, JSON = "multipart/form-data", "application/json"
ASSETS = "/v1.3/assets"

Place = tuple[str | int, ...]


class Field(NamedTuple):
    """A field of a route: where it stands in what is sent, and the whole that it stands in."""

    method: str
    path: str
    place: Place
    whole: Any

    @property
    def name(self) -> str:
        return ".".join(map(str, self.place))

    @property
    def label(self) -> str:
        return f"{self.method} {self.path} {self.name}"

    @property
    def may_be_empty(self) -> bool:
        named = [part for part in self.place if isinstance(part, str)][-1]
        return named in MAY_BE_EMPTY or (self.method == "POST" and self.path == ASSETS and named in EMPTY_FROM_SDK)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def choices(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """What a value may be, null aside."""
    schema = resolved(schema)
    each = [resolved(one) for one in schema.get("anyOf", [schema])]
    return [one for one in each if one.get("type") != "null"]


def sample(schema: dict[str, Any]) -> Any:
    """A value of a schema, with what it requires and nothing else."""
    one = choices(schema)[0]
    match one.get("type"):
        case "object":
            return {name: sample(one["properties"][name]) for name in one.get("required", ())}
        case "array":
            return [sample(one["items"])]
        case "integer" | "number":
            return one.get("minimum", 1)
        case "boolean":
            return True
        case _:
            return one.get("const") or one.get("enum", ["x"])[0]


def fields_of(schema: dict[str, Any], place: Place = ()) -> Iterator[tuple[Place, dict[str, Any], bool]]:
    """Every field below a schema: where it stands, what it may be, whether it is text."""
    for one in choices(schema):
        if one.get("type") == "object":
            for name, inner in one.get("properties", {}).items():
                kinds = choices(inner)
                yield (*place, name), inner, any(kind.get("type") == "string" or "enum" in kind for kind in kinds)
                yield from fields_of(inner, (*place, name))
        elif one.get("type") == "array":
            if any(kind.get("type") == "string" for kind in choices(one["items"])):
                yield (*place, 0), one["items"], True
            yield from fields_of(one["items"], (*place, 0))


def put(whole: Any, schema: dict[str, Any], place: Place, value: Any) -> Any:
    """`whole`, which is of `schema`, with `value` at `place`; what is missing on the way there is made."""
    if not place:
        return value
    if isinstance(place[0], int):
        items = next(one for one in choices(schema) if one.get("type") == "array")["items"]
        return [put(sample(items), items, place[1:], value)]
    inner = next(one for one in choices(schema) if place[0] in one.get("properties", {}))["properties"][place[0]]
    below = (whole or {}).get(place[0])
    below = sample(inner) if below is None and len(place) > 1 else below
    below = below if isinstance(below, dict | list) else None
    return {**(whole or {}), place[0]: put(below, inner, place[1:], value)}


def bodies() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The schemas of all bodies of JSON."""
    for method, path, operation in operations():
        schema = operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema")
        if schema is not None:
            yield method, path, schema


def in_bodies(value: Any, *, texts: bool) -> Iterator[Field]:
    """Each field of each body (only `texts`, or all), with the body in which it has `value`."""
    for method, path, schema in bodies():
        for place, _, text in fields_of(schema):
            if text or not texts:
                yield Field(method, path, place, put(sample(schema), schema, place, value))


def in_queries() -> Iterator[Field]:
    for method, path, operation in operations():
        for one in operation.get("parameters", ()):
            if one["in"] == "query":
                yield Field(method, path, (one["name"],), None)


def in_forms() -> Iterator[Field]:
    for method, path, operation in operations():
        schema = operation.get("requestBody", {}).get("content", {}).get(FORMS, {}).get("schema")
        for name in (schema or {}).get("properties", {}):
            if name != "file":
                yield Field(method, path, (name,), None)


def headers(api: ApiHarness, path: str) -> dict[str, str]:
    return api.headers("admin" if is_admin(path) else "operate")


async def wrong(api: ApiHarness, field: Field, blank: str, **request: Any) -> str | None:
    """What is wrong with how a route takes a field that is `blank`; None if nothing is."""
    path = field.path.replace("{", "").replace("}", "")
    answer = await api.client.request(field.method, path, headers=headers(api, field.path), **request)
    refused = answer.status_code == 400 and f"{field.name}: it is empty" in answer.text
    fine = answer.status_code < 500 and "it is empty" not in answer.text if field.may_be_empty else refused
    return None if fine else f"{blank!r}: {answer.status_code} {answer.text[:200]}"


@pytest.mark.parametrize("blank", BLANKS)
async def test_an_empty_field_of_a_body_is_refused_by_its_name(api: ApiHarness, blank: str) -> None:
    found = {field.label: await wrong(api, field, blank, json=field.whole) for field in in_bodies(blank, texts=True)}
    assert len(found) > 100
    assert {label: why for label, why in found.items() if why} == {}


@pytest.mark.parametrize("blank", BLANKS)
async def test_an_empty_parameter_of_a_query_is_refused_by_its_name(api: ApiHarness, blank: str) -> None:
    found = {
        field.label: await wrong(api, field, blank, params={field.name: blank}, **_form(field))
        for field in in_queries()
    }
    assert len(found) > 40
    assert {label: why for label, why in found.items() if why} == {}


def _form(field: Field) -> dict[str, Any]:
    return {} if field.method == "GET" else {"files": {"file": ("a.csv", PEOPLE)}}


NEEDED: dict[str, dict[str, str]] = {ASSETS: {"method": "direct"}, "/v1/api/dnc/import": {}}
"""What a form must hold, where that is not what a start needs."""


@pytest.mark.parametrize("blank", BLANKS)
async def test_an_empty_field_of_a_form_is_refused_by_its_name(api: ApiHarness, blank: str) -> None:
    agent, found = await api.agent(), dict[str, str | None]()
    for field in in_forms():
        needed = NEEDED.get(field.path, {"agentId": agent, "allowDuplicate": "true"})
        form = {"data": {**needed, field.name: blank}, "files": {"file": ("a.csv", PEOPLE)}}
        found[field.label] = await wrong(api, field, blank, **form)
    assert len(found) > 30
    assert {label: why for label, why in found.items() if why} == {}


async def test_null_in_a_body_is_an_absent_field(api: ApiHarness) -> None:
    """What a generated client sends for each field that its caller left out is never what a route complains of."""
    found: dict[str, str] = {}
    for field in in_bodies(None, texts=False):
        path = field.path.replace("{", "").replace("}", "")
        answer = await api.client.request(field.method, path, json=field.whole, headers=headers(api, field.path))
        typed = f"{field.name}: expects" in answer.text or f"{field.name}: needs" in answer.text
        if isinstance(field.place[-1], str) and (typed or answer.status_code >= 500):
            found[field.label] = f"{answer.status_code} {answer.text[:200]}"
    assert found == {}


async def test_an_empty_time_never_means_now(api: ApiHarness) -> None:
    """The start and the retry of a batch, and the key's end, whose absence means something else altogether."""
    batch = await api.batch()
    for path, body in (
        (f"{PREFIX}/{batch}/retry", {"scheduledAt": ""}),
        (f"{PREFIX}/{batch}/retry", {"scheduledAt": " "}),
    ):
        answer = await api.client.post(path, json=body)
        assert (answer.status_code, answer.json()["message"][:12]) == (400, "scheduledAt:")
    answer = await api.start(scheduledAt="", csv=PEOPLE + b"+12125550104,Dan\n")
    assert (answer.status_code, answer.json()["message"][:12]) == (400, "scheduledAt:")
    assert (await api.json(PREFIX))["pagination"]["total"] == 1
    for query in ({"dateRange": '{"from": ""}'}, {"callIds": '[" "]'}):
        answer = await api.client.get("/v2/api/call-history", params=query)
        assert answer.status_code == 400
        assert "empty" in answer.json()["message"]
