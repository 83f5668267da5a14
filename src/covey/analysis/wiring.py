"""Puts the parts of the analysis runner together, one runner a model, from the settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import structlog

from covey.analysis.assets import AssetRepository, Intake
from covey.analysis.backend import Backend
from covey.analysis.config import lane_of
from covey.analysis.localfacts.backend import LocalFacts
from covey.analysis.localfacts.cache import FactsCache
from covey.analysis.media import Decoder
from covey.analysis.runner import AnalysisRunner
from covey.analysis.storage import AssetFiles
from covey.domain.clock import Clock
from covey.fetch import Fetcher
from covey.settings import Model, ModelKind, Settings, SettingsError

log = structlog.get_logger(__name__)

EXTRA = "Covey's extra `analysis`, which is not installed: install covey[analysis]"


@dataclass(slots=True)
class AnalysisParts:
    """The runners by lane, the models they stand for, and what they share. Close it when no run is in hand any more."""

    runners: dict[str, AnalysisRunner]
    models: dict[str, Model]
    files: AssetFiles
    intake: Intake
    decoder: Decoder

    async def close(self) -> None:
        """End every request, every decoder, every upload."""
        for runner in self.runners.values():
            await runner.close()
        await self.intake.close()
        await self.decoder.close()
        self.files.close()


def analysis_parts(
    settings: Settings,
    clock: Clock,
    repository: AssetRepository,
    fetcher: Fetcher,
    worker: str,
    keep_open: Sequence[int],
) -> AnalysisParts:
    """The parts that the settings ask for. `keep_open` are descriptors that every decoder holds while it lives.

    Raises SettingsError for a model that needs what is not installed; without the extra, `local-facts` is left out.
    """
    analysis = settings.analysis
    files = AssetFiles(analysis.assets, settings.data / "assets", settings.data / "spool-assets")
    decoder = Decoder(analysis, keep_open=keep_open)
    intake = Intake(repository, files, decoder, fetcher, clock, analysis, worker)
    book = FactsCache(decoder, files)
    models = {name: model for name, model in settings.models.items() if _can_be(name, model)}
    runners = {
        lane_of(name): AnalysisRunner(_backend(name, model, book, decoder), intake, files, clock, analysis)
        for name, model in models.items()
    }
    return AnalysisParts(runners, models, files, intake, decoder)


def _can_be(name: str, model: Model) -> bool:
    if find_spec("av") is not None and find_spec("openai") is not None:
        return True
    if model.kind is ModelKind.openai:
        raise SettingsError(f"models.{name}: a model of kind openai needs {EXTRA}")
    log.info("local_facts_left_out", needs=EXTRA)
    return False


def _backend(name: str, model: Model, book: FactsCache, decoder: Decoder) -> Backend:
    if model.kind is ModelKind.local_facts:
        return LocalFacts(book)
    from covey.analysis.openai import OpenAiBackend

    return OpenAiBackend(name, model, decoder)
