"""Sends one delivery: renders it, signs it, posts it, and says what came of it and when to try again."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from covey.api.webhooks.payloads import Rendering
from covey.api.webhooks.secrets import DecryptionFailed, SecretBox, valid_secrets
from covey.api.webhooks.signing import Style, signed
from covey.domain.errors import NotFound
from covey.fetch import Fetched, Fetcher, FetchError
from covey.settings import Webhooks
from covey.store.results import Due, Tried
from covey.store.store import Webhooks as Endpoints

STEPS = tuple(timedelta(seconds=each) for each in (5, 30, 120, 600, 1800, 3600, 7200))
"""How long to wait after the first try, the second, and so on; the last holds for all that follow."""

JITTER = 0.2
"""Each wait is up to so much shorter or longer, so that what failed together does not come back together."""

GONE = 410

PER_HOST = 64
"""So many deliveries one host is sent at once: more than of one endpoint, as an endpoint that hangs must not keep
another on the same host waiting."""


def next_try(due: Due, now: datetime, settings: Webhooks, retry_after: timedelta | None = None) -> datetime | None:
    """When to try a delivery again that has just failed at `now`; None if its time is up.

    A receiver that says when it wants to be asked again is asked then, if that is later; once more at the end of its
    time, if it is later than that.
    """
    step = STEPS[min(max(due.delivery.attempts, 1), len(STEPS)) - 1]
    wait = step * random.uniform(1 - JITTER, 1 + JITTER)
    left = due.delivery.at + timedelta(hours=settings.tried_hours) - now
    return now + min(max(wait, retry_after or wait), left) if wait <= left else None


def retry_after(answer: Fetched, now: datetime) -> timedelta | None:
    """What an answer's `Retry-After` asks for: seconds or a date (RFC 9110, 10.2.3)."""
    said = answer.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit() and len(said) <= 9:
        return timedelta(seconds=int(said))
    try:
        at = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    return max(timedelta(0), (at if at.tzinfo else at.replace(tzinfo=UTC)) - now)


class WebhookSender:
    """Sends deliveries, for the engine's loop and for a test by hand."""

    def __init__(
        self, store: Endpoints, fetcher: Fetcher, sealer: SecretBox, rendering: Rendering, settings: Webhooks
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._sealer = sealer
        self._rendering = rendering
        self._settings = settings
        self._off_after = timedelta(days=settings.off_days)

    async def send(self, due: Due, now: datetime) -> Tried:
        """Try one delivery. What its endpoint did not ask for is settled without asking anybody: it is skipped."""
        message = await self._rendering.message(due)
        if message is None:
            return Tried(None, None, None, off_after=self._off_after)
        try:
            headers = await self._headers(due, message.body, now)
            answer = await self._fetcher.request(
                "POST",
                due.endpoint.url,
                headers=headers,
                body=message.body,
                timeout=self._settings.timeout_seconds,
                redirects=0,
                most=0,
                per_host=PER_HOST,
            )
        except NotFound:
            return self._failed(due, now, None, "The secret that signs callbacks is not there any more")
        except (FetchError, DecryptionFailed) as error:
            return self._failed(due, now, None, str(error))
        return self._answered(due, now, answer)

    async def _headers(self, due: Due, body: bytes, now: datetime) -> dict[str, str]:
        valid = await valid_secrets(self._store, self._sealer, due.endpoint, now)
        return {
            "content-type": "application/json",
            **signed(Style(due.endpoint.style), valid, due.delivery.id, body, now),
        }

    def _answered(self, due: Due, now: datetime, answer: Fetched) -> Tried:
        if 200 <= answer.status < 300:
            return Tried(answer.status, None, None, off_after=self._off_after)
        if answer.status == GONE:
            error = "The receiver answered 410: it is gone for good"
            return Tried(GONE, error, None, gone=True, off_after=self._off_after)
        redirected = " with a redirect, which is not followed" if 300 <= answer.status < 400 else ""
        error = f"The receiver answered {answer.status}{redirected}"
        return self._failed(due, now, answer.status, error, retry_after(answer, now))

    def _failed(self, due: Due, now: datetime, status: int | None, error: str, wait: timedelta | None = None) -> Tried:
        return Tried(status, error, next_try(due, now, self._settings, wait), off_after=self._off_after)
