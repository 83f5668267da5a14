"""doctor: what a server needs on this machine, one line a thing, with what would make it right."""

import asyncio
import importlib.util
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from shlex import quote

from rich.text import Text

from covey import private
from covey.cli.local import analysing, database
from covey.cli.local.folder import Finding, Folder, folder_of
from covey.cli.output import clean, data, print_json
from covey.client import load_profile, profile_path
from covey.client.errors import ProfileError
from covey.client.profile import readable_by_others
from covey.server.database import need_driver
from covey.settings import MASK, Settings, SettingsError, TrunkKind
from covey.store.sqlite import damage

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "ceph", "glusterfs", "fuse.glusterfs", "afs"}
)
SHOWN = 5
"""So many open files are named."""

WHEELS = (
    ("baresip", "SIP and sound"),
    ("espeakng_loader", "the built-in voice"),
    ("pocketsphinx", "the built-in recognizer"),
    ("phonenumbers", "numbering plans"),
    ("aiosipua", "the demo phones"),
)


def examine(file: Path | None, *, as_json: bool) -> bool:
    """Do all checks and say what came of them; whether all is well."""
    findings = []
    for finding in _findings(file):
        findings.append(finding)
        if not as_json:
            _put(finding)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    return all(finding.ok for finding in findings)


def _put(finding: Finding) -> None:
    mark = ("✗", "red") if not finding.ok else ("!", "yellow") if finding.warning else ("✓", "green")
    line = Text(f"{mark[0]} ", mark[1]).append(f"{finding.check}: ", "bold").append(clean(finding.seen))
    if (finding.warning or not finding.ok) and finding.remedy:
        line.append(f"\n  {clean(finding.remedy)}", "yellow")
    data().print(line)


def _findings(file: Path | None) -> Iterator[Finding]:
    try:
        settings = Settings.load(file)
    except SettingsError as error:
        yield Finding("settings", False, str(error), "Correct it; `covey init` writes a file with every setting.")
        return
    yield Finding("settings", True, "valid")
    folder = folder_of(settings)
    for check in (_folder, _disk, _file_system, _owner, _private):
        yield check(settings, folder)
    yield from _settings_files(settings)
    yield from _database(folder) if settings.database is None else _postgres(settings)
    yield from _wheels()
    yield _speech(settings)
    yield _port(settings, folder)
    yield _profile()
    yield from _trunks(settings)
    yield from analysing.findings(settings)


def _folder(settings: Settings, folder: Folder) -> Finding:
    there = _nearest(folder.path)
    usable = os.access(there, os.W_OK | os.X_OK)
    seen = str(folder.path) if folder.path.exists() else f"{folder.path}, made at the first start"
    return Finding("data folder", usable, seen, f"This user cannot write to {there}; change its owner, or `data`.")


def _disk(settings: Settings, folder: Folder) -> Finding:
    free = shutil.disk_usage(_nearest(folder.path)).free
    least = settings.calls.low_disk_bytes
    remedy = f"With less than {least / 1e9:.1f} GB nothing is recorded: free some, or move `data`."
    return Finding("free disk", free >= least, f"{free / 1e9:.1f} GB", remedy)


def _file_system(settings: Settings, folder: Folder) -> Finding:
    kind = file_system(_nearest(folder.path))
    remedy = "SQLite's locks do not hold on network file systems: put `data` on a disk of this machine."
    return Finding("file system", kind not in NETWORK_FILE_SYSTEMS, kind, remedy)


