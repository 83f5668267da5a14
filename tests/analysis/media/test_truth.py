"""What was drawn is what is found: cuts to the frame, every line of text, colours, motion."""

import asyncio
import io
import math
import struct
import wave
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from covey.analysis.media import Decoder, Facts
from covey.analysis.media.drawing import Ball, DrawnScene, Truth, draw
from covey.analysis.media.reading import TextReader
from covey.settings import Analysis

WORDS = ("Anchor", "Bridge", "Candle", "Dragon", "Ember", "Falcon", "Garden")
HEIGHTS = (12, 14, 16, 20, 28, 36, 44)


def lines(scene: str) -> tuple[tuple[str, int], ...]:
    return tuple((f"{word} {scene} at {height} pixels", height) for word, height in zip(WORDS, HEIGHTS, strict=True))


def silent(seconds: float, of: float) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What was drawn, what was found, and what was told on the way."""

    truth: Truth
    facts: Facts
    told: list[tuple[float, float]]


@pytest.fixture(scope="module")
def cards(clips: Path) -> Watched:
    """Four cards with a line of each height, decoded once."""
    scenes = [
        DrawnScene(2, "navy", lines("one")),
        DrawnScene(1.48, "white", lines("two"), ink="black"),
        DrawnScene(1, "darkred", lines("three"), ball=Ball("yellow", 40)),
        DrawnScene(1.52, "black", lines("four")),
    ]
    file, told = clips / "cards.mp4", list[tuple[float, float]]()
    truth = draw(file, scenes)
    facts = asyncio.run(Decoder(Analysis()).facts(file, lambda seconds, of: told.append((seconds, of))))
    return Watched(truth, facts, told)


def test_every_line_from_12_pixels_on_is_found_and_every_cut_is_exact(cards: Watched) -> None:
    truth, facts = cards.truth, cards.facts
    assert [shot.start for shot in facts.shots] == pytest.approx([0.0, *truth.cuts], abs=0.001)
    assert [shot.end for shot in facts.shots] == pytest.approx([*truth.cuts, truth.seconds], abs=0.001)
    found = {text.text: (text.start, text.end) for text in facts.texts}
    assert set(found) == {text for text, _, _ in truth.lines}
    for text, start, end in truth.lines:
        assert found[text] == pytest.approx((start, end), abs=0.001)
    assert [shot.colour for shot in facts.shots] == ["blue", "white", "red", "black"]
    assert (facts.seconds, facts.decoded_seconds) == pytest.approx((6.0, 6.0))
    assert (facts.width, facts.height, facts.fps, facts.warnings) == (1280, 720, 25.0, ())
    assert facts.shots[0].motion == "none"
    assert facts.shots[2].motion != "none"


async def test_a_red_ball_on_blue_of_the_same_brightness_moves(decoder: Decoder, clips: Path) -> None:
    red, blue = "#ff0000", "#0000ff"
    grey = {name: Image.new("RGB", (1, 1), name).convert("L").getpixel((0, 0)) for name in (red, "#0055d6")}
    assert abs(grey[red] - grey["#0055d6"]) <= 3  # type: ignore[operator]
    scenes = [DrawnScene(2, "#0055d6", ball=Ball(red, 60)), DrawnScene(1, blue)]
    draw(clips / "ball.mp4", scenes, (640, 360))
    facts = await decoder.facts(clips / "ball.mp4", silent)
    assert facts.shots[0].motion in ("some", "much")
    assert facts.shots[0].colour == "blue"


COLOURS = {
    **{name: name for name in ("black", "white", "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")},
    "brown": "brown",
    "gray": "grey",
    "navy": "blue",
    "gold": "yellow",
    "teal": "cyan",
    "olive": "yellow",
    "maroon": "red",
    "darkred": "red",
    "darkgreen": "green",
    "hotpink": "pink",
    "saddlebrown": "brown",
    "indigo": "purple",
    "lightpink": "pink",
    "silver": "grey",
    "lime": "green",
    "tomato": "red",
}


@pytest.mark.parametrize("colour", COLOURS)
def test_colours_have_their_names(colour: str) -> None:
    import cv2

    from covey.analysis.media.shots import areas

    picture = np.asarray(Image.new("RGB", (8, 8), colour))
    assert areas(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)) == {COLOURS[colour]: 64}  # type: ignore[arg-type]


async def test_cuts_between_colours_that_hardly_differ_in_hue_are_exact(decoder: Decoder, clips: Path) -> None:
    colours = ("navy", "darkred", "darkgreen", "teal", "black", "purple", "maroon", "olive", "gray", "brown")
    truth = draw(clips / "near.mp4", [DrawnScene(0.48, colour) for colour in colours], (320, 180))
    facts = await decoder.facts(clips / "near.mp4", silent)
    assert tuple(shot.start for shot in facts.shots[1:]) == pytest.approx(truth.cuts, abs=0.001)


def turned(file: Path, matrix: tuple[int, ...]) -> Path:
    """The video with another matrix in its track header (ISO/IEC 14496-12, 8.3.2)."""
    content = file.read_bytes()
    plain = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    at = content.index(plain, content.index(b"tkhd"))
    new = content[:at] + struct.pack(">9i", *matrix) + content[at + len(plain) :]
    turned = file.with_name(f"turned {file.name}")
    turned.write_bytes(new)
    return turned


async def test_a_video_filmed_on_its_side_is_seen_upright(decoder: Decoder, clips: Path) -> None:
    """A quarter turn clockwise, as a telephone held upright writes it: what was drawn left is shown on top."""
    card = Image.new("RGB", (320, 180), "black")
    ImageDraw.Draw(card).text((20, 60), "Upright words", "white", ImageFont.load_default(20))
    lying = card.rotate(90, expand=True)
    file = clips / "side.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = lying.width, lying.height, "yuv420p"
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(lying), "rgb24")))
        container.mux(stream.encode(None))
    file = turned(file, (0, 0x10000, 0, -0x10000, 0, 0, 180 << 16, 0, 0x40000000))
    found = await decoder.inspect(file)
    assert (found.width, found.height) == (320, 180)
    facts = await decoder.facts(file, silent)
    assert (facts.width, facts.height, [text.text for text in facts.texts]) == (320, 180, ["Upright words"])
    (frame,) = await decoder.frames(file, (0.0, 0.4), 1, 160)
    assert Image.open(io.BytesIO(frame.jpeg)).size == (160, 90)


@pytest.mark.parametrize("suffix", ["mkv", pytest.param("mp4", marks=pytest.mark.slow)])
async def test_a_video_of_one_picture_has_facts(suffix: str, decoder: Decoder, clips: Path) -> None:
    file = clips / f"one.{suffix}"
    draw(file, [DrawnScene(0.04, "navy", (("One picture", 30),))], (640, 360))
    facts = await decoder.facts(file, silent)
    assert [text.text for text in facts.texts] == ["One picture"]
    assert len(facts.shots) == 1
    assert 0 < facts.seconds < 1
    assert len(await decoder.frames(file, (0.0, 0.04), 4, 160)) == 1


async def test_a_video_that_claims_no_frame_rate_has_facts(decoder: Decoder, clips: Path) -> None:
    """An AVI whose header says 0 pictures a second."""
    file = clips / "rate.avi"
    draw(file, [DrawnScene(0.6, "red"), DrawnScene(0.6, "blue")], (320, 180))
    content = bytearray(file.read_bytes())
    rate = content.index(b"strh") + 8 + 24
    assert struct.unpack_from("<I", content, rate)[0] > 0
    content[rate : rate + 4] = bytes(4)
    file.write_bytes(content)
    found = await decoder.inspect(file)
    facts = await decoder.facts(file, silent)
    assert math.isfinite(found.fps)
    assert [shot.colour for shot in facts.shots] == ["red", "blue"]
    assert 0 < facts.seconds < 60


SIZES = ((1280, 720), (1920, 1080))
GROUNDS = (("white", "black"), ("noise", "white"), ("teal", "yellow"))
ALWAYS = {(1280, "white"), (1920, "noise"), (1280, "teal")}
"""Each size and each ground; the others only in the long tests."""


@pytest.mark.parametrize(
    ("width", "height", "ground", "ink"),
    [
        pytest.param(*size, *ground, marks=() if (size[0], ground[0]) in ALWAYS else pytest.mark.slow)
        for size in SIZES
        for ground in GROUNDS
    ],
)
def test_lines_of_all_sizes_are_read_in_one_look(width: int, height: int, ground: str, ink: str) -> None:
    """Every height, at the top left and at the bottom right, plain and on a restless ground, as JPEG leaves it."""
    plain = Image.new("RGB", (width, height), "black" if ground == "noise" else ground)
    if ground == "noise":
        dots = np.random.default_rng(4).integers(0, 90, (height // 8, width // 8, 3)).astype(np.uint8)
        plain = Image.fromarray(dots).resize((width, height))
    pen, truth = ImageDraw.Draw(plain), set()
    for place, left, top in (("here", 40, 40), ("there", width - 620, height - 420)):
        for text, size in lines(place):
            pen.text((left, top), text, ink, ImageFont.load_default(size))
            top += size * 2
            truth.add(text)
    packed = io.BytesIO()
    plain.save(packed, "JPEG", quality=75)
    picture = np.ascontiguousarray(np.asarray(Image.open(packed))[:, :, ::-1])
    assert {line.text for line in TextReader(width, height).read(picture)} == truth


def test_accents_are_read() -> None:
    """They are drawn by strokes: Pillow's own font has boxes in the place of letters with accents."""
    image, font = Image.new("RGB", (640, 360), "navy"), ImageFont.load_default(32)
    pen = ImageDraw.Draw(image)

    def write(text: str, top: int) -> None:
        pen.text((40, top), text, fill="white", font=font)

    def above(text: str, at: int, top: int) -> tuple[float, float]:
        left, letter, right, _ = pen.textbbox((40 + font.getlength(text[:at]), top), text[at], font=font)
        return (left + right) / 2, letter

    write("The Cafe opens", 60)
    x, y = above("The Cafe opens", 7, 60)
    pen.line((x - 1, y - 2, x + 4, y - 7), fill="white", width=2)
    write("Uber den Dachern", 180)
    for at in (0, 10):
        x, y = above("Uber den Dachern", at, 180)
        for side in (-4.5, 4.5):
            pen.ellipse((x + side - 2, y - 7.5, x + side + 2, y - 3.5), fill="white")
    picture = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])
    assert [line.text for line in TextReader(640, 360).read(picture)] == ["The Café opens", "Über den Dächern"]


