-- Where a batch's cursor is. Primary key of counts.
SELECT cursor FROM counts WHERE batch = :batch
