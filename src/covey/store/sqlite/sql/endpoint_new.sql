-- An endpoint, unless there is one of this id. Primary key of endpoints.
INSERT INTO endpoints (id, workspace, url, style, description, events, items, kind, batch, singles, secrets, created_at,
    off_at, off_reason, sweep_at)
VALUES (:endpoint, :workspace, :url, :style, :description, :events, :items, :kind, :batch, :singles, :secrets,
    :created_at, :off_at, :off_reason, :sweep_at)
ON CONFLICT (id) DO NOTHING
