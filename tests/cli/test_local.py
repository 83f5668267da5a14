"""What is done beside the server: settings, keys, copies, a look at the machine."""

import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from covey import private
from covey.cli.commands import app
from covey.cli.exits import Exit
from covey.cli.local import analysing, copies
from covey.cli.local.checks import file_system
from covey.cli.local.firststart import first_account
from covey.cli.local.settings import template
from covey.domain.clock import Clock, SystemClock
from covey.domain.errors import Unavailable
from covey.settings import Settings
from covey.store.sqlite import SqliteStore, copy_database, restore
from covey.store.sqlite.lock import OwnerLock

from ..patience import PATIENCE
from .conftest import clean_environment


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with no settings from anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COVEY_PROFILE", str(tmp_path / "profile.toml"))
    return tmp_path


def covey(*args: str) -> Result:
    return CliRunner().invoke(app, list(args))


TABLES = ("calls", "limits", "analysis", "fetch", "webhooks", "retention", "log")


def test_every_setting_stands_in_the_file_with_its_default(here: Path) -> None:
    assert covey("init").exit_code == 0
    assert tomllib.loads((here / "covey.toml").read_text()) == {name: {} for name in TABLES}
    written = _written_out(template())
    for name, field in Settings.model_fields.items():
        if name in TABLES:
            defaults = field.default.model_dump(mode="json")
            assert written[name].keys() == defaults.keys(), name
            for key, value in defaults.items():
                if value is not None:
                    assert written[name][key] == value, f"{name}.{key}"
    assert {"host", "port", "data", "secret", "drain_seconds", "models", "trunks"} <= written.keys()
    Settings.model_validate(written)


def _written_out(text: str) -> dict[str, dict[str, object]]:
    """The template with its comments that are settings made settings."""
    return tomllib.loads(re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE))


def test_init_writes_over_nothing(here: Path) -> None:
    (here / "covey.toml").write_text("port = 1")
    assert covey("init").exit_code == Exit.conflict
    assert (here / "covey.toml").read_text() == "port = 1"


def test_config_says_what_holds_and_from_where(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "covey.toml").write_text('port = 8123\n[calls]\nspeech_key = "hush"\n')
    monkeypatch.setenv("COVEY_HOST", "127.0.0.2")
    monkeypatch.setenv("COVEY_API_KEY", "covey_sk_hush")
    result = covey("config", "--json")
    settings = {each["key"]: each for each in json.loads(result.stdout)["settings"]}
    assert settings["port"]["value"] == 8123
    assert settings["port"]["source"] == "covey.toml"
    assert settings["host"]["source"] == "environment COVEY_HOST"
    assert settings["drain_seconds"]["source"] == "default"
    assert "hush" not in result.stdout + covey("config").stdout


def test_a_wrong_setting_is_one_sentence(here: Path) -> None:
    (here / "covey.toml").write_text("prot = 8123\n")
    result = covey("config")
    assert result.exit_code == Exit.usage
    assert "prot" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_keys_and_workspaces_without_a_server(here: Path) -> None:
    workspace = covey("workspaces", "create", "first").stdout.strip()
    admin = covey("keys", "create", "--role", "admin").stdout.strip()
    made = json.loads(covey("keys", "create", "--workspace", workspace, "--json").stdout)
    assert admin.startswith("covey_sk_")
    keys = json.loads(covey("keys", "list", "--json").stdout)
    assert {key["role"] for key in keys} == {"admin", "operate"}
    assert not any("secret" in key for key in keys)
    assert covey("keys", "revoke", made["id"], "--yes").exit_code == 0
    assert covey("keys", "revoke", made["id"], "--yes").exit_code == Exit.not_found
    assert covey("keys", "create", "--workspace", "nobody").exit_code == Exit.not_found


def test_a_backup_comes_back(here: Path) -> None:
    covey("workspaces", "create", "first")
    made = covey("backup", "copy.db")
    assert made.stdout.strip() == "copy.db"
    assert stat.S_IMODE((here / "copy.db").stat().st_mode) == 0o600
    assert covey("backup", "copy.db").exit_code == Exit.failed
    covey("workspaces", "create", "second")
    refused = covey("restore", "copy.db")
    assert refused.exit_code == Exit.usage
    assert f"What is there now is kept as {here}/data/covey.db.before-" in refused.stderr
    assert len(json.loads(covey("workspaces", "list", "--json").stdout)) == 2
    restored = covey("restore", "copy.db", "--yes")
    assert restored.exit_code == 0, restored.stderr
    assert [each["name"] for each in json.loads(covey("workspaces", "list", "--json").stdout)] == ["first"]
    assert list((here / "data").glob("covey.db.before-*"))


def test_a_broken_backup_changes_nothing(here: Path) -> None:
    covey("workspaces", "create", "first")
    (here / "broken.db").write_bytes(b"not a database" * 100)
    assert covey("restore", "broken.db", "--yes").exit_code == Exit.failed
    assert len(json.loads(covey("workspaces", "list", "--json").stdout)) == 1


