-- The first schema. Times are microseconds since 1970 UTC, ids are 12 bytes, JSON is text or UTF-8 bytes.

CREATE TABLE workspaces (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    weight     REAL NOT NULL DEFAULT 1.0 CHECK (weight > 0),
    settings   TEXT NOT NULL
) STRICT;

CREATE TABLE keys (
    id           TEXT PRIMARY KEY,
    workspace    TEXT,
    role         TEXT NOT NULL CHECK (role IN ('read', 'operate', 'admin')),
    name         TEXT NOT NULL,
    prefix       TEXT NOT NULL,
    digest       BLOB NOT NULL UNIQUE,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    expires_at   INTEGER,
    revoked_at   INTEGER
) STRICT;

CREATE TABLE agents (
    id         TEXT NOT NULL,
    workspace  TEXT NOT NULL,
    body       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, id)
) STRICT;

CREATE TABLE blocked (
    workspace  TEXT NOT NULL,
    ref        TEXT NOT NULL,
    reason     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, ref)
) STRICT;

CREATE TABLE workers (
    id         TEXT PRIMARY KEY,
    started_at INTEGER NOT NULL,
    dead_at    INTEGER
) STRICT;

-- A batch's facts. A draft has no accepted_at; an erased batch has an erased_at until its rows are gone.
CREATE TABLE batches (
    id            BLOB PRIMARY KEY CHECK (length(id) = 12),
    workspace     TEXT NOT NULL,
    kind          TEXT NOT NULL,
    lane          TEXT NOT NULL,
    origin        TEXT NOT NULL,
    name          TEXT,
    config        BLOB NOT NULL,
    notes         TEXT NOT NULL,
    prices        TEXT,
    max_cost      INTEGER CHECK (max_cost >= 0),
    run_cost      INTEGER NOT NULL DEFAULT 0 CHECK (run_cost >= 0),
    actor         TEXT,
    owner         TEXT NOT NULL,
    fingerprint   TEXT,
    max_tries     INTEGER NOT NULL CHECK (max_tries >= 1),
    repeatable    INTEGER NOT NULL,
    exclusive     INTEGER NOT NULL,
    self_pausing  INTEGER NOT NULL,
    hours         TEXT,
    asked_cap     INTEGER CHECK (asked_cap > 0),
    asked_pace    REAL CHECK (asked_pace > 0),
    created_at    INTEGER NOT NULL,
    accepted_at   INTEGER,
    start_at      INTEGER,
    started_at    INTEGER,
    paused_at     INTEGER,
    pause_reason  TEXT,
    stopped_at    INTEGER,
    stop_reason   TEXT CHECK (stop_reason IN ('cancel', 'expire', 'budget', 'fail')),
    stop_message  TEXT,
    aborted_at    INTEGER,
    completed_at  INTEGER,
    expires_at    INTEGER,
    keep_for      INTEGER CHECK (keep_for >= 0),
    deletes_at    INTEGER,
    erased_at     INTEGER,
    leftovers     INTEGER NOT NULL DEFAULT 0,
    CHECK ((stopped_at IS NULL) = (stop_reason IS NULL))
) STRICT;
CREATE INDEX batches_workspace ON batches (workspace, origin, id);
CREATE INDEX batches_open ON batches (workspace) WHERE completed_at IS NULL AND accepted_at IS NOT NULL;
CREATE INDEX batches_expiring ON batches (expires_at)
    WHERE expires_at IS NOT NULL AND aborted_at IS NULL AND completed_at IS NULL;
CREATE INDEX batches_leftovers ON batches (id) WHERE leftovers = 1;
CREATE INDEX batches_erased ON batches (erased_at) WHERE erased_at IS NOT NULL;
CREATE INDEX batches_retiring ON batches (deletes_at)
    WHERE deletes_at IS NOT NULL AND completed_at IS NOT NULL AND erased_at IS NULL;
CREATE INDEX batches_drafts ON batches (owner) WHERE accepted_at IS NULL AND erased_at IS NULL;
CREATE INDEX batches_fingerprint ON batches (workspace, fingerprint) WHERE fingerprint IS NOT NULL;

