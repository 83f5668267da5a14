"""The words of Covey and its rules: batches, items, runs, limits, ids, time, errors. No I/O."""
