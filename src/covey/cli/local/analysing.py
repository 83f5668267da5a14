"""What doctor finds out about the analysis of videos, and about webhooks."""

import asyncio
from collections.abc import Iterator
from importlib.util import find_spec

from covey.cli.local.folder import Finding
from covey.settings import Model, ModelKind, Settings

WHEELS = (
    ("av", "decoding"),
    ("cv2", "pictures"),
    ("rapidocr", "text on the screen"),
    ("onnxruntime", "its models"),
    ("openai", "models behind endpoints"),
)
PING_SECONDS = 10.0


def findings(settings: Settings) -> Iterator[Finding]:
    """The packages, what isolates decoders, every endpoint, the secret of webhooks."""
    yield from _wheels(settings)
    yield from _isolation(settings)
    for name, model in settings.models.items():
        if model.kind is ModelKind.openai:
            yield _model(name, model)
    yield _secret(settings)


def _wheels(settings: Settings) -> Iterator[Finding]:
    """Nobody has to analyse videos; a model behind an endpoint cannot do without."""
    asked_for = any(model.kind is ModelKind.openai for model in settings.models.values())
    for module, purpose in WHEELS:
        there = find_spec(module) is not None
        seen = f"{module} ({purpose}) is {'there' if there else 'missing'}"
        remedy = "To analyse videos, install Covey with its extra `analysis`."
        yield Finding("analysis", there or not asked_for, seen, remedy, warning=not there)


def _isolation(settings: Settings) -> Iterator[Finding]:
    from covey.analysis.media import isolation

    strict = settings.analysis.sandbox == "strict"
    remedy = "Without it no video is analysed: use a newer kernel or other rules of the container"
    remedy += ', or set analysis.sandbox = "weak" if you trust every video.'
    for name, held, meaning in isolation():
        seen = meaning if held else f"does not hold: {meaning}"
        yield Finding(f"decoders, {name}", held or not strict, seen, remedy, warning=not held)


def _model(name: str, model: Model) -> Finding:
    check = f"model {name}"
    try:
        from covey.analysis.openai import OpenAiBackend
    except ImportError as error:
        return Finding(check, False, str(error), "Install Covey with its extra `analysis`.")
    from covey.analysis.media import Decoder
    from covey.settings import Analysis

    async def ping() -> str | None:
        backend = OpenAiBackend(name, model, Decoder(Analysis()))
        try:
            async with asyncio.timeout(PING_SECONDS):
                return await backend.ping()
        except TimeoutError:
            return f"No answer within {PING_SECONDS:g} s"
        finally:
            await backend.close()

    trouble = asyncio.run(ping())
    remedy = f"Check `url` and `api_key` of models.{name}, and whether the endpoint runs."
    return Finding(check, trouble is None, trouble or f"{model.url} answers", remedy)


def _secret(settings: Settings) -> Finding:
    if settings.secret is not None:
        return Finding("webhook secret", True, "webhook secrets are encrypted with `secret`")
    seen = "webhook secrets are encrypted with a key in the data folder"
    remedy = "With several machines set `secret` to the same 32 characters or more on each: none can read another's."
    return Finding("webhook secret", True, seen, remedy, warning=settings.database is not None)
