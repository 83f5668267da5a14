"""The methods of `covey.store.ports.Webhooks`, each as one operation."""

import functools
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import datetime, timedelta

from covey.domain.webhook import Delivery, DeliveryState, Endpoint
from covey.store.operations import endpoints, webhooks
from covey.store.operations.running import Running
from covey.store.ports import Due, Tried


class WebhookStore(Running):
    """The port `Webhooks`, the same for each database."""

    async def put_endpoint(self, endpoint: Endpoint, most: int | None = None) -> Endpoint:
        return await self._write(lambda db: endpoints.put_endpoint(db, endpoint, most))

    async def change_endpoint(self, workspace: str, endpoint: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint:
        return await self._write(lambda db: endpoints.change_endpoint(db, workspace, endpoint, change))

    async def endpoint(self, workspace: str, endpoint: str) -> Endpoint:
        return await self._look(lambda db: endpoints.endpoint(db, workspace, endpoint))

    async def endpoints(self, workspace: str) -> list[Endpoint]:
        return await self._look(lambda db: endpoints.endpoints(db, workspace))

    async def delete_endpoint(self, workspace: str, endpoint: str) -> None:
        await self._write(lambda db: endpoints.delete_endpoint(db, workspace, endpoint))

    async def claim_deliveries(
        self,
        lease: timedelta,
        limit: int,
        busy: Mapping[str, int],
        *,
        quick: Set[str] = frozenset(),
        resting: Set[str] = frozenset(),
    ) -> list[Due]:
        return await self._write(
            lambda db: webhooks.claim_deliveries(db, lease, limit, busy, quick, resting), rows=limit
        )

    async def settle_deliveries(self, tries: Sequence[tuple[str, Tried]]) -> None:
        await self._write(lambda db: webhooks.settle_deliveries(db, tries), rows=len(tries))

    async def delivery(self, workspace: str, delivery: str) -> Delivery:
        return await self._look(lambda db: webhooks.delivery(db, workspace, delivery))

    async def deliveries(
        self,
        workspace: str,
        *,
        endpoint: str | None = None,
        batch: str | None = None,
        state: DeliveryState | None = None,
        before: str | None = None,
        limit: int = 20,
    ) -> list[Delivery]:
        page = functools.partial(
            webhooks.deliveries,
            workspace=workspace,
            endpoint=endpoint,
            batch=batch,
            state=state,
            before=before,
            limit=limit,
        )
        return await self._page(page)

    async def send_again(self, workspace: str, *, endpoint: str, since: datetime, delivery: str | None = None) -> int:
        if delivery is not None:
            return await self._write(lambda db: webhooks.send_one_again(db, workspace, endpoint, delivery))
        again, until = await self._send_piece_again(workspace, endpoint, since, None)
        sent = again
        while again:
            again, _ = await self._send_piece_again(workspace, endpoint, since, until)
            sent += again
        return sent

    async def _send_piece_again(
        self, workspace: str, endpoint: str, since: datetime, until: datetime | None
    ) -> tuple[int, datetime]:
        piece = functools.partial(
            webhooks.send_again, workspace=workspace, endpoint_id=endpoint, since=since, until=until
        )
        return await self._write(piece, rows=webhooks.PIECE)

    async def sweep_deliveries(self, before: datetime, limit: int = 500) -> int:
        return await self._write(lambda db: webhooks.sweep_deliveries(db, before, limit), rows=limit)
