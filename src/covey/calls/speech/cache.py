"""The clips of a workspace on disk: every line is made once, the ones not used for longest go first."""

import asyncio
import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

from covey import private
from covey.calls.call import Line, Script
from covey.calls.speech import SpeechError, Synthesizer

DEFAULT_LIMIT = 1024 * 1024 * 1024
"""How many bytes of clips are kept: about 18 hours of speech."""

_IN_USE_SECONDS = 900.0
"""A clip used within this time may be part of a call that is on: it is not deleted."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class ClipCache:
    """Files of raw PCM, `<root>/<workspace>/<engine>/<clip key>.pcm`. One process writes a root."""

    def __init__(self, root: Path, synthesizer: Synthesizer, limit: int = DEFAULT_LIMIT) -> None:
        """`limit` is in bytes, over all workspaces; it is passed only by clips that are in use."""
        self._root = root
        self._synthesizer = synthesizer
        self._limit = limit
        self._making: dict[Path, asyncio.Task[None]] = {}
        self._since_sweep = limit

    async def clips(self, workspace: str, script: Script, voice: str) -> dict[str, str]:
        """The files of all lines of `script`, by clip key; those that are missing are made now.

        Raises `SpeechError` if one can't be made.
        """
        lines = {line.clip: line for line in script.lines()}
        paths = {clip: self._path(workspace, clip) for clip in lines}
        missing = await asyncio.to_thread(_touch, paths)
        tasks = [self._made(paths[clip], lines[clip], voice) for clip in missing]
        for result in await asyncio.gather(*map(asyncio.shield, tasks), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
        return {clip: str(path) for clip, path in paths.items()}

    async def warm(self) -> None:
        """Have the synthesizer ready: the first line it makes takes longer than a start lease may wait."""
        with contextlib.suppress(SpeechError):
            await self._synthesizer.speak("Ready.", "")

    async def forget(self, workspace: str) -> None:
        """Deletes all clips of a workspace: they may speak a person's name."""
        await asyncio.to_thread(_delete, list(self._folder(workspace).glob("*/*.pcm")))

    async def close(self) -> None:
        """Waits for the clips that are being made."""
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    def _folder(self, workspace: str) -> Path:
        if not _NAME.fullmatch(workspace) or workspace.startswith("."):
            raise ValueError("a workspace's name must be fit for a folder")
        return self._root / workspace

    def _path(self, workspace: str, clip: str) -> Path:
        if not _NAME.fullmatch(clip) or clip.startswith("."):
            raise ValueError("a clip's key must be fit for a file")
        return self._folder(workspace) / self._synthesizer.name / f"{clip}.pcm"

    def _made(self, path: Path, line: Line, voice: str) -> "asyncio.Task[None]":
        task = self._making.get(path)
        if task is None:
            task = self._making[path] = asyncio.create_task(self._make(path, line, voice))
            task.add_done_callback(lambda done: self._is_made(path, done))
        return task

    def _is_made(self, path: Path, task: "asyncio.Task[None]") -> None:
        self._making.pop(path, None)
        if not task.cancelled():
            task.exception()  # looked at, for everybody who waited for it may have gone away

    async def _make(self, path: Path, line: Line, voice: str) -> None:
        pcm = await self._synthesizer.speak(line.text, voice)
        try:
            await asyncio.to_thread(_write, path, pcm)
        except OSError as error:
            raise SpeechError(f"A clip can't be written: {error.strerror}") from error
        self._since_sweep += len(pcm)
        if self._since_sweep > self._limit // 20:
            self._since_sweep = 0
            await asyncio.to_thread(_sweep, self._root, self._limit)


def _touch(paths: dict[str, Path]) -> list[str]:
    """Marks the clips that are there as used; answers those that are not."""
    missing = []
    for clip, path in paths.items():
        try:
            os.utime(path)
        except OSError:
            missing.append(clip)
    return missing


def _write(path: Path, pcm: bytes) -> None:
    private.folder(path.parent)
    draft = path.with_suffix(f".{secrets.token_hex(8)}")
    try:
        draft.write_bytes(pcm)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _sweep(root: Path, limit: int) -> None:
    """Deletes the clips not used for longest until what is left is a tenth below the limit."""
    files = []
    for path in root.glob("*/*/*"):
        with contextlib.suppress(OSError):
            status = path.stat()
            files.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in files)
    if total <= limit:
        return
    newest = time.time() - _IN_USE_SECONDS
    for used, size, path in sorted(files):
        if total <= limit * 0.9 or used > newest:
            return
        _delete([path])
        total -= size


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
