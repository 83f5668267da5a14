"""The small tables: limits, calls, retention, the database's URL, the log, fetching, webhooks."""

import contextlib
import json
import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from covey.settings.part import Part, Positive, PositiveFloat
from covey.settings.regions import check_region

DEMO = "demo"
MASK = "********"


class Limits(Part):
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


class Calls(Part):
    """Defaults of call batches."""

    default_trunk: str = DEMO
    region: Annotated[str, Field(pattern="^[A-Z]{2}$"), AfterValidator(check_region)] | None = None
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


class Retention(Part):
    """How long things are kept; None: for ever. A batch that has not ended is never deleted."""

    calls_days: Positive | None = None
    """Counted from a batch's end. A workspace may have a `retention_days` of its own."""
    analysis_days: Positive | None = 30
    """Counted from a batch's creation."""
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


class Log(Part):
    """How much is logged, and in which form: `json` lines, or `text` for a person."""

    level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    format: Annotated[str, Field(pattern="^(json|text)$")] = "json"


FORWARDED_ALLOW_IPS = "FORWARDED_ALLOW_IPS"
"""The variable by which uvicorn is told which proxies to trust."""

_EVERYBODY = ("0.0.0.0/0", "::/0")


def _parts(value: Any) -> Any:
    """The parts of a list: the environment has them with commas between, or as JSON."""
    if isinstance(value, str):
        text = value.strip()
        value = json.loads(text) if text.startswith("[") else [part.strip() for part in text.split(",") if part.strip()]
    return _EVERYBODY if value == ["*"] else value


def _network(value: Any) -> Any:
    try:
        return ip_network(value)
    except ValueError:
        raise ValueError(f"{value!r} is neither an address nor a network, like 192.0.2.7 or 10.1.0.0/16") from None


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_parts)]


def forwarded_allow_ips() -> tuple[IPv4Network | IPv6Network, ...]:
    """What uvicorn's own variable says. It takes anything, and what is no address or network there trusts nobody."""
    found = []
    for part in _parts(os.environ.get(FORWARDED_ALLOW_IPS, "")):
        with contextlib.suppress(ValueError):
            found.append(ip_network(part))
    return tuple(found)


class Fetch(Part):
    """What a request to an address that a client gave may take. Bytes and seconds."""

    bytes: Positive = 4 * 1024**3
    seconds: PositiveFloat = 900.0
    redirects: Annotated[int, Field(ge=0)] = 5
    per_host: Positive = 4
    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that may be asked although they are not on the public internet, like `10.1.0.0/16`."""


class Webhooks(Part):
    """How events are delivered, and to how many endpoints of a workspace: each costs every end of an item a write."""

    endpoints: Positive = 20
    timeout_seconds: PositiveFloat = 15.0
    tried_hours: PositiveFloat = 24.0
    """For so long one event is tried."""
    off_days: PositiveFloat = 5.0
    """After so long without a success an endpoint is switched off."""


class RunnerSettings(Part):
    """A runner from another package: how many runs at once, how many starts a second, and what it is made with.

    `covey config` shows the options; a secret belongs into the environment.
    """

    concurrency: Positive = 8
    starts_per_second: PositiveFloat | None = None
    options: dict[str, Any] = Field(default_factory=dict)
