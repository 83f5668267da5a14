"""Between two attempts at one person there is a least gap, whoever says less (contract 12.12)."""

from typing import Any

import orjson
import pytest

from covey.calls.config import CallsConfig, RetryPlan
from covey.cli.arguments import wire_gap
from covey.domain.account import AgentRecord
from covey.domain.ids import new_id
from tests.api.harness import AGENT, ApiHarness

FIELD = "gapBetweenEachAttemptForSmartCallback"
SHORT: tuple[dict[str, float], ...] = ({"days": 0, "hours": 0}, {"hours": 0.0001}, {"hours": 0.0166})


def callback(**gap: float) -> str:
    return orjson.dumps({"enabled": True, "maxAttempts": 3, "gaps": [{"hours": 2}, gap]}).decode()


async def plan_of(api: ApiHarness, batch: str) -> RetryPlan:
    kept = await api.services.store.batch(batch.removeprefix("batch_"))
    retry = CallsConfig.load(kept.config).retry
    assert retry is not None
    return retry


@pytest.mark.parametrize("gap", SHORT)
async def test_of_a_batch(api: ApiHarness, gap: dict[str, float]) -> None:
    answer = await api.start(smartCallbackConfig=callback(**gap))
    assert answer.status_code == 400
    assert "gap" in answer.json()["message"]


async def test_a_minute_is_enough_and_a_simulated_trunk_rings_nobody(api: ApiHarness) -> None:
    batch = await api.batch(smartCallbackConfig=callback(**wire_gap("1m")))
    assert (await plan_of(api, batch)).gaps == (7200, 60)
    agent = await api.agent(smartCallback=True, **{FIELD: [wire_gap("1m")]})
    assert (await plan_of(api, await api.batch(agent=agent, allowDuplicate="true"))).gaps == (60,)
    batch = await api.batch(smartCallbackConfig=callback(hours=0.0001), trunk="simulated")
    assert (await plan_of(api, batch)).gaps == pytest.approx((7200, 0.36))


@pytest.mark.parametrize("gap", SHORT)
@pytest.mark.parametrize("name", [FIELD, "gaps", "gap_between_each_attempt_for_smart_callback"])
async def test_of_an_agent(api: ApiHarness, gap: dict[str, float], name: str) -> None:
    body: dict[str, Any] = {**AGENT, "smartCallback": True, name: [gap]}
    answer = await api.client.post("/v1/api/agents", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "gap_too_short")
    assert answer.json()["message"].startswith(FIELD)
    agent = await api.agent()
    for method in ("PUT", "PATCH"):
        answer = await api.client.request(method, f"/v1/api/agents/{agent}", json={name: [gap]})
        assert (answer.status_code, answer.json()["error"]) == (400, "gap_too_short")


async def test_of_an_agent_that_was_stored_before(api: ApiHarness) -> None:
    """It is shown and changed as before; on a trunk that rings somebody its gap is the least one."""
    now = api.clock.now()
    body = {**AGENT, "smartCallback": True, FIELD: [{"days": 0, "hours": 0}, {"hours": 1}]}
    record = AgentRecord(new_id(now), "ws-one", body, now, now)
    await api.services.store.put_agent(record)
    agent = f"agent_{record.id}"
    assert (await api.json(f"/v1/api/agents/{agent}"))[FIELD] == body[FIELD]
    changed = await api.client.patch(f"/v1/api/agents/{agent}", json={"goodbye": "Bye."})
    assert changed.status_code == 200
    assert (await plan_of(api, await api.batch(agent=agent))).gaps == (60, 3600)
    assert (await plan_of(api, await api.batch(agent=agent, trunk="simulated"))).gaps == (0, 3600)
    values = {"to": "+12125550101", "call_agent_id": agent, "dynamic_variables": {"first_name": "Ann"}}
    call = (await api.client.post("/v1/api/call", json=values)).json()["call_id"]
    assert (await plan_of(api, call.removeprefix("call_")[:18] + "000000")).gaps == (60, 3600)