def test_nothing_to_back_up(here: Path) -> None:
    assert covey("backup", "copy.db").exit_code == Exit.not_found


def test_doctor_finds_what_is_wrong(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_PORT", "0")
    well = covey("doctor", "--json")
    findings = {finding["check"]: finding for finding in json.loads(well.stdout)}
    assert well.exit_code == Exit.ok, well.stdout
    assert {"settings", "data folder", "free disk", "file system", "owner", "database", "speech", "address"} <= set(
        findings
    )
    covey("workspaces", "create", "first")
    assert "0 unended batches" in covey("doctor").stdout
    (here / "profile.toml").write_text('api_key = "x"')
    (here / "profile.toml").chmod(0o644)
    (here / "data" / "covey.db").write_bytes(b"not a database" * 1000)
    ill = covey("doctor")
    assert ill.exit_code == Exit.failed
    assert "✗ profile" in ill.stdout
    assert "chmod 600" in ill.stdout
    assert "✗ database" in ill.stdout
    assert "covey restore" in ill.stdout


def test_doctor_looks_at_what_videos_and_webhooks_need(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_PORT", "0")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    (here / "covey.toml").write_text(
        f'[models.away]\nkind = "openai"\nurl = "http://127.0.0.1:{port}/v1"\nmodel = "m"\napi_key = "sk-not-shown"\n'
    )
    told = covey("doctor", "--json")
    findings = {finding["check"]: finding for finding in json.loads(told.stdout)}
    assert told.exit_code == Exit.failed
    assert not findings["model away"]["ok"]
    assert "models.away" in findings["model away"]["remedy"]
    assert "sk-not-shown" not in told.stdout
    for name in ("limits", "files", "network", "processes"):
        assert findings[f"decoders, {name}"]["ok"]
    assert findings["analysis"]["ok"]
    assert findings["webhook secret"]["ok"]
    assert not findings["webhook secret"]["warning"]
    monkeypatch.setenv("COVEY_DATABASE", "postgresql://nobody@127.0.0.1:1/none")
    *_, shared = analysing.findings(Settings.load(here / "covey.toml"))
    assert (shared.check, shared.warning) == ("webhook secret", True)


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"a / ext4 rw 0 0\nb {tmp_path} nfs4 rw 0 0\nc {tmp_path}/other xfs rw 0 0\n")
    assert file_system(tmp_path / "data", str(mounts)) == "nfs4"
    assert file_system(Path("/"), str(mounts)) == "ext4"


