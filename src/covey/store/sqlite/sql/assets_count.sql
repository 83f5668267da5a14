-- How many assets of a workspace there are. Primary key of assets.
SELECT count(*) FROM assets
WHERE workspace = :workspace
    AND (:among IS NULL OR id IN (SELECT value FROM json_each(:among)))
    AND (:kinds IS NULL OR kind IN (SELECT value FROM json_each(:kinds)))
    AND (:folded IS NULL OR instr(folded, :folded) > 0)
