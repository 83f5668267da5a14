"""The trunks: ways to place calls."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from covey.domain.hours import parse_hours
from covey.settings.part import Part, Positive, PositiveFloat

LEAST_GAP = 60.0
"""Seconds between two attempts at one person, at least. Who was busy or did not pick up needs about so long to be
done; with a gap of 0 a slip of a key rings a person ten times within seconds."""


class TrunkKind(StrEnum):
    """What a trunk is: `demo` phones on this machine, `simulated` calls without audio, or `sip` to a provider."""

    demo = "demo"
    simulated = "simulated"
    sip = "sip"


class TrunkSettings(Part):
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
    def _defaults_of_kind(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {**cls._DEFAULTS.get(str(value.get("kind")), {}), **value}
        return value

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

    @property
    def least_gap(self) -> float:
        """Seconds between two attempts at one person, at least; none where no phone rings."""
        return 0.0 if self.kind is TrunkKind.simulated else LEAST_GAP
