"""schemathesis over the whole document, against a served API: no 5xx, nothing undeclared, and most operations work."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from covey.api.kit.auth import is_admin
from tests.api.document import document
from tests.api.furnished import furnish, good, order
from tests.api.harness import ApiHarness, open_api
from tests.api.serving import served
from tests.patience import PATIENCE

EXAMPLES = settings().max_examples // 25
"""Of each mode, for each operation: 4, and 400 with `--hypothesis-profile=soak`."""
ENOUGH = 0.8
"""The part of the operations that must have been seen to work."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@dataclass
class Target:
    """A served house, from the outside."""

    url: str
    api: ApiHarness
    loop: asyncio.AbstractEventLoop

    def run(self, coroutine: Any) -> Any:
        """Do something in the house's own loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)


@contextmanager
def serving(data: Path) -> Iterator[Target]:
    """A house on a port, in a thread of its own."""
    ready: Future[Target] = Future()
    done: list[asyncio.Event] = []

    async def live() -> None:
        async with open_api(data, failed_authentications_per_second=100_000) as api, served(api) as port:
            done.append(asyncio.Event())
            ready.set_result(Target(f"http://127.0.0.1:{port}", api, asyncio.get_running_loop()))
            await done[0].wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    target = ready.result(PATIENCE)
    try:
        yield target
    finally:
        target.loop.call_soon_threadsafe(done[0].set)
        thread.join()


def _ok(found: Any) -> Any:
    """An operation that schemathesis understood; raises what it did not."""
    return found.ok()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    with serving(tmp_path) as found:
        yield found


def test_the_whole_document(target: Target) -> None:
    worked: set[str] = set()
    ids = target.run(furnish(target.api))
    schema = schemathesis.openapi.from_dict(document())
    operations = sorted(
        (_ok(found) for found in schema.get_all_operations()),
        key=lambda one: order(str(one.definition.raw["operationId"])),
    )
    keys = {True: target.api.headers("admin"), False: target.api.headers()}
    with httpx.Client(base_url=target.url) as client:
        for operation in operations:
            client.headers = httpx.Headers(keys[is_admin(operation.path)])
            _fuzz(operation, target.url, keys[is_admin(operation.path)], worked)
            path, more = good(operation.method, operation.path, ids)
            if client.request(operation.method, path, **more).is_success:
                worked.add(operation.label)
    missing = sorted({operation.label for operation in operations} - worked)
    assert len(worked) >= ENOUGH * len(operations), missing


def _fuzz(operation: Any, url: str, headers: dict[str, str], worked: set[str]) -> None:
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @seed(0)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def one(case: Any) -> None:
            response = case.call(base_url=url, headers=headers)
            case.validate_response(response, checks=CHECKS)
            if response.status_code < 300:
                worked.add(operation.label)

        with suppress(Unsatisfiable):  # an operation without parameters has nothing to break
            one()
