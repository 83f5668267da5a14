-- The first schema. Times are microseconds since 1970 UTC, ids are 12 bytes, text is compared byte by byte.
--
-- Rows that every claim and finish changes (counts, limits, shares) have half of each page free and no index on what
-- changes, so that PostgreSQL writes the new version beside the old one and touches no index (HOT updates).

CREATE TABLE workspaces (
    id         text COLLATE "C" PRIMARY KEY,
    name       text NOT NULL,
    created_at bigint NOT NULL,
    weight     double precision NOT NULL DEFAULT 1.0 CHECK (weight > 0),
    settings   json NOT NULL
);

CREATE TABLE keys (
    id           text COLLATE "C" PRIMARY KEY,
    workspace    text COLLATE "C",
    role         text NOT NULL CHECK (role IN ('read', 'operate', 'admin')),
    name         text NOT NULL,
    prefix       text NOT NULL,
    digest       bytea NOT NULL UNIQUE,
    created_at   bigint NOT NULL,
    last_used_at bigint,
    expires_at   bigint,
    revoked_at   bigint
);

CREATE TABLE agents (
    id         text COLLATE "C" NOT NULL,
    workspace  text COLLATE "C" NOT NULL,
    body       json NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace, id)
);

CREATE TABLE blocked (
    workspace  text COLLATE "C" NOT NULL,
    ref        text COLLATE "C" NOT NULL,
    reason     text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (workspace, ref)
);

-- A worker holds the advisory lock `lock_key` for as long as it lives.
CREATE SEQUENCE worker_keys AS integer MINVALUE 1 CYCLE;
CREATE TABLE workers (
    id         text COLLATE "C" PRIMARY KEY,
    lock_key   integer NOT NULL UNIQUE DEFAULT nextval('worker_keys'),
    host       text,
    pid        integer,
    version    text,
    started_at bigint NOT NULL,
    beat_at    bigint,
    dead_at    bigint
) WITH (fillfactor = 50);

-- A batch's facts. A draft has no accepted_at; an erased batch has an erased_at until its rows are gone.
CREATE TABLE batches (
    id            bytea PRIMARY KEY CHECK (length(id) = 12),
    workspace     text COLLATE "C" NOT NULL,
    kind          text COLLATE "C" NOT NULL,
    lane          text COLLATE "C" NOT NULL,
    origin        text COLLATE "C" NOT NULL,
    name          text,
    config        json NOT NULL,
    notes         json NOT NULL,
    prices        json,
    max_cost      bigint CHECK (max_cost >= 0),
    run_cost      bigint NOT NULL DEFAULT 0 CHECK (run_cost >= 0),
    actor         text COLLATE "C",
    owner         text COLLATE "C" NOT NULL,
    fingerprint   text COLLATE "C",
    max_tries     integer NOT NULL CHECK (max_tries >= 1),
    repeatable    smallint NOT NULL,
    exclusive     smallint NOT NULL,
    self_pausing  smallint NOT NULL,
    hours         text,
    asked_cap     integer CHECK (asked_cap > 0),
    asked_pace    double precision CHECK (asked_pace > 0),
    created_at    bigint NOT NULL,
    accepted_at   bigint,
    start_at      bigint,
    started_at    bigint,
    paused_at     bigint,
    pause_reason  text,
    stopped_at    bigint,
    stop_reason   text COLLATE "C" CHECK (stop_reason IN ('cancel', 'expire', 'budget', 'fail')),
    stop_message  text,
    aborted_at    bigint,
    completed_at  bigint,
    expires_at    bigint,
    keep_for      bigint CHECK (keep_for >= 0),
    deletes_at    bigint,
    erased_at     bigint,
    leftovers     smallint NOT NULL DEFAULT 0,
    CHECK ((stopped_at IS NULL) = (stop_reason IS NULL))
);
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
-- `open` turns 0 once, when the batch has ended: what is due is found among the open batches of a lane.
CREATE TABLE counts (
    batch             bytea PRIMARY KEY,
    workspace         text COLLATE "C" NOT NULL,
    lane              text COLLATE "C" NOT NULL,
    open              smallint NOT NULL DEFAULT 1,
    stopped           smallint NOT NULL DEFAULT 0,
    total             integer NOT NULL,
    cursor            integer NOT NULL DEFAULT 0,
    deferred          integer NOT NULL DEFAULT 0,
    active            integer NOT NULL DEFAULT 0,
    succeeded         integer NOT NULL DEFAULT 0,
    failed            integer NOT NULL DEFAULT 0,
    canceled          integer NOT NULL DEFAULT 0,
    succeeded_seconds double precision NOT NULL DEFAULT 0,
    last_succeeded_at bigint,
    last_ended_at     bigint,
    cap               integer,
    pace              double precision,
    spent             bigint NOT NULL DEFAULT 0 CHECK (spent >= 0),
    max_cost          bigint,
    run_cost          bigint NOT NULL DEFAULT 0,
    next_start        bigint,
    next_at           bigint,
    served_at         bigint NOT NULL DEFAULT 0,
    streak            integer NOT NULL DEFAULT 0,
    streak_code       text,
    CHECK (total > 0 AND cursor BETWEEN 0 AND total),
    CHECK (spent + active * run_cost <= max_cost),
    CHECK (deferred >= 0 AND active >= 0 AND succeeded >= 0 AND failed >= 0 AND canceled >= 0),
    CHECK (CASE WHEN stopped = 1
        THEN deferred = 0 AND total = active + succeeded + failed + canceled
        ELSE cursor = deferred + active + succeeded + failed + canceled END)
) WITH (fillfactor = 50);
CREATE INDEX counts_open ON counts (lane, workspace) WHERE open = 1;

