"""Starting a batch: all or nothing, and a sentence for everything that is wrong (contract 3, 12.3 to 12.5)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from typing import Any

import orjson

from covey.calls.agents import Agent
from covey.calls.config import KIND, CallsConfig, Row
from covey.domain.batch import NewBatch, NewItem
from covey.domain.ids import new_id
from tests.api.harness import PEOPLE, PREFIX, ApiHarness

ALIAS = "/v1/batch-calls"


async def nothing_is_left(api: ApiHarness) -> None:
    """No batch, no spooled file, no list of skipped rows."""
    assert (await api.json(PREFIX))["pagination"]["total"] == 0
    spool = api.services.spool
    assert not spool.exists() or not list(spool.iterdir())
    assert not list(api.services.settings.data.glob("skipped/*"))


BAD_FIELDS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"scheduledAt": "tomorrow"}, "scheduledAt"),
    ({"scheduledAt": "2026-12-01"}, "no clock time; 9 o'clock of that day in UTC is 2026-12-01T09:00:00Z"),
    ({"scheduledAt": "20261201"}, "no clock time; 9 o'clock of that day in UTC is 2026-12-01T09:00:00Z"),
    ({"scheduledAt": "2026-12-01T09:30"}, "no zone; in UTC it is 2026-12-01T09:30:00Z"),
    ({"expiresAt": "2026-12-01"}, "no clock time"),
    ({"scheduledAt": "2020-01-01T00:00:00Z"}, "past"),
    ({"scheduledAt": "2999-01-01T00:00:00Z"}, "year"),
    ({"scheduleAt": "2026-12-01T09:00:00Z"}, "is scheduledAt meant?"),
    ({"smartCallbackConfig": "{"}, "smartCallbackConfig"),
    ({"smartCallbackConfig": '{"enabled": true, "maxAttempts": 99}'}, "maxAttempts"),
    ({"smartCallbackConfig": '{"enabled": true, "gaps": [{"days": 0, "hours": 0}]}'}, "gap"),
    ({"smartCallbackConfig": "NaN"}, "smartCallbackConfig"),
    ({"smartCallbackConfig": "[" * 5000}, "smartCallbackConfig"),
    ({"trunk": "nowhere"}, "demo"),
    ({"region": "America"}, "region"),
    ({"encoding": "latin-1"}, "windows-1252"),
    ({"onInvalid": "perhaps"}, "reject"),
    ({"onDuplicate": "perhaps"}, "skip"),
    ({"allowDuplicate": "perhaps"}, "allowDuplicate"),
    ({"maxConcurrent": "0"}, "maxConcurrent"),
    ({"callsPerSecond": "nan"}, "callsPerSecond"),
    ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
    ({"name": "x" * 201}, "name"),
    ({"name": "a\0b"}, "NUL"),
    ({"phoneColumn": "x" * 20_000}, "phoneColumn"),
)


async def test_a_bad_field_is_named_and_nothing_is_left(api: ApiHarness) -> None:
    agent = await api.agent()
    for fields, word in BAD_FIELDS:
        answer = await api.start(agent=agent, **fields)
        assert answer.status_code == 400, fields
        assert word in answer.json()["message"], fields
    await nothing_is_left(api)


BAD_FILES = (
    (b"", "no_header"),
    (b"phone_number,first_name\n", "no_data_row"),
    (b"phone_number,phone_number,first_name\n1,2,3\n", "equal_headers"),
    (b"mobile,first_name\n+12125550101,Ann\n", "no_phone_column"),
    (b"phone_number,first_name\n+12125550101,\xff\n", "bad_encoding"),
    (b"PK\x03\x04rest", "workbook"),
    (b"phone_number\n+12125550101\n", "placeholder_without_column"),
)


async def test_a_bad_file_is_refused(api: ApiHarness) -> None:
    agent = await api.agent()
    for csv, code in BAD_FILES:
        answer = await api.start(agent=agent, csv=csv)
        assert answer.status_code == 400, csv
        assert answer.json()["error"] == code
    await nothing_is_left(api)


async def test_bad_rows_are_listed_with_what_would_be_right(api: ApiHarness) -> None:
    csv = b"phone_number,first_name\n+12125550101,Ann\n4.15555E+09,Bob\n+14155550999,Cid\n"
    answer = await api.start(csv=csv)
    assert answer.status_code == 400
    body = answer.json()
    assert body["invalidCount"] == 2
    assert [row["row"] for row in body["invalidRows"]] == [3, 4]
    assert body["invalidRows"][1]["code"] == "not_a_demo_number"
    assert "onInvalid=skip" in body["message"]
    await nothing_is_left(api)


async def test_bad_rows_can_be_skipped_and_are_reported(api: ApiHarness) -> None:
    csv = b"phone_number,first_name\n+12125550101,Ann\nnot a number,Bob\n+12125550101,Ann\n"
    answer = await api.start(csv=csv, onInvalid="skip")
    body = answer.json()
    assert (body["totalCalls"], body["invalidCount"], body["duplicates"], body["duplicatesSkipped"]) == (2, 1, 1, 0)
    report = await api.json(f"{PREFIX}/{body['batchId']}/report")
    assert report["invalidCount"] == 1
    assert report["invalidRows"][0]["row"] == 3
    assert not list(api.services.spool.iterdir())
    skipped = (await api.start(csv=csv, onInvalid="skip", onDuplicate="skip")).json()
    assert (skipped["totalCalls"], skipped["duplicatesSkipped"]) == (1, 1)


async def test_a_workspace_may_skip_by_default(api: ApiHarness) -> None:
    change = {"settings": {"onInvalid": "skip"}}
    answer = await api.client.patch("/v1/admin/workspaces/ws-one", json=change, headers=api.headers("admin"))
    assert answer.status_code == 200
    answer = await api.start(csv=b"phone_number,first_name\n+12125550101,Ann\nnonsense,Bob\n")
    assert answer.json()["totalCalls"] == 1


async def test_no_file_no_agent_no_form(api: ApiHarness) -> None:
    agent = await api.agent()
    answer = await api.client.post(PREFIX, files={"agentId": (None, agent)})
    assert (answer.status_code, answer.json()["error"]) == (400, "no_file")
    answer = await api.client.post(PREFIX, files={"file": ("a.csv", PEOPLE)})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("agentId")
    answer = await api.client.post(PREFIX, json={"agentId": agent})
    assert (answer.status_code, answer.json()["error"]) == (400, "not_a_form")
    answer = await api.client.post(PREFIX, data={"agentId": agent})
    assert (answer.status_code, answer.json()["error"]) == (400, "not_a_form")
    kind = {"content-type": "multipart/form-data; boundary=x"}
    for raw in (b"nonsense", b"--x\r\n", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc'):
        answer = await api.client.post(PREFIX, content=raw, headers=kind)
        assert (answer.status_code, answer.json()["error"]) == (400, "bad_form"), raw
    await nothing_is_left(api)


async def test_an_agent_that_is_not_there_or_has_nothing_to_say(api: ApiHarness) -> None:
    answer = await api.start(agent="agent_" + "0" * 24)
    assert answer.status_code == 404
    answer = await api.start(agent=await api.agent(greeting=""))
    assert (answer.status_code, answer.json()["error"]) == (400, "agent_has_no_script")
    await nothing_is_left(api)


async def test_what_a_batch_freezes(api: ApiHarness) -> None:
    agent = await api.agent(smartCallback=True, maxAttemptsForSmartCallback=2)
    batch = await api.batch(agent=agent, name="Frozen")
    changed = await api.client.put(f"/v1/api/agents/{agent}", json={"greeting": "Something else"})
    assert changed.status_code == 200
    kept = await api.services.store.batch(batch.removeprefix("batch_"))
    config = CallsConfig.load(kept.config)
    assert Agent.model_validate(config.agent).greeting == "Hello {first_name}, this is a reminder."
    assert (config.trunk, config.live, config.agent_id) == ("demo", False, agent)
    assert config.columns == ("phone_number", "first_name")
    assert config.retry is not None
    assert config.retry.gap(1, 0) == 3600
    assert kept.max_tries == 2
    _, items = await api.services.store.items(kept.id)
    assert Row.load(items[0].input).values == {"phone_number": "+12125550101", "first_name": "Ann"}
    assert items[0].ref == "+12125550101"


async def test_the_batchs_smart_callback_overrides_the_agents(api: ApiHarness) -> None:
    agent = await api.agent(smartCallback=True, retryVoicemail=True)
    config = {"enabled": True, "maxAttempts": 3, "gaps": [{"days": 1, "hours": 2}, {"days": 2, "hours": 0}]}
    batch = await api.batch(agent=agent, smartCallbackConfig=orjson.dumps(config).decode())
    kept = await api.services.store.batch(batch.removeprefix("batch_"))
    retry = CallsConfig.load(kept.config).retry
    assert retry is not None
    assert [retry.gap(n, 0) for n in (1, 2, 3)] == [93_600, 172_800, 172_800]
    assert "voicemail" in retry.codes
    assert kept.max_tries == 3
    off = await api.batch(agent=agent, smartCallbackConfig='{"enabled": false}', allowDuplicate="true")
    assert (await api.services.store.batch(off.removeprefix("batch_"))).max_tries == 1


async def test_scheduled_batches_wait(api: ApiHarness) -> None:
    at = api.clock.now() + timedelta(hours=1)
    text = at.strftime("%Y-%m-%dT%H:%M:%S.123456789+00:00")
    batch = await api.batch(scheduledAt=text)
    status = await api.json(f"{PREFIX}/{batch}")
    assert status["status"] == "queued"
    assert status["scheduledAt"] == int(at.replace(microsecond=123456).timestamp() * 1000)
    assert not await api.claim(1)


async def test_no_idempotency_key_lifts_the_guard_of_the_list(api: ApiHarness) -> None:
    """The key guards the request, the guard the list, on each trunk by itself (contract 12.6)."""
    agent = await api.agent()
    dry = await api.start(agent=agent, trunk="simulated", headers={"idempotency-key": "dry"})
    assert dry.status_code == 200, "a dry run refuses nothing"
    first = (await api.start(agent=agent, headers={"idempotency-key": "one"})).json()["batchId"]
    again = await api.start(agent=agent, headers={"idempotency-key": "one"})
    assert (again.headers["idempotency-replayed"], again.json()["batchId"]) == ("true", first)
    for headers in ({}, {"idempotency-key": "two"}):
        other = await api.start(agent=agent, headers=headers, name="July")
        assert (other.status_code, other.json()["error"], other.json()["batchId"]) == (409, "duplicate_batch", first)
    meant = await api.start(agent=agent, headers={"idempotency-key": "three"}, allowDuplicate="true")
    assert meant.status_code == 200
    assert (await api.json(PREFIX))["pagination"]["total"] == 3


async def test_of_two_equal_starts_at_once_one_is_refused(api: ApiHarness) -> None:
    agent = await api.agent()
    starts = (api.start(agent=agent, headers={"idempotency-key": f"key-{n}"}) for n in range(4))
    answers = await asyncio.gather(*starts)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert {answer.json()["batchId"] for answer in answers} == {(await api.json(PREFIX))["batches"][0]["id"]}


async def test_a_list_accepted_before_an_upgrade_is_still_known(api: ApiHarness) -> None:
    """What is stored of a list is what earlier versions stored: the file's SHA-256 and the agent."""
    agent = await api.agent()
    print_of_list = sha256(f"{sha256(PEOPLE).hexdigest()} {agent.removeprefix('agent_')}".encode()).hexdigest()
    new = NewBatch(new_id(api.clock.now()), "ws-one", KIND, "demo", b"{}", api.clock.now(), fingerprint=print_of_list)

    async def pieces() -> AsyncIterator[list[NewItem]]:
        yield [NewItem(b"{}", "+12125550101")]

    await api.services.submission.submit(new, pieces(), api.services.quota(False))
    answer = await api.start(agent=agent)
    assert (answer.status_code, answer.json().get("batchId")) == (409, f"batch_{new.id}")
    assert (await api.start(agent=agent, trunk="simulated")).status_code == 200


