"""Runners from other packages: entry points of the group `covey.runners`, switched on by `[runners.NAME]`."""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, Protocol

from covey.engine.runner import Runner
from covey.settings import Settings, SettingsError

GROUP = "covey.runners"
LANE = "runner:"


class ExtraRunner(Runner, Protocol):
    """A runner from another package."""

    async def close(self) -> None:
        """Let go of what it holds; the server ends."""
        ...


def lane_of(name: str) -> str:
    """The lane of a runner of this name."""
    return f"{LANE}{name}"


def extra_runners(settings: Settings) -> dict[str, ExtraRunner]:
    """The runners that the settings name, by lane. Raises SettingsError where none of that name is installed, or it
    cannot be made."""
    installed = {entry.name: entry for entry in entry_points(group=GROUP)}
    runners: dict[str, ExtraRunner] = {}
    for name, wanted in settings.runners.items():
        if name not in installed:
            there = ", ".join(sorted(installed)) or "none"
            raise SettingsError(f"runners.{name}: no installed package has a runner of this name; there are: {there}")
        try:
            make: Callable[[Mapping[str, Any]], ExtraRunner] = installed[name].load()
            runners[lane_of(name)] = make(wanted.options)
        except Exception as error:
            raise SettingsError(f"runners.{name}: {type(error).__name__}: {error}") from error
    return runners
