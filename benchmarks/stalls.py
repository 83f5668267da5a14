"""Stalls: how long `/livez` takes while one client posts what costs the most to work on.

    python -m benchmarks stalls [NAME …]

A process of its own asks for `/livez` every 10 ms over one connection. The first line is the same with nothing posted.
What is sent is made before; every request waits for its answer, six at a time.
"""

import asyncio
import base64
import http.client
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from benchmarks.asset_upload import SETTINGS
from benchmarks.serving import ServerProcess, served

MEGABYTE = 1024 * 1024
AT_ONCE = 6
EVERY = 0.01
LEAST_SECONDS = 5.0
"""What is sent faster is sent again."""

ASSET = {"type": "asset_id", "asset_id": "0123456789abcdef01234567"}
BATCHES, TASKS, AGENTS, NUMBERS = "/v1.3/analyze/batches", "/v1.3/analyze/tasks", "/v1/api/agents", "/v1/api/dnc"

Posts = list[tuple[str, bytes]]


def form(schema: Any) -> dict[str, Any]:
    """A response format of a JSON schema."""
    return {"type": "json_schema", "json_schema": {"type": "object", "properties": schema}}


def batch(items: Iterator[dict[str, Any]]) -> bytes:
    """A create of these items."""
    prompt = {"input_text": "What is shown?"}
    requests = [{"video": ASSET, "prompt": prompt, **item} for item in items]
    return json.dumps({"model_name": "local-facts", "analysis_mode": "general", "requests": requests}).encode()


def patterned(pattern: str) -> dict[str, Any]:
    """An item whose answer has to fit a pattern."""
    return {"response_format": form({"a": {"type": "string", "pattern": pattern}})}


def patterns_in_one() -> Posts:
    """60 items of one batch, each with a pattern of 60 KB."""
    return [(BATCHES, batch(patterned("a?" * 30_000 + str(n)) for n in range(60)))]


def patterns_apart() -> Posts:
    """60 batches of one item with a pattern of 60 KB."""
    return [(BATCHES, batch(iter([patterned("a?" * 30_000 + str(n))]))) for n in range(60)]


def patterns_allowed() -> Posts:
    """60 batches, each with the dearest patterns that are taken."""
    dear = [r"^\\pL{1,50}", r"(?:.{1,30}|x)", "x{1000}" * 10]
    return [(BATCHES, batch(patterned(f"{n}{one}{n}") for one in dear)) for n in range(60)]


def schemas() -> Posts:
    """A batch of 400 items, each with a schema of 60 KB."""
    each = (form({f"p{n}x{index}": {"type": "string"} for index in range(2000)}) for n in range(400))
    return [(BATCHES, batch({"response_format": one} for one in each))]


def long_prompt() -> Posts:
    """Six batches of one item with a prompt of 31 MB."""
    return [(BATCHES, batch(iter([{"prompt": {"input_text": "x" * 31 * MEGABYTE}}])))] * 6


def video() -> Posts:
    """Six tasks, each with a video of 30 MB in the request that is none."""
    text = base64.b64encode(os.urandom(30 * MEGABYTE)).decode()
    body = {"model_name": "local-facts", "video": {"type": "base64_string", "base64_string": text}, "prompt": "What?"}
    return [(TASKS, json.dumps(body).encode())] * 6


def agents() -> Posts:
    """60 agents of 1 MB with as many values as may be."""
    settings = {f"k{n}": [n, {"a": "b"}] for n in range(4_500)}
    body = json.dumps({"name": "a", "settings": settings, "more": "x" * 900_000}).encode()
    return [(AGENTS, body)] * 60


def numbers() -> Posts:
    """Four lists of 10,000 numbers that are never to be called."""
    return [(NUMBERS, json.dumps({"numbers": [f"+1212{n * 7919 % 10**7:07}" for n in range(10_000)]}).encode())] * 4


def nested() -> Posts:
    """60 agents of 1 MB nested half a million deep."""
    return [(AGENTS, b'{"name":"a","settings":' + b"[" * 500_000 + b"]" * 500_000 + b"}")] * 60


CASES: tuple[Callable[[], Posts], ...] = (
    patterns_in_one, patterns_apart, patterns_allowed, schemas, long_prompt, video, agents, numbers, nested,
)  # fmt: skip


def probe(url: str) -> None:
    """Ask for `/livez` until the input ends; then write how long each answer took, in milliseconds."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    took = []
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], EVERY)[0]:
        began = time.perf_counter()
        connection.request("GET", "/livez")
        connection.getresponse().read()
        took.append((time.perf_counter() - began) * 1000)
    print(json.dumps(took))


async def posted(server: ServerProcess, posts: Posts) -> Counter[int]:
    """Post all, six at a time; how often each status came."""
    headers, statuses, turn = server.client().profile, Counter[int](), asyncio.Semaphore(AT_ONCE)
    given = {"x-api-key": headers.api_key, "x-workspace-id": headers.workspace, "content-type": "application/json"}
    async with httpx2.AsyncClient(base_url=server.url, headers=given, timeout=600) as http_client:

        async def one(path: str, content: bytes) -> None:
            async with turn:
                statuses[(await http_client.post(path, content=content)).status_code] += 1

        await asyncio.gather(*(one(path, content) for path, content in posts))
    return statuses


async def measured(server: ServerProcess, posts: Posts) -> tuple[list[float], Counter[int]]:
    """The milliseconds of every `/livez` while these are posted."""
    command = [sys.executable, "-m", "benchmarks.stalls", "--probe", server.url]
    prober = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert prober.stdout is not None
    await asyncio.to_thread(prober.stdout.readline)
    began, statuses = time.monotonic(), Counter[int]()
    while time.monotonic() - began < LEAST_SECONDS:
        statuses += await posted(server, posts)
        await asyncio.sleep(EVERY)
    out, _ = await asyncio.to_thread(prober.communicate)
    return json.loads(out), statuses


async def run(names: list[str]) -> None:
    """Measure each case on one server; print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder), SETTINGS) as server:
            for case in (None, *CASES):
                if case is not None and names and case.__name__ not in names:
                    continue
                took, statuses = await measured(server, case() if case else [])
                p99 = statistics.quantiles(took, n=100)[98]
                what = (case.__doc__ or "") if case else "Nothing posted."
                answers = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
                print(
                    f"{what} {answers}; /livez: median {statistics.median(took):.1f} ms, 99th percentile {p99:.1f} ms, "
                    f"worst {max(took):.1f} ms of {len(took)}",
                    flush=True,
                )


def main() -> None:
    """See above."""
    if sys.argv[1:2] == ["--probe"]:
        probe(sys.argv[2])
    else:
        asyncio.run(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