async def test_the_same_list_twice_is_a_duplicate_unless_it_is_meant(api: ApiHarness) -> None:
    agent = await api.agent()
    first = await api.batch(agent=agent)
    answer = await api.start(agent=agent)
    assert answer.status_code == 409
    assert (answer.json()["error"], answer.json()["batchId"]) == ("duplicate_batch", first)
    assert (await api.start(agent=agent, allowDuplicate="true")).status_code == 200
    assert (await api.start(agent=await api.agent())).status_code == 200
    assert (await api.start(agent=agent, csv=PEOPLE + b"+12125550104,Dan\n")).status_code == 200
    api.clock.ahead = timedelta(minutes=11)
    answer = await api.start(agent=agent)
    assert answer.status_code == 409, "it has not ended yet"


async def test_a_file_at_the_limit_and_one_byte_more(api: ApiHarness) -> None:
    limit = api.services.settings.limits.csv_bytes
    head = b"phone_number,first_name\n+12125550101,Ann\n"
    answer = await api.client.post(
        PREFIX + "/validate",
        files={"file": ("a.csv", head + b" " * (limit - len(head)))},
        data={"agentId": await api.agent()},
    )
    assert answer.status_code in (200, 400)
    answer = await api.start(csv=head + b" " * (limit - len(head) + 1))
    assert answer.status_code == 413
    await nothing_is_left(api)


