"""Rows of the database as operations get them: their columns, as attributes that may be set.

Times are microseconds since 1970, flags 0 or 1, ids of batches and deliveries 12 bytes, JSON is text. A statement may
give some columns of a table only; each type names the statements whose columns are its own. A test holds them together.
"""

from typing import Protocol


class LaneRow(Protocol):
    """`lane_row`, `lanes`: a lane's limits, and its breaker."""

    lane: str
    cap: int
    pace: float | None
    active: int
    next_start: int | None
    served_at: int
    open_until: int | None
    open_reason: str | None
    open_since: int | None
    opens: int
    probe: str | None
    streak_code: str | None
    streak_items: str
    alike: int
    worked_at: int | None


class OfBatch(Protocol):
    """Any row about one batch that names its workspace."""

    id: bytes
    workspace: str


class BatchColumns(OfBatch, Protocol):
    """The columns that `LockedRow` and `BatchRow` share."""

    kind: str
    lane: str
    max_tries: int
    hours: str | None
    start_at: int | None
    started_at: int | None
    paused_at: int | None
    stopped_at: int | None
    stop_reason: str | None
    aborted_at: int | None
    completed_at: int | None
    expires_at: int | None
    erased_at: int | None
    total: int
    cursor: int
    active: int
    succeeded: int
    failed: int
    canceled: int
    succeeded_seconds: float
    last_succeeded_at: int | None
    last_ended_at: int | None
    cap: int | None
    pace: float | None
    next_at: int | None
    spent: int
    max_cost: int | None
    run_cost: int


class LockedRow(BatchColumns, Protocol):
    """`batch_hot`: what an operation may change of a batch that it has locked, and what it needs to know for that."""

    repeatable: int
    exclusive: int
    self_pausing: int
    prices: str | None
    actor: str | None
    deferred: int
    next_start: int | None
    served_at: int
    streak: int
    streak_code: str | None
    stopped: int
    listeners: int


class BatchRow(BatchColumns, Protocol):
    """`batch_facts`, `batches_page_…`: a batch as it is read. `batch_read` has its configuration, too."""

    origin: str
    name: str | None
    notes: str
    created_at: int
    accepted_at: int | None
    pause_reason: str | None
    stop_message: str | None
    deletes_at: int | None
    state: str


class DraftRow(OfBatch, Protocol):
    """`draft_row`: a batch that is not accepted yet."""

    kind: str
    lane: str
    origin: str
    fingerprint: str | None
    start_at: int | None


class ChoiceRow(Protocol):
    """`choose`: the batch whose turn it is on a lane, and among how many it shares."""

    batch: bytes
    shares: float
    batches: int


class ItemRow(Protocol):
    """`items_read`, `items_by_ref`: an item with its live row and its last run, where it has them."""

    seq: int
    custom_id: str | None
    ref: str | None
    input: bytes
    live_state: int | None
    live_tries: int | None
    due_at: int | None
    reason: str | None
    live_started_at: int | None
    done: float | None
    whole: float | None
    run_attempt: int | None
    run_state: str | None
    run_tries: int | None
    code: str | None
    message: str | None
    run_started_at: int | None
    ended_at: int | None
    seconds: float | None
    result: bytes | None


class PastRunRow(Protocol):
    """`runs_earlier`: a run that was not an item's last."""

    run_attempt: int
    run_state: str
    code: str
    message: str
    run_started_at: int | None
    ended_at: int
    seconds: float
    result: bytes


class LiveRow(Protocol):
    """`live_of_worker`: an active item."""

    batch: bytes
    seq: int
    attempt: int
    tries: int
    returns: int
    losses: int
    started_at: int | None
    dropped: int
    ref: str | None


class HeldRow(Protocol):
    """`held_of`, `held_past`: the slot and the ref of a settled run, taken until its time."""

    batch: bytes
    seq: int
    attempt: int
    lane: str
    workspace: str
    ref: str | None
    until: int


class WorkspaceRow(Protocol):
    """`workspace_read`, `workspaces`."""

    id: str
    name: str
    created_at: int
    weight: float
    settings: str


class KeyRow(Protocol):
    """`key_by_digest`, `keys`: an API key."""

    id: str
    workspace: str | None
    role: str
    name: str
    prefix: str
    digest: bytes
    created_at: int
    last_used_at: int | None
    expires_at: int | None
    revoked_at: int | None


class AgentRow(Protocol):
    """`agent_read`, `agents`."""

    id: str
    workspace: str
    body: str
    created_at: int
    updated_at: int


class AssetRow(Protocol):
    """`asset_read`, `assets_among`, `assets_page`, `assets_take_over`."""

    workspace: str
    id: str
    name: str
    folded: str
    kind: str
    method: str
    state: str
    owner: str
    created_at: int
    size: int | None
    seconds: float | None
    source: str | None
    facts: str
    error: str | None
    notes: str


class EndpointRow(Protocol):
    """`endpoint_read`, `endpoint_row`, `endpoints`: a webhook endpoint."""

    id: str
    workspace: str
    url: str
    style: str
    description: str
    events: str
    items: int
    kind: str | None
    batch: bytes
    singles: int
    secrets: str
    created_at: int
    failing_since: int | None
    delivered_at: int | None
    off_at: int | None
    off_reason: str | None
    erased_at: int | None
    sweep_at: int | None


class DeliveryRow(Protocol):
    """`delivery_read`, `deliveries_take`, `deliveries_page_…`: an event on its way to an endpoint."""

    id: bytes
    endpoint: str
    workspace: str
    batch: bytes
    seq: int | None
    type: str
    at: int
    data: str
    state: str
    attempts: int
    next_at: int | None
    status: int | None
    error: str | None
    ended_at: int | None
