"""What was drawn is what is found: cuts to the frame, every line of text, colours, motion."""

import io
import wave
from pathlib import Path

import pytest
from PIL import Image

from covey.analysis.media import Decoder, Facts
from covey.analysis.media.drawing import Ball, DrawnScene, draw

WORDS = ("Anchor", "Bridge", "Candle", "Dragon", "Ember", "Falcon", "Garden")
HEIGHTS = (12, 14, 16, 20, 28, 36, 44)


def lines(scene: str) -> tuple[tuple[str, int], ...]:
    return tuple((f"{word} {scene} at {height} pixels", height) for word, height in zip(WORDS, HEIGHTS, strict=True))


def silent(seconds: float, of: float) -> None:
    """Nobody listens."""


async def test_every_line_from_12_pixels_on_is_found_and_every_cut_is_exact(decoder: Decoder, clips: Path) -> None:
    scenes = [
        DrawnScene(2, "navy", lines("one")),
        DrawnScene(1.48, "white", lines("two"), ink="black"),
        DrawnScene(1, "darkred", lines("three"), ball=Ball("yellow", 40)),
        DrawnScene(1.52, "black", lines("four")),
    ]
    truth = draw(clips / "cards.mp4", scenes)
    facts = await decoder.facts(clips / "cards.mp4", silent)
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


async def test_small_text_on_a_large_picture_is_found(decoder: Decoder, clips: Path) -> None:
    draw(clips / "large.mp4", [DrawnScene(0.2, "teal", lines("large"))], (1920, 1080))
    facts = await decoder.facts(clips / "large.mp4", silent)
    assert {text.text for text in facts.texts} == {text for text, _ in lines("large")}


async def test_a_red_ball_on_blue_of_the_same_brightness_moves(decoder: Decoder, clips: Path) -> None:
    red, blue = "#ff0000", "#0000ff"
    grey = {name: Image.new("RGB", (1, 1), name).convert("L").getpixel((0, 0)) for name in (red, "#0055d6")}
    assert abs(grey[red] - grey["#0055d6"]) <= 3  # type: ignore[operator]
    scenes = [DrawnScene(2, "#0055d6", ball=Ball(red, 60)), DrawnScene(1, blue)]
    draw(clips / "ball.mp4", scenes, (640, 360))
    facts = await decoder.facts(clips / "ball.mp4", silent)
    assert facts.shots[0].motion in ("some", "much")
    assert facts.shots[0].colour == "blue"


@pytest.mark.parametrize("colour", ["black", "white", "gray", "red", "orange", "yellow", "green", "cyan", "blue"])
def test_colours_have_their_names(colour: str) -> None:
    import cv2
    import numpy as np

    from covey.analysis.media.colours import areas

    picture = np.asarray(Image.new("RGB", (8, 8), colour))
    named = areas(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV))  # type: ignore[arg-type]
    assert named == {"grey" if colour == "gray" else colour: 64}


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


async def test_facts_survive_being_kept(decoder: Decoder, short: tuple[Path, object]) -> None:
    facts = await decoder.facts(short[0], silent)
    assert Facts.load(facts.dump()) == facts
    assert facts.has_audio


async def test_progress_is_told(decoder: Decoder, clips: Path) -> None:
    told: list[tuple[float, float]] = []
    draw(clips / "long.mp4", [DrawnScene(2, colour, lines("x")) for colour in ("navy", "white")])
    await decoder.facts(clips / "long.mp4", lambda seconds, of: told.append((seconds, of)))
    assert told
    assert told == sorted(told)
    assert {of for _, of in told} == {4.0}


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
