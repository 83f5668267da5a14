"""Puts the parts of the calls runner together, one runner a trunk, from the settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from covey.calls.call import Trunk
from covey.calls.paths import open_calls_folder, recording_spool, recordings_folder
from covey.calls.recordings import Recordings
from covey.calls.runner import CallRunner, DialDefaults
from covey.calls.speech import Recognizer, Synthesizer
from covey.calls.speech.cache import ClipCache
from covey.calls.speech.recognition import PocketsphinxRecognizer
from covey.calls.speech.synthesis import EspeakSynthesizer
from covey.calls.trunks.demo.trunk import DemoSettings, DemoTrunk
from covey.calls.trunks.simulated import SimulatedSettings, SimulatedTrunk
from covey.domain.clock import Clock
from covey.metrics import Metrics
from covey.settings import Calls, Settings, SettingsError, TrunkKind, TrunkSettings

PHONES_LOG = "phones.jsonl"
PHONES_FOLDER = "phones"


@dataclass(slots=True)
class CallParts:
    """The runners by lane, and what they share. Close it when no run is in hand any more."""

    runners: dict[str, CallRunner]
    recordings: Recordings
    clips: ClipCache
    synthesizer: Synthesizer
    recognizer: Recognizer

    async def close(self) -> None:
        """End every call, every dialler, every child."""
        for runner in self.runners.values():
            await runner.close()
        await self.recordings.close()
        await self.clips.close()
        await self.synthesizer.close()
        await self.recognizer.close()


def call_parts(settings: Settings, clock: Clock, metrics: Metrics, keep_open: Sequence[int]) -> CallParts:
    """The parts that the settings ask for. `keep_open` are descriptors that every dialler holds while it lives.

    Raises SettingsError for a trunk that this version cannot drive.
    """
    synthesizer = _synthesizer(settings.calls)
    recognizer = _recognizer(settings.calls)
    clips = ClipCache(settings.data / "clips", synthesizer)
    calls = settings.calls
    recordings = Recordings(recording_spool(settings.data), calls.recordings, recordings_folder(settings.data))
    runners = {}
    for name, trunk in settings.trunks.items():
        line = _trunk(name, trunk, settings.data, recognizer, metrics, keep_open)
        speaks = trunk.kind is not TrunkKind.simulated
        runners[name] = CallRunner(
            line,
            DialDefaults(trunk.ring_seconds, trunk.longest_seconds, trunk.caller, trunk.least_gap),
            clock,
            metrics,
            clips=clips if speaks else None,
            recordings=recordings if speaks else None,
            low_disk=calls.low_disk_bytes,
        )
    return CallParts(runners, recordings, clips, synthesizer, recognizer)


def _synthesizer(calls: Calls) -> Synthesizer:
    if calls.speech_url is None:
        return EspeakSynthesizer()
    from covey.calls.speech.openai import OpenAiSynthesizer

    key = calls.speech_key.get_secret_value() if calls.speech_key else None
    return OpenAiSynthesizer(calls.speech_url, key, calls.speech_model)


def _recognizer(calls: Calls) -> Recognizer:
    if calls.transcription_url is None:
        return PocketsphinxRecognizer()
    from covey.calls.speech.openai import OpenAiRecognizer

    key = calls.transcription_key.get_secret_value() if calls.transcription_key else None
    return OpenAiRecognizer(calls.transcription_url, key, calls.transcription_model)


def _trunk(
    name: str,
    trunk: TrunkSettings,
    data: Path,
    recognizer: Recognizer,
    metrics: Metrics,
    keep_open: Sequence[int],
) -> Trunk:
    match trunk.kind:
        case TrunkKind.demo:
            demo = DemoSettings(
                name=name,
                channels=trunk.channels,
                host=trunk.host or "127.0.0.1",
                port=trunk.port,
                log=data / PHONES_LOG,
                audio=data / PHONES_FOLDER,
                seed=trunk.seed,
            )
            return DemoTrunk(
                demo,
                recognizer.recognize,
                keep_open,
                open_calls=open_calls_folder(data),
                on_restart=metrics.dialler_restarts.inc,
            )
        case TrunkKind.simulated:
            model = SimulatedSettings(name=name, seed=trunk.seed, speed=trunk.speed, log=trunk.start_log)
            return SimulatedTrunk(model)
        case TrunkKind.sip:
            raise SettingsError(
                f"trunks.{name}: this version drives the kinds demo and simulated only; "
                "real trunks come with their own safety rules in a later one"
            )