def test_a_backup_is_its_owners_alone_from_its_first_byte(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    covey("workspaces", "create", "first")
    modes = []

    def watched(source: Path, target: Path) -> None:
        copy_database(source, target)
        modes.append(stat.S_IMODE(target.stat().st_mode))

    monkeypatch.setattr(copies, "copy_database", watched)
    before = os.umask(0)
    try:
        assert covey("backup", "copy.db").exit_code == 0
        assert covey("restore", "copy.db", "--yes").exit_code == 0
    finally:
        os.umask(before)
    assert modes == [0o600, 0o600]
    assert stat.S_IMODE((here / "data" / "covey.db").stat().st_mode) == 0o600


def test_no_server_begins_while_a_backup_is_restored(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    covey("workspaces", "create", "first")
    covey("backup", "copy.db")
    tried = []

    def watched(source: Path, target: Path, clock: Clock) -> int:
        tried.append(covey("workspaces", "create", "meanwhile"))
        return restore(source, target, clock)

    monkeypatch.setattr(copies, "restore_into", watched)
    assert covey("restore", "copy.db", "--yes").exit_code == 0
    assert [result.exit_code for result in tried] == [Exit.refused]
    assert len(json.loads(covey("workspaces", "list", "--json").stdout)) == 1


def test_a_server_that_begins_before_the_swap_stops_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    covey("workspaces", "create", "first")
    covey("backup", "copy.db")
    lock = OwnerLock(here / "data" / "covey.lock")
    monkeypatch.setattr(copies, "confirm", lambda *_, **__: asyncio.run(lock.acquire()))
    try:
        assert covey("restore", "copy.db", "--yes").exit_code == Exit.conflict
    finally:
        lock.release()
    assert not list((here / "data").glob("covey.db.before-*"))


def test_everything_done_beside_the_server_answers_in_json(here: Path) -> None:
    assert json.loads(covey("init", "--json").stdout) == {"file": "covey.toml"}
    covey("workspaces", "create", "first")
    key = json.loads(covey("keys", "create", "--role", "admin", "--json").stdout)["id"]
    assert json.loads(covey("keys", "revoke", key, "--yes", "--json").stdout) == {"revoked": key}
    made = json.loads(covey("backup", "copy.db", "--json").stdout)
    assert made == {"backup": "copy.db", "bytes": (here / "copy.db").stat().st_size}
    restored = json.loads(covey("restore", "copy.db", "--yes", "--json").stdout)
    assert (restored["restored"], restored["paused"]) == ("copy.db", 0)
    assert Path(restored["kept"]).exists()


async def test_the_first_key_is_in_its_file_before_the_database_has_it(here: Path) -> None:
    file, address, now = here / "first-key.txt", "http://127.0.0.1:1", SystemClock().now
    store = SqliteStore(here / "covey.db", SystemClock())
    await store.open()
    try:
        with pytest.raises(OSError, match="No such file"):
            await first_account(store, address, now, here / "nowhere" / "first-key.txt")
        assert (await store.workspaces(), await store.keys()) == ([], [])
        profile = await first_account(store, address, now, file)
        assert profile is not None
        assert profile.api_key in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert [each.id for each in await store.workspaces()] == [profile.workspace]
    finally:
        await store.close()


async def test_a_first_start_that_broke_off_begins_anew(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, address, now = here / "first-key.txt", "http://127.0.0.1:1", SystemClock().now
    store = SqliteStore(here / "covey.db", SystemClock())
    await store.open()

    async def broken(*_: object) -> None:
        raise Unavailable

    try:
        with monkeypatch.context() as breaking:
            breaking.setattr(store, "add_first", broken)
            with pytest.raises(Unavailable):
                await first_account(store, address, now, file)
        assert await store.workspaces() == []
        profile = await first_account(store, address, now, file)
        assert profile is not None
        assert profile.api_key in file.read_text()
        late = here / "late.txt"
        assert await first_account(store, address, now, late) is None, "another server was quicker"
        assert not late.exists()
        assert [each.id for each in await store.workspaces()] == [profile.workspace]
    finally:
        await store.close()


def test_a_home_that_cannot_be_written_costs_the_profile_only(here: Path) -> None:
    """As in a container; a file stands where the profile's folder would be, which stops root, too."""
    (here / "home").write_text("")
    environment = clean_environment(COVEY_PROFILE=str(here / "home" / "profile.toml"), COVEY_DRAIN_SECONDS="0")
    command = [sys.executable, "-m", "covey.cli", "serve", "--port", "0", "--data", str(here / "data")]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as server:
        assert server.stderr is not None
        said = ""
        while "Ctrl-C" not in said:
            line = server.stderr.readline().decode()
            assert line, said
            said += line
        server.send_signal(signal.SIGTERM)
        server.stderr.read()
        assert server.wait(PATIENCE) == 0
    assert "No profile is kept" in said
    kept = (here / "data" / "first-key.txt").read_text()
    assert "COVEY_API_KEY=covey_sk_" in kept


def test_a_data_folder_is_closed_when_it_is_taken_into_use(tmp_path: Path) -> None:
    names = ("covey.db", "covey.db-wal", "secret.key", "recordings", "covey.toml")
    for name in names:
        (tmp_path / name).mkdir() if name == "recordings" else (tmp_path / name).touch()
        (tmp_path / name).chmod(0o777)
    (tmp_path / "uploads").symlink_to(tmp_path / "covey.toml")
    tmp_path.chmod(0o755)
    private.data_folder(tmp_path)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (*names, ".")]
    assert modes == [0o700, 0o700, 0o700, 0o700, 0o777, 0o755]
    (tmp_path / "uploads").unlink()
    (tmp_path / "covey.toml").unlink()
    private.data_folder(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_what_is_made_beside_the_command_line_is_closed_too(here: Path) -> None:
    before = os.umask(0)
    try:
        assert covey("workspaces", "create", "first").exit_code == 0
        assert covey("backup", "copy.db").exit_code == 0
        (here / "covey.toml").touch()
        assert covey("init", "--force").exit_code == 0
    finally:
        os.umask(before)
    made = [here / "copy.db", here / "covey.toml", *(here / "data").iterdir()]
    assert [path.name for path in made if private.is_open(path)] == []


def test_doctor_says_what_others_can_read_and_how_to_close_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_PORT", "0")

    def found() -> dict[str, tuple[bool, str]]:
        answer = json.loads(covey("doctor", "--json").stdout)
        return {each["check"]: (each["ok"], each["remedy"]) for each in answer}

    covey("workspaces", "create", "first")
    (here / "covey.toml").write_text('[calls]\nspeech_key = "hush"\n')
    (here / "covey.toml").chmod(0o600)
    well = found()
    assert (well["privacy"][0], well["settings file"][0]) == (True, True)
    (here / "covey.toml").chmod(0o640)
    (here / "data").chmod(0o755)
    (here / "data" / "covey.db").chmod(0o644)
    ill = found()
    assert (ill["privacy"][0], ill["settings file"][0]) == (False, False)
    for remedy in (ill["privacy"][1], ill["settings file"][1]):
        subprocess.run(remedy.partition(": ")[2], shell=True, check=True, cwd=here)
    assert found()["privacy"][0]
    assert found()["settings file"][0]
    (here / "data").chmod(0o777)
    assert found()["privacy"] == (False, f"Close it: chmod go-w {here / 'data'}")
