"""Lists, one call, retries, pauses, exports, history (contract sections 6, 7, 10.3, 12)."""

import csv
import io
from datetime import timedelta
from typing import Any

import orjson

from covey.api.trillet.numbers import zones_of
from covey.domain.run import Failed, Outcome, Retry
from tests.api.harness import BUSY, PREFIX, ApiHarness, succeeded

TEN = b"phone_number,first_name\n" + b"".join(b"+121255501%02d,P%d\n" % (n, n) for n in range(1, 11))
ONE = b"phone_number,first_name\n+12125550101,Ann\n"


async def test_pages_walk_the_list_in_its_order(api: ApiHarness) -> None:
    batch = await api.planted(csv=TEN)
    first = await api.json(f"{PREFIX}/{batch}/calls", limit="4")
    assert [call["row"] for call in first["calls"]] == [2, 3, 4, 5]
    assert first["pagination"] == {
        "page": 1,
        "limit": 4,
        "total": 10,
        "totalPages": 3,
        "hasNext": True,
        "hasPrev": False,
        "after": "c3",
    }
    assert first["summary"] == {"total": 10, "waiting": 10, "active": 0, "completed": 0, "failed": 0, "cancelled": 0}
    last = await api.json(f"{PREFIX}/{batch}/calls", limit="4", page="3")
    assert [call["row"] for call in last["calls"]] == [10, 11]
    assert (last["pagination"]["hasNext"], last["pagination"]["hasPrev"]) == (False, True)
    beyond = await api.json(f"{PREFIX}/{batch}/calls", page="99")
    assert beyond["calls"] == []
    deep = await api.json(f"{PREFIX}/{batch}/calls", limit="4", after="c3")
    assert [call["row"] for call in deep["calls"]] == [6, 7, 8, 9]
    assert (await api.json(f"{PREFIX}/{batch}/calls", limit="1000"))["pagination"]["limit"] == 100


async def test_a_bad_query_is_a_sentence(api: ApiHarness) -> None:
    batch = await api.planted()
    for query in ({"limit": "0"}, {"page": "-1"}, {"page": "x"}, {"limit": "١"}, {"status": "done"}, {"after": "z"}):
        answer = await api.client.get(f"{PREFIX}/{batch}/calls", params=query)
        assert answer.status_code == 400, query
        assert next(iter(query)) in answer.json()["message"]
    assert (await api.client.get(PREFIX, params={"status": "done"})).status_code == 400
    assert (await api.client.delete(f"{PREFIX}/{batch}", params={"active": "x"})).status_code == 400


async def test_a_retried_call_waits_and_shows_its_attempts(api: ApiHarness) -> None:
    agent = await api.agent(smartCallback=True, maxAttemptsForSmartCallback=2)
    batch = await api.planted(agent=agent, csv=ONE)
    [taken] = await api.claim(1)
    again = api.clock.now() + timedelta(hours=1)
    await api.finish(taken, Retry(again, BUSY))
    [call] = (await api.json(f"{PREFIX}/{batch}/calls"))["calls"]
    assert call["status"] == "waiting"
    assert call["nextAttemptAt"] == int(again.timestamp() * 1000)
    one = await api.json(f"{PREFIX}/{batch}/calls/{call['jobId']}")
    assert one["nextAttemptAt"] == call["nextAttemptAt"]
    assert [(a["attempt"], a["errorCode"]) for a in one["attempts"]] == [(1, "busy")]
    assert (await api.json(f"{PREFIX}/{batch}"))["holding"]["code"] == "next_attempt"
    api.clock.ahead = timedelta(hours=2)
    [taken] = await api.claim(1)
    await api.finish(taken, Retry(again, BUSY))
    one = await api.json(f"{PREFIX}/{batch}/calls/{call['jobId']}")
    assert (one["status"], one["error"]) == ("failed", "Number busy after 2 attempts")
    assert (await api.json(f"{PREFIX}/{batch}"))["status"] == "completed"


async def test_pause_and_resume(api: ApiHarness) -> None:
    batch = await api.planted()
    paused = (await api.client.post(f"{PREFIX}/{batch}/pause")).json()
    assert (paused["paused"], paused["holding"]["code"]) == (True, "paused")
    assert not await api.claim(1)
    resumed = (await api.client.post(f"{PREFIX}/{batch}/resume")).json()
    assert (resumed["paused"], resumed["holding"]) == (False, None)
    assert await api.claim(1)
    await api.client.delete(f"{PREFIX}/{batch}")
    answer = await api.client.post(f"{PREFIX}/{batch}/pause")
    assert answer.status_code == 409
    events = [event["event"] for event in (await api.json(f"{PREFIX}/{batch}/history"))["events"]]
    assert events == ["created", "paused", "resumed", "started", "cancelled"]


