-- Which of these refs have an active item in the workspace. Primary key of busy_refs.
SELECT ref FROM busy_refs WHERE workspace = :workspace AND ref IN (SELECT value FROM json_each(:refs))
