"""How the client is used. Nobody runs this; `mypy --strict` reads it, so that the public types stay what they are."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_type

from covey.client import (
    Batch,
    BatchRow,
    Call,
    CallPage,
    Cancelled,
    CoveyClient,
    CoveyClientError,
    DuplicateBatch,
    InvalidRow,
    InvalidRows,
    Profile,
    Progress,
    StartedBatch,
    StartOptions,
    load_profile,
)


async def start_and_follow(contacts: Path) -> dict[str, int]:
    """A batch from its list to its outcomes."""
    options = StartOptions(name="reminders", max_concurrent=5, expires_at=datetime(2027, 1, 1, tzinfo=UTC))
    async with CoveyClient(Profile("http://127.0.0.1:8000", "covey_sk_…", "workspace")) as covey:
        try:
            started = await covey.batches.start(
                contacts, "agent_1", options, on_progress=lambda sent, size: print(sent / size)
            )
        except InvalidRows as error:
            for row in error.rows:
                assert_type(row, InvalidRow)
                print(row.row, row.column, row.message, row.suggestion)
            raise
        except DuplicateBatch as error:
            print(error.batch_id)
            raise
        assert_type(started, StartedBatch)
        batch = await covey.batches.get(started.batch_id)
        assert_type(batch, Batch)
        assert_type(batch.progress, Progress)
        assert_type(batch.progress.completed_time, datetime | None)
        return batch.outcomes


async def look_at_calls(batch_id: str) -> list[str]:
    """Every call of a batch, and one page of them."""
    said = []
    async with CoveyClient(load_profile()) as covey:
        async for call in covey.batches.calls(batch_id, status="completed"):
            assert_type(call, Call)
            if call.result is not None:
                said.append(call.result.transcript)
        assert_type(await covey.batches.calls_page(batch_id, limit=100), CallPage)
        async for row in covey.batches.all():
            assert_type(row, BatchRow)
    return said


async def call_back(batch_id: str) -> int:
    """A cancel; errors have one root."""
    try:
        async with CoveyClient() as covey:
            done = await covey.batches.cancel(batch_id, hang_up=True)
    except CoveyClientError as error:
        print(error.message)
        return 0
    assert_type(done, Cancelled)
    return done.details.cancelled_calls


async def save_results(batch_id: str, target: Path) -> None:
    """An export, piece by piece."""
    async with CoveyClient() as covey:
        pieces = [piece async for piece in covey.batches.export(batch_id, "csv")]
    await asyncio.to_thread(target.write_bytes, b"".join(pieces))