async def test_a_change_of_limits(api: ApiHarness) -> None:
    batch = await api.planted(csv=TEN)
    answer = await api.client.patch(f"{PREFIX}/{batch}", json={"maxConcurrent": 2, "name": "Slower"})
    assert (answer.json()["maxConcurrent"], answer.json()["name"]) == (2, "Slower")
    assert len(await api.claim(10)) == 2
    assert (await api.json(f"{PREFIX}/{batch}"))["holding"]["code"] == "limit_full"
    assert (await api.client.patch(f"{PREFIX}/{batch}", json={})).status_code == 400
    assert (await api.client.patch(f"{PREFIX}/{batch}", json={"pace": 2})).status_code == 400
    answer = await api.client.patch(f"{PREFIX}/{batch}", json={"maxConcurrent": None})
    assert answer.json()["maxConcurrent"] is None


async def test_a_dead_trunk_holds_its_batches(api: ApiHarness) -> None:
    batch = await api.planted()
    await api.services.store.open_lane("demo", api.clock.now() + timedelta(minutes=1), "no answer to OPTIONS")
    holding = (await api.json(f"{PREFIX}/{batch}/status"))["holding"]
    assert holding["code"] == "trunk_down"
    assert "OPTIONS" in holding["message"]
    assert holding["since"]
    trunks = {trunk["name"]: trunk for trunk in await api.json("/v1/api/trunks")}
    assert trunks["demo"]["working"] is False
    assert trunks["simulated"]["working"] is True


async def test_hanging_up_one_call(api: ApiHarness) -> None:
    batch = await api.planted()
    job = (await api.json(f"{PREFIX}/{batch}/calls"))["calls"][0]["jobId"]
    path = f"{PREFIX}/{batch}/calls/{job}/hangup"
    assert (await api.client.post(path)).status_code == 409
    await api.claim(1)
    assert (await api.client.post(path)).status_code == 200
    [dropped] = await api.services.store.to_drop(api.services.worker)
    assert dropped.seq == 0
    assert (await api.client.post(path.replace(job, "call_" + "0" * 24))).status_code == 404


async def test_cancel_with_hangup_tells_the_workers(api: ApiHarness) -> None:
    batch = await api.planted()
    await api.claim(2)
    answer = await api.client.delete(f"{PREFIX}/{batch}", params={"active": "hangup"})
    assert answer.json()["details"]["activeCalls"] == 2
    assert len(await api.services.store.to_drop(api.services.worker)) == 2
    assert api.services.wakeups.drops.is_set()


async def test_calling_some_of_them_again(api: ApiHarness) -> None:
    batch = await api.planted(csv=TEN, name="First")
    taken = await api.claim(10)
    outcomes: list[Any] = [succeeded(), BUSY, BUSY, Failed("outcome_unknown", "?"), Failed("no_final_answer", "?")]
    for one, outcome in zip(taken, outcomes, strict=False):
        await api.finish(one, outcome)
    again = (await api.client.post(f"{PREFIX}/{batch}/retry")).json()
    assert again["totalCalls"] == 2
    status = await api.json(f"{PREFIX}/{again['batchId']}")
    assert status["name"] == "First (again)"
    body: dict[str, Any] = {"errorCode": ["outcome_unknown", "busy"]}
    assert (await api.client.post(f"{PREFIX}/{batch}/retry", json=body)).json()["totalCalls"] == 3
    body = {"status": "completed", "errorCode": ["voicemail"]}
    assert (await api.client.post(f"{PREFIX}/{batch}/retry", json=body)).status_code == 400
    assert (await api.client.post(f"{PREFIX}/{batch}/retry", json={"status": "waiting"})).status_code == 400


