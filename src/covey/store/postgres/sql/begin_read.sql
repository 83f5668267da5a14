-- Begin an operation that only reads: all its statements see one snapshot.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY
