"""Text that no database keeps, numbers that Python reads and people do not write, regions and times that there are
not: refused with a sentence on every route, whatever the database."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import phonenumbers
import pytest

from covey.api.kit.auth import is_admin
from covey.domain.account import Workspace
from covey.settings import Settings
from covey.settings.regions import REGIONS
from tests.api.bodies import BODIES, message, send
from tests.api.document import document
from tests.api.harness import PEOPLE, PREFIX, ApiHarness, open_api
from tests.conformance.databases import DATABASES

ID = "0123456789abcdef01234567"


@pytest.fixture(params=DATABASES)
async def either(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ApiHarness]:
    """A house over each of the databases."""
    async with open_api(tmp_path, request.param) as opened:
        yield opened


def operations(*methods: str) -> Iterator[tuple[str, str, Any]]:
    """Every documented operation: method, path, what the document says."""
    for path, found in document()["paths"].items():
        for method, operation in found.items():
            if not methods or method in methods:
                yield method, path, operation


def filled(path: str, value: str = ID) -> str:
    """A path with something in the place of each parameter."""
    return "/".join(value if part.startswith("{") else part for part in path.split("/"))


async def ask(api: ApiHarness, method: str, path: str, **more: Any) -> Any:
    headers = {**api.headers("admin" if is_admin(path) else "operate"), **more.pop("headers", {})}
    return await api.client.request(method, path, headers=headers, **more)


async def test_a_nul_in_a_query_never_reaches_the_store(either: ApiHarness) -> None:
    seen = 0
    for method, path, operation in operations("get", "delete"):
        for one in operation.get("parameters", ()):
            if one["in"] == "query":
                answer = await ask(either, method, f"{filled(path)}?{one['name']}=a%00b")
                assert answer.status_code == 400, (path, one["name"], answer.text)
                assert message(answer) == f"{one['name']}: holds a NUL character"
                seen += 1
    assert seen > 40
    assert (await ask(either, "get", PREFIX, params={"a\0b": "1"})).status_code == 400


async def test_a_nul_in_a_path_is_a_thing_that_is_not_there(either: ApiHarness) -> None:
    for method, path, operation in operations():
        if "{" in path and "requestBody" not in operation:
            answer = await ask(either, method, filled(path, "a%00b"))
            assert answer.status_code in (400, 404), (method, path, answer.text)


@pytest.mark.parametrize("text", [rb"a\u0000b", rb"\u0000", rb"\\\u0000"])
async def test_a_nul_in_a_body_is_refused_by_its_name(either: ApiHarness, text: bytes) -> None:
    for method, path, fields in BODIES:
        for field in [*fields, "x-of-their-own"]:
            content = b'{"' + field.encode() + b'":["x",{"in":"' + text + b'"}]}'
            answer = await send(either, method, path, content)
            assert answer.status_code == 400, (method, path, field, answer.text)
            assert message(answer) == f"{field}.1.in: holds a NUL character", (method, path)
        answer = await send(either, method, path, b'{"' + text + b'":1}')
        assert answer.status_code == 400


async def test_a_backslash_and_a_zero_are_no_nul(either: ApiHarness) -> None:
    agent = await either.agent(goodbye=r"\u0000 is how JSON writes it")
    assert (await either.json(f"/v1/api/agents/{agent}"))["goodbye"] == r"\u0000 is how JSON writes it"


async def test_a_nul_in_a_form_is_refused_by_its_name(either: ApiHarness) -> None:
    agent = await either.agent()
    for name in ("agentId", "name", "trunk"):
        data = {"agentId": agent, name: "a\0b"}
        answer = await either.client.post(PREFIX, data=data, files={"file": ("people.csv", PEOPLE)})
        assert (answer.status_code, message(answer)) == (400, f"{name}: holds a NUL character")
    form = {"method": "direct", "user_metadata": r'{"a": "\u0000"}'}
    answer = await either.client.post("/v1.3/assets", data=form, files={"file": ("a\0.md", b"# Notes")})
    assert (answer.status_code, message(answer)) == (400, "user_metadata.a: holds a NUL character")
    answer = await either.client.post("/v1.3/assets", data={"method": "direct"}, files={"file": ("a\0.md", b"# N")})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("csv", [b"phone_number,a\0\n+12125550101,x\n", b"phone_number,a\n+12125550101,x\0y\n"])
async def test_a_nul_in_a_list_is_reported(either: ApiHarness, csv: bytes) -> None:
    answer = await either.start(agent=await either.agent(greeting="Hello"), csv=csv)
    assert answer.status_code == 400, answer.text


NUMERALS = ["1_0", "\u0663", "\uff11\uff10", "0x10", "1e", "", "ten", "1 0"]


def numeric(schema: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths to all numbers of a body."""
    for way in [schema, *schema.get("anyOf", ())]:
        if "$ref" in way:
            way = document()["components"]["schemas"][way["$ref"].rpartition("/")[2]]
        if way.get("type") in ("integer", "number"):
            yield names
        for name, inner in way.get("properties", {}).items():
            yield from numeric(inner, (*names, name))
        if "items" in way:
            yield from numeric(way["items"], (*names, "[]"))