async def test_the_export_has_the_lists_columns_first(api: ApiHarness) -> None:
    nasty = b"phone_number,first_name,status\n+12125550101,=1+1,mine\n+12125550102,Bob,\n"
    batch = await api.planted(csv=nasty)
    taken = await api.claim(2)
    await api.finish(taken[0], succeeded())
    await api.finish(taken[1], BUSY)
    answer = await api.client.get(f"{PREFIX}/{batch}/export")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert list(rows[0])[:4] == ["phone_number", "first_name", "status", "call_status"]
    assert rows[0]["phone_number"] == "+12125550101"
    assert rows[0]["first_name"] == "'=1+1"
    assert (rows[0]["status"], rows[0]["call_status"], rows[0]["outcome"]) == ("mine", "completed", "successful")
    assert (rows[0]["trunk"], rows[0]["live"]) == ("demo", "false")
    assert orjson.loads(rows[0]["answers"]) == {"coming": True}
    assert (rows[1]["error_code"], rows[1]["error"]) == ("busy", "Number busy")
    raw = await api.client.get(f"{PREFIX}/{batch}/export", params={"raw": "true"})
    assert next(csv.DictReader(io.StringIO(raw.text)))["first_name"] == "=1+1"
    lines = (await api.client.get(f"{PREFIX}/{batch}/export", params={"format": "jsonl"})).text.splitlines()
    assert [orjson.loads(line)["status"] for line in lines] == ["completed", "failed"]
    assert (await api.client.get(f"{PREFIX}/{batch}/export", params={"format": "pdf"})).status_code == 400


async def test_a_single_call_is_in_the_history_and_in_no_list(api: ApiHarness) -> None:
    agent = await api.agent()
    body = {"to": "+12125550101", "call_agent_id": agent, "dynamic_variables": {"first_name": "Ann"}}
    answer = await api.client.post("/v1/api/call", json={**body, "callback_url": "https://example.org/x"})
    assert answer.json()["status"] == "success"
    assert (await api.json(PREFIX))["batches"] == []
    [taken] = await api.claim(1)
    await api.finish(taken, succeeded())
    [call] = await api.json("/v2/api/call-history")
    assert call["callId"] == answer.json()["call_id"]
    assert call["variables"] == {"first_name": "Ann"}
    assert call["transcript"][1]["speaker"] == "callee"
    for bad in (
        {**body, "to": "+14155550999"},
        {**body, "dynamic_variables": {}},
        {**body, "callback_url": "file:///etc/passwd"},
        {**body, "metadata": {"big": 2**70}},
        {**body, "unknown": 1},
    ):
        answer = await api.client.post("/v1/api/call", json=bad)
        assert answer.status_code == 400, bad
    missing = {**body, "call_agent_id": "agent_" + "0" * 24}
    assert (await api.client.post("/v1/call", json=missing)).status_code == 404


async def test_history_filters_and_sums(api: ApiHarness) -> None:
    agent = await api.agent()
    batch = await api.planted(agent=agent)
    outcomes: list[Outcome] = [succeeded(), BUSY]
    for taken, outcome in zip(await api.claim(2), outcomes, strict=True):
        await api.finish(taken, outcome)
    second = await api.planted()
    every = await api.client.get("/v2/api/call-history")
    assert [call["status"] for call in every.json()] == ["completed", "failed"]
    assert every.headers["x-total-count"] == "2"
    one = every.json()[0]
    assert await api.json(f"/v2/api/call-history/{one['_id']}") == one
    assert await api.json(f"/v1/api/call-history/{one['callId']}") == one
    path = "/v2/api/call-history"
    assert len(await api.json(path, batchId=batch)) == 2
    assert await api.json(path, batchId=second) == []
    assert len(await api.json(path, status="failed")) == 1
    assert len(await api.json(path, agentId=agent, limit="1", page="2")) == 1
    assert await api.json(path, direction="inbound") == []
    assert len(await api.json(path, search="+12125550102")) == 1
    assert len(await api.json(path, callIds=orjson.dumps([one["callId"], "call_x"]).decode())) == 1
    assert await api.json(path, dateRange='{"from": "2020-01-01", "to": "2020-02-01"}') == []
    for bad in ({"dateRange": "x"}, {"callIds": "{}"}, {"status": "x"}, {"dateRange": '{"from": "x"}'}):
        assert (await api.client.get(path, params=bad)).status_code == 400
    sums = await api.json(f"{path}/metrics")
    assert (sums["totalCalls"], sums["completedCalls"], sums["failedCalls"], sums["averageDuration"]) == (2, 1, 1, 42)
    sheet = await api.client.post(f"{path}/export-csv", json={"includeTranscripts": True})
    rows = list(csv.DictReader(io.StringIO(sheet.text)))
    assert [row["Status"] for row in rows] == ["completed", "failed"]
    assert rows[0]["Transcript"].startswith("agent: Hello")


