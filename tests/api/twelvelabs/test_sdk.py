"""The published SDKs against a served API, on every store; what they do is in `old_sdk.py`."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.api.twelvelabs import old_sdk
from tests.api.twelvelabs.analysis_api import open_analysis_api
from tests.conformance.databases import DATABASES

ROOT = Path(__file__).parents[3]
OLD = ROOT / ".venv" / "sdk-1.2.8"
JS = os.environ.get("COVEY_TWELVELABS_JS", "")


async def _run(*command: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.parametrize("database", DATABASES)
async def test_the_official_sdk(database: str, tmp_path: Path) -> None:
    async with open_analysis_api(tmp_path, database, active_batches=2) as api:
        await asyncio.to_thread(old_sdk.main, api.url, api.secrets["operate"], api.asset, api.unready)


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
async def test_an_old_sdk(database: str, tmp_path: Path) -> None:
    """1.2.8, the first with batches; `tools/setup dev` puts it in a folder of its own."""
    assert (OLD / "twelvelabs-1.2.8.dist-info").is_dir(), "tools/setup dev installs it"
    async with open_analysis_api(tmp_path, database, active_batches=2) as api:
        script = str(Path(__file__).with_name("old_sdk.py"))
        code, output = await _run(
            sys.executable, script, api.url, api.secrets["operate"], api.asset, api.unready, PYTHONPATH=str(OLD)
        )
    assert code == 0, output


@pytest.mark.skipif(not (shutil.which("node") and JS), reason="COVEY_TWELVELABS_JS names no node_modules")
async def test_the_javascript_sdk(tmp_path: Path) -> None:
    """examples/twelvelabs.mjs; `COVEY_TWELVELABS_JS` is a node_modules folder with twelvelabs-js."""
    folder = tmp_path / "js"
    folder.mkdir()
    (folder / "node_modules").symlink_to(JS)
    shutil.copy(ROOT / "examples" / "twelvelabs.mjs", folder)
    async with open_analysis_api(tmp_path / "data") as api:
        code, output = await _run(
            "node",
            str(folder / "twelvelabs.mjs"),
            COVEY_URL=api.url,
            COVEY_API_KEY=api.secrets["operate"],
            COVEY_ASSET=api.asset,
        )
    assert code == 0, output