async def test_words_that_come_one_by_one_are_read_beside_what_stays(decoder: Decoder, clips: Path) -> None:
    """Only what changed is read again, and a line that grows is read as a whole."""
    stays = (("This line stays", 24), ("so does this", 16))
    grown = ("Typed", "Typed slowly", "Typed slowly here")
    scenes = [DrawnScene(1.2, "navy", (*stays, (text, 24)), Ball("gold", 20)) for text in grown]
    draw(clips / "typed.mp4", scenes, (640, 360))
    facts = await decoder.facts(clips / "typed.mp4", silent)
    texts = {text.text: text for text in facts.texts}
    assert set(texts) == {"This line stays", "so does this", *grown}
    for text, _ in stays:
        assert (texts[text].start, texts[text].end) == pytest.approx((0.0, 3.6))
    assert texts["Typed slowly"].start == pytest.approx(1.2, abs=1.0)


async def test_scenes_of_a_second_are_shots(decoder: Decoder, clips: Path) -> None:
    colours = ("red", "green", "blue", "white", "black", "yellow")
    truth = draw(clips / "flags.webm", [DrawnScene(1, colour) for colour in colours], (320, 180))
    facts = await decoder.facts(clips / "flags.webm", silent)
    assert tuple(shot.start for shot in facts.shots[1:]) == pytest.approx(truth.cuts, abs=0.002)
    assert tuple(shot.colour for shot in facts.shots) == colours
    assert facts.texts == ()


