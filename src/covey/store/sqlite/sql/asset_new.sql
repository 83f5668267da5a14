-- A new asset.
INSERT INTO assets (workspace, id, name, folded, kind, method, state, owner, created_at, size, seconds, source, facts,
    error, notes)
VALUES (:workspace, :id, :name, :folded, :kind, :method, :state, :owner, :created_at, :size, :seconds, :source, :facts,
    :error, :notes)
