"""Whose turn it is on a lane: a workspace that could go on is passed over only so often."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from covey.domain.run import ClaimedRuns

from .broken import Broken

READY = """
    SELECT c.workspace, sum(c.active) FROM counts c JOIN batches b ON b.id = c.batch
    WHERE c.lane = ? AND b.accepted_at IS NOT NULL AND b.completed_at IS NULL
    GROUP BY c.workspace
    HAVING max(c.cap IS NOT NULL OR c.pace IS NOT NULL OR b.exclusive) = 0
       AND max(c.stopped = 0 AND c.cursor < c.total AND c.next_at <= ?
               AND b.paused_at IS NULL AND (b.expires_at IS NULL OR b.expires_at > ?)) = 1
"""
"""The workspaces with new items on a lane that nothing but the lane keeps from being started, and how many runs they
have there. One with limits or refs of its own steps aside by itself."""


SPARE = 8
"""So many more than twice the lane's slots: answers that were lost, and the 0.1 s for which a workspace steps aside of
which a claim could start nothing."""


class Turns:
    """Counts the runs that others are handed while a workspace is ready and has less than its share of the lane."""

    def __init__(self, execute: Callable[..., Any]) -> None:
        self._execute = execute
        self._passed: Counter[tuple[str, str]] = Counter()

    def claimed(self, portion: ClaimedRuns, now: int, cap: int) -> None:
        """A portion was handed out at `now`, in microseconds."""
        lane = portion.lane
        ready = dict(self._execute(READY, (lane, now, now)).fetchall())
        share = max(1, cap // len(ready.keys() | {portion.workspace}))
        behind = {workspace for workspace, active in ready.items() if active < share} - {portion.workspace}
        for key in [key for key in self._passed if key[0] == lane and key[1] not in behind]:
            del self._passed[key]
        for workspace in behind:
            self._passed[lane, workspace] += len(portion.runs)
            passed = self._passed[lane, workspace]
            if passed > 2 * cap + SPARE:
                raise Broken("nobody starves", lane=lane, workspace=workspace, others=passed, cap=cap)
