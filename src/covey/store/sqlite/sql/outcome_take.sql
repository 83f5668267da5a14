-- Items of a batch that had ended with a code turned out otherwise: `n` is negative. Primary key of outcomes.
UPDATE outcomes SET n = n + :n WHERE batch = :batch AND code = :code
