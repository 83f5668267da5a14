"""What can be set: `covey.toml`, overridden by `COVEY_…` in the environment, over the defaults written here.

A nested value is named with two underscores in the environment: `COVEY_LIMITS__CSV_BYTES`, and a trunk's by its
name: `COVEY_TRUNKS__DEMO__CHANNELS`. A bad value raises `SettingsError` with one sentence: where, which key, what
would be right.
"""

import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import (
    SettingsError as SourceError,
)

from covey.domain.hours import parse_hours

FILE_NAME = "covey.toml"
DEMO = "demo"
MASK = "********"
_ENV_PREFIX = "COVEY_"
_TRUNK_NAME = re.compile(r"[a-z0-9_-]{1,40}")

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0)]


class SettingsError(Exception):
    """The settings are not valid; the text is one sentence for the person who wrote them."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class TrunkKind(StrEnum):
    """What a trunk is: `demo` phones on this machine, `simulated` calls without audio, or `sip` to a provider."""

    demo = "demo"
    simulated = "simulated"
    sip = "sip"


class Trunk(_Part):
    """A way to place calls, and its limits. What a real provider needs is refused on the others."""

    kind: TrunkKind
    channels: Positive = 2
    """The most calls at once."""
    calls_per_second: PositiveFloat = 1.0
    ring_seconds: Annotated[float, Field(ge=1, le=120)] = 30.0
    longest_seconds: Annotated[float, Field(ge=5, le=3600)] = 600.0
    calls_per_day: Positive | None = None
    hours: str | None = None
    """The local times within which calls start, `HH:MM-HH:MM`, in every zone the number may be in."""
    caller: str | None = None
    workspaces: tuple[str, ...] | None = None
    """The workspaces that may use it; None: all (never on a `sip` trunk)."""
    countries: tuple[str, ...] | None = None
    """The countries it dials, as two letters; None: all (never on a `sip` trunk)."""
    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    username: str | None = None
    password: SecretStr | None = None
    transport: Annotated[str, Field(pattern="^(udp|tcp|tls)$")] = "udp"
    seed: int = 0
    """Of a `simulated` trunk: the seed of its outcomes and durations."""
    speed: PositiveFloat = 1.0
    """Of a `simulated` trunk: every duration is divided by this."""
    start_log: Path | None = None
    """Of a `simulated` trunk: a file that gets a line for every start, before the start counts."""

    _DEFAULTS: ClassVar[dict[str, dict[str, Any]]] = {
        "demo": {"channels": 40, "calls_per_second": 10.0, "longest_seconds": 120.0},
        "simulated": {"channels": 1000, "calls_per_second": 1000.0},
        "sip": {"hours": "08:00-21:00", "calls_per_day": 1000},
    }

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_kind(cls, given: Any) -> Any:
        if isinstance(given, dict):
            return {**cls._DEFAULTS.get(str(given.get("kind")), {}), **given}
        return given

    @field_validator("hours")
    @classmethod
    def _hours(cls, hours: str | None) -> str | None:
        if hours:
            parse_hours(hours)
        return hours or None

    @model_validator(mode="after")
    def _real_trunks_say_who_and_where(self) -> Self:
        if self.kind is TrunkKind.sip:
            missing = [name for name in ("host", "workspaces", "countries") if not getattr(self, name)]
            if missing:
                raise ValueError(f"a trunk of kind sip needs {', '.join(missing)}")
        return self

    @property
    def live(self) -> bool:
        """Whether real people's phones can ring."""
        return self.kind is TrunkKind.sip