def file_system(path: Path, mounts: str = "/proc/mounts") -> str:
    """The type of the file system that `path` is on, as the kernel calls it."""
    best, kind = "", "unknown"
    try:
        lines = Path(mounts).read_text("utf-8", "replace").splitlines()
    except OSError:
        return kind
    where = str(path.resolve())
    for line in lines:
        fields = line.split()
        point = fields[1].replace("\\040", " ")
        inside = point == "/" or where == point or where.startswith(f"{point}/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind


def _owner(settings: Settings, folder: Folder) -> Finding:
    seen = f"process {folder.owner} has it open" if folder.owner else "no server runs on it"
    return Finding("owner", True, seen)


def _private(settings: Settings, folder: Folder) -> Finding:
    try:
        found = private.open_in(folder.path)
    except OSError:  # it is not there yet, or `data folder` says what is wrong with it
        found = []
    if not found:
        return Finding("privacy", True, "nobody else on this machine can read what Covey wrote")
    first = ", ".join(map(str, found[:SHOWN])) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
    closing = " ".join(f"chmod {'go-w' if path == folder.path else 'go-rwx'} {quote(str(path))};" for path in found)
    return Finding("privacy", False, f"others on this machine can read or change {first}", f"Close it: {closing[:-1]}")


def _settings_files(settings: Settings) -> Iterator[Finding]:
    """Whether a settings file that holds secrets can be read by those who need not. Where it is somebody else's, root's
    in the usual case, its group is how it is read at all."""
    for file in sorted({each.source for each in settings.sources() if MASK in str(each.value)}):
        path = Path(file)
        if not path.is_file():
            continue
        found = path.stat()
        unwanted = private.OTHERS if found.st_uid == os.geteuid() else stat.S_IRWXO
        remedy = f"Others can read the secrets in it: chmod {'600' if unwanted > stat.S_IRWXO else 'o-rwx'} {file}"
        yield Finding("settings file", not found.st_mode & unwanted, f"{file} holds secrets", remedy)


def _database(folder: Folder) -> Iterator[Finding]:
    if not folder.database.exists():
        yield Finding("database", True, "none yet, made at the first start")
        return
    trouble = damage(folder.database)
    yield Finding("database", trouble is None, trouble or "sound", "Restore a backup: `covey restore FILE`.")
    if folder.owner is not None or trouble is not None:
        return
    wrong, looked_at = database.recount(folder.database)
    seen = "; ".join(wrong) or f"the counts of {looked_at} unended batches are right"
    yield Finding("counts", not wrong, seen, "Keep a copy (`covey backup`) and report it: this must not happen.")


def _postgres(settings: Settings) -> Iterator[Finding]:
    try:
        need_driver()
    except SettingsError as error:
        yield Finding("database", False, str(error), "Install Covey with its extra `postgres`.")
        return
    from covey.cli.local.postgres import findings

    yield from findings(settings)
    if settings.calls.recordings is None:
        seen = "in the data folder of whichever process made them"
        remedy = "With several machines name a bucket, as calls.recordings, or a server will not find another's."
        yield Finding("recordings", True, seen, remedy, warning=True)


def _wheels() -> Iterator[Finding]:
    for module, purpose in WHEELS:
        there = importlib.util.find_spec(module) is not None
        seen = f"{module} ({purpose}) is {'there' if there else 'missing'}"
        yield Finding("package", there, seen, "Install Covey with its extra `calls`.")


def _speech(settings: Settings) -> Finding:
    if settings.calls.speech_url:
        return Finding("speech", True, f"by {settings.calls.speech_url}; not asked now")
    try:
        from covey.calls.speech import SpeechError
        from covey.calls.speech.synthesis import EspeakSynthesizer
    except ImportError as error:
        return Finding("speech", False, str(error), "Install Covey with its extra `calls`.")

    async def speak() -> int:
        synthesizer = EspeakSynthesizer()
        try:
            return len(await synthesizer.speak("Covey can speak.", ""))
        finally:
            await synthesizer.close()

    try:
        made = asyncio.run(speak())
    except SpeechError as error:
        return Finding("speech", False, str(error), "Without it no call is placed: install the extra `calls` anew.")
    return Finding("speech", made > 0, f"speaks ({made / 16000:.1f} s of sound)")


def _port(settings: Settings, folder: Folder) -> Finding:
    where = f"{settings.host}:{settings.port}"
    if folder.owner is not None:
        return Finding("address", True, f"{where}, in the server's hands")
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            remedy = "Stop what listens there, or set another `port`."
            return Finding("address", False, f"{where}: {error.strerror or error}", remedy)
    return Finding("address", True, f"{where} is free")


def _profile() -> Finding:
    path = profile_path()
    try:
        load_profile()
    except ProfileError as error:
        return Finding("profile", False, error.message, "`covey login` writes it anew.")
    if not path.exists():
        return Finding("profile", True, f"none yet at {path}")
    remedy = f"Others can read the key in it: chmod 600 {path}"
    return Finding("profile", not readable_by_others(path), str(path), remedy)


def _trunks(settings: Settings) -> Iterator[Finding]:
    for name, trunk in settings.trunks.items():
        if trunk.kind is not TrunkKind.sip:
            yield Finding(f"trunk {name}", True, f"{trunk.kind}, on this machine; no real phone rings")
            continue
        yield _ping(name, trunk.host or "", trunk.transport)


def _ping(name: str, host: str, transport: str) -> Finding:
    from covey.calls.trunks.ping import ping
    from covey.calls.trunks.settings import SipSettings

    where, _, port = host.partition(":")
    far_side = SipSettings(name, where, int(port or 5060), "udp" if transport == "udp" else "tcp")
    trouble = asyncio.run(ping(far_side))
    return Finding(f"trunk {name}", trouble is None, trouble or f"{host} answers", "Check `host` and the firewall.")


def _nearest(path: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    return path if path.exists() else _nearest(path.parent)
