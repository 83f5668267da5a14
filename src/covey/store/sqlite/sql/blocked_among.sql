-- Which of these refs a workspace keeps from being touched. Primary key of blocked.
SELECT ref FROM blocked WHERE workspace = :workspace AND ref IN (SELECT value FROM json_each(:refs))
