"""What a webhook of the standard style says of calls."""

from collections.abc import Mapping
from typing import Any

from covey.api.trillet.convert import batch_out, call_out
from covey.api.trillet.history_views import history_call
from covey.api.webhooks.payloads import Snapshots, snapshot
from covey.domain.webhook import Delivery


async def call_event(snapshots: Snapshots, delivery: Delivery) -> Mapping[str, Any]:
    """The `data` of an event of calls: ids, the batch as it was, and a call as history shows it."""
    data = snapshot(delivery.data)
    if "lane" in data:
        data["trunk"] = data.pop("lane")
    single = delivery.data.get("origin") == "single"
    seq = 0 if single else delivery.seq
    ids = {} if single else {"batchId": batch_out(delivery.batch)}
    if seq is not None:
        ids["callId"] = call_out(delivery.batch, seq)
        found = await snapshots.item(delivery, seq)
        if found is not None:
            return {**ids, **data, "call": history_call(*found)}
    return {**ids, **data}