def holding(path: tuple[str, ...], value: Any) -> Any:
    """A body with a value at a path."""
    for name in reversed(path):
        value = [value] if name == "[]" else {name: value}
    return value


def numbers_of_bodies() -> list[tuple[str, str, tuple[str, ...]]]:
    return [
        (method, path, names)
        for method, path, operation in operations("post", "put", "patch")
        if "application/json" in operation.get("requestBody", {}).get("content", {})
        for names in dict.fromkeys(numeric(operation["requestBody"]["content"]["application/json"]["schema"]))
    ]


async def test_no_number_of_a_body_is_read_from_what_is_none(api: ApiHarness) -> None:
    found = numbers_of_bodies()
    assert len(found) > 25
    for method, path, names in found:
        for text in NUMERALS:
            body = {"name": "x", "to": "+12125550101", "numbers": ["1"], **holding(names, text)}
            answer = await ask(api, method, filled(path), json=body)
            assert answer.status_code == 400, (method, path, names, text, answer.text)
            assert names[0] in message(answer) or path.startswith("/v1.3"), (method, path, names, message(answer))


async def test_numbers_as_text_stay_fine_where_they_were(api: ApiHarness) -> None:
    agent = await api.agent(ringSeconds="20")
    assert (await api.json(f"/v1/api/agents/{agent}"))["ringSeconds"] == 20
    batch = await api.planted()
    answer = await api.client.patch(f"{PREFIX}/{batch}", json={"maxConcurrent": "5", "callsPerSecond": "2.5"})
    assert answer.status_code == 200, answer.text


async def test_no_number_of_a_query_is_read_from_what_is_none(api: ApiHarness) -> None:
    batch, seen = await api.planted(), 0
    for method, path, operation in operations("get"):
        for one in operation.get("parameters", ()):
            if one["in"] == "query" and one["name"] in ("page", "limit", "page_limit"):
                for text in NUMERALS:
                    url = filled(path).replace(f"{PREFIX}/{ID}", f"{PREFIX}/{batch}")
                    answer = await ask(api, method, f"{url}?{one['name']}={quote(text)}")
                    assert answer.status_code in (400, 404), (path, one["name"], text, answer.text)
                    seen += answer.status_code == 400
    assert seen > 60


@pytest.mark.parametrize("field", ["maxConcurrent", "callsPerSecond", "maxCost"])
@pytest.mark.parametrize("text", [text for text in NUMERALS if text])
async def test_no_number_of_a_form_is_read_from_what_is_none(api: ApiHarness, field: str, text: str) -> None:
    data = {"agentId": await api.agent(), field: text}
    answer = await api.client.post(PREFIX, data=data, files={"file": ("people.csv", PEOPLE)})
    assert answer.status_code == 400, answer.text
    assert message(answer).startswith(f"{field}: ")


def test_the_regions_are_those_with_a_numbering_plan() -> None:
    assert phonenumbers.SUPPORTED_REGIONS == REGIONS