async def test_validate_starts_nothing_and_says_everything(api: ApiHarness) -> None:
    csv = b"phone_number,first_name\n+12125550101,Ann\nnonsense,Bob\n"
    body: dict[str, Any] = (await api.start(path=PREFIX + "/validate", csv=csv)).json()
    assert (body["ok"], body["totalCalls"], body["invalidCount"]) == (False, 1, 1)
    assert body["columns"] == ["phone_number", "first_name"]
    fine = (await api.start(path=PREFIX + "/validate")).json()
    assert (fine["ok"], fine["totalCalls"]) == (True, 3)
    sheet = await api.start(path=PREFIX + "/validate?format=csv", csv=csv)
    assert sheet.headers["content-type"].startswith("text/csv")
    assert sheet.text.splitlines()[0] == "row,column,value,code,message,suggestion"
    await nothing_is_left(api)


async def test_the_template_has_the_agents_columns(api: ApiHarness) -> None:
    answer = await api.client.get(PREFIX + "/template")
    assert answer.text == "phone_number,first_name,last_name,email\r\n"
    agent = await api.agent(greeting="Hello {first_name}, your {device} is ready")
    answer = await api.client.get(PREFIX + "/template", params={"agentId": agent})
    assert answer.text == "phone_number,first_name,last_name,email,device\r\n"


async def test_both_prefixes_are_the_same(api: ApiHarness) -> None:
    batch = (await api.start(path=ALIAS)).json()["batchId"]
    for path in ("", "/status", "/calls", "/history", "/report"):
        one = await api.json(f"{PREFIX}/{batch}{path}")
        other = await api.json(f"{ALIAS}/{batch}{path}")
        one.pop("timestamp", None)
        other.pop("timestamp", None)
        assert one == other
    assert (await api.client.delete(f"{ALIAS}/{batch}")).json()["status"] == "cancelled"
