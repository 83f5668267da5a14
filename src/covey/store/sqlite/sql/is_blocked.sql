-- Whether a workspace keeps a ref from being touched. Primary key of blocked.
SELECT 1 FROM blocked WHERE workspace = :workspace AND ref = :ref
