"""Lists of numbers that are never to be called: read as a start reads its list, and no line is lost."""

from typing import Any

import httpx2 as httpx

from tests.api.harness import PREFIX, ApiHarness

PATH = "/v1/api/dnc/import"


async def sent(api: ApiHarness, csv: bytes, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    return await api.client.post(PATH, files={"file": ("dnc.csv", csv)}, data=fields, headers=headers)


async def taken(api: ApiHarness, csv: bytes, **fields: Any) -> Any:
    answer = await sent(api, csv, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def blocked(api: ApiHarness) -> list[str]:
    return [entry["number"] for entry in (await api.json("/v1/api/dnc", limit="1000"))["numbers"]]


async def test_every_line_is_added_known_or_reported(api: ApiHarness) -> None:
    await api.client.post("/v1/api/dnc", json={"numbers": ["+12125550145"]})
    text = b"+12125550144, +12125550145\n\nnot a number\n+12125550146\n+12125550144\n"
    body = await taken(api, text, reason="asked")
    assert (body["added"], body["known"], body["duplicates"]) == (2, 1, 1)
    assert (body["invalidCount"], body["emptyLines"], body["cutOffAt"]) == (1, 1, None)
    [bad] = body["invalidRows"]
    assert (bad["row"], bad["value"], bad["code"]) == (3, "not a number", "not_a_number")
    assert (body["columns"], body["phoneColumn"]) == ([], None)
    assert await blocked(api) == ["+12125550144", "+12125550145", "+12125550146"]
    reasons = {one["number"]: one["reason"] for one in (await api.json("/v1/api/dnc"))["numbers"]}
    assert (reasons["+12125550144"], reasons["+12125550145"]) == ("asked", "")
    assert not list(api.services.spool.iterdir())


async def test_a_list_is_read_as_a_start_reads_it(api: ApiHarness) -> None:
    """The report of the same file is the same, but for what the trunk does not dial."""
    text = "Prénom;Mobile\nZoë;(212) 555-0144\nAda;+1 212 555 0145\nBob;12\nCid;+12125550146;x\n".encode("cp1252")
    fields: dict[str, Any] = {"encoding": "windows-1252", "phoneColumn": "mobile", "region": "US"}
    body = await taken(api, text, **fields)
    agent = await api.agent(greeting="Hello")
    validated = await api.start(agent, text, path=f"{PREFIX}/validate", **fields)
    same = ("invalidCount", "invalidByCode", "invalidRows", "columns", "phoneColumn", "separator", "encoding")
    assert {name: body[name] for name in same} == {name: validated.json()[name] for name in same}
    assert body["invalidByCode"] == {"too_short": 1, "too_many_cells": 1}
    assert await blocked(api) == ["+12125550144", "+12125550145"]


async def test_the_workspaces_own_region_counts_everywhere(api: ApiHarness) -> None:
    change = {"settings": {"region": "US"}}
    answer = await api.client.patch("/v1/admin/workspaces/ws-one", json=change, headers=api.headers("admin"))
    assert answer.status_code == 200
    assert (await taken(api, b"2125550144\n"))["added"] == 1
    assert (await api.json("/v1/api/people/2125550144"))["blocked"] is True
    assert (await api.client.delete("/v1/api/people/2125550144")).status_code == 200
    assert (await api.client.delete("/v1/api/dnc/2125550144")).json()["id"] == "+12125550144"
    assert await blocked(api) == []


async def test_a_number_without_a_plus_is_taken_off_by_its_region(api: ApiHarness) -> None:
    await taken(api, b"(212) 555-0144\n", region="US")
    path = "/v1/api/dnc/(212)%20555-0144"
    assert (await api.client.delete(path)).status_code == 400
    assert (await api.client.delete(path, params={"region": "us"})).status_code == 400
    assert (await api.client.delete(path, params={"region": "US"})).status_code == 200
    assert await blocked(api) == []


async def test_what_was_read_before_a_break_is_taken_and_the_break_said(api: ApiHarness) -> None:
    body = await taken(api, b'phone_number,name\n+12125550144,Ann\n+12125550145,"Bob\n+12125550146,Cid\n')
    assert (body["added"], body["cutOffAt"], body["invalidByCode"]) == (1, 3, {"unclosed_quote": 1})
    assert "nothing after line 3 was read" in body["message"]
    assert await blocked(api) == ["+12125550144"]


REFUSED: tuple[tuple[bytes, dict[str, Any], str], ...] = (
    (b"", {}, "no_header"),
    (b"phone_number\n", {}, "no_data_row"),
    (b"name,mobile\nAda,+12125550144\n", {}, "no_phone_column"),
    (b"phone_number\n+12125550144\xff\n", {}, "bad_encoding"),
    (b"PK\x03\x04rest", {}, "workbook"),
    (b"2125550144\n", {"region": "ZZ"}, "region"),
    (b"+12125550144\n", {"region": ""}, "region"),
    (b"+12125550144\n", {"encoding": ""}, "encoding"),
    (b"+12125550144\n", {"phoneColumn": ""}, "phoneColumn"),
    (b"+12125550144\n", {"reason": "x" * 201}, "reason"),
    (b"+12125550144\n", {"agentId": "agent_1"}, "agentId"),
)


async def test_what_concerns_the_whole_file_or_the_form_adds_nothing(api: ApiHarness) -> None:
    for csv, fields, word in REFUSED:
        answer = await sent(api, csv, **fields)
        assert answer.status_code == 400, (csv, fields)
        body = answer.json()
        assert word in (body["error"], body["message"].split(":")[0]), body
    answer = await api.client.post(PATH, json={"numbers": ["+12125550144"]})
    assert (answer.status_code, answer.json()["error"]) == (400, "not_a_form")
    assert "agentId" not in answer.json()["message"]
    assert (await sent(api, b"+12125550144\n", api.headers("read"))).status_code == 403
    assert await blocked(api) == []
    assert not list(api.services.spool.iterdir())


async def test_a_long_list_comes_in_pieces_and_twice_changes_nothing(api: ApiHarness) -> None:
    text = b"".join(b"+1212555%04d\n" % (n + 2000) for n in range(1300))
    key = {"idempotency-key": "a-key"}
    first = await sent(api, text, key)
    assert (first.json()["added"], first.json()["known"]) == (1300, 0)
    again = await sent(api, text, key)
    assert (again.headers["idempotency-replayed"], again.content) == ("true", first.content)
    assert (await taken(api, text))["known"] == 1300


async def test_numbers_of_a_list_hold_for_batches_that_run(api: ApiHarness) -> None:
    batch = await api.planted()
    await taken(api, b"+12125550101\n+12125550103\n")
    assert len(await api.claim(3)) == 1
    page = await api.json(f"{PREFIX}/{batch}/calls", status="cancelled")
    assert [call["errorCode"] for call in page["calls"]] == ["do_not_call"] * 2


async def test_the_servers_region_is_that_of_lists(api: ApiHarness) -> None:
    """Every way onto the do-not-call list, and off it, knows a number by the region in which a start calls it."""
    settings = api.services.settings
    calls = settings.calls.model_copy(update={"region": "US"})
    object.__setattr__(api.services, "settings", settings.model_copy(update={"calls": calls}))
    one = b"phone_number,first_name\n(212) 555-0144,Ann\n"
    assert (await api.start(csv=one)).json()["totalCalls"] == 1
    assert (await taken(api, one))["added"] == 1
    body = (await api.client.post("/v1/api/dnc", json={"numbers": ["(212) 555-0144", "(212) 555-0145"]})).json()
    assert (body["added"], body["known"], body["invalid"]) == (1, 1, [])
    assert (await api.json("/v1/api/people/(212)%20555-0144"))["blocked"]
    assert (await api.client.delete("/v1/api/dnc/(212)%20555-0144")).status_code == 200
    assert await blocked(api) == ["+12125550145"]
    elsewhere = await api.client.post("/v1/api/dnc", json={"numbers": ["030 1234567"], "region": "DE"})
    assert elsewhere.json()["added"] == 1, "what a request says comes first"