CREATE TABLE outcomes (
    batch bytea NOT NULL,
    code  text COLLATE "C" NOT NULL,
    n     integer NOT NULL CHECK (n >= 0),
    PRIMARY KEY (batch, code)
) WITH (fillfactor = 50);

-- What succeeded, by day (days since 1970 UTC) and batch. It stays when the batch goes.
CREATE TABLE usage (
    workspace  text COLLATE "C" NOT NULL,
    day        integer NOT NULL,
    batch      bytea NOT NULL,
    key        text COLLATE "C",
    kind       text COLLATE "C" NOT NULL,
    items      bigint NOT NULL CHECK (items >= 0),
    micros     bigint NOT NULL,
    tokens_in  bigint NOT NULL,
    tokens_out bigint NOT NULL,
    cost       bigint NOT NULL,
    PRIMARY KEY (workspace, day, batch)
) WITH (fillfactor = 50);

-- Files that items are about; their bytes lie elsewhere. `folded` is the name without the difference of capitals.
CREATE TABLE assets (
    workspace  text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    name       text NOT NULL,
    folded     text NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    method     text COLLATE "C" NOT NULL,
    state      text COLLATE "C" NOT NULL CHECK (state IN ('processing', 'ready', 'failed')),
    owner      text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    size       bigint,
    seconds    double precision,
    source     text,
    facts      json NOT NULL,
    error      text,
    notes      json NOT NULL,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX assets_processing ON assets (owner) WHERE state = 'processing';

-- The list itself: written once, never changed (erasing a person's data is the one exception).
CREATE TABLE items (
    batch     bytea NOT NULL,
    seq       integer NOT NULL,
    custom_id text,
    ref       text COLLATE "C",
    zone      text,
    input     json NOT NULL,
    PRIMARY KEY (batch, seq)
);
CREATE INDEX items_ref ON items (ref) WHERE ref IS NOT NULL;

-- The items behind the cursor that have not ended: state 0 is deferred, 1 is active. Rows come and go, and who has one
-- is indexed: no change of a row could be HOT, so that indexes of a part cost least. Its file is never cut short, as
-- it fills again, and cutting would shut everybody out meanwhile.
CREATE TABLE live (
    batch      bytea NOT NULL,
    seq        integer NOT NULL,
    attempt    integer NOT NULL,
    tries      integer NOT NULL,
    returns    integer NOT NULL CHECK (returns BETWEEN 0 AND 2),
    losses     integer NOT NULL,
    state      smallint NOT NULL CHECK (state IN (0, 1)),
    due_at     bigint NOT NULL,
    worker     text COLLATE "C",
    started_at bigint,
    reason     text,
    returned_at bigint,
    dropped    smallint NOT NULL DEFAULT 0,
    done       double precision,
    whole      double precision,
    PRIMARY KEY (batch, seq),
    CHECK ((state = 1) = (worker IS NOT NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05, vacuum_truncate = false);
CREATE INDEX live_due ON live (batch, returns, due_at) WHERE state = 0;
CREATE INDEX live_active ON live (batch, seq) WHERE state = 1;
CREATE INDEX live_worker ON live (worker) WHERE state = 1;
CREATE INDEX live_dropped ON live (worker) WHERE dropped = 1;

-- A ref with an active exclusive item: the primary key refuses a second one.
CREATE TABLE busy_refs (
    workspace text COLLATE "C" NOT NULL,
    ref       text COLLATE "C" NOT NULL,
    batch     bytea NOT NULL,
    seq       integer NOT NULL,
    PRIMARY KEY (workspace, ref)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05, vacuum_truncate = false);

-- Runs that have ended, written once (late truth about an unknown outcome is the one exception).
CREATE TABLE runs (
    batch      bytea NOT NULL,
    seq        integer NOT NULL,
    attempt    integer NOT NULL,
    last       smallint NOT NULL,
    state      text COLLATE "C" NOT NULL
        CHECK (state IN ('succeeded', 'failed', 'canceled', 'retried', 'returned')),
    code       text COLLATE "C" NOT NULL,
    message    text NOT NULL,
    worker     text COLLATE "C",
    tries      integer NOT NULL,
    started_at bigint,
    ended_at   bigint NOT NULL,
    seconds    double precision NOT NULL,
    charged    double precision NOT NULL DEFAULT 0,
    tokens_in  bigint NOT NULL DEFAULT 0,
    tokens_out bigint NOT NULL DEFAULT 0,
    cost       bigint NOT NULL DEFAULT 0,
    result     json NOT NULL,
    PRIMARY KEY (batch, seq, attempt),
    CHECK ((last = 1) = (state IN ('succeeded', 'failed', 'canceled')))
);
CREATE INDEX runs_last ON runs (batch, state, seq) WHERE last = 1;
CREATE INDEX runs_recent ON runs (batch, ended_at) WHERE last = 1 AND state <> 'canceled';

CREATE TABLE limits (
    lane         text COLLATE "C" PRIMARY KEY,
    cap          integer NOT NULL CHECK (cap >= 0),
    pace         double precision CHECK (pace > 0),
    active       integer NOT NULL DEFAULT 0 CHECK (active >= 0),
    next_start   bigint,
    served_at    bigint NOT NULL DEFAULT 0,
    open_until   bigint,
    open_reason  text,
    open_since   bigint,
    opens        integer NOT NULL DEFAULT 0,
    probe        text,
    streak_code  text,
    streak_items text NOT NULL DEFAULT '',
    alike        integer NOT NULL DEFAULT 0,
    worked_at    bigint
) WITH (fillfactor = 50);

CREATE TABLE shares (
    lane      text COLLATE "C" NOT NULL,
    workspace text COLLATE "C" NOT NULL,
    active    integer NOT NULL DEFAULT 0 CHECK (active >= 0),
    weight    double precision NOT NULL DEFAULT 1.0 CHECK (weight > 0),
    served_at bigint NOT NULL DEFAULT 0,
    aside_at  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (lane, workspace)
) WITH (fillfactor = 50);
CREATE INDEX shares_workspace ON shares (workspace);

-- Slots and refs of settled runs whose far side may still be busy with them.
CREATE TABLE held (
    batch     bytea NOT NULL,
    seq       integer NOT NULL,
    attempt   integer NOT NULL,
    lane      text COLLATE "C" NOT NULL,
    workspace text COLLATE "C" NOT NULL,
    ref       text COLLATE "C",
    until     bigint NOT NULL,
    PRIMARY KEY (batch, seq, attempt)
);
CREATE INDEX held_until ON held (until);

CREATE TABLE events (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace text COLLATE "C" NOT NULL,
    batch     bytea NOT NULL,
    at        bigint NOT NULL,
    type      text NOT NULL,
    actor     text,
    data      json NOT NULL
);
CREATE INDEX events_batch ON events (batch, id);

CREATE TABLE idempotency (
    workspace  text COLLATE "C" NOT NULL,
    key        text COLLATE "C" NOT NULL,
    route      text NOT NULL,
    digest     bytea NOT NULL,
    owner      text COLLATE "C" NOT NULL,
    created    text,
    status     integer,
    body       bytea,
    created_at bigint NOT NULL,
    PRIMARY KEY (workspace, key)
);
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
    id            text COLLATE "C" PRIMARY KEY,
    workspace     text COLLATE "C" NOT NULL,
    url           text NOT NULL,
    style         text NOT NULL,
    description   text NOT NULL,
    events        text NOT NULL,
    items         smallint NOT NULL CHECK (items IN (0, 1)),
    kind          text,
    batch         bytea NOT NULL,
    singles       smallint NOT NULL CHECK (singles IN (0, 1)),
    secrets       json NOT NULL,
    created_at    bigint NOT NULL,
    failing_since bigint,
    delivered_at  bigint,
    off_at        bigint,
    off_reason    text,
    erased_at     bigint,
    sweep_at      bigint
);
CREATE INDEX endpoints_workspace ON endpoints (workspace, batch);
CREATE INDEX endpoints_leftovers ON endpoints (sweep_at) WHERE sweep_at IS NOT NULL;

-- One event for one endpoint. A waiting one is claimed by its next_at, never by its id: of two transactions the one with
-- the later ids may be there first.
CREATE TABLE deliveries (
    id        bytea PRIMARY KEY CHECK (length(id) = 12),
    endpoint  text COLLATE "C" NOT NULL,
    workspace text COLLATE "C" NOT NULL,
    batch     bytea NOT NULL,
    seq       integer,
    type      text NOT NULL,
    at        bigint NOT NULL,
    data      json NOT NULL,
    state     text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempts  integer NOT NULL DEFAULT 0,
    next_at   bigint,
    status    integer,
    error     text,
    ended_at  bigint,
    CHECK ((state = 'waiting') = (next_at IS NOT NULL)),
    CHECK ((state = 'waiting') = (ended_at IS NULL))
);
CREATE INDEX deliveries_due ON deliveries (endpoint, next_at) WHERE state = 'waiting';
CREATE INDEX deliveries_failed ON deliveries (endpoint, ended_at) WHERE state = 'failed';
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;
-- The order of the pages, which the primary key does not have: it would be read from end to end for the few of one
-- endpoint.
CREATE INDEX deliveries_endpoint ON deliveries (endpoint, id DESC NULLS LAST);
CREATE INDEX deliveries_workspace ON deliveries (workspace, id DESC NULLS LAST);
CREATE INDEX deliveries_batch ON deliveries (batch, id DESC NULLS LAST);