class Limits(_Part):
    """What one request, one batch or one workspace may take. Bytes, seconds and counts."""

    csv_bytes: Positive = 20 * 1024 * 1024
    json_bytes: Positive = 1024 * 1024
    form_overhead_bytes: Positive = 512 * 1024
    field_bytes: Positive = 16 * 1024
    form_parts: Positive = 20
    unended_batches: Positive = 100
    waiting_items: Positive = 5_000_000
    failed_authentications_per_second: Positive = 10
    requests_per_minute: Positive | None = None
    """Of one key; None: no limit."""
    body_idle_seconds: PositiveFloat = 30.0
    upload_seconds: PositiveFloat = 600.0
    request_seconds: PositiveFloat = 60.0


class Calls(_Part):
    """Defaults of call batches."""

    default_trunk: str = DEMO
    region: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    """The country that numbers without `+` are read in, when neither form nor workspace says one."""
    recording: bool = True
    recordings: str | None = None
    """Where recordings go: a bucket URL (`s3://…`, `gs://…`, `az://…`); None: the data folder."""
    low_disk_bytes: Positive = 512 * 1024 * 1024
    """With less free space than this nothing is recorded."""
    speech_url: str | None = None
    """An OpenAI-compatible base URL for `/audio/speech`; None: the built-in voice."""
    speech_key: SecretStr | None = None
    speech_model: str = "tts-1"
    transcription_url: str | None = None
    """An OpenAI-compatible base URL for `/audio/transcriptions`; None: the built-in recognizer."""
    transcription_key: SecretStr | None = None
    transcription_model: str = "whisper-1"


class Retention(_Part):
    """How long things are kept; None: for ever. A batch that has not ended is never deleted."""

    calls_days: Positive | None = None
    recordings_days: Positive | None = 90
    events_days: Positive = 7


class DatabaseUrl(SecretStr):
    """The URL of a PostgreSQL database, as libpq reads it. Its password is never shown."""

    _PASSWORDS = re.compile(r"(?<=://)(?P<user>[^:@/?]*):.*(?=@)|(?<=[?&])(?P<name>(ssl)?password)=[^&]*")

    @property
    def shown(self) -> str:
        """The URL with masks in the place of passwords."""
        return self._PASSWORDS.sub(_masked, self.get_secret_value())


def _masked(found: re.Match[str]) -> str:
    return f"{found['name']}={MASK}" if found["name"] else f"{found['user']}:{MASK}"


def _postgres_url(url: DatabaseUrl | None) -> DatabaseUrl | None:
    if url is not None and not re.match(r"postgres(ql)?://.", url.get_secret_value()):
        raise ValueError("it is not a URL like postgresql://user:password@host:5432/name")
    return url


Database = Annotated[DatabaseUrl | None, AfterValidator(_postgres_url)]


class Log(_Part):
    """How much is logged, and in which form: `json` lines, or `text` for a person."""

    level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    format: Annotated[str, Field(pattern="^(json|text)$")] = "json"


