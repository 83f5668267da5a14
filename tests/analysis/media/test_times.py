"""How long a video lasts and when what is: pictures that come unevenly, files that do not start at 0."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from covey.analysis.media import Decoder, Facts, Inspection

SIDE = 64
MILLISECOND = Fraction(1, 1000)
UNEVEN = (*range(0, 1000, 40), *range(1000, 6000, 500), 6000)
"""When a picture comes, in milliseconds: 25 a second, then two a second."""


def draw(file: Path, times: Iterable[int], cut: int, codec: str = "libx264") -> None:
    """A video with a picture at each of the times (milliseconds): black, and white from `cut` on."""
    with av.open(str(file), "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=25))
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        stream.time_base = stream.codec_context.time_base = MILLISECOND
        stream.codec_context.max_b_frames = 0
        for time in times:
            frame = av.VideoFrame.from_ndarray(np.full((SIDE, SIDE, 3), 255 * (time >= cut), np.uint8), "rgb24")
            frame.pts, frame.time_base = time, MILLISECOND
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


async def both(decoder: Decoder, file: Path) -> tuple[Inspection, Facts]:
    return await decoder.inspect(file), await decoder.facts(file, lambda seconds, of: None)


@pytest.mark.parametrize(
    ("name", "codec", "last"),
    [
        ("uneven.mp4", "libx264", 0.04),
        ("uneven.mkv", "libx264", 0.04),
        ("uneven.webm", "libvpx", 0.04),
        ("uneven.ts", "libx264", 0.04),
        ("uneven.avi", "mpeg4", 0.001),
    ],
)
async def test_pictures_that_come_unevenly_last_as_long_as_their_packets_say(
    decoder: Decoder, tmp_path: Path, name: str, codec: str, last: float
) -> None:
    draw(tmp_path / name, UNEVEN, 3000, codec)
    found, facts = await both(decoder, tmp_path / name)
    assert found.seconds == facts.seconds == facts.decoded_seconds == pytest.approx(6 + last, abs=0.0011)
    assert [shot.start for shot in facts.shots] == pytest.approx([0.0, 3.0], abs=0.002)
    assert facts.shots[-1].end == facts.seconds
    assert found.warnings == facts.warnings == ()


@pytest.mark.parametrize("name", ["late.mkv", "late.webm", "late.mp4", "late.ts", "late.flv"])
async def test_times_count_from_the_start_of_the_file_wherever_that_is(
    decoder: Decoder, tmp_path: Path, name: str
) -> None:
    start = 1_000_000
    draw(tmp_path / name, range(start, start + 2000, 40), start + 800, "libvpx" if ".webm" in name else "libx264")
    found, facts = await both(decoder, tmp_path / name)
    assert found.seconds == facts.seconds == pytest.approx(2.0, abs=0.002)
    assert [(shot.start, shot.end) for shot in facts.shots] == [
        pytest.approx((0.0, 0.8), abs=0.002),
        pytest.approx((0.8, 2.0), abs=0.002),
    ]
    assert found.warnings == facts.warnings == ()


@pytest.mark.parametrize("name", ["late.mkv", "late.ts", "late.mp4"])
async def test_sound_counts_from_the_start_of_the_file_too(decoder: Decoder, tmp_path: Path, name: str) -> None:
    """A second of silence, and a second of noise."""
    rate, start = 16_000, 1000 * 16_000
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream("mp2" if name.endswith("ts") else "aac", rate=rate)
        stream.layout = "mono"
        for at in range(0, 2 * rate, 1024):
            noise = np.random.default_rng(at).uniform(-0.5, 0.5, (1, 1024)) * (at >= rate)
            frame = av.AudioFrame.from_ndarray((noise * 32767).astype(np.int16), "s16", "mono")
            frame.rate, frame.pts, frame.time_base = rate, start + at, Fraction(1, rate)
            for part in av.AudioResampler(stream.format, "mono", rate).resample(frame):
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    loud = []
    for second in (0.0, 1.0):
        sound = await decoder.audio(tmp_path / name, (second + 0.2, second + 0.8))
        assert sound is not None
        samples = np.frombuffer(sound[44:], np.int16).astype(float)
        assert len(samples) == pytest.approx(0.6 * rate, rel=0.02)
        loud.append(float(np.sqrt(np.mean(samples**2))))
    assert loud[0] < 500 < 2000 < loud[1]


async def test_a_late_file_that_is_cut_off_is_still_told(decoder: Decoder, tmp_path: Path) -> None:
    whole, start = tmp_path / "whole.mkv", 1_000_000
    with av.open(str(whole), "w", options={"cluster_time_limit": "200"}) as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for time in range(start, start + 6000, 40):
            noise = np.random.default_rng(time).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(noise, "rgb24")
            frame.pts, frame.time_base = time, MILLISECOND
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (tmp_path / "half.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    found, facts = await both(decoder, tmp_path / "half.mkv")
    assert any(warning.startswith("Its header says 6.0 s, ") for warning in found.warnings)
    assert any(warning.startswith("Its header says 6.0 s, ") for warning in facts.warnings)
