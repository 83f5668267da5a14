"""Who runs batches, as an admin sees it."""

from datetime import timedelta
from typing import Any

from covey.api.covey.workers import worker_out
from covey.domain.clock import SystemClock
from covey.store.results import WorkerInfo
from tests.api.harness import WORKER, ApiHarness


async def workers(api: ApiHarness, query: str = "") -> list[dict[str, Any]]:
    answer = await api.client.get(f"/v1/admin/workers{query}", headers=api.headers("admin"))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


async def test_the_one_process_of_a_file_is_there_with_what_it_has_in_hand(api: ApiHarness) -> None:
    await api.planted()
    await api.claim(2)
    (found,) = await workers(api)
    assert (found["id"], found["state"], found["active"]) == (WORKER, "alive", 2)
    assert (found["host"], found["process"], found["secondsSinceSign"], found["endedAt"]) == (None,) * 4


async def test_who_has_ended_stays_until_all_is_settled(api: ApiHarness) -> None:
    await api.planted()
    await api.claim(1)
    await api.services.store.retire(WORKER)
    await api.services.store.enlist("next")
    assert [(one["id"], one["state"]) for one in await workers(api)] == [("next", "alive"), (WORKER, "ended")]
    await api.services.store.settle(WORKER, {})
    assert [one["id"] for one in await workers(api)] == ["next"]
    assert [one["id"] for one in await workers(api, "?all=true")] == ["next", WORKER]


async def test_only_an_admin_sees_them(api: ApiHarness) -> None:
    assert (await api.client.get("/v1/admin/workers")).status_code == 403


def test_who_may_come_back_is_silent() -> None:
    now = SystemClock().now()
    silent = WorkerInfo("w", False, 3, now, beat_seconds=1.25, host="h", pid=7, version="1")
    assert worker_out(silent)["state"] == "silent"
    assert worker_out(silent)["secondsSinceSign"] == 1.25
    ended = WorkerInfo("w", False, 0, now, dead_at=now + timedelta(seconds=1))
    assert worker_out(ended)["state"] == "ended"