async def test_a_recording_is_served(api: ApiHarness) -> None:
    batch = await api.planted()
    folder = api.services.settings.data / "recordings" / batch
    folder.mkdir(parents=True)
    (folder / "a.flac").write_bytes(b"fLaC")
    [taken] = await api.claim(1)
    await api.finish(taken, succeeded(recording=f"{batch}/a.flac"))
    [call] = (await api.json(f"{PREFIX}/{batch}/calls", status="completed"))["calls"]
    one = await api.json(f"{PREFIX}/{batch}/calls/{call['jobId']}")
    sound = await api.client.get(one["recordingUrl"])
    assert (sound.content, sound.headers["content-type"]) == (b"fLaC", "audio/flac")
    await _seeks(api, one["recordingUrl"], sound.headers["etag"])
    [old] = await api.json("/v2/api/call-history")
    assert (await api.client.get(old["recordingUrl"])).content == b"fLaC"
    (folder / "a.flac").unlink()
    assert (await api.client.get(one["recordingUrl"])).status_code == 404


async def _seeks(api: ApiHarness, url: str, tag: str) -> None:
    """Of b"fLaC": single ranges are answered with their part, what is no single range with the whole."""
    for asked, status, content, told in (
        ("bytes=0-", 206, b"fLaC", "bytes 0-3/4"),
        ("bytes=1-2", 206, b"La", "bytes 1-2/4"),
        ("bytes=2-99", 206, b"aC", "bytes 2-3/4"),
        ("bytes=-1", 206, b"C", "bytes 3-3/4"),
        ("bytes=-9", 206, b"fLaC", "bytes 0-3/4"),
        ("bytes=4-", 416, None, "bytes */4"),
        ("bytes=-0", 416, None, "bytes */4"),
        ("bytes=0-0,2-3", 200, b"fLaC", None),
        ("bytes=3-1", 200, b"fLaC", None),
        ("bytes=-", 200, b"fLaC", None),
        ("lines=1-2", 200, b"fLaC", None),
    ):
        answer = await api.client.get(url, headers={"range": asked})
        assert (answer.status_code, answer.headers.get("content-range")) == (status, told), asked
        assert answer.headers["accept-ranges"] == "bytes"
        assert content is None or answer.content == content, asked
    for condition, status in ((tag, 206), ('"another"', 200)):
        assert (await api.client.get(url, headers={"range": "bytes=0-0", "if-range": condition})).status_code == status


async def test_deleting_a_batchs_data(api: ApiHarness) -> None:
    batch = await api.planted()
    assert (await api.client.delete(f"{PREFIX}/{batch}/data")).status_code == 409
    await api.client.delete(f"{PREFIX}/{batch}")
    assert (await api.client.delete(f"{PREFIX}/{batch}/data")).status_code == 200
    assert (await api.client.get(f"{PREFIX}/{batch}")).status_code == 404


async def test_the_list_of_batches(api: ApiHarness) -> None:
    agent = await api.agent()
    first = await api.planted(agent=agent, name="one")
    api.clock.ahead = timedelta(seconds=2)
    second = await api.planted(name="two")
    await api.client.delete(f"{PREFIX}/{first}")
    page = await api.json(PREFIX)
    assert [row["name"] for row in page["batches"]] == ["two", "one"]
    assert page["batches"][1]["agentId"] == agent
    assert [row["id"] for row in (await api.json(PREFIX, status="queued"))["batches"]] == [second]
    assert [row["id"] for row in (await api.json(PREFIX, status="cancelled"))["batches"]] == [first]
    assert (await api.json(PREFIX, limit="1", page="2"))["batches"][0]["id"] == first


async def test_a_batch_whose_calls_all_fail_alike_says_why_it_paused(api: ApiHarness) -> None:
    forty = b"phone_number,first_name\n" + b"".join(b"+121255501%02d,P%d\n" % (n, n) for n in range(1, 41))
    batch = await api.planted(csv=forty)
    for taken in await api.claim(40):
        await api.finish(taken, Failed("invalid_number", "Number does not exist"))
        if (await api.json(f"{PREFIX}/{batch}"))["paused"]:
            break
    status = await api.json(f"{PREFIX}/{batch}")
    assert status["status"] == "processing"
    assert status["holding"]["code"] == "failing"
    assert "invalid_number" in status["holding"]["message"]
    assert (await api.client.post(f"{PREFIX}/{batch}/resume")).json()["holding"] is None


async def test_an_erased_person_is_not_called_again(api: ApiHarness) -> None:
    batch = await api.planted()
    for taken in await api.claim(3):
        await api.finish(taken, BUSY)
    assert (await api.client.delete("/v1/api/people/%2B12125550101")).status_code == 200
    assert (await api.client.post(f"{PREFIX}/{batch}/retry")).json()["totalCalls"] == 2


def test_calls_that_are_placed_again_know_their_time_zones() -> None:
    assert zones_of({3: "+12125550101", 7: "nonsense"}) == {3: "America/New_York"}
