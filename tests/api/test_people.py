"""Erasing a person: every attempt's recording, every list that has the number, and nobody else's."""

from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from covey.api.covey import erasing
from covey.calls.paths import skipped_path
from covey.calls.speech.cache import ClipCache
from covey.calls.speech.synthesis import EspeakSynthesizer
from covey.domain.run import Retry
from tests.api.harness import BUSY, ApiHarness, succeeded

PATH = "/v1/api/people/%2B12125550101"
FIVE = b"phone_number,first_name\n" + b"+12125550101,Ann\n" * 5


def recorded(api: ApiHarness, *names: str) -> list[Path]:
    """Recordings that lie where calls keep them."""
    files = [api.services.settings.data / "recordings" / name for name in names]
    for file in files:
        file.write_bytes(b"fLaC")
    return files


async def test_the_recordings_of_earlier_attempts_go_too(api: ApiHarness) -> None:
    again = {"smartCallback": True, "gapBetweenEachAttemptForSmartCallback": [{"hours": 1}]}
    await api.planted(csv=FIVE.split(b"\n", 2)[0] + b"\n+12125550101,Ann\n", agent=await api.agent(**again))
    files = recorded(api, "first.flac", "second.flac")
    [taken] = await api.claim(1)
    busy = type(BUSY)("busy", "Number busy", {"recording": "first.flac"})
    await api.finish(taken, Retry(api.clock.now() + timedelta(hours=1), busy))
    api.clock.ahead = timedelta(hours=1, minutes=1)
    [taken] = await api.claim(1)
    await api.finish(taken, succeeded(recording="second.flac"))
    answer = (await api.client.delete(PATH)).json()
    assert (answer["calls"], answer["recordings"]) == (1, 2)
    assert not any(file.exists() for file in files)


async def test_all_calls_are_erased_however_many(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "_PAGE", 2)
    await api.planted(csv=FIVE)
    files = recorded(api, *(f"{n}.flac" for n in range(5)))
    for n in range(5):
        [taken] = await api.claim(1)
        await api.finish(taken, succeeded(recording=f"{n}.flac"))
    answer = (await api.client.delete(PATH)).json()
    assert (answer["calls"], answer["recordings"]) == (5, 5)
    assert not any(file.exists() for file in files)


async def test_no_row_goes_before_its_recording(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    await api.planted(csv=FIVE)
    [file] = recorded(api, "a.flac")
    for n in range(5):
        [taken] = await api.claim(1)
        await api.finish(taken, succeeded(recording="a.flac" if n == 0 else None))

    async def broken(_: object) -> None:
        raise OSError("the bucket does not answer")

    with monkeypatch.context() as breaking:
        breaking.setattr(api.services.recordings, "delete", broken)
        assert (await api.client.delete(PATH)).status_code == 500
    assert len((await api.json(PATH))["calls"]) == 5
    assert (await api.client.delete(PATH)).json()["recordings"] == 1
    assert not file.exists()


async def test_a_refusal_erases_nothing(api: ApiHarness) -> None:
    await api.planted(csv=FIVE)
    [file] = recorded(api, "a.flac")
    [taken] = await api.claim(1)
    await api.finish(taken, succeeded(recording="a.flac"))
    answer = await api.client.delete(PATH)
    assert (answer.status_code, answer.json()["error"]) == (409, "active")
    assert file.exists()


async def test_clips_of_the_workspace_are_forgotten(api: ApiHarness) -> None:
    synthesizer = EspeakSynthesizer()
    clips = ClipCache(api.services.settings.data / "clips", synthesizer)
    object.__setattr__(api.services, "forget_clips", clips.forget)
    files = []
    for workspace in ("ws-one", "ws-other"):
        file = api.services.settings.data / "clips" / workspace / synthesizer.name / "a.pcm"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"\0\0")
        files.append(file)
    assert (await api.client.delete(PATH)).status_code == 200
    assert [file.exists() for file in files] == [False, True]


async def test_lists_of_skipped_rows_lose_the_number(api: ApiHarness) -> None:
    rows = (
        b"phone_number,first_name\n+12125550102,Bob\n(212) 555 01-01 x,Ann\n+12125550101,Ann\n+12125550101,Ann\n999,C\n"
    )
    batch = await api.batch(csv=rows, onInvalid="skip", onDuplicate="skip")
    report = f"/v1/api/batch-calls/{batch}/report"
    before = await api.json(report)
    assert "0101" in orjson.dumps(before).decode().replace("-", "").replace(" ", "")
    await api.client.delete(f"/v1/api/batch-calls/{batch}")
    other = skipped_path(api.services.settings.data, "0" * 24)
    other.write_bytes(orjson.dumps({"row": 2, "value": "+12125550101"}) + b"\n")
    answer = (await api.client.delete(PATH)).json()
    after = await api.json(report)
    assert answer["skippedRows"] == 2
    assert "5550101" not in "".join(sign for sign in str(after["invalidRows"]) if sign.isdecimal())
    assert [row["row"] for row in after["invalidRows"]] == [row["row"] for row in before["invalidRows"]]
    assert after["invalidRows"][-1]["value"] == "999"
    assert other.read_bytes().count(b"+12125550101") == 1
    assert any("do-not-call" in sentence for sentence in answer["kept"])


@pytest.mark.parametrize(
    ("value", "same"),
    [
        ("+1 (212) 555-0101", True),
        ("2125550101", True),
        ("001 212 555 0101", True),
        ("5550102", False),
        ("101", False),
        ("+4412125550101", False),
        ("4.15555E+09", False),
    ],
)
def test_a_number_is_known_in_any_writing(value: str, same: bool) -> None:
    assert erasing.is_about({"value": value}, "+12125550101") is same


async def test_what_was_given_with_a_single_call_goes_with_it(api: ApiHarness) -> None:
    agent = await api.agent()
    body = {"to": "+12125550101", "call_agent_id": agent, "dynamic_variables": {"first_name": "Ann"}}
    await api.client.post("/v1/api/call", json={**body, "metadata": {"patient": "Ann"}})
    [taken] = await api.claim(1)
    await api.finish(taken, BUSY)
    assert (await api.client.delete(PATH)).json()["calls"] == 1
    assert await api.json("/v2/api/call-history") == []