async def test_digits_keep_lines_apart_and_a_line_that_stays_is_one(decoder: Decoder, clips: Path) -> None:
    scenes = [DrawnScene(1.2, "navy", (("Handbook", 30), (f"Step {number} of the work", 30))) for number in (1, 2)]
    draw(clips / "steps.mp4", scenes, (640, 360))
    facts = await decoder.facts(clips / "steps.mp4", silent)
    texts = {text.text: text for text in facts.texts}
    assert set(texts) == {"Handbook", "Step 1 of the work", "Step 2 of the work"}
    assert (texts["Handbook"].start, texts["Handbook"].end) == pytest.approx((0.0, 2.4))
    assert texts["Step 2 of the work"].start == pytest.approx(1.2, abs=1.0)


def test_facts_survive_being_kept(cards: Watched) -> None:
    assert Facts.load(cards.facts.dump()) == cards.facts


def test_progress_is_told(cards: Watched) -> None:
    assert cards.told
    assert cards.told == sorted(cards.told)
    assert {of for _, of in cards.told} == {6.0}


async def test_an_inspection_says_what_a_file_is(decoder: Decoder, short: tuple[Path, object]) -> None:
    found = await decoder.inspect(short[0])
    assert (found.kind, found.width, found.height, found.fps) == ("video", 320, 180, 25.0)
    assert (found.video_codec, found.audio_codec, found.has_audio) == ("h264", "aac", True)
    assert found.seconds == pytest.approx(2.0, abs=0.05)
    assert found.warnings == ()


async def test_frames_are_spread_over_the_window(decoder: Decoder, short: tuple[Path, object]) -> None:
    frames = await decoder.frames(short[0], (0.0, 2.0), 4, 160)
    assert [frame.seconds for frame in frames] == pytest.approx([0.25, 0.75, 1.25, 1.75], abs=0.04)
    pictures = [Image.open(io.BytesIO(frame.jpeg)) for frame in frames]
    assert {picture.size for picture in pictures} == {(160, 90)}
    blues = [picture.convert("RGB").getpixel((155, 5))[2] for picture in pictures]  # type: ignore[index]
    assert min(blues[:2]) > 100 > max(blues[2:])


async def test_frames_of_a_late_window_are_sought(decoder: Decoder, clips: Path) -> None:
    scenes = [DrawnScene(5, colour) for colour in ("red", "green", "blue", "white")]
    draw(clips / "late.mp4", scenes, (64, 64))
    frames = await decoder.frames(clips / "late.mp4", (0.0, 20.0), 2, 64)
    assert [frame.seconds for frame in frames] == pytest.approx([5.0, 15.0], abs=0.04)


async def test_sound_is_given_as_wav(decoder: Decoder, short: tuple[Path, object], clips: Path) -> None:
    sound = await decoder.audio(short[0], (0.5, 1.5))
    assert sound is not None
    with wave.open(io.BytesIO(sound)) as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (16_000, 1, 2)
        assert wav.getnframes() == pytest.approx(16_000, abs=400)
    draw(clips / "mute.mp4", [DrawnScene(0.2, "red")], (64, 64))
    assert await decoder.audio(clips / "mute.mp4", (0.0, 1.0)) is None