-- The hot row of a batch. `next_at` is when it may next start something (NULL: not before something else happens).
CREATE TABLE counts (
    batch             BLOB PRIMARY KEY,
    workspace         TEXT NOT NULL,
    lane              TEXT NOT NULL,
    stopped           INTEGER NOT NULL DEFAULT 0,
    total             INTEGER NOT NULL,
    cursor            INTEGER NOT NULL DEFAULT 0,
    deferred          INTEGER NOT NULL DEFAULT 0,
    active            INTEGER NOT NULL DEFAULT 0,
    succeeded         INTEGER NOT NULL DEFAULT 0,
    failed            INTEGER NOT NULL DEFAULT 0,
    canceled          INTEGER NOT NULL DEFAULT 0,
    succeeded_seconds REAL NOT NULL DEFAULT 0,
    last_succeeded_at INTEGER,
    last_ended_at     INTEGER,
    cap               INTEGER,
    pace              REAL,
    spent             INTEGER NOT NULL DEFAULT 0 CHECK (spent >= 0),
    max_cost          INTEGER,
    run_cost          INTEGER NOT NULL DEFAULT 0,
    next_start        INTEGER,
    next_at           INTEGER,
    served_at         INTEGER NOT NULL DEFAULT 0,
    streak            INTEGER NOT NULL DEFAULT 0,
    streak_code       TEXT,
    CHECK (total > 0 AND cursor BETWEEN 0 AND total),
    CHECK (spent + active * run_cost <= max_cost),
    CHECK (deferred >= 0 AND active >= 0 AND succeeded >= 0 AND failed >= 0 AND canceled >= 0),
    CHECK (CASE WHEN stopped
        THEN deferred = 0 AND total = active + succeeded + failed + canceled
        ELSE cursor = deferred + active + succeeded + failed + canceled END)
) STRICT;
CREATE INDEX counts_due ON counts (lane, next_at, workspace) WHERE next_at IS NOT NULL;
CREATE INDEX counts_share ON counts (lane, workspace, next_at) WHERE next_at IS NOT NULL;

CREATE TABLE outcomes (
    batch BLOB NOT NULL,
    code  TEXT NOT NULL,
    n     INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (batch, code)
) STRICT;

-- What succeeded, by day (days since 1970 UTC) and batch. It stays when the batch goes.
CREATE TABLE usage (
    workspace  TEXT NOT NULL,
    day        INTEGER NOT NULL,
    batch      BLOB NOT NULL,
    key        TEXT,
    kind       TEXT NOT NULL,
    items      INTEGER NOT NULL CHECK (items >= 0),
    micros     INTEGER NOT NULL,
    tokens_in  INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL,
    cost       INTEGER NOT NULL,
    PRIMARY KEY (workspace, day, batch)
) STRICT;

-- Files that items are about; their bytes lie elsewhere. `folded` is the name without the difference of capitals.
CREATE TABLE assets (
    workspace  TEXT NOT NULL,
    id         TEXT NOT NULL,
    name       TEXT NOT NULL,
    folded     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    method     TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('processing', 'ready', 'failed')),
    owner      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    size       INTEGER,
    seconds    REAL,
    source     TEXT,
    facts      TEXT NOT NULL,
    error      TEXT,
    notes      TEXT NOT NULL,
    PRIMARY KEY (workspace, id)
) STRICT;
CREATE INDEX assets_processing ON assets (owner) WHERE state = 'processing';

