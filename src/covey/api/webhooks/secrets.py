"""Which secrets sign for an endpoint, and how one is replaced: for a while the old one stays valid beside the new.

The endpoint of a single call's `callback_url` has no secret of its own: all of a workspace are signed with the one
that its callback record holds, an endpoint that is told nothing and that no list shows.
"""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from covey.api.webhooks.sealing import Sealer
from covey.api.webhooks.signing import Style, new_secret
from covey.domain.errors import NotFound
from covey.domain.webhook import Endpoint
from covey.store.store import Webhooks

MOST_VALID = 5
"""So many secrets of one endpoint are kept, the newest."""


def callbacks_id(workspace: str) -> str:
    """The id of a workspace's callback record."""
    return hashlib.sha256(f"callbacks of {workspace}".encode()).hexdigest()[:24]


async def valid_secrets(store: Webhooks, sealer: Sealer, endpoint: Endpoint, now: datetime) -> list[str]:
    """The secrets that sign for an endpoint now, the newest first. Raises SealBroken; NotFound for a single call's
    endpoint whose workspace has no callback record."""
    if endpoint.batch is not None:
        endpoint = await store.endpoint(endpoint.workspace, callbacks_id(endpoint.workspace))
    return [sealer.open(sealed, endpoint.id) for sealed, until in endpoint.secrets if until is None or until > now]


def fresh_secret(sealer: Sealer, endpoint: Endpoint) -> tuple[str, bytes]:
    """A new secret for an endpoint, as its receiver has it and as it is kept. Raises BadRequest if nothing can be
    sealed here."""
    secret = new_secret(Style(endpoint.style))
    return secret, sealer.seal(secret, endpoint.id)


def rotated(endpoint: Endpoint, sealed: bytes, now: datetime, overlap: timedelta) -> Endpoint:
    """The endpoint with this new secret; those before are valid for `overlap` at most."""
    until = now + overlap
    old = [(before, min(until, end or until)) for before, end in endpoint.secrets]
    kept = [each for each in old if each[1] > now][: MOST_VALID - 1]
    return replace(endpoint, secrets=((sealed, None), *kept))


async def callback_record(store: Webhooks, sealer: Sealer, workspace: str, now: datetime) -> Endpoint:
    """What the `callback_url`s of a workspace are signed with; made when it is first needed. Raises BadRequest if
    nothing can be sealed here."""
    try:
        return await store.endpoint(workspace, callbacks_id(workspace))
    except NotFound:
        bare = Endpoint(
            id=callbacks_id(workspace),
            workspace=workspace,
            url="",
            style=Style.standard.value,
            events=(),
            secrets=(),
            created_at=now,
            description="what callback_urls are signed with",
            off_at=now,
        )
        _, sealed = fresh_secret(sealer, bare)
        return await store.put_endpoint(replace(bare, secrets=((sealed, None),)))
