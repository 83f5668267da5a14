"""Damaged and hostile files fail or succeed alone, with a code, and nothing of a neighbour is ever read."""

import resource
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from covey.analysis.media import Decoder, Undecodable
from covey.analysis.media.drawing import DrawnScene, Truth, draw
from covey.settings import Analysis
from tests.analysis.media import damage

KNOWN_CODES = {"video_file_broken", "decoder_limit", "no_video_track", "video_resolution_too_high"}
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
        lambda: decoder.inspect(file),
        lambda: decoder.facts(file, silent),
        lambda: decoder.frames(file, (0.0, 1.0), 2, 320),
        lambda: decoder.audio(file, (0.0, 1.0)),
    )
    for call in calls:
        try:
            said.append(repr(await call()))
        except Undecodable as error:
            codes.add(error.code)
            said.append(str(error))
    return "\n".join(said), codes


@pytest.mark.parametrize("name", NAMING)
async def test_a_file_that_names_another_gets_nothing(name: str, decoder: Decoder, clips: Path) -> None:
    assert set(NAMING) == set(damage.naming(clips))
    file = clips / f"naming {name}.mp4"
    file.write_bytes(damage.naming(clips)[name])
    said, codes = await everything(decoder, file)
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
    for call in (decoder.inspect(file), decoder.facts(file, silent)):
        with pytest.raises(Undecodable) as caught:
            await call
        assert caught.value.code == "video_file_broken"


async def test_a_truncated_stream_tells_how_much_of_it_there_is(decoder: Decoder, clips: Path) -> None:
    whole, half = clips / "whole.mp4", clips / "half.mp4"
    scenes = [DrawnScene(3, colour) for colour in ("red", "blue")]
    draw(whole, scenes, (320, 180), options={"movflags": "faststart"}, tone=300)
    content = whole.read_bytes()
    half.write_bytes(content[: len(content) * 6 // 10])
    facts = await decoder.facts(half, silent)
    assert 1 < facts.decoded_seconds < 5
    assert facts.warnings
    assert (await decoder.inspect(half)).warnings


@pytest.mark.parametrize("suffix", ["png", "mp4"])
async def test_a_picture_of_16000_by_16000_is_refused(suffix: str, decoder: Decoder, clips: Path) -> None:
    file = clips / f"huge.{suffix}"
    file.write_bytes(damage.huge_png())
    _, codes = await everything(decoder, file)
    assert codes <= KNOWN_CODES
    assert codes
    assert peak_of_children() < Analysis().memory_bytes


async def test_many_large_pictures_are_not_held_at_once(decoder: Decoder, clips: Path) -> None:
    """Forty pictures of 2,400 pixels a side are 920 MB; one after the other they need a part of it."""
    file = clips / "many.gif"
    pictures = [Image.new("P", (2400, 2400), number) for number in range(40)]
    pictures[0].save(file, save_all=True, append_images=pictures[1:], duration=40)
    assert file.stat().st_size < 2_000_000
    end, _ = await end_of(decoder, file)
    assert end == "facts"
    assert peak_of_children() < Analysis().memory_bytes


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
    found = await decoder.inspect(file)
    assert (found.kind, found.width, found.height, found.seconds) == ("image", 640, 360, 0.0)
    (frame,) = await decoder.frames(file, (0.0, 0.0), 5, 320)
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
    await survives(decoder, list(enumerate(damage.mutants(short[0])))[:8], clips)


@pytest.mark.soak
async def test_two_hundred_mutants_harm_nobody(decoder: Decoder, short: tuple[Path, Truth], clips: Path) -> None:
    await survives(decoder, list(enumerate(damage.mutants(short[0]))), clips)
