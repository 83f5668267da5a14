-- An endpoint was changed. Primary key of endpoints.
UPDATE endpoints SET url = :url, description = :description, events = :events, items = :items, singles = :singles,
    secrets = :secrets, failing_since = :failing_since, off_at = :off_at, off_reason = :off_reason, sweep_at = :sweep_at
WHERE id = :endpoint
