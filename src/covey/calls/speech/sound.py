"""Sound as the engines make it, brought to what the phone network carries."""

import io
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import soundfile

from covey.calls.call import SAMPLE_RATE

Samples = npt.NDArray[np.float64]

_PEAK = 0.7
_QUIET = 0.005
_KEPT_SILENCE = int(0.03 * SAMPLE_RATE)
_HIGHEST_HZ = 3700.0


def to_phone(samples: Samples, rate: int) -> bytes:
    """Samples (-1 … 1) at `rate` a second as PCM of 8 kHz: low-passed, at an even level, silence trimmed."""
    sound = resample(samples, rate, SAMPLE_RATE)
    peak = float(np.abs(sound).max(initial=0.0))
    if peak > 0:
        sound = sound * (_PEAK / peak)
    return (_trim(sound) * 32767).astype("<i2").tobytes()


def resample(samples: Samples, rate: int, wanted: int) -> Samples:
    """Samples at `rate` as samples at `wanted`, through the spectrum of the whole sound.

    The sound is padded so that both lengths are whole and its end does not wrap into its beginning.
    """
    if rate == wanted or not len(samples):
        return samples
    ratio = Fraction(wanted, rate)
    blocks = -(-(len(samples) + rate // 10) // ratio.denominator)
    spectrum = np.fft.rfft(samples, blocks * ratio.denominator)
    frequencies = np.arange(len(spectrum)) * (rate / (blocks * ratio.denominator))
    ceiling = min(rate, wanted) / 2
    edge = min(_HIGHEST_HZ, ceiling * 0.95)
    spectrum *= np.clip((ceiling - frequencies) / (ceiling - edge), 0.0, 1.0)
    length = blocks * ratio.numerator
    bins = length // 2 + 1
    fitted = np.zeros(bins, dtype=complex)
    fitted[: min(bins, len(spectrum))] = spectrum[:bins]
    made = np.fft.irfft(fitted, length) * float(ratio)
    return made[: round(len(samples) * ratio)]


def read_wav(data: bytes) -> tuple[Samples, int]:
    """The samples and the rate of a sound file (WAV, FLAC, OGG); channels are mixed. ValueError if it is none."""
    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float64", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError("not a sound file") from error
    return samples.mean(axis=1), int(rate)


def write_wav(pcm: bytes) -> bytes:
    """PCM of 8 kHz as a WAV file."""
    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(pcm, dtype="<i2"), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _trim(sound: Samples) -> Samples:
    loud = np.flatnonzero(np.abs(sound) > _QUIET)
    if not len(loud):
        return sound[:0]
    return sound[max(0, loud[0] - _KEPT_SILENCE) : loud[-1] + _KEPT_SILENCE]
