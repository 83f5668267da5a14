"""What can be set: `covey.toml`, overridden by `COVEY_…` in the environment, over the defaults written here.

A nested value is named with two underscores in the environment: `COVEY_LIMITS__CSV_BYTES`, and a trunk's by its
name: `COVEY_TRUNKS__DEMO__CHANNELS`. A bad value raises `SettingsError` with one sentence: where, which key, what
would be right.
"""

import os
import re
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import (
    SettingsError as SourceError,
)

from covey.settings.analysis import LOCAL_FACTS, Analysis, Model, ModelKind
from covey.settings.parts import (
    DEMO,
    FORWARDED_ALLOW_IPS,
    MASK,
    Calls,
    Database,
    DatabaseUrl,
    Fetch,
    Limits,
    Log,
    Networks,
    Retention,
    RunnerSettings,
    Webhooks,
    forwarded_allow_ips,
)
from covey.settings.trunks import LEAST_GAP, TrunkKind, TrunkSettings

__all__ = [
    "DEMO",
    "LEAST_GAP",
    "LOCAL_FACTS",
    "MASK",
    "Analysis",
    "Calls",
    "DatabaseUrl",
    "Fetch",
    "Limits",
    "Log",
    "Model",
    "ModelKind",
    "Retention",
    "RunnerSettings",
    "Setting",
    "Settings",
    "SettingsError",
    "TrunkKind",
    "TrunkSettings",
    "Webhooks",
]

FILE_NAME = "covey.toml"
_ENV_PREFIX = "COVEY_"
_PLAIN_NAME = re.compile(r"[a-z0-9_-]{1,40}")
_MODEL_NAME = re.compile(r"[a-z0-9._-]{1,80}")


class SettingsError(Exception):
    """The settings are not valid; the text is one sentence for the person who wrote them."""


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
    worker_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Where `covey worker` answers /livez, /readyz and /metrics, at `host`; None: nowhere."""
    trusted_proxies: Networks = Field(default_factory=forwarded_allow_ips)
    """The reverse proxies, as addresses and networks, whose `X-Forwarded-For` and `X-Forwarded-Proto` count. Where it
    is not set, uvicorn's own FORWARDED_ALLOW_IPS is read as its value."""
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
    analysis: Analysis = Analysis()
    fetch: Fetch = Fetch()
    webhooks: Webhooks = Webhooks()
    secret: SecretStr | None = None
    """What webhook secrets are encrypted with, at least 32 characters, the same on every machine. None: a key that is
    made in the data folder, which serves one machine only."""
    trunks: dict[str, TrunkSettings] = Field(default_factory=dict)
    """The trunks by name. `demo` is always there, whatever the file says of it."""
    models: dict[str, Model] = Field(default_factory=dict)
    """The models by the name that `model_name` says. `local-facts` is always there."""
    runners: dict[str, RunnerSettings] = Field(default_factory=dict)
    """Runners from other packages by the name of their entry point; see docs/runners.md."""

    _file: ClassVar[Path | None] = None

    @field_validator("trunks", mode="before")
    @classmethod
    def _demo_is_always_there(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        demo = value.get(DEMO, {})
        return {**value, DEMO: {"kind": TrunkKind.demo, **demo} if isinstance(demo, dict) else demo}

    @field_validator("trunks", "runners")
    @classmethod
    def _names_are_plain(cls, named: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        for name in named:
            if not _PLAIN_NAME.fullmatch(name):
                what = str(info.field_name).removesuffix("s")
                raise ValueError(f"{what} {name!r}: a name is 1 to 40 of a-z, 0-9, - and _")
        return named

    @field_validator("models", mode="before")
    @classmethod
    def _local_facts_is_always_there(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        local = value.get(LOCAL_FACTS, {})
        return {**value, LOCAL_FACTS: {"kind": ModelKind.local_facts, **local} if isinstance(local, dict) else local}

    @field_validator("models")
    @classmethod
    def _model_names_are_plain(cls, models: dict[str, Model]) -> dict[str, Model]:
        for name in models:
            if not _MODEL_NAME.fullmatch(name):
                raise ValueError(f"model {name!r}: a name is 1 to 80 of a-z, 0-9, ., - and _")
        return models

    @field_validator("secret")
    @classmethod
    def _secret_is_long(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < 32:
            raise ValueError("it is to have at least 32 characters")
        return secret

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
        """Read `file` (default: `$COVEY_CONFIG`, else `covey.toml` here if there is one) and the environment.

        A variable that is set to nothing is a mistake, never the same as one that is not set: an empty host would be
        every address, an empty data folder the current one.
        """
        _check_environment({"config", *cls.model_fields})
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


def _check_environment(settings: Collection[str]) -> None:
    """Raises SettingsError if a variable of one of these, or of a value within it, is set to nothing."""
    for variable, value in os.environ.items():
        prefix, name = variable[: len(_ENV_PREFIX)].upper(), variable[len(_ENV_PREFIX) :].lower()
        if prefix == _ENV_PREFIX and name.split("__")[0] in settings and not value.strip():
            raise SettingsError(f"Environment variable {variable}: it is empty; give it a value or unset it")


def _find(file: Path | None) -> Path | None:
    named = file or (Path(os.environ["COVEY_CONFIG"]) if "COVEY_CONFIG" in os.environ else None)
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


def _shown(setting: Any, value: Any) -> Any:
    match setting:
        case DatabaseUrl():
            return setting.shown
        case SecretStr():
            return MASK
        case _:
            return value


def _source(key: str, written: set[str], named: set[str], path: Path | None) -> str:
    variable = _ENV_PREFIX + key.replace(".", "__").upper()
    parents = [variable.rsplit("__", depth)[0] for depth in range(key.count(".") + 1)]
    if any(name in named for name in parents):
        return f"environment {next(name for name in parents if name in named)}"
    if key in written:
        return str(path)
    borrowed = key == "trusted_proxies" and FORWARDED_ALLOW_IPS in named
    return f"environment {FORWARDED_ALLOW_IPS}" if borrowed else "default"
