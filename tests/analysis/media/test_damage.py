"""Damaged and hostile files fail or succeed alone, with a code, and nothing of a neighbour is ever read."""

import asyncio
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from covey.analysis.media import Decoder, Undecodable
from covey.analysis.media.drawing import DrawnScene, Truth, draw
from covey.settings import Analysis
from tests.analysis.media import damage

KNOWN_CODES = {"video_file_broken", "decoder_limit", "no_video_track", "video_resolution_too_high"}
MOST_MEMORY = 900_000_000
"""Bytes in memory that a decoder of many pictures stays below; the kernel's limit on it is higher."""

PEAK = """
import asyncio, resource, sys
from pathlib import Path
from covey.analysis.media import Decoder
from covey.settings import Analysis
asyncio.run(Decoder(Analysis()).facts(Path(sys.argv[1]), lambda *told: None))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""

NAMING = (
    *("ffconcat", "ffconcat by its path", "hls", "hls by its url", "hls by http", "sdp", "dash", "url", "image list"),
    *("mpsub", "vobsub", "mpegts and ffconcat"),
)


def silent(seconds: float, of: float) -> None:
    """Nobody listens."""


async def everything(decoder: Decoder, file: Path) -> tuple[str, set[str]]:
    """All that a file gives, as text, and the codes it fails with."""
    said, codes = [], set()
    calls = (
        decoder.inspect(file),
        decoder.facts(file, silent),
        decoder.frames(file, (0.0, 1.0), 2, 320),
        decoder.audio(file, (0.0, 1.0)),
    )
    for answer in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(answer, Undecodable):
            codes.add(answer.code)
            said.append(str(answer))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            said.append(repr(answer))
    return "\n".join(said), codes


def naming(name: str, clips: Path) -> Path:
    """The file of that name, beside the one that it names."""
    assert set(NAMING) == set(damage.naming(clips))
    file = clips / f"naming {name}.mp4"
    file.write_bytes(damage.naming(clips)[name])
    return file


@pytest.mark.parametrize("name", NAMING)
async def test_no_facts_of_a_file_that_is_named_by_another(name: str, decoder: Decoder, clips: Path) -> None:
    end, said = await end_of(decoder, naming(name, clips))
    assert end == "video_file_broken"
    assert "anary" not in said
    assert "4711" not in said


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if "its" in name else pytest.mark.slow) for name in NAMING]
)
async def test_a_file_that_names_another_gets_nothing(name: str, decoder: Decoder, clips: Path) -> None:
    said, codes = await everything(decoder, naming(name, clips))
    assert codes == {"video_file_broken"}
    assert "anary" not in said
    assert "4711" not in said


async def test_the_canary_would_be_seen(decoder: Decoder, clips: Path) -> None:
    facts = await decoder.facts(damage.canary(clips), silent)
    assert [text.text for text in facts.texts] == [damage.CANARY]


def refuses_without_processes(clips: Path) -> None:
    """The one opening function refuses by itself, too."""
    from covey.analysis.media.opening import opened

    for name, content in damage.naming(clips).items():
        file = clips / f"alone {name}.mp4"
        file.write_bytes(content)
        with file.open("rb") as stream, pytest.raises(Undecodable), opened(stream) as container:
            list(container.decode(video=0))


def test_opening_refuses_by_itself(clips: Path) -> None:
    refuses_without_processes(clips)


@pytest.mark.parametrize("name", ["empty", "one byte", "text", "random", "truncated", "head only", "zip"])
async def test_what_is_no_video_says_so(name: str, decoder: Decoder, short: tuple[Path, Truth], clips: Path) -> None:
    file = clips / f"{name}.mp4"
    file.write_bytes(damage.broken(short[0])[name])
    calls = (decoder.inspect(file), decoder.facts(file, silent))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(answer, Undecodable) and answer.code for answer in answers] == ["video_file_broken"] * 2


async def test_a_truncated_stream_tells_how_much_of_it_there_is(decoder: Decoder, clips: Path) -> None:
    whole, half = clips / "whole.mp4", clips / "half.mp4"
    scenes = [DrawnScene(3, colour) for colour in ("red", "blue")]
    draw(whole, scenes, (320, 180), options={"movflags": "faststart"}, tone=300)
    content = whole.read_bytes()
    half.write_bytes(content[: len(content) * 6 // 10])
    facts, inspected = await asyncio.gather(decoder.facts(half, silent), decoder.inspect(half))
    assert 1 < facts.decoded_seconds < 5
    assert facts.warnings
    assert inspected.warnings


@pytest.mark.parametrize("suffix", ["png", "mp4"])
async def test_a_picture_of_16000_by_16000_is_refused(suffix: str, decoder: Decoder, clips: Path) -> None:
    file = clips / f"huge.{suffix}"
    file.write_bytes(damage.huge_png())
    _, codes = await everything(decoder, file)
    assert codes <= KNOWN_CODES
    assert codes
    assert peak_of_children() < Analysis().memory_bytes


def test_many_large_pictures_are_not_held_at_once(clips: Path) -> None:
    """Forty pictures of 2,400 pixels a side are 920 MB; one after the other they need a part of it."""
    file = clips / "many.gif"
    pictures = [Image.new("P", (2400, 2400), number) for number in range(40)]
    pictures[0].save(file, save_all=True, append_images=pictures[1:], duration=40)
    assert file.stat().st_size < 2_000_000
    done = subprocess.run([sys.executable, "-c", PEAK, str(file)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < MOST_MEMORY


async def test_a_video_that_lies_about_its_size_is_refused(decoder: Decoder, clips: Path) -> None:
    file, lying = clips / "honest.avi", clips / "lying.avi"
    draw(file, [DrawnScene(0.4, "red")], (320, 180))
    size, huge = (320).to_bytes(4, "little") + (180).to_bytes(4, "little"), (16_000).to_bytes(4, "little") * 2
    content = file.read_bytes()
    assert size in content
    lying.write_bytes(content.replace(size, huge))
    _, codes = await everything(decoder, lying)
    assert codes <= KNOWN_CODES


async def test_sound_alone_is_audio_and_has_nothing_to_see(decoder: Decoder, short: tuple[Path, Truth]) -> None:
    file = short[0].with_name("sound.wav")
    sound = await decoder.audio(short[0], (0.0, 2.0))
    assert sound is not None
    file.write_bytes(sound)
    found = await decoder.inspect(file)
    assert (found.kind, found.width, found.audio_codec) == ("audio", 0, "pcm_s16le")
    assert found.seconds == pytest.approx(2.0, abs=0.1)
    with pytest.raises(Undecodable) as caught:
        await decoder.facts(file, silent)
    assert caught.value.code == "no_video_track"


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tiff", "gif"])
async def test_an_image_is_an_image(suffix: str, decoder: Decoder, clips: Path) -> None:
    file = clips / f"image.{suffix}"
    Image.new("RGB", (640, 360), "green").save(file)
    found, (frame,) = await asyncio.gather(decoder.inspect(file), decoder.frames(file, (0.0, 0.0), 5, 320))
    assert (found.kind, found.width, found.height, found.seconds) == ("image", 640, 360, 0.0)
    assert frame.seconds == 0.0
    assert len(frame.jpeg) > 100


async def test_a_pdf_is_a_document(decoder: Decoder, clips: Path) -> None:
    (clips / "paper.pdf").write_bytes(b"%PDF-1.7\n...")
    assert (await decoder.inspect(clips / "paper.pdf")).kind == "document"


async def test_a_missing_file_is_told(decoder: Decoder, clips: Path) -> None:
    with pytest.raises(Undecodable):
        await decoder.inspect(clips / "not there.mp4")


async def survives(decoder: Decoder, files: list[tuple[int, bytes]], clips: Path) -> None:
    """Each gives facts, or a code; none crashes its decoder, is killed or takes more memory than it gets, and no word
    of the canary beside it is in anything that is said."""
    damage.canary(clips)
    ends, file = Counter[str](), clips / "mutant.mp4"
    for number, content in files:
        file.write_bytes(content)
        end, said = await end_of(decoder, file)
        assert end in {"facts", *KNOWN_CODES}, number
        assert "crashed" not in said, number
        assert "killed" not in said, number
        assert "anary" not in said, number
        assert "4711" not in said, number
        ends[end] += 1
    print(f"{dict(ends)}, the most memory of any decoder so far: {peak_of_children() / 1e6:.0f} MB")
    assert peak_of_children() < Analysis().memory_bytes
    assert ends["facts"]
    assert ends["video_file_broken"]


def peak_of_children() -> int:
    """The most bytes that any child that has ended had in memory at once."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


async def end_of(decoder: Decoder, file: Path) -> tuple[str, str]:
    """`facts`, or the code of the failure; and what was said."""
    try:
        facts = await decoder.facts(file, silent)
    except Undecodable as error:
        return error.code, error.message
    return "facts", repr(facts)


async def test_a_few_mutants_harm_nobody(decoder: Decoder, short: tuple[Path, Truth], clips: Path) -> None:
    await survives(decoder, list(enumerate(damage.mutants(short[0])))[:5], clips)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
async def test_two_hundred_mutants_harm_nobody(
    part: int, decoder: Decoder, short: tuple[Path, Truth], clips: Path
) -> None:
    await survives(decoder, list(enumerate(damage.mutants(short[0])))[part::4], clips)