@dataclass(frozen=True, slots=True)
class Setting:
    """One value that holds, and where it comes from. Secrets are masked."""

    key: str
    value: Any
    source: str


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=_ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        validate_default=True,
    )

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    data: Path = Path("data")
    """The folder of the database, of uploads in flight and of recordings."""
    database: Database = None
    """The PostgreSQL that any number of processes share; None: SQLite in the data folder, for one process."""
    database_lock_url: Database = None
    """Where PostgreSQL itself answers, if `database` leads through a pooler in transaction mode (PgBouncer). None:
    there is no pooler."""
    database_connections: Annotated[int, Field(ge=2, le=200)] = 8
    """The most connections that a process has to PostgreSQL, beside the one that says it is alive."""
    drain_seconds: Annotated[float, Field(ge=0)] | None = None
    """How long a SIGTERM waits for active calls; None: the longest call."""
    limits: Limits = Limits()
    calls: Calls = Calls()
    retention: Retention = Retention()
    log: Log = Log()
    trunks: dict[str, Trunk] = Field(default_factory=dict)
    """The trunks by name. `demo` is always there, whatever the file says of it."""

    _file: ClassVar[Path | None] = None

    @field_validator("trunks", mode="before")
    @classmethod
    def _demo_is_always_there(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        demo = given.get(DEMO, {})
        return {**given, DEMO: {"kind": TrunkKind.demo, **demo} if isinstance(demo, dict) else demo}

    @field_validator("trunks")
    @classmethod
    def _names_are_plain(cls, trunks: dict[str, Trunk]) -> dict[str, Trunk]:
        for name in trunks:
            if not _TRUNK_NAME.fullmatch(name):
                raise ValueError(f"trunk {name!r}: a name is 1 to 40 of a-z, 0-9, - and _")
        return trunks

    @model_validator(mode="after")
    def _default_trunk_exists(self) -> Self:
        if self.calls.default_trunk not in self.trunks:
            known = ", ".join(sorted(self.trunks))
            raise ValueError(f"calls.default_trunk is {self.calls.default_trunk!r}, but the trunks are: {known}")
        return self

    @model_validator(mode="after")
    def _a_lock_url_is_of_a_database(self) -> Self:
        if self.database is None and self.database_lock_url is not None:
            raise ValueError("database_lock_url is set, but database is not")
        return self

    @classmethod
    def load(cls, file: Path | None = None) -> Self:
        """Read `file` (default: `$COVEY_CONFIG`, else `covey.toml` here if there is one) and the environment."""
        path = _find(file)
        bound = type(cls.__name__, (cls,), {"_file": path, "__module__": cls.__module__, "__doc__": cls.__doc__})
        try:
            found: Self = bound()
        except ValidationError as error:
            raise SettingsError(_sentence(error, path)) from None
        except (SourceError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path or 'The environment'}: {error}") from None
        return found

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments before the environment before the file."""
        if cls._file is None:
            return init_settings, env_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=cls._file)

    def sources(self) -> list[Setting]:
        """Every value that holds, by its dotted key, with where it comes from; secrets are masked."""
        written = _flat_keys(tomllib.loads(self._file.read_text("utf-8"))) if self._file else set()
        named = {name.upper() for name in os.environ}
        return [
            Setting(key, value, _source(key, written, named, self._file))
            for key, value in _flatten(self.model_dump(mode="json"), self)
        ]


def _find(file: Path | None) -> Path | None:
    named = file or (Path(os.environ["COVEY_CONFIG"]) if os.environ.get("COVEY_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise SettingsError(f"There is no settings file {named}; `covey init` writes one")
        return named
    here = Path(FILE_NAME)
    return here if here.is_file() else None


def _sentence(error: ValidationError, path: Path | None) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    name = _ENV_PREFIX + "__".join(str(part) for part in first["loc"]).upper()
    where = f"Environment variable {name}" if name in os.environ else str(path or "The settings")
    what = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        what = "there is no such setting; `covey config` lists those there are"
    return f"{where}: {key}: {what}" if key else f"{where}: {what}"


def _flat_keys(values: dict[str, Any], prefix: str = "") -> set[str]:
    keys: set[str] = set()
    for name, value in values.items():
        dotted = f"{prefix}{name}"
        keys |= _flat_keys(value, f"{dotted}.") if isinstance(value, dict) else {dotted}
    return keys


def _flatten(values: dict[str, Any], model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        held = model.get(name) if isinstance(model, dict) else getattr(model, name)
        if isinstance(value, dict):
            yield from _flatten(value, held, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _shown(held, value)


def _shown(held: Any, value: Any) -> Any:
    match held:
        case DatabaseUrl():
            return held.shown
        case SecretStr():
            return MASK
        case _:
            return value


def _source(key: str, written: set[str], named: set[str], path: Path | None) -> str:
    variable = _ENV_PREFIX + key.replace(".", "__").upper()
    parents = [variable.rsplit("__", depth)[0] for depth in range(key.count(".") + 1)]
    if any(name in named for name in parents):
        return f"environment {next(name for name in parents if name in named)}"
    return str(path) if key in written else "default"