@pytest.mark.parametrize("region", ["ZZ", "AQ", "zz", "U", "USA", "٣٣"])
async def test_a_region_without_numbers_is_refused_wherever_it_is_said(either: ApiHarness, region: str) -> None:
    agent = await either.agent(greeting="Hello")
    call = {"to": "2125550101", "call_agent_id": agent, "region": region}
    settings = {"name": "n", "settings": {"region": region}}
    for answer in (
        await either.start(agent=agent, csv=b"phone_number\n2125550101\n", region=region),
        await ask(
            either, "post", f"{PREFIX}/validate", data={"agentId": agent, "region": region}, files={"file": PEOPLE}
        ),
        await ask(either, "post", "/v1/api/call", json=call),
        await ask(either, "post", "/v1/api/dnc", json={"numbers": ["2125550101"], "region": region}),
        await ask(either, "post", "/v1/admin/workspaces", json=settings),
        await ask(either, "patch", "/v1/admin/workspaces/ws-one", json={"settings": {"region": region}}),
        await ask(either, "patch", "/v1/admin/workspaces/ws-one", json={"settings": {"country": region}}),
    ):
        assert answer.status_code == 400, answer.text
        assert "region" in message(answer) or "country" in message(answer)
    with pytest.raises(ValueError, match="region"):
        Settings.model_validate({"calls": {"region": region}})


@pytest.mark.parametrize("region", ["ZZ", "AQ"])
async def test_a_default_that_was_kept_before_counts_as_none(either: ApiHarness, region: str) -> None:
    now, store = either.clock.now(), either.services.store
    await store.change_workspace(Workspace("ws-one", "one", now, 1.0, {"region": region, "country": region}))
    agent = await either.agent(greeting="Hello")
    for answer in (
        await either.start(agent=agent, csv=b"phone_number\n112\n2125550101\n", onInvalid="reject"),
        await ask(either, "post", "/v1/api/call", json={"to": "2125550101", "call_agent_id": agent}),
    ):
        assert answer.status_code == 400, answer.text
    answer = await ask(either, "post", "/v1/api/dnc", json={"numbers": ["2125550101", "112", "+12125550101"]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["added"] == 1


DATES = [
    "0001-01-01",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "1969-01-01",
    0,
    -1e15,
    1e15,
    1e300,
    True,
]


@pytest.mark.parametrize("name", ["from", "to", "startDate", "endDate"])
@pytest.mark.parametrize("date", DATES)
async def test_no_date_is_too_early_or_too_late(either: ApiHarness, name: str, date: Any) -> None:
    await either.planted()
    for path in ("/v2/api/call-history", "/v2/api/call-history/metrics"):
        answer = await ask(either, "get", path, params={"dateRange": json.dumps({name: date})})
        assert answer.status_code in (200, 400), answer.text


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
async def test_no_day_of_usage_is_too_early_or_too_late(either: ApiHarness, day: str) -> None:
    for name in ("since", "until"):
        answer = await ask(either, "get", "/v1/api/usage", params={name: day})
        assert answer.status_code in (200, 400), answer.text


def multipart(boundary: bytes, headers: bytes = b'Content-Disposition: form-data; name="agentId"') -> bytes:
    return b"--" + boundary + b"\r\n" + headers + b"\r\n\r\nx\r\n--" + boundary + b"--\r\n"


@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}/validate", "/v1.3/assets"])
async def test_forms_that_no_browser_sends(either: ApiHarness, path: str) -> None:
    long = b"b" * 300
    many = b"\r\n".join(b"X-%d: 1" % number for number in range(5_000))
    wide = b'Content-Disposition: form-data; name="' + b"n" * 100_000 + b'"'
    for boundary, content in (
        (long, multipart(long)),
        (b"b", multipart(b"b", many)),
        (b"b", multipart(b"b", wide)),
        (b"b", b"--b\r\n" + b"X" * 200_000),
        (b"b", b"--c\r\n\r\n"),
        (b"", multipart(b"")),
    ):
        headers = {"content-type": f"multipart/form-data; boundary={boundary.decode()}"}
        answer = await ask(either, "post", path, content=content, headers=headers)
        assert answer.status_code == 400, (boundary[:9], answer.text)
