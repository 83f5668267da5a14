"""What is done beside the server: settings, keys, copies, a look at the machine."""

import json
import re
import stat
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from covey.cli.commands import app
from covey.cli.exits import Exit
from covey.cli.local.checks import file_system
from covey.cli.local.settings import template
from covey.settings import Settings


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with no settings from anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COVEY_PROFILE", str(tmp_path / "profile.toml"))
    return tmp_path


def covey(*args: str) -> Result:
    return CliRunner().invoke(app, list(args))


def test_every_setting_stands_in_the_file_with_its_default(here: Path) -> None:
    assert covey("init").exit_code == 0
    assert tomllib.loads((here / "covey.toml").read_text()) == {"calls": {}, "limits": {}, "retention": {}, "log": {}}
    written = _written_out(template())
    for name, field in Settings.model_fields.items():
        if name in ("calls", "limits", "retention", "log"):
            defaults = field.default.model_dump()
            assert written[name].keys() == defaults.keys(), name
            for key, value in defaults.items():
                if value is not None:
                    assert written[name][key] == value, f"{name}.{key}"
    assert {"host", "port", "data", "drain_seconds"} <= written.keys()
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
    assert covey("restore", "copy.db").exit_code == Exit.usage
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


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"a / ext4 rw 0 0\nb {tmp_path} nfs4 rw 0 0\nc {tmp_path}/other xfs rw 0 0\n")
    assert file_system(tmp_path / "data", str(mounts)) == "nfs4"
    assert file_system(Path("/"), str(mounts)) == "ext4"
