"""What people start Covey with (image, compose, units, the pages about them) names only what there is."""

import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer.main
import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel

from covey.cli.commands import app
from covey.domain.lane import Lane
from covey.domain.liveness import FROZEN_SECONDS
from covey.engine.completer import STOP_SECONDS
from covey.engine.worker import DROP_PATIENCE_SECONDS
from covey.metrics import Metrics
from covey.server.connection_limits import ConnectionLimits
from covey.server.process import HURRY_SECONDS
from covey.settings import DEMO, Settings, TrunkKind, TrunkSettings
from covey.store.postgres.store import PostgresStore
from covey.store.results import Claim

from .clock import ManualClock
from .conformance.conftest import WORKER, Scene
from .conformance.databases import DATABASES
from .patience import PATIENCE

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = ROOT / "Dockerfile"
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
PRODUCTION = ROOT / "docs" / "production.md"
PAGES = (PRODUCTION, ROOT / "docs" / "scaling.md", ROOT / "README.md")
WRITTEN = (DOCKERFILE, ROOT / "compose.yaml", *UNITS, *PAGES)

BESIDE_SETTINGS = {"COVEY_CONFIG", "COVEY_PROFILE", "COVEY_URL", "COVEY_WORKSPACE", "COVEY_API_KEY", "COVEY_ADMIN_KEY"}
"""What the environment also names: the settings' file, and the client's profile."""

REAL = {"host": "pbx.example.com", "workspaces": ("w",), "countries": ("DE",)}
LONGEST_DRAIN = max(
    trunk.longest_seconds + trunk.ring_seconds
    for trunk in (
        *Settings().trunks.values(),
        TrunkSettings(kind=TrunkKind.simulated),
        TrunkSettings.model_validate({"kind": TrunkKind.sip, **REAL}),
    )
)
"""How long a drain may wait by default, whatever kinds of trunk there are."""

AFTER_A_DRAIN = DROP_PATIENCE_SECONDS + STOP_SECONDS + HURRY_SECONDS


def compose() -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def coveys() -> dict[str, dict[str, Any]]:
    """The services that run our own image."""
    return {name: service for name, service in compose()["services"].items() if service["image"] == "covey"}


def processes() -> dict[str, dict[str, Any]]:
    """Those of them that go on."""
    return {name: service for name, service in coveys().items() if service["restart"] != "no"}


def variables(model: type[BaseModel], prefix: str = "COVEY_") -> Iterator[str]:
    """The environment's names of all settings; a trunk's for the demo one."""
    for name, field in model.model_fields.items():
        inner = TrunkSettings if name == "trunks" else field.annotation
        here = f"{prefix}{name}".upper() + (f"__{DEMO.upper()}" if name == "trunks" else "")
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from variables(inner, f"{here}__")
        else:
            yield here


