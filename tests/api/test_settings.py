"""Settings: the file, the environment over it, where each value comes from, and one sentence for a bad one."""

from pathlib import Path

import pytest

from covey.settings import MASK, Settings, SettingsError, TrunkKind

FILE = """
port = 9000
[limits]
csv_bytes = 1000
[trunks.out]
kind = "sip"
host = "sip.example.org"
workspaces = ["a"]
countries = ["US"]
password = "hush"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "covey.toml"
    path.write_text(FILE)
    return path


def test_without_a_file_there_is_the_demo_trunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.load()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert set(settings.trunks) == {"demo"}
    demo = settings.trunks["demo"]
    assert (demo.kind, demo.live, demo.channels, demo.calls_per_second) == (TrunkKind.demo, False, 40, 10)


def test_the_environment_goes_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_LIMITS__CSV_BYTES", "2000")
    monkeypatch.setenv("COVEY_TRUNKS__DEMO__CHANNELS", "7")
    settings = Settings.load(file)
    assert (settings.port, settings.limits.csv_bytes, settings.trunks["demo"].channels) == (9000, 2000, 7)
    out = settings.trunks["out"]
    assert (out.live, out.channels, out.calls_per_second, out.ring_seconds) == (True, 2, 1, 30)
    assert (out.hours, out.calls_per_day) == ("08:00-21:00", 1000)


def test_where_a_value_comes_from_and_secrets_are_masked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_LIMITS__CSV_BYTES", "2000")
    found = {one.key: one for one in Settings.load(file).sources()}
    assert found["limits.csv_bytes"].source == "environment COVEY_LIMITS__CSV_BYTES"
    assert found["port"].source == str(file)
    assert found["host"].source == "default"
    assert found["trunks.out.password"].value == MASK
    assert "hush" not in str(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", ("prot", "no such setting")),
        ("port = 'x'", ("port", "integer")),
        ("port = ", ("Invalid value",)),
        ("[trunks.x]\nkind = 'sip'\nhost = 'h'", ("trunks.x", "workspaces, countries")),
        ("[trunks.x]\nkind = 'carrier-pigeon'", ("trunks.x.kind", "demo")),
        ("[trunks.demo]\nhours = '9-17'", ("trunks.demo.hours", "HH:MM-HH:MM")),
        ("[trunks.'Big One']\nkind = 'demo'", ("Big One",)),
        ("[calls]\ndefault_trunk = 'x'", ("default_trunk", "demo")),
        ("database = 'mysql://a:hush@b/c'", ("database", "postgresql://user:password@host:5432/name")),
        ("database = ''", ("database", "postgresql://user:password@host:5432/name")),
        ("database_connections = 1", ("database_connections", "2")),
        ("database_lock_url = 'postgresql://a:hush@b/c'", ("database_lock_url", "database is not")),
        ("trusted_proxies = ['proxy']", ("trusted_proxies.0", "'proxy'", "192.0.2.7 or 10.1.0.0/16")),
        ("trusted_proxies = ['10.0.0.1/8']", ("trusted_proxies.0", "'10.0.0.1/8'", "192.0.2.7 or 10.1.0.0/16")),
    ],
)
def test_a_bad_value_is_one_sentence(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    path = tmp_path / "covey.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as raised:
        Settings.load(path)
    said = str(raised.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    assert "hush" not in said
    for word in words:
        assert word in said


def test_a_bad_variable_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_PORT", "many")
    with pytest.raises(SettingsError, match="Environment variable COVEY_PORT"):
        Settings.load(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="covey init"):
        Settings.load(tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://db.example.org/covey", "postgresql://db.example.org/covey"),
        ("postgresql://me@db:5432/covey?sslmode=require", "postgresql://me@db:5432/covey?sslmode=require"),
        ("postgresql://me:hush@db:5432/covey", f"postgresql://me:{MASK}@db:5432/covey"),
        ("postgresql://me:hush%40x@one:1,two:2/covey", f"postgresql://me:{MASK}@one:1,two:2/covey"),
        ("postgresql://me:hu@sh/hush@db/covey", f"postgresql://me:{MASK}@db/covey"),
        ("postgres://me@/covey?host=/run&password=hush", f"postgres://me@/covey?host=/run&password={MASK}"),
        ("postgres:///covey?sslpassword=hush&user=me", f"postgres:///covey?sslpassword={MASK}&user=me"),
    ],
)
def test_a_databases_password_is_never_shown(monkeypatch: pytest.MonkeyPatch, url: str, shown: str) -> None:
    monkeypatch.setenv("COVEY_DATABASE", url)
    settings = Settings.load()
    assert settings.database is not None
    assert settings.database.get_secret_value() == url
    found = {one.key: one.value for one in settings.sources()}
    assert found["database"] == shown
    assert found["database_lock_url"] is None
    assert "hush" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


OWN, UVICORNS = "COVEY_TRUSTED_PROXIES", "FORWARDED_ALLOW_IPS"


@pytest.mark.parametrize(
    ("text", "own", "uvicorns", "networks", "source"),
    [
        ("", None, None, [], "default"),
        ("trusted_proxies = ['10.1.0.0/16', '::1']", None, None, ["10.1.0.0/16", "::1/128"], "file"),
        ("trusted_proxies = ['10.1.0.0/16']", "192.0.2.7, 2001:db8::/32", None, ["192.0.2.7/32", "2001:db8::/32"], OWN),
        ("", '["192.0.2.7"]', None, ["192.0.2.7/32"], OWN),
        ("", None, "172.16.0.0/12,192.168.0.0/16", ["172.16.0.0/12", "192.168.0.0/16"], UVICORNS),
        ("", None, "*", ["0.0.0.0/0", "::/0"], UVICORNS),
        ("", None, "proxy, /run/x.sock, 10.0.0.1/8, ::1", ["::1/128"], UVICORNS),
        ("trusted_proxies = []", None, "*", [], "file"),
    ],
)
def test_which_proxies_are_trusted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    own: str | None,
    uvicorns: str | None,
    networks: list[str],
    source: str,
) -> None:
    for name, value in ((OWN, own), (UVICORNS, uvicorns)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    path = tmp_path / "covey.toml"
    path.write_text(text)
    settings = Settings.load(path)
    assert [str(one) for one in settings.trusted_proxies] == networks
    found = next(one for one in settings.sources() if one.key == "trusted_proxies")
    assert found.source == {"file": str(path), "default": "default"}.get(source, f"environment {source}")
