-- Begin an operation that writes: every statement sees what was committed before it.
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE
