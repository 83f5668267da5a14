"""Logs: JSON lines with ids, without numbers, keys or query strings."""

import io
import logging
from collections.abc import Iterator

import orjson
import pytest
import structlog

from covey.logging import bound, setup_logging
from tests.api.harness import PREFIX, ApiHarness


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    setup_logging("info", "json", stream)
    yield stream
    setup_logging("warning")


def test_a_line_has_its_ids_and_hides_what_is_private(lines: io.StringIO) -> None:
    with bound(request="r-1", batch="0123456789abcdef01234567"):
        structlog.get_logger("covey.x").info(
            "called", number="+12125550101", text="rang +1 (212) 555-0101 twice", key="k", x_api_key="covey_sk_abcdef"
        )
    line = orjson.loads(lines.getvalue())
    assert (line["request"], line["batch"], line["event"]) == ("r-1", "0123456789abcdef01234567", "called")
    assert (line["level"], line["logger"]) == ("info", "covey.x")
    assert "555" not in lines.getvalue().replace(line["timestamp"], "")
    assert "covey_sk_" not in lines.getvalue()


def test_libraries_logs_and_tracebacks_go_the_same_way(lines: io.StringIO) -> None:
    try:
        raise ValueError("about +12125550101")
    except ValueError:
        logging.getLogger("library").exception("failed for %s", "+12125550101")
    line = orjson.loads(lines.getvalue())
    assert "ValueError" in line["exception"]
    assert "2125550101" not in lines.getvalue()


async def test_an_unexpected_error_is_logged_with_its_requests_id(
    api: ApiHarness, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr(api.services.store, "batches", broken)
    answer = await api.client.get(PREFIX, params={"status": "all", "page": "7"}, headers={"x-request-id": "r-2"})
    assert answer.status_code == 500
    assert "the inside" not in answer.text
    logged = [orjson.loads(line) for line in lines.getvalue().splitlines()]
    failed = next(line for line in logged if line["event"] == "request_failed")
    assert failed["request"] == "r-2"
    assert "the inside" in failed["exception"]
    assert "page=7" not in lines.getvalue()


async def test_every_request_is_a_line_with_its_batch_and_without_its_query(
    api: ApiHarness, lines: io.StringIO
) -> None:
    batch = await api.planted()
    await api.client.get(f"{PREFIX}/{batch}/calls", params={"after": "c1"}, headers={"x-request-id": "r-3"})
    await api.client.get("/v1/api/people/%2B12125550101")
    await api.client.get(f"{PREFIX}/+12125550101")
    logged = {line["request"]: line for line in map(orjson.loads, lines.getvalue().splitlines())}
    line = logged["r-3"]
    assert (line["batch"], line["status"], line["method"]) == (batch, 200, "GET")
    assert line["route"] == "/v1/api/batch-calls/{batchId}/calls"
    assert "after" not in lines.getvalue()
    assert "2125550101" not in lines.getvalue()
