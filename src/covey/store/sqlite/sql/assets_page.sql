-- A page of a workspace's assets, newest first. Primary key of assets.
SELECT * FROM assets
WHERE workspace = :workspace
    AND (:among IS NULL OR id IN (SELECT value FROM json_each(:among)))
    AND (:kinds IS NULL OR kind IN (SELECT value FROM json_each(:kinds)))
    AND (:folded IS NULL OR instr(folded, :folded) > 0)
ORDER BY id DESC
LIMIT :limit OFFSET :offset
