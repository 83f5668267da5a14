"""Batches over the API: start, look, stop, and what stands between (contract sections 3 to 8 and 12)."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from covey.calls.config import Row
from covey.domain.batch import NewBatch, NewItem
from covey.domain.ids import new_id
from tests.analysis.files import largest_file
from tests.api.harness import BUSY, PREFIX, ApiHarness, succeeded


async def test_a_started_batch_is_queued_and_counts_add_up(api: ApiHarness) -> None:
    answer = await api.start(name="Monday")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "queued"
    assert body["totalCalls"] == 3
    assert body["message"] == "Batch calls initiated successfully"
    assert (body["trunk"], body["live"]) == ("demo", False)
    status = await api.json(f"{PREFIX}/{body['batchId']}")
    assert status["id"] == body["batchId"]
    assert status["name"] == "Monday"
    assert (status["status"], status["isComplete"]) == ("queued", False)
    assert status["progress"]["waiting"] == status["totalCalls"] == 3
    assert status["progress"]["averageCallDuration"] == 0
    assert status["progress"]["startTime"] is None
    assert status["progress"]["completedTime"] is None


async def test_a_call_from_the_dial_to_its_result(api: ApiHarness) -> None:
    batch = await api.planted()
    [first] = await api.claim(1)
    listed = await api.json(f"{PREFIX}/{batch}/calls", status="active")
    [active] = listed["calls"]
    assert set(active) >= {"jobId", "status", "phone_number", "startTime"}
    assert "endTime" not in active
    await api.finish(first, succeeded())
    call = await api.json(f"{PREFIX}/{batch}/calls/{active['jobId']}")
    assert call["status"] == "completed"
    assert call["phone_number"] == "+12125550101"
    assert call["row"] == 2
    assert call["duration"] == 42
    assert call["result"]["metadata"] == {"first_name": "Ann"}
    assert call["result"]["outcome"] == "successful"
    assert call["result"]["transcript"].startswith("agent: Hello")
    assert call["result"]["turns"][1]["digit"] == "1"
    assert call["talkSeconds"] == 12.3
    status = await api.json(f"{PREFIX}/{batch}")
    assert status["progress"]["averageCallDuration"] == 42
    assert status["progress"]["recent_calls"][0]["jobId"] == active["jobId"]
    assert status["outcomes"] == {"successful": 1}


async def test_a_failed_call_says_why_in_a_sentence_and_a_code(api: ApiHarness) -> None:
    batch = await api.planted()
    [first] = await api.claim(1)
    await api.finish(first, BUSY)
    [call] = (await api.json(f"{PREFIX}/{batch}/calls", status="failed"))["calls"]
    assert (call["error"], call["errorCode"]) == ("Number busy", "busy")
    assert "duration" not in call
    assert "endTime" in call
    progress = await api.json(f"{PREFIX}/{batch}/status")
    assert progress["failed"] == 1
    assert "id" not in progress
    assert progress["recent_calls"][0]["failedAt"]


async def test_cancel_leaves_active_calls_alone_and_says_how_many(api: ApiHarness) -> None:
    batch = await api.planted()
    [first] = await api.claim(1)
    answer = await api.client.delete(f"{PREFIX}/{batch}")
    assert answer.status_code == 200
    assert answer.json() == {
        "batchId": batch,
        "status": "cancelled",
        "message": "Batch cancelled successfully",
        "details": {"completedCalls": 0, "failedCalls": 0, "cancelledCalls": 2, "activeCalls": 1, "totalCalls": 3},
    }
    status = await api.json(f"{PREFIX}/{batch}")
    assert (status["status"], status["isComplete"]) == ("cancelled", False)
    assert not await api.claim(10)
    await api.finish(first, succeeded())
    again = await api.client.delete(f"{PREFIX}/{batch}")
    assert again.status_code == 200
    assert again.json()["details"]["completedCalls"] == 1
    status = await api.json(f"{PREFIX}/{batch}")
    assert (status["status"], status["isComplete"]) == ("cancelled", True)
    [waiting, _] = (await api.json(f"{PREFIX}/{batch}/calls", status="cancelled"))["calls"]
    assert waiting["status"] == "cancelled"
    history = await api.json(f"{PREFIX}/{batch}/history")
    assert [event["event"] for event in history["events"]][-2:] == ["cancelled", "ended"]


async def test_cancel_of_a_completed_batch_is_a_conflict(api: ApiHarness) -> None:
    batch = await api.planted()
    for taken in await api.claim(3):
        await api.finish(taken, succeeded())
    answer = await api.client.delete(f"{PREFIX}/{batch}")
    assert answer.status_code == 409
    body = answer.json()
    assert (body["id"], body["status"]) == (batch, "completed")
    assert body["details"]["completedCalls"] == 3
    assert "nothing" in body["message"]


@pytest.mark.parametrize("given", ["batch_000000000000000000000000", "nonsense", "batch_" + "f" * 24, "%00"])
async def test_an_unknown_batch_is_the_same_404_everywhere(api: ApiHarness, given: str) -> None:
    for path in ("", "/status", "/calls", "/history", "/report", "/export"):
        answer = await api.client.get(f"{PREFIX}/{given}{path}")
        assert answer.status_code == 404, path
        assert answer.json()["error"] == "not_found"
    answer = await api.client.delete(f"{PREFIX}/{given}")
    assert answer.status_code == 404
    assert set(answer.json()) == {"error", "message", "id"}
    answer = await api.client.get(f"{PREFIX}/{given}/calls/call_x")
    assert answer.json()["status"] == "not_found"


async def test_a_list_for_which_there_is_no_room_leaves_nothing(api: ApiHarness) -> None:
    people = b"phone\n" + b"+12125550101\n" * 400_000
    agent = await api.agent()
    with largest_file(4_000_000):
        answer = await api.start(agent, people)
    assert (answer.status_code, answer.json()["error"]) == (507, "no_room")
    assert list(api.services.spool.iterdir()) == []
    assert (await api.json(PREFIX))["batches"] == []


async def test_outside_its_hours_a_batch_says_when_they_open(api: ApiHarness) -> None:
    now = api.clock.now()
    opens = (now + timedelta(hours=6)).replace(minute=0, second=0, microsecond=0)
    hours = f"{opens:%H:%M}-{opens:%H}:59"
    new = NewBatch(new_id(now), "ws-one", "calls", "demo", b"{}", now, hours=hours)

    async def pieces() -> AsyncIterator[list[NewItem]]:
        yield [NewItem(Row(row=2, values={}).dump(), "+12125550101", "UTC")]

    await api.services.submission.submit(new, pieces(), api.services.quota(True))
    assert await api.claim(1) == []
    holding = (await api.json(f"{PREFIX}/batch_{new.id}"))["holding"]
    assert (holding["code"], holding["message"]) == (
        "outside_hours",
        f"These numbers may be called from {hours} in their own local time; the first may be at "
        f"{opens:%Y-%m-%dT%H:%M:%SZ}",
    )
