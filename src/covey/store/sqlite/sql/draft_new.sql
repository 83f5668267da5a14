-- A draft begins.
INSERT INTO batches (id, workspace, kind, lane, origin, name, config, notes, owner, fingerprint, max_tries, repeatable,
    exclusive, self_pausing, hours, asked_cap, asked_pace, created_at, start_at, expires_at, prices, max_cost, run_cost, keep_for,
    deletes_at)
VALUES (:id, :workspace, :kind, :lane, :origin, :name, :config, :notes, :owner, :fingerprint, :max_tries, :repeatable,
    :exclusive, :self_pausing, :hours, :cap, :pace, :created_at, :start_at, :expires_at, :prices, :max_cost, :run_cost, :keep_for,
    :deletes_at)
