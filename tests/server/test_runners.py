"""A runner from another package: the example, installed as a package is, in a whole server."""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from covey.domain.item import ItemState
from covey.server.assembly import running
from covey.server.runners import extra_runners
from covey.settings import Settings, SettingsError
from tests.api.twelvelabs.asset_api import listening
from tests.patience import patience

EXAMPLE = Path(__file__).parents[2] / "examples" / "fetch_urls"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What pip makes of the example: its module on the path, and its entry points."""
    info = tmp_path / "covey_fetch_urls-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: covey-fetch-urls\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[covey.runners]\nfetch_urls = fetch_urls:FetchUrls\nbroken = fetch_urls:Missing\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield
    sys.modules.pop("fetch_urls", None)


def settings(folder: Path, runners: Mapping[str, Any]) -> Settings:
    return Settings.model_validate({"data": folder / "data", "runners": runners})


@pytest.mark.usefixtures("installed")
async def test_a_batch_of_urls_is_fetched(tmp_path: Path) -> None:
    site = Starlette(
        routes=[
            Route("/there", lambda _: PlainTextResponse("hello")),
            Route("/gone", lambda _: PlainTextResponse("", 410)),
        ]
    )
    async with (
        listening(site) as url,
        running(settings(tmp_path, {"fetch_urls": {"concurrency": 2}})) as server,
    ):
        urls = [f"{url}/there", f"{url}/gone", f"{url}/there", "http://127.0.0.1:1/"]
        batch = await import_module("fetch_urls").submit(server, "w", urls)
        async with patience():
            while not (batch := await server.store.batch(batch.id)).ended:
                await asyncio.sleep(0)
        _, items = await server.store.items(batch.id)
        lane = await server.store.lane("runner:fetch_urls")
    assert lane is not None
    assert lane.cap == 2
    assert (batch.counts.succeeded, batch.counts.failed) == (2, 2)
    assert [item.state for item in items] == [
        ItemState.succeeded, ItemState.failed, ItemState.succeeded, ItemState.failed
    ]  # fmt: skip
    assert items[0].last is not None
    assert items[0].last.result == {"status": 200, "type": "text/plain; charset=utf-8", "bytes": 5}


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        (
            "unknown",
            {},
            "runners.unknown: no installed package has a runner of this name; there are: broken, fetch_urls",
        ),
        ("broken", {}, "runners.broken: AttributeError"),
        ("fetch_urls", {"timeout": "soon"}, "runners.fetch_urls: ValueError"),
    ],
)
def test_what_cannot_be_made_is_refused_at_the_start(
    tmp_path: Path, name: str, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(SettingsError, match=why):
        extra_runners(settings(tmp_path, {name: {"options": options}}))


def test_names_are_plain(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="runner 'a b': a name is 1 to 40"):
        settings(tmp_path, {"a b": {}})