-- The list itself: written once, never changed (erasing a person's data is the one exception).
CREATE TABLE items (
    batch     BLOB NOT NULL,
    seq       INTEGER NOT NULL,
    custom_id TEXT,
    ref       TEXT,
    zone      TEXT,
    input     BLOB NOT NULL,
    PRIMARY KEY (batch, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX items_ref ON items (ref) WHERE ref IS NOT NULL;

-- The items behind the cursor that have not ended: state 0 is deferred, 1 is active.
CREATE TABLE live (
    batch      BLOB NOT NULL,
    seq        INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    tries      INTEGER NOT NULL,
    returns    INTEGER NOT NULL CHECK (returns BETWEEN 0 AND 2),
    losses     INTEGER NOT NULL,
    state      INTEGER NOT NULL CHECK (state IN (0, 1)),
    due_at     INTEGER NOT NULL,
    worker     TEXT,
    started_at INTEGER,
    reason     TEXT,
    returned_at INTEGER,
    dropped    INTEGER NOT NULL DEFAULT 0,
    done       REAL,
    whole      REAL,
    PRIMARY KEY (batch, seq),
    CHECK ((state = 1) = (worker IS NOT NULL))
) STRICT;
CREATE INDEX live_due ON live (batch, returns, due_at) WHERE state = 0;
CREATE INDEX live_worker ON live (worker) WHERE state = 1;
CREATE INDEX live_dropped ON live (worker) WHERE dropped = 1;

-- A ref with an active exclusive item: the primary key refuses a second one.
CREATE TABLE busy_refs (
    workspace TEXT NOT NULL,
    ref       TEXT NOT NULL,
    batch     BLOB NOT NULL,
    seq       INTEGER NOT NULL,
    PRIMARY KEY (workspace, ref)
) STRICT;

-- Runs that have ended, written once (late truth about an unknown outcome is the one exception).
CREATE TABLE runs (
    batch      BLOB NOT NULL,
    seq        INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('succeeded', 'failed', 'canceled', 'retried', 'returned')),
    code       TEXT NOT NULL,
    message    TEXT NOT NULL,
    worker     TEXT,
    tries      INTEGER NOT NULL,
    started_at INTEGER,
    ended_at   INTEGER NOT NULL,
    seconds    REAL NOT NULL,
    charged    REAL NOT NULL DEFAULT 0,
    tokens_in  INTEGER NOT NULL DEFAULT 0,
    tokens_out INTEGER NOT NULL DEFAULT 0,
    cost       INTEGER NOT NULL DEFAULT 0,
    result     BLOB NOT NULL,
    PRIMARY KEY (batch, seq, attempt),
    CHECK (last = (state IN ('succeeded', 'failed', 'canceled')))
) STRICT;
CREATE INDEX runs_last ON runs (batch, state, seq) WHERE last = 1;
CREATE INDEX runs_recent ON runs (batch, ended_at) WHERE last = 1 AND state <> 'canceled';

CREATE TABLE limits (
    lane         TEXT PRIMARY KEY,
    cap          INTEGER NOT NULL CHECK (cap >= 0),
    pace         REAL CHECK (pace > 0),
    active       INTEGER NOT NULL DEFAULT 0 CHECK (active >= 0),
    next_start   INTEGER,
    served_at    INTEGER NOT NULL DEFAULT 0,
    open_until   INTEGER,
    open_reason  TEXT,
    open_since   INTEGER,
    opens        INTEGER NOT NULL DEFAULT 0,
    probe        TEXT,
    streak_code  TEXT,
    streak_items TEXT NOT NULL DEFAULT '',
    alike        INTEGER NOT NULL DEFAULT 0,
    worked_at    INTEGER
) STRICT;

CREATE TABLE shares (
    lane      TEXT NOT NULL,
    workspace TEXT NOT NULL,
    active    INTEGER NOT NULL DEFAULT 0 CHECK (active >= 0),
    weight    REAL NOT NULL DEFAULT 1.0 CHECK (weight > 0),
    served_at INTEGER NOT NULL DEFAULT 0,
    aside_at  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (lane, workspace)
) STRICT;
CREATE INDEX shares_next ON shares (lane, active / weight, served_at, workspace);

-- Slots and refs of settled runs whose far side may still be busy with them.
CREATE TABLE held (
    batch     BLOB NOT NULL,
    seq       INTEGER NOT NULL,
    attempt   INTEGER NOT NULL,
    lane      TEXT NOT NULL,
    workspace TEXT NOT NULL,
    ref       TEXT,
    until     INTEGER NOT NULL,
    PRIMARY KEY (batch, seq, attempt)
) STRICT;
CREATE INDEX held_until ON held (until);

CREATE TABLE events (
    id        INTEGER PRIMARY KEY,
    workspace TEXT NOT NULL,
    batch     BLOB NOT NULL,
    at        INTEGER NOT NULL,
    type      TEXT NOT NULL,
    actor     TEXT,
    data      TEXT NOT NULL
) STRICT;
CREATE INDEX events_batch ON events (batch, id);

CREATE TABLE idempotency (
    workspace  TEXT NOT NULL,
    key        TEXT NOT NULL,
    route      TEXT NOT NULL,
    digest     BLOB NOT NULL,
    owner      TEXT NOT NULL,
    created    TEXT,
    status     INTEGER,
    body       BLOB,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (workspace, key)
) STRICT;
CREATE INDEX idempotency_age ON idempotency (created_at);

-- A batch as its readers see it, its state derived from its facts as in covey.domain.batch. Whether one that has not
-- started is `scheduled` depends on the time: the statements say so.
CREATE VIEW batch_rows AS
SELECT b.id, b.workspace, b.kind, b.lane, b.origin, b.name, b.notes, b.max_tries, b.hours, b.created_at,
    b.accepted_at, b.start_at, b.started_at, b.paused_at, b.pause_reason, b.stopped_at, b.stop_reason, b.stop_message,
    b.aborted_at, b.completed_at, b.expires_at, b.deletes_at, b.erased_at, b.max_cost, b.run_cost, c.spent, c.total, c.cursor, c.active, c.succeeded, c.failed,
    c.canceled, c.succeeded_seconds, c.last_succeeded_at, c.last_ended_at, c.cap, c.pace, c.next_at,
    CASE
        WHEN b.stop_reason IS NOT NULL AND b.completed_at IS NULL THEN 'stopping'
        WHEN b.stop_reason = 'expire' THEN 'expired'
        WHEN b.stop_reason = 'fail' THEN 'failed'
        WHEN b.stop_reason IS NOT NULL THEN 'canceled'
        WHEN b.completed_at IS NOT NULL THEN 'completed'
        WHEN b.paused_at IS NOT NULL THEN 'paused'
        WHEN b.started_at IS NOT NULL THEN 'running'
        ELSE 'queued'
    END AS state
FROM batches b JOIN counts c ON c.batch = b.id;

-- Where workspaces want to be told what happens. `events` are the types, each with a space before and after it; `items`
-- says that some are about items. `batch` is empty, or the one batch with which it goes. `sweep_at`: from then on it is
-- to be looked at, as it was switched off or deleted, or its one batch may never have come.
CREATE TABLE endpoints (
    id            TEXT PRIMARY KEY,
    workspace     TEXT NOT NULL,
    url           TEXT NOT NULL,
    style         TEXT NOT NULL,
    description   TEXT NOT NULL,
    events        TEXT NOT NULL,
    items         INTEGER NOT NULL CHECK (items IN (0, 1)),
    kind          TEXT,
    batch         BLOB NOT NULL,
    singles       INTEGER NOT NULL CHECK (singles IN (0, 1)),
    secrets       TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    failing_since INTEGER,
    delivered_at  INTEGER,
    off_at        INTEGER,
    off_reason    TEXT,
    erased_at     INTEGER,
    sweep_at      INTEGER
) STRICT;
CREATE INDEX endpoints_workspace ON endpoints (workspace, batch);
CREATE INDEX endpoints_leftovers ON endpoints (sweep_at) WHERE sweep_at IS NOT NULL;

-- One event for one endpoint. A waiting one is claimed by its next_at, never by its id: of two transactions the one with
-- the later ids may be there first.
CREATE TABLE deliveries (
    id        BLOB PRIMARY KEY CHECK (length(id) = 12),
    endpoint  TEXT NOT NULL,
    workspace TEXT NOT NULL,
    batch     BLOB NOT NULL,
    seq       INTEGER,
    type      TEXT NOT NULL,
    at        INTEGER NOT NULL,
    data      TEXT NOT NULL,
    state     TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempts  INTEGER NOT NULL DEFAULT 0,
    next_at   INTEGER,
    status    INTEGER,
    error     TEXT,
    ended_at  INTEGER,
    CHECK ((state = 'waiting') = (next_at IS NOT NULL)),
    CHECK ((state = 'waiting') = (ended_at IS NULL))
) STRICT;
CREATE INDEX deliveries_due ON deliveries (endpoint, next_at) WHERE state = 'waiting';
CREATE INDEX deliveries_failed ON deliveries (endpoint, ended_at) WHERE state = 'failed';
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX deliveries_endpoint ON deliveries (endpoint, id);
CREATE INDEX deliveries_workspace ON deliveries (workspace, id);
CREATE INDEX deliveries_batch ON deliveries (batch, id);
