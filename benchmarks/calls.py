"""Calls: 200 calls at 40 at once, 10 a second, over real SIP; what came of them, and what the phones heard.

    python -m benchmarks calls

Everything is measured at the phones: the time from the answer to the first sound, and how well what they recorded
correlates with the sentences that were to be said.
"""

import asyncio
import json
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving import AGENT, Phones, demo_settings, served, write_csv
from covey.calls.agents import clip_key
from covey.calls.trunks.demo.behaviours import behaviour_of
from covey.client import CoveyClient, StartOptions

Sound = NDArray[np.float64]

CALLS = 200


def read_wav(path: Path) -> Sound:
    """The samples of a mono 16 bit file."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float64)


def correlation(heard: Sound, said: Sound) -> float:
    """The best normalised cross-correlation of `said` somewhere in `heard`, 0 … 1."""
    if len(heard) < len(said) or not said.any():
        return 0.0
    size = 1 << int(len(heard) + len(said)).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)), size)
    lags = len(heard) - len(said) + 1
    energy = np.concatenate(([0.0], np.cumsum(heard**2)))
    windows = np.sqrt(np.maximum(energy[len(said) :] - energy[:lags], 1e-9))
    return float(np.max(product[:lags] / windows) / np.sqrt(np.sum(said**2)))


def clips(data: Path) -> dict[str, Sound]:
    """All clips that the server made, by key."""
    return {path.stem: np.frombuffer(path.read_bytes(), np.int16).astype(np.float64) for path in data.rglob("*.pcm")}


def opening_correlation(ended: dict[str, Any], call: dict[str, Any], sounds: dict[str, Sound]) -> float | None:
    """How well the greeting that this person was to hear is in what the phone recorded; None if it had no chance."""
    if ended.get("audio") is None or ended["behaviour"] in ("hangs_up", "mailbox"):
        return None
    greeting = AGENT["greeting"].replace("{first_name}", str(call["result"]["metadata"]["first_name"]))
    return correlation(read_wav(Path(ended["audio"])), sounds[clip_key("", greeting)])


async def run(folder: Path, count: int) -> bool:
    """Call everybody, print the figures; whether every outcome was right."""
    phones = Phones.start(folder, "--audio", str(folder / "heard"))
    try:
        async with served(folder, demo_settings(phones)) as server, server.client() as covey:
            agent = await covey.agents.create(AGENT)
            people = write_csv(folder / "people.csv", [n for area in (201, 202) for n in _shuffled(area)][:count])
            began = time.monotonic()
            started = await covey.batches.start(people, agent.id, StartOptions(name="calls"))
            await _ended(covey, started.batch_id)
            seconds = time.monotonic() - began
            pieces = [piece async for piece in covey.batches.export(started.batch_id, "jsonl")]
            calls = [json.loads(line) for line in b"".join(pieces).splitlines()]
            sounds = clips(folder / "data" / "clips")
    finally:
        phones.stop()
    return _report(phones, calls, sounds, seconds)


def _shuffled(area: int) -> list[str]:
    """All demo numbers of an area, so that every kind of phone comes up soon."""
    return [f"+1{area}55501{(n * 37) % 100:02d}" for n in range(100)]


async def _ended(covey: CoveyClient, batch: str) -> None:
    while not (status := await covey.batches.get(batch)).is_complete:
        progress = status.progress
        if sys.stderr.isatty():
            ended = progress.completed + progress.failed
            sys.stderr.write(f"\r{progress.active} active, {ended} of {progress.total} ended ")
        await asyncio.sleep(0.5)


def _report(phones: Phones, calls: list[dict[str, Any]], sounds: dict[str, Sound], seconds: float) -> bool:
    ended = {event["number"]: event for event in phones.events() if event["event"] == "ended"}
    right = [call for call in calls if _end(call) == _expected(call)]
    for call in calls:
        if _end(call) != _expected(call):
            print(f"  ended {call['phone_number'][-2:]}: {_end(call)}, should be {_expected(call)}")
    first = sorted(
        event["first_voice_at"] - event["answered_at"]
        for event in ended.values()
        if event["answered_at"] and event["first_voice_at"]
    )
    answered = sum(1 for event in ended.values() if event["answered_at"])
    likeness = [opening_correlation(ended[call["phone_number"]], call, sounds) for call in calls]
    alike = sorted(value for value in likeness if value is not None)
    print(f"{len(right)} of {len(calls)} calls ended as their phones behave, in {seconds:.1f} s")
    middle, most, worst = first[len(first) // 2] * 1e3, first[int(len(first) * 0.99)] * 1e3, first[-1] * 1e3
    print(
        f"first word after the answer, at {len(first)} of {answered} phones: median {middle:.0f} ms, "
        f"99th percentile {most:.0f} ms, worst {worst:.0f} ms"
    )
    print(
        f"correlation of what {len(alike)} phones heard with what was said: worst {alike[0]:.4f}, "
        f"median {alike[len(alike) // 2]:.4f}"
    )
    return len(right) == len(calls)


def _end(call: dict[str, Any]) -> str:
    return str(call["result"]["outcome"] if call["status"] == "completed" else call["errorCode"])


def _expected(call: dict[str, Any]) -> str:
    behaviour = behaviour_of(call["phone_number"])
    assert behaviour is not None
    return behaviour.end.value


def main() -> None:
    """Print the figures; exit 1 if an outcome was wrong."""
    with tempfile.TemporaryDirectory() as name:
        right = asyncio.run(run(Path(name), CALLS))
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
