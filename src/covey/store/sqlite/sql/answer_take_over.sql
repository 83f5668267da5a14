-- Another process goes on with a request whose first process is gone. Primary key of idempotency.
UPDATE idempotency SET owner = :owner WHERE workspace = :workspace AND key = :key AND owner = :old
