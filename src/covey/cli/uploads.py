"""Videos on their way to a batch: what was named is checked first, then uploaded, and what stays is said."""

import asyncio
import codecs
import mimetypes
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from covey.cli import arguments
from covey.cli.exits import Exit
from covey.cli.output import clean, print_json, print_line, say, stderr
from covey.cli.session import leave
from covey.client import CoveyClient
from covey.client.analysis import Asset
from covey.client.errors import CoveyClientError, RateLimited, Refused, ServerError, Unreachable

LONGEST_CUSTOM_ID = 64
HEAD = 4096
"""So many first bytes of a file are looked at before it is uploaded."""

_TYPES = mimetypes.MimeTypes()
"""What is known by name everywhere, without the tables of this machine."""

_NO_VIDEOS = ("image/", "application/pdf", "application/zip")
_UNFIT = re.compile(r"[^A-Za-z0-9-]+")


async def upload(client: CoveyClient, file: Path) -> Asset:
    """Upload a file with a bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=stderr(), transient=True) as bar:
        task = bar.add_task(clean(file.name))
        return await client.assets.upload(file, on_progress=lambda done, of: bar.update(task, completed=done, total=of))


async def added(client: CoveyClient, file: Path, *, as_json: bool) -> bool:
    """Upload a file and say what became of it; whether it can be used."""
    asset: Asset | None = None
    try:
        asset = await upload(client, file)
        asset = await client.assets.ready(asset.id)
    except (Unreachable, Refused, RateLimited, ServerError):
        raise
    except (CoveyClientError, OSError) as error:
        why = error.message if isinstance(error, CoveyClientError) else error.strerror
        reason = str(why).removeprefix(f"{file.name}: ")
        stays = f"{_ended(reason)} It stays as asset {asset.id}." if asset else reason
        say(f"{file.name}: {stays}", "red")
        return False
    print_json(asset.raw) if as_json else print_line(asset.id)
    say(f"{file.name} is asset {asset.id}.", "green")
    return True


def _ended(sentence: str) -> str:
    """With a full stop, so that another sentence can follow."""
    return sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."


def custom_ids(names: Iterable[str]) -> list[str]:
    """Ids for items that say which video they are about: its file's name, in the signs that an id may have, made
    different from those before it."""
    found = list[str]()
    for name in names:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        fit = _UNFIT.sub("_", plain).strip("_")[:LONGEST_CUSTOM_ID] or "video"
        own, again = fit, 1
        while own in found:
            again += 1
            own = f"{fit[: LONGEST_CUSTOM_ID - len(str(again)) - 1]}-{again}"
        found.append(own)
    return found


@dataclass
class Videos:
    """The videos of a batch, in the order in which they were named: files, and assets that are there. `made` are the
    assets that were uploaded for it."""

    named: Sequence[str | Path]
    names: list[str]
    made: dict[Path, Asset] = field(default_factory=dict)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What a create says of each but its video."""
        return [{"custom_id": own} for own in custom_ids(self.names)]

    @property
    def files(self) -> list[Path]:
        """The files that are still to be uploaded, each once."""
        return [one for one in dict.fromkeys(self.named) if isinstance(one, Path) and one not in self.made]

    async def send(self, client: CoveyClient) -> list[dict[str, Any]]:
        """Upload the files, and wait until they were looked at. What a create says of each."""
        for file in self.files:
            self.made[file] = await upload(client, file)
            await client.assets.ready(self.made[file].id)
        assets = [self.made[one].id if isinstance(one, Path) else one for one in self.named]
        videos = [{"type": "asset_id", "asset_id": asset} for asset in assets]
        return [{"video": video, **more} for video, more in zip(videos, self.requests, strict=True)]

    def tell_left(self) -> None:
        """Say which assets stay of a batch that was not started."""
        for file, asset in self.made.items():
            say(f"{file.name} was uploaded and stays as asset {asset.id}.", "yellow")
        if self.made:
            say("Name them by their ids next time, or remove them: `covey assets delete`.")


def _no_video(file: Path) -> str | None:
    """Why the file is no video for certain, by its name and its first bytes; None if it may be one."""
    if not file.is_file():
        return "there is no such file, and it is no asset's id"
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    if not head:
        return "it is empty"
    if _is_text(head):
        return "it is text, no video"
    said = _TYPES.guess_type(file.name)[0] or ""
    return f"by its name it is {said}, no video" if said.startswith(_NO_VIDEOS) else None


def _is_text(head: bytes) -> bool:
    """Whether people can read the first bytes of a file. No video begins so."""
    try:
        shown = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(sign.isprintable() or sign in "\t\n\r\f" for sign in shown)


async def named_videos(client: CoveyClient, videos: Sequence[str]) -> Videos:
    """What was named, once all of it is there. Ends the command at the first that is not; nothing is uploaded."""
    named: list[str | Path] = [one.strip().lower() if arguments.is_bare(one) else Path(one) for one in videos]
    for one in named:
        if isinstance(one, Path) and (why := await asyncio.to_thread(_no_video, one)):
            leave(f"{one}: {why}. Nothing was started.", Exit.usage)
    names = [one.name if isinstance(one, Path) else (await client.assets.ready(one)).filename or one for one in named]
    return Videos(named, names)