def seconds(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(s|m|)", text).groups()  # type: ignore[union-attr]
    return int(number) * (60 if unit == "m" else 1)


def unit(path: Path) -> dict[str, list[str]]:
    """A unit's lines by their key."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def block(page: Path, language: str) -> str:
    """The first example in a language."""
    found = re.search(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_every_variable_that_is_named_is_a_setting(path: Path) -> None:
    known = {*variables(Settings), *BESIDE_SETTINGS}
    assert {"COVEY_LIMITS__CSV_BYTES", "COVEY_TRUNKS__DEMO__CHANNELS", "COVEY_DATABASE"} <= known
    assert set(re.findall(r"\bCOVEY_[A-Z0-9_]*[A-Z0-9]", path.read_text())) - known == set()


def test_every_command_that_is_started_exists() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    of_compose = [service["command"] for service in coveys().values() if "command" in service]
    of_units = [shlex.split(unit(path)["ExecStart"][0])[1:] for path in UNITS]
    of_image = re.findall(r'^CMD \["(\w+)"\]', DOCKERFILE.read_text(), re.MULTILINE)
    assert [*of_compose, *of_units] == [["migrate"], ["worker"], ["worker"], ["worker"], ["serve"]]
    assert of_image == ["serve"]
    assert {"migrate", "worker", "serve"} <= set(commands)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_that_a_page_names_exists_with_its_options(path: Path) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    text = path.read_text()
    examples = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    lines = [line.partition("#")[0] for line in [*re.findall(r"`([^`\n]+)`", text), *examples.splitlines()]]
    named = [match[1].split() for line in lines if (match := re.search(r"(?:^|&& |/bin/)covey ([a-z-]+.*)", line))]
    assert named or path.name == "scaling.md"
    for name, *rest in named:
        assert name in commands, name
        command = commands[name].commands[rest[0]] if hasattr(commands[name], "commands") else commands[name]
        known = {option for param in command.params for option in param.opts}
        assert {word for word in rest if word.startswith("--")} - known == set(), name


def test_the_image_takes_extras_that_exist_and_a_lock_file_that_is_complete() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = DOCKERFILE.read_text()
    syncs = re.findall(r"^RUN uv sync (.*)$", text, re.MULTILINE)
    assert len(syncs) == 2
    for sync in syncs:
        assert (
            set(re.findall(r"--extra (\w+)", sync))
            == {"analysis", "calls", "postgres"}
            <= set(project["optional-dependencies"])
        )
        assert {"--frozen", "--no-build", "--no-dev"} <= set(sync.split())
    assert "--require-hashes --requirement tools/uv.txt" in text
    copied = [part for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for part in line.split()]
    allowed = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(copied) == sorted(allowed)
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_is_nobody_special_and_holds_no_secret() -> None:
    text = DOCKERFILE.read_text()
    final = text[text.rindex("\nFROM ") :]
    assert re.search(r"^USER covey$", final, re.MULTILINE)
    assert not re.search(r"password|secret|_key|token", text, re.IGNORECASE)


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_images_health_check_believes_the_answer(status: int, code: int) -> None:
    check = re.search(r'HEALTHCHECK .* CMD \["python", "-c", "(.*)"\]', DOCKERFILE.read_text())
    assert check is not None

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        environment = {**os.environ, "COVEY_PORT": str(server.server_port)}
        done = subprocess.run([sys.executable, "-c", check[1]], env=environment, timeout=PATIENCE, check=False)
        server.shutdown()
        thread.join()
    assert done.returncode == code


def test_every_process_has_a_data_folder_of_its_own() -> None:
    """What is shared lies below it; nothing that a process keeps for itself is."""
    own = {name: set(service["volumes"]) for name, service in processes().items()}
    shared = set.intersection(*own.values())
    assert shared == {"recordings:/data/recordings", "skipped:/data/skipped", "assets:/data/assets"}
    for one, other in itertools.combinations(own, 2):
        assert own[one] & own[other] == shared
    assert all(len(volumes - shared) == 1 and "".join(volumes - shared).endswith(":/data") for volumes in own.values())
    everybodys = [service.get("volumes", ()) for service in compose()["services"].values()]
    used = {volume.partition(":")[0] for volume in itertools.chain(*everybodys)}
    assert used == set(compose()["volumes"])
    assert re.search(r"/data/assets /data/recordings /data/skipped$", DOCKERFILE.read_text(), re.MULTILINE)


def test_only_loopback_hears_and_servers_are_the_ones_with_ports() -> None:
    ports = {name: service["ports"] for name, service in compose()["services"].items() if "ports" in service}
    servers = {name for name, service in processes().items() if "command" not in service}
    assert set(ports) == servers == {"api-1", "api-2"}
    listens = re.search(r"COVEY_PORT=(\d+)", DOCKERFILE.read_text())
    assert listens is not None
    for port in itertools.chain(*ports.values()):
        assert re.fullmatch(rf"127\.0\.0\.1:\d+:{listens[1]}", port)
    proxied = {port.rsplit(":", 1)[0] for port in itertools.chain(*ports.values())}
    assert set(re.findall(r"server (127\S+);", block(PRODUCTION, "nginx"))) == proxied
    assert set(re.findall(r"127\.0\.0\.1:\d+", block(PRODUCTION, "caddy"))) == proxied


def test_the_connections_of_all_processes_fit() -> None:
    command = compose()["services"]["postgres"]["command"]
    most = next(int(word.partition("=")[2]) for word in command if word.startswith("--max_connections="))
    each = Settings.model_fields["database_connections"].default + 1
    assert f"# {each} connections a process" in (ROOT / "compose.yaml").read_text()
    assert len(processes()) * each <= most / 2


def test_whoever_ends_a_process_waits_for_its_drain() -> None:
    graces = {name: seconds(service["stop_grace_period"]) for name, service in coveys().items()}
    graces |= {path.name: seconds(unit(path)["TimeoutStopSec"][0]) for path in UNITS}
    asked = re.search(r"--stop-timeout (\d+)", DOCKERFILE.read_text())
    assert asked is not None
    graces["docker run"] = int(asked[1])
    assert {name for name, grace in graces.items() if grace < LONGEST_DRAIN + AFTER_A_DRAIN} == set()


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_has_a_watchdog_that_is_more_patient_than_the_others(path: Path) -> None:
    lines = unit(path)
    assert (lines["Type"], lines["NotifyAccess"], lines["TimeoutStartSec"]) == (["notify"], ["main"], ["infinity"])
    assert seconds(lines["WatchdogSec"][0]) >= 3 * FROZEN_SECONDS


def test_memory_and_processes_are_limited_everywhere() -> None:
    for path in UNITS:
        lines = unit(path)
        assert {"MemoryMax", "MemorySwapMax", "TasksMax", "LimitNOFILE"} <= lines.keys(), path.name
    for name, service in compose()["services"].items():
        assert service["mem_limit"].endswith("g"), name
        assert service["pids_limit"] > 0, name
    gigabytes = {int(service["mem_limit"].removesuffix("g")) for service in coveys().values()}
    assert min(gigabytes) * 1024**3 > 4 * Settings().analysis.memory_bytes


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_drains_its_main_process_and_comes_back(path: Path) -> None:
    lines = unit(path)
    assert lines["KillMode"] == ["mixed"]
    assert lines["Restart"] == ["always"]
    state = f"/var/lib/{lines['StateDirectory'][0]}"
    assert lines["WorkingDirectory"] == [state]
    assert f"COVEY_DATA={state}" in lines["Environment"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """With a program that is there, as ours is not installed."""
    for path in UNITS:
        text = path.read_text().replace(unit(path)["ExecStart"][0].split()[0], sys.executable)
        (tmp_path / path.name.replace("@", "@1")).write_text(text)
    command = ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert [line for line in (done.stdout + done.stderr).splitlines() if str(tmp_path) in line] == []


def test_the_proxy_lets_through_what_the_settings_take() -> None:
    limits = Settings().limits
    nginx = dict(re.findall(r"^\s*(\w+) +([^;{]+);", block(PRODUCTION, "nginx"), re.MULTILINE))
    size = re.search(r"max_size (\d+)MiB", block(PRODUCTION, "caddy"))
    wait = re.search(r"response_header_timeout (\d+)s", block(PRODUCTION, "caddy"))
    assert size is not None
    assert wait is not None
    for megabytes in (int(nginx["client_max_body_size"].removesuffix("m")), int(size[1])):
        assert megabytes * 1024 * 1024 >= limits.csv_bytes + limits.form_overhead_bytes
    for waits in (seconds(nginx["proxy_read_timeout"]), int(wait[1])):
        assert waits > limits.upload_seconds + limits.request_seconds
    assert seconds(nginx["client_body_timeout"]) >= limits.body_idle_seconds
    assert nginx["proxy_request_buffering"] == nginx["proxy_buffering"] == "off"


def test_the_page_names_the_limits_of_connections() -> None:
    limits = ConnectionLimits()
    table = PRODUCTION.read_text().partition("**Connections.**")[2].partition("Requests in progress")[0]
    for words in (
        f"{limits.head_bytes // 1024} KiB, {limits.headers} headers",
        f"{limits.head_seconds:g} s",
        f"| {limits.per_address};",
        f"{limits.unread_seconds:g} s",
    ):
        assert words in table


def test_every_metric_that_the_page_names_exists() -> None:
    exported = set(re.findall(r"^# TYPE (\w+)", Metrics().render().decode(), re.MULTILINE))
    named = set(re.findall(r"\bcovey_[a-z0-9_]*[a-z0-9]", PRODUCTION.read_text()))
    bare = {re.sub(r"_(count|sum|bucket)$", "", name) for name in named}
    bare -= {"covey_lane"}  # `covey_lane_*`
    assert bare - exported == set()
    assert len(bare) > 10


def test_every_log_line_that_the_page_names_is_written() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "src" / "covey").rglob("*.py"))
    rows = re.search(r"\| event \| what it means \|\n\| --- \| --- \|\n((?:\|.*\n)+)", PRODUCTION.read_text())
    assert rows is not None
    events = [event for row in rows[1].splitlines() for event in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    assert len(events) > 7
    assert [event for event in events if event not in sources] == []


def test_every_page_that_a_page_leads_to_exists() -> None:
    pages = [*PAGES, *sorted((ROOT / "docs").glob("*.md"))]
    links = [(page, target) for page in pages for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())]
    assert [f"{page.name}: {target}" for page, target in links if not (page.parent / target).exists()] == []


async def test_after_a_restore_batches_of_calls_wait_for_somebody_to_look() -> None:
    database = DATABASES["postgres"]
    clock = ManualClock()
    async with database.open(clock) as store:
        assert isinstance(store, PostgresStore)
        await store.enlist(WORKER)
        await store.put_lane(Lane("lane", 100))
        scene = Scene(store, clock, database)
        call = await scene.submit(3, repeatable=False)
        analysis = await scene.submit(3, repeatable=True)
        ended = await scene.submit(3, repeatable=False)
        await scene.stop(ended)
        async with await psycopg.AsyncConnection.connect(store._direct_url) as connection:
            await connection.execute((ROOT / "deploy" / "postgresql" / "after-restore.sql").read_bytes())

        assert (await scene.take()).batch == analysis
        assert await store.claim(WORKER, "lane", 100) == Claim(None, None)
        found = await store.batch(call)
        assert (found.state.value, found.pause_reason) == ("paused", "restored")
        assert (await store.batch(ended)).state.value == "canceled"
        await store.resume("w", call)
        assert (await scene.take()).batch == call
        assert await store.recount(call) == {}
