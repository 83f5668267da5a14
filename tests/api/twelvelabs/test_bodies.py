"""Bodies made to be dear: refused at little cost, and nobody else waits meanwhile."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from covey.api.kit.json_text import crowded
from tests.api.twelvelabs.analysis_api import AnalysisApi, open_analysis_api
from tests.api.twelvelabs.hostile import HOSTILE

BATCHES = "/v1.3/analyze/batches"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[AnalysisApi]:
    async with open_analysis_api(tmp_path) as opened:
        yield opened


class Beat:
    """How much the process works at most between two turns of the event loop, in seconds of its CPU."""

    def __init__(self) -> None:
        self.longest = 0.0

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Measure while this is open."""
        task = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            task.cancel()

    async def _beat(self) -> None:
        before = time.process_time()
        while True:
            await asyncio.sleep(0.005)
            now = time.process_time()
            self.longest, before = max(self.longest, now - before), now


@pytest.mark.parametrize(("shape", "size"), HOSTILE)
async def test_a_hostile_create_is_refused_and_nobody_waits(api: AnalysisApi, shape: object, size: int) -> None:
    assert callable(shape)
    body, beat = shape(size), Beat()
    headers = {"x-api-key": api.secrets["operate"], "content-type": "application/json"}
    async with httpx.AsyncClient(base_url=api.url, headers=headers) as client, beat.watching():
        began = time.process_time()
        answer = await client.post(BATCHES, content=body)
        took = time.process_time() - began
    assert answer.status_code == 400, answer.text
    assert len(answer.content) < 1000
    assert took < 2
    assert beat.longest < 0.3


CODE = """
import resource, sys
from covey.api.kit.bodies import MOST_VALUES_OF_ITEMS, checked
from covey.api.kit.errors import BodyUnfit
from covey.api.twelvelabs.requests import CreateBatch
from tests.api.twelvelabs.hostile import HOSTILE
for shape, size in HOSTILE:
    body = shape(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        checked(body, CreateBatch, MOST_VALUES_OF_ITEMS)
    except BodyUnfit:
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_hostile_create_takes_little_memory() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    grown = [int(line) for line in done.stdout.split()]
    assert len(grown) == len(HOSTILE)
    assert max(grown) < 400, grown


async def test_the_first_unknown_key_is_named_with_its_path(api: AnalysisApi) -> None:
    body = api.body("one", "two")
    body["requests"][1]["prompt"] = {"input_text": "two", "surprise": 1, "other": 2}
    body["requests"][1]["media"] = None
    answer = await api.client.post(BATCHES, json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "parameter_unknown"
    assert error["message"].startswith(("requests.1.media:", "requests.1.prompt.surprise:"))


@pytest.mark.parametrize("body", [b"{", b"[1]", b"null", b"", b'{"model_name": "\\ud800"}', b"[" * 100_000])
async def test_what_is_no_object_is_refused(api: AnalysisApi, body: bytes) -> None:
    answer = await api.client.post(BATCHES, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] in ("parameter_invalid", "parameter_not_provided")


@pytest.mark.parametrize("piece", [rb"a,b[{", rb"\",", rb"\\", rb"\\\",{", b"\xc3\xa9,,"])
def test_what_stands_in_a_string_does_not_count(piece: bytes) -> None:
    text = b'{"a":"' + piece * 200_000 + b'"}'
    assert not crowded(text, 10)
    assert crowded(text[:-1] + b"," * 11, 10)
    assert crowded(b'{"a":"' + piece * 200_000 + b'",' + b'"b":[],' * 6, 10)


async def test_a_large_good_create_is_taken(api: AnalysisApi) -> None:
    prompt = '{"a": [1, 2, 3]}, ' * 150_000
    answer = await api.client.post(BATCHES, json=api.body(prompt, "hello"), headers={"idempotency-key": "large"})
    assert answer.status_code == 201, answer.text
    again = await api.client.post(BATCHES, json=api.body(prompt, "hello"), headers={"idempotency-key": "large"})
    assert again.json()["batch_id"] == answer.json()["batch_id"]
