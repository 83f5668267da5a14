"""Sound brought to the phone network's rate and level, and free speech brought down to short answers."""

import numpy as np
import pytest

from covey.calls import phrases
from covey.calls.call import SAMPLE_RATE
from covey.calls.speech.sound import read_wav, resample, to_phone, write_wav

from .conftest import tone


@pytest.mark.parametrize("rate", [11_025, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_resampling_keeps_what_a_phone_carries_and_drops_the_rest(rate: int) -> None:
    times = np.arange(rate) / rate
    kept, dropped = np.sin(2 * np.pi * 1000 * times), np.sin(2 * np.pi * 4800 * times)
    wanted = np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    made = resample(kept + dropped, rate, SAMPLE_RATE)
    assert len(made) == SAMPLE_RATE
    assert np.abs(made - wanted)[400:-400].max() < 0.02


def test_silence_has_no_sound() -> None:
    assert to_phone(np.zeros(1000), 22_050) == b""
    assert to_phone(np.zeros(0), 22_050) == b""


def test_a_wav_reads_back() -> None:
    samples, rate = read_wav(write_wav(tone(500, 0.5)))
    assert rate == SAMPLE_RATE
    assert (samples * 32768).astype("<i2").tobytes() == tone(500, 0.5)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Yes, please!", "yes please"),
        ("Yes. Yes, of course.", "yes of course"),
        ("No, that’s right.", ""),
        ("I'm not sure.", ""),
        ("I don't know", ""),
        ("Absolutely not", "absolutely not"),
        ("Nobody knows", ""),
        ("", ""),
    ],
)
def test_free_speech_comes_down_to_a_phrase(text: str, phrase: str) -> None:
    assert phrases.find(text, phrases.EXPECTED) == phrase
