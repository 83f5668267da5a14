"""Logs: one JSON object a line on stderr, with the ids of request, batch and run, and never a number or a secret.

Parts log through `structlog.get_logger()`; ids that belong to a whole task are bound with `bound(request=…)`.
The redaction at the end is a net, not a licence: what must not be logged is not handed to the logger.
"""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_NUMBER = re.compile(r"\+?\(?\d[\d .()/-]{5,}\d")
_KEY = re.compile(r"covey_sk_\w+|whsec_\w+|(?i:bearer)\s+\S+")
_DIGITS = re.compile(r"\d")
_SECRET_NAMES = frozenset({"authorization", "x-api-key", "api_key", "password", "secret", "phone_number", "number"})
_IDS = frozenset({"request", "batch", "item", "run", "worker", "timestamp", "workspace", "key", "call", "attempt"})
_ADDRESSES_IN_LOGS = ("httpx2", "httpcore2", "httpx", "httpcore")
"""Libraries that log whole addresses, query strings and all, for every request."""

_HIDDEN = "[hidden]"
_SHORTEST_NUMBER = 7


def setup_logging(level: str = "info", form: str = "json", stream: TextIO | None = None) -> None:
    """Send all logs, the libraries' too, to `stream` (stderr) as `json` lines or as `text` for a person."""
    out = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(serializer=_dumps)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=out.isatty())
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:-2],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared[:-2],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = name != "uvicorn.access"
    for name in _ADDRESSES_IN_LOGS:
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def bound(**ids: Any) -> Iterator[None]:
    """Write `ids` into every line that this task logs inside the block."""
    with structlog.contextvars.bound_contextvars(**ids):
        yield


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide what looks like a phone number or a key in every value, and everything under a secret's name."""
    return {name: _HIDDEN if name.lower() in _SECRET_NAMES else _clean(name, value) for name, value in event.items()}


def _clean(name: str, value: Any) -> Any:
    if isinstance(value, str):
        text = _KEY.sub(_HIDDEN, value)
        return text if name in _IDS else _NUMBER.sub(_hide_number, text)
    if isinstance(value, dict):
        return {key: _clean(str(key), held) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(name, held) for held in value]
    return value


def _hide_number(match: re.Match[str]) -> str:
    text = match.group()
    return _HIDDEN if len(_DIGITS.findall(text)) >= _SHORTEST_NUMBER else text


def _dumps(value: Any, default: Any = None, **_: Any) -> str:
    return orjson.dumps(value, default=default or str).decode()
