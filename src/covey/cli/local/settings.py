"""init and config: writing a settings file, and saying what holds."""

from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from covey import private
from covey.cli.exits import Exit
from covey.cli.output import print_json, print_table, put_facts, say
from covey.cli.session import leave
from covey.client import load_profile, profile_path
from covey.settings import MASK, Settings, SettingsError


def load(file: Path | None) -> Settings:
    """The settings that hold. Ends the command with a sentence if they are not valid."""
    try:
        return Settings.load(file)
    except SettingsError as error:
        leave(str(error), Exit.usage)


def template() -> str:
    """The text of a covey.toml in which every setting is a comment with its default."""
    return files("covey.cli.local").joinpath("covey.toml").read_text("utf-8")


def write(file: Path, *, force: bool, as_json: bool) -> None:
    """Write the template to `file`."""
    if file.exists() and not force:
        leave(f"{file} is there already; --force writes over it.", Exit.conflict)
    try:
        private.write_text(file, template())
    except OSError as error:
        leave(f"{file} cannot be written: {error.strerror}", Exit.failed)
    if as_json:
        print_json({"file": str(file)})
    say(f"Written to {file}. Every line is a comment with its default: take away the # of what you change.", "green")
    say("`covey config` shows what holds, `covey serve` starts the server.")


def show(file: Path | None, *, as_json: bool) -> None:
    """Every setting with its source, and the profile of this user's commands."""
    found = load(file).sources()
    profile = load_profile()
    kept = {
        "file": str(profile_path()),
        "url": profile.url,
        "workspace": profile.workspace,
        "apiKey": MASK if profile.api_key else "",
        "adminKey": MASK if profile.admin_key else "",
        "source": profile.source,
    }
    if as_json:
        print_json({"settings": [asdict(setting) for setting in found], "profile": kept})
        return
    rows = ((each.key, "" if each.value is None else each.value, each.source) for each in found)
    print_table(("setting", "value", "from"), rows)
    put_facts(kept.items())
