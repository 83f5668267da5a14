"""The house's own routes: health, metrics, workspaces, keys, do-not-call, people, trunks, agents, the page."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from covey.api.kit.services import voice_check
from covey.calls.speech.synthesis import EspeakSynthesizer
from covey.domain.batch import BatchState
from covey.domain.errors import Unavailable
from tests.api.harness import BUSY, PREFIX, ApiHarness, succeeded


async def test_health_needs_no_key(api: ApiHarness) -> None:
    nobody = {"x-api-key": "", "x-workspace-id": ""}
    assert (await api.client.get("/livez", headers=nobody)).json() == {"status": "ok"}
    assert (await api.client.get("/readyz", headers=nobody)).json() == {"status": "ok"}


async def test_a_draining_server_is_not_ready(api: ApiHarness) -> None:
    object.__setattr__(api.services, "ready", lambda: "the server is draining")
    answer = await api.client.get("/readyz")
    assert (answer.status_code, answer.json()["message"]) == (503, "the server is draining")
    assert (await api.client.get("/livez")).status_code == 200


async def test_metrics_have_no_numbers_and_no_ids(api: ApiHarness) -> None:
    batch = await api.planted()
    await api.claim(1)
    await api.json(f"{PREFIX}/{batch}")
    await api.client.get("/v1/nothing/+12125550101")
    text = (await api.client.get("/metrics")).text
    assert 'covey_lane_active{lane="demo"} 1.0' in text
    assert 'covey_runs{state="waiting"} 2.0' in text
    assert 'route="/v1/api/batch-calls/{batchId}"' in text
    assert 'route="none"' in text
    assert "covey_free_disk_bytes" in text
    for private in (batch, batch.removeprefix("batch_"), "2125550101", "ws-one"):
        assert private not in text


async def test_workspaces_are_made_and_changed(api: ApiHarness) -> None:
    admin = api.headers("admin")
    body = {"name": "Third", "id": "ws-three", "settings": {"region": "US"}}
    made = await api.client.post("/v1/admin/workspaces", json=body, headers=admin)
    assert made.json()["settings"] == {"region": "US"}
    assert (await api.client.post("/v1/admin/workspaces", json=body, headers=admin)).status_code == 409
    change = {"weight": 2.5, "settings": {"country": "DE", "region": None}}
    changed = await api.client.patch("/v1/admin/workspaces/ws-three", json=change, headers=admin)
    assert (changed.json()["weight"], changed.json()["settings"]) == (2.5, {"country": "DE"})
    listed = (await api.client.get("/v1/admin/workspaces", headers=admin)).json()
    assert {one["id"] for one in listed} == {"ws-one", "ws-other", "ws-three"}
    assert (await api.client.get("/v1/admin/workspaces/nowhere", headers=admin)).status_code == 404
    bad = {"name": "x", "settings": {"trunk": "nowhere"}}
    assert (await api.client.post("/v1/admin/workspaces", json=bad, headers=admin)).status_code == 400


async def test_keys_of_nothing_are_refused(api: ApiHarness) -> None:
    admin = api.headers("admin")
    for body, status in (
        ({"role": "read"}, 400),
        ({"role": "admin", "workspace": "ws-one"}, 400),
        ({"role": "read", "workspace": "nowhere"}, 404),
        ({"role": "king", "workspace": "ws-one"}, 400),
        ({"role": "read", "workspace": "ws-one", "expiresAt": "2020-01-01T00:00:00Z"}, 400),
    ):
        answer = await api.client.post("/v1/admin/keys", json=body, headers=admin)
        assert answer.status_code == status, body
    assert (await api.client.delete("/v1/admin/keys/x", headers=admin)).status_code == 404


async def test_blocked_numbers_are_not_called(api: ApiHarness) -> None:
    batch = await api.planted()
    body = {"numbers": ["+1 (212) 555-0101", "+12125550101", "nonsense"], "reason": "asked"}
    answer = (await api.client.post("/v1/api/dnc", json=body)).json()
    assert (answer["added"], answer["known"], answer["duplicates"], len(answer["invalid"])) == (1, 0, 1, 1)
    assert (await api.json("/v1/api/dnc"))["numbers"][0]["number"] == "+12125550101"
    assert len(await api.claim(3)) == 2
    [call] = (await api.json(f"{PREFIX}/{batch}/calls", status="cancelled"))["calls"]
    assert (call["phone_number"], call["errorCode"]) == ("+12125550101", "do_not_call")
    assert call["error"]
    assert (await api.client.delete("/v1/api/dnc/%2B12125550101")).status_code == 200
    assert (await api.client.delete("/v1/api/dnc/%2B12125550101")).status_code == 404
    assert (await api.json("/v1/api/dnc"))["numbers"] == []


async def test_a_person_is_looked_up_and_erased(api: ApiHarness) -> None:
    batch = await api.planted()
    path = "/v1/api/people/%2B12125550101"
    assert (await api.client.delete(path)).status_code == 409
    folder = api.services.settings.data / "recordings"
    (folder / "a.flac").write_bytes(b"fLaC")
    for taken in await api.claim(3):
        await api.finish(taken, succeeded(recording="a.flac") if taken[1].seq == 0 else BUSY)
    person = await api.json(path)
    assert (person["number"], person["blocked"], len(person["calls"])) == ("+12125550101", False, 1)
    await api.client.post("/v1/api/dnc", json={"numbers": ["+12125550101"]})
    assert (await api.json(path))["blocked"] is True
    answer = (await api.client.delete(path)).json()
    assert (answer["calls"], answer["recordings"]) == (1, 1)
    assert not (folder / "a.flac").exists()
    first = (await api.json(f"{PREFIX}/{batch}/calls"))["calls"][0]
    assert (first["phone_number"], first["metadata"]) == ("erased", {})
    assert (await api.json(path))["calls"] == []
    assert (await api.client.get("/v1/api/people/nonsense")).status_code == 400


async def test_metrics_ask_the_database_once_in_a_while(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    batches, asked = api.services.store.batches, list[Any]()

    async def counted(*args: Any, **named: Any) -> Any:
        asked.append(named["states"])
        return await batches(*args, **named)

    monkeypatch.setattr(api.services.store, "batches", counted)
    answers = await asyncio.gather(*(api.client.get("/metrics") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(asked) == 1
    assert BatchState.completed not in asked[0]
    await api.planted()
    assert 'covey_runs{state="waiting"} 0.0' in (await api.client.get("/metrics")).text
    api.clock.ahead += timedelta(seconds=2.1)
    assert 'covey_runs{state="waiting"} 3.0' in (await api.client.get("/metrics")).text
    assert len(asked) == 2


async def test_metrics_that_failed_are_asked_for_again(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise Unavailable

    with monkeypatch.context() as failing:
        failing.setattr(api.services.store, "lanes", broken)
        assert "covey_ready 0.0" in (await api.client.get("/metrics")).text
    assert "covey_ready 1.0" in (await api.client.get("/metrics")).text


async def test_agents_are_taken_in_both_forms_and_answered_in_one(api: ApiHarness) -> None:
    camel = {
        "name": "A",
        "greeting": "Hi",
        "voicemail": "leave_message",
        "voicemailMessage": "Call us.",
        "ringSeconds": 20,
        "maxAttemptsForSmartCallback": 3,
        "gapBetweenEachAttemptForSmartCallback": [{"days": 0, "hours": 2}],
        "questions": [{"name": "q", "ask": "Yes?", "confirmYes": "Good.", "confirmNo": None}],
    }
    snake = {
        "name": "A",
        "greeting": "Hi",
        "voicemail": "leave_message",
        "voicemail_message": "Call us.",
        "ring_seconds": 20,
        "max_attempts_for_smart_callback": 3,
        "gap_between_each_attempt_for_smart_callback": [{"days": 0, "hours": 2}],
        "questions": [{"name": "q", "ask": "Yes?", "confirm_yes": "Good.", "confirm_no": None}],
    }
    answers = [(await api.client.post("/v1/api/agents", json=body)).json() for body in (camel, snake)]
    for made in answers:
        assert made["questions"] == [{"name": "q", "ask": "Yes?", "confirmYes": "Good."}]
        assert (made["voicemailMessage"], made["maxAttemptsForSmartCallback"]) == ("Call us.", 3)
        assert not any("_" in name.lstrip("_") for name in made)
    path = f"/v1/api/agents/{answers[0]['agentId']}"
    for bad in (
        {"voicemail_message": None},
        {"questions": [{"name": "q", "ask": "Yes?", "confirm_yes": 5}]},
        {"ring_seconds": 20, "ringSeconds": 20},
    ):
        answer = await api.client.patch(path, json=bad)
        assert answer.status_code == 400, bad
        message = answer.json()["message"]
        assert any(name in message for name in ("voicemailMessage", "confirmYes", "ringSeconds")), message
        assert "voicemail_message" not in message
    gone = await api.client.patch(path, json={"voicemail_message": None, "voicemail": "hang_up"})
    assert "voicemailMessage" not in gone.json()


async def test_a_voice_that_nobody_has_is_refused_when_it_is_written(api: ApiHarness) -> None:
    synthesizer = EspeakSynthesizer()
    object.__setattr__(api.services, "check_voice", voice_check(synthesizer))
    try:
        answer = await api.client.post("/v1/api/agents", json={"name": "A", "voice": "nowhere"})
        assert (answer.status_code, answer.json()["error"]) == (400, "bad_agent")
        assert "nowhere" in answer.json()["message"]
        made = await api.client.post("/v1/api/agents", json={"name": "A", "voice": "en-gb"})
        assert made.status_code == 200, made.text
        path = f"/v1/api/agents/{made.json()['agentId']}"
        assert (await api.client.patch(path, json={"voice": "xx"})).status_code == 400
        assert (await api.client.patch(path, json={"voice": "de"})).json()["voice"] == "de"
    finally:
        await synthesizer.close()


async def test_agents_keep_what_has_no_effect_and_refuse_secrets(api: ApiHarness) -> None:
    body = {
        "name": "A",
        "greeting": "Hello {{first_name}}",
        "ttsModel": {"provider": "x"},
        "fancy": 1,
        "questions": [{"name": "coming", "ask": "Will you come?", "confirmYes": "Fine."}],
    }
    made = (await api.client.post("/v1/api/agents", json=body)).json()
    assert made["fancy"] == 1
    assert made["warnings"] == ["fancy: kept, without effect", "ttsModel: kept, without effect"]
    assert made["placeholders"] == ["first_name"]
    assert (made["type"], made["status"], made["activeSessions"]) == ("voice", "ready", [])
    path = f"/v1/api/agents/{made['agentId']}"
    assert await api.json(path) == made
    assert await api.json("/v1/api/agents") == [made]
    patched = (await api.client.patch(path, json={"greeting": "Hi", "fancy": None})).json()
    assert (patched["greeting"], patched["warnings"]) == ("Hi", ["ttsModel: kept, without effect"])
    for bad, word in (
        ({"ttsModel": {"elevenLabsApiKey": "x"}}, "elevenLabsApiKey"),
        ({"voicemail": "leave_message"}, "voicemail"),
        ({"ringSeconds": 5}, "ringSeconds"),
        ({"trunk": "nowhere"}, "demo"),
        ({"questions": [{"name": "x", "ask": "y", "yes": "1", "no": "1"}]}, "same digit"),
        ({"fancy": "a\0b"}, "NUL"),
    ):
        answer = await api.client.patch(path, json=bad)
        assert answer.status_code == 400, bad
        assert word in answer.json()["message"], answer.text
    assert (await api.client.delete(path)).status_code == 200
    assert (await api.client.get(path)).status_code == 404


async def test_the_page_loads_nothing_from_elsewhere(api: ApiHarness) -> None:
    page = await api.client.get("/docs", headers={"x-api-key": ""})
    assert page.headers["content-type"].startswith("text/html")
    for foreign in ("<script", "src=", "@import", "url(", "http://", "https://"):
        assert foreign not in page.text
    assert "/v1/api/batch-calls/{batchId}" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
