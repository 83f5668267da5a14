"""The demo as its users start it. The whole of it takes more than a minute and is left to `make test-slow`."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from covey.cli.exits import Exit

from ..patience import PATIENCE
from .conftest import clean_environment

EXAMPLES = Path(__file__).parents[2] / "examples"


def demo(folder: Path) -> "subprocess.Popen[bytes]":
    """The demo in a folder of its own, with settings around it that it must not heed."""
    shutil.copytree(EXAMPLES, folder / "examples")
    (folder / "covey.toml").write_text('port = "nonsense"\n')
    environment = clean_environment(COVEY_PORT="nonsense", HOME=str(folder), PYTHONUNBUFFERED="1")
    return subprocess.Popen(
        [sys.executable, "-m", "covey.cli", "demo"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def running_in(folder: Path) -> list[str]:
    """The processes that name the folder on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found


def test_ctrl_c_in_mid_call_leaves_nothing_running(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        assert process.stdout is not None
        said = b""
        while not re.search(rb"[3-9] active|1[0-9] active", said):
            line = process.stdout.readline()
            assert line, said.decode()
            said += line
        assert running_in(tmp_path)
        process.send_signal(signal.SIGINT)
        said += process.stdout.read()
        assert process.wait(PATIENCE) == Exit.interrupted, said.decode()
    assert b"nothing is left running" in said
    assert not running_in(tmp_path)
    assert not (tmp_path / ".config").exists()


@pytest.mark.slow
def test_every_number_agrees_with_its_phone(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        said, _ = process.communicate(timeout=300)
    assert process.returncode == Exit.ok, said.decode()
    assert "reminders: 24 of 24 numbers agree" in said.decode()
    assert "cancelled ones never rang" in said.decode()
    assert not running_in(tmp_path)
    assert len(list(tmp_path.glob("demo-data/*/results.csv"))) == 1
