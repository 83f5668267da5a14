"""What a request may take, by its route: bytes and seconds of its body, seconds until its answer begins."""

import re
from dataclasses import dataclass

from covey.analysis.multiparts import CHUNK_BYTES
from covey.api.twelvelabs import shapes
from covey.settings import Settings

_LISTS = re.compile(r"/v1/api/(batch-calls(/validate)?|dnc/import)")
_ASSETS = f"{shapes.PREFIX}/assets"
_WAITED_FOR = f"{shapes.PREFIX}/analyze"
_TASKS = f"{shapes.PREFIX}/analyze/tasks"

SLOWEST = 100_000
"""Bytes a second: who uploads an asset of the greatest size slower than so does not end in time."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Bytes of the body, seconds for it to come, and seconds until the answer begins."""

    bytes: int
    body_seconds: float
    answer_seconds: float


def allowance(settings: Settings, method: str, path: str) -> Allowance:
    """What a request to `path` may take."""
    limits, analysis = settings.limits, settings.analysis
    usual = limits.request_seconds
    if shapes.is_chunk(method, path):
        return Allowance(CHUNK_BYTES, limits.upload_seconds, usual)
    if method == "POST":
        path = path.rstrip("/")
        encoded = analysis.create_bytes * 4 // 3 + limits.json_bytes
        if _LISTS.fullmatch(path):
            return Allowance(limits.csv_bytes + limits.form_overhead_bytes, limits.upload_seconds, usual)
        if path == _ASSETS:
            seconds = max(limits.upload_seconds, analysis.direct_bytes / SLOWEST)
            return Allowance(analysis.direct_bytes + limits.form_overhead_bytes, seconds, usual)
        if shapes.REPORT.fullmatch(path):
            return Allowance(limits.json_bytes, usual, limits.upload_seconds + usual)
        if path == shapes.BATCHES:
            return Allowance(analysis.create_bytes, limits.upload_seconds, usual)
        if path == _TASKS:
            return Allowance(encoded, limits.upload_seconds, usual)
        if path == _WAITED_FOR:
            return Allowance(encoded, limits.upload_seconds, analysis.expire_hours * 3600 + usual)
    return Allowance(limits.json_bytes, usual, usual)
