"""What a batch looks like on a terminal: pure functions from what was seen to what is shown."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from covey.cli.output import clean, span, when
from covey.client.analysis import AnalysisBatch
from covey.client.models import Batch, BatchRow, Holding, Progress, RecentCall

WINDOW = timedelta(seconds=30)
"""The rate is that of the last half minute."""

STATES = (
    ("completed", "green", "█"),
    ("failed", "red", "▓"),
    ("active", "bright_cyan", "▒"),
    ("cancelled", "yellow", "×"),
    ("waiting", "bright_black", "░"),
)
"""The states in the order of the bar, each with its colour, and its glyph where there are no colours."""


@dataclass
class Seen:
    """What was seen of a batch so far; keeps as much of the past as the rate needs."""

    batch: Batch | None = None
    trouble: str = ""
    _ends: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, batch: Batch) -> None:
        """Take note of the batch as it is now."""
        self.batch, self.trouble = batch, ""
        if batch.timestamp is None:
            return
        at = batch.timestamp.timestamp()
        self._ends.append((at, batch.progress.completed + batch.progress.failed))
        while len(self._ends) > 2 and self._ends[0][0] < at - WINDOW.total_seconds():
            self._ends.popleft()

    @property
    def per_second(self) -> float:
        """Calls that end a second, lately."""
        if len(self._ends) < 2:
            return 0.0
        (first_at, first), (last_at, last) = self._ends[0], self._ends[-1]
        return max(0.0, last - first) / (last_at - first_at) if last_at > first_at else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long it goes on at this rate; None if nobody can say."""
        if self.batch is None or not self.per_second:
            return None
        return (self.batch.progress.waiting + self.batch.progress.active) / self.per_second


def render(seen: Seen) -> RenderableType:
    """The whole view."""
    if seen.batch is None:
        return Text(seen.trouble)
    batch = seen.batch
    parts: list[RenderableType] = [_title(batch), Bar(batch.progress), _legend(batch.progress), _pace(seen)]
    if batch.outcomes:
        parts.append(_outcomes(batch))
    parts.extend(_notes(seen))
    if batch.progress.recent_calls:
        parts.extend((Text(), recent_table(batch.progress.recent_calls)))
    return Group(*parts)


@dataclass(frozen=True)
class Bar:
    """One bar over the whole width, a stretch for each state."""

    progress: Progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        colours = console.color_system is not None and not console.no_color
        ascii_only = options.ascii_only
        text = Text(no_wrap=True)
        for (name, colour, glyph), width in zip(STATES, stretches(self.progress, options.max_width), strict=True):
            shape = "█" if colours and name not in ("waiting", "cancelled") else glyph
            text.append((name[0].upper() if ascii_only else shape) * width, colour)
        yield text


def stretches(progress: Progress, width: int) -> list[int]:
    """How wide each state is in a bar of `width`: in proportion, but nothing that is there is left out."""
    counts = [getattr(progress, name) for name, _, _ in STATES]
    total = sum(counts)
    if not total or width < len(counts):
        return [0] * len(counts)
    widths = [max(1, round(count * width / total)) if count else 0 for count in counts]
    while sum(widths) != width:
        step = 1 if sum(widths) < width else -1
        widths[widths.index(max(widths))] += step
    return widths


def _title(batch: Batch) -> Text:
    title = Text(clean(batch.name or batch.id), style="bold", overflow="ellipsis", no_wrap=True)
    title.append(f"  {state(batch)}", _colour(batch))
    title.append(f"  {clean(batch.trunk)}", "dim")
    if batch.live:
        title.append("  live: real phones ring", "bold red")
    if batch.name:
        title.append(f"  {batch.id}", "dim")
    return title


def state(batch: Batch | BatchRow) -> str:
    """The state of a batch in one word or two."""
    if batch.paused and not batch.is_complete:
        return "paused"
    if batch.status == "cancelled" and not batch.is_complete:
        return f"cancelled, active {batch.items if isinstance(batch, Batch) else 'calls'} go on"
    return clean(batch.status)


def state_in_list(word: str, holding: Holding | None) -> str:
    """The state of a batch with what holds it back, unless that is only that others are at work, or said already."""
    if holding is None or holding.code in ("paused", "limit_full"):
        return word
    return f"{word}, held back: {clean(holding.code)}"


def _colour(batch: Batch) -> str:
    if batch.paused:
        return "yellow"
    return {"completed": "green", "failed": "red", "cancelled": "yellow"}.get(batch.status, "cyan")


def _legend(progress: Progress) -> Text:
    legend = Text()
    for name, colour, glyph in STATES:
        legend.append(f"{glyph} ", colour)
        legend.append(f"{getattr(progress, name):,}", "bold")
        legend.append(f" {name}   ")
    legend.append(f"of {progress.total:,}", "dim")
    return legend


def _pace(seen: Seen) -> Text:
    assert seen.batch is not None
    progress = seen.batch.progress
    if seen.batch.is_complete:
        took = _took(progress)
        return Text(f"took {span(took)}" if took is not None else "over", "dim")
    parts = [f"{seen.per_second * 60:,.0f} {seen.batch.items} a minute"]
    if seen.seconds_left is not None:
        parts.append(f"about {span(seen.seconds_left)} left")
    if progress.average_call_duration:
        parts.append(f"a call lasts {span(progress.average_call_duration)}")
    if seen.batch.scheduled_at and not progress.start_time:
        parts = [f"starts {when(seen.batch.scheduled_at)}"]
    return Text(" · ".join(parts), "dim")


def _took(progress: Progress) -> float | None:
    if progress.start_time is None or progress.completed_time is None:
        return None
    return (progress.completed_time - progress.start_time).total_seconds()


def _outcomes(batch: Batch) -> Text:
    ordered = sorted(batch.outcomes.items(), key=lambda pair: -pair[1])
    return Text(" · ".join(f"{clean(name)} {count:,}" for name, count in ordered))


def _notes(seen: Seen) -> Iterator[Text]:
    assert seen.batch is not None
    if seen.batch.holding:
        since = f" (since {when(seen.batch.holding.since)})" if seen.batch.holding.since else ""
        yield Text(f"Held back: {clean(seen.batch.holding.message or seen.batch.holding.code)}{since}", "yellow")
    if seen.batch.error:
        yield Text(clean(seen.batch.error), "red")
    if told := _cost(seen.batch):
        yield Text(told, "dim")
    if seen.trouble:
        yield Text(clean(seen.trouble), "red")


def _cost(batch: Batch) -> str:
    """What it has cost of what it may, and when it is deleted, where there is something to say."""
    parts = []
    if batch.max_cost or batch.spent != "0":
        most = f" of at most {clean(batch.max_cost)}" if batch.max_cost else ""
        parts.append(f"cost {clean(batch.spent)}{most}")
    if batch.deletes_at:
        parts.append(f"will be deleted {when(batch.deletes_at)}")
    return " · ".join(parts)


def recent_table(calls: tuple[RecentCall, ...]) -> Table:
    """The calls that ended last, newest first."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for call in calls:
        good = call.status == "completed"
        table.add_row(
            Text(when(call.ended_at)[11:19], "dim"),
            Text(clean(call.phone_number)),
            Text(clean(call.outcome or call.error_code or call.status), "green" if good else "red"),
            Text(span(call.duration) if good else clean(call.error)),
        )
    return table


def line(batch: Batch) -> str:
    """The batch in one line, for logs and pipes."""
    progress = batch.progress
    counts = ", ".join(f"{getattr(progress, name):,} {name}" for name, _, _ in STATES)
    held = f"; held back: {batch.holding.message or batch.holding.code}" if batch.holding else ""
    return f"{when(batch.timestamp)} {state(batch)}: {counts} of {progress.total:,}{held}"


VIDEO_STATES = {
    "pending": "queued",
    "processing": "processing",
    "canceling": "cancelled",
    "canceled": "cancelled",
    "expired": "expired",
    "completed": "completed",
}


def as_batch(batch: AnalysisBatch) -> Batch:
    """A batch of videos in the words of the terminal view."""
    counts = Progress(
        waiting=batch.queued_items,
        active=batch.processing_items,
        completed=batch.ready_items,
        failed=batch.failed_items,
        cancelled=batch.canceled_items,
        total=batch.total_items,
        start_time=batch.created_at,
        completed_time=batch.completed_at or batch.canceled_at or batch.expired_at,
    )
    return Batch(
        id=batch.batch_id,
        status=VIDEO_STATES.get(batch.status, batch.status),
        is_complete=batch.ended,
        paused=batch.paused,
        holding=batch.holding,
        total_calls=batch.total_items,
        progress=counts,
        timestamp=datetime.now(UTC),
        created_at=batch.created_at,
        expires_at=batch.expires_at,
        max_cost=batch.max_cost,
        spent=batch.spent,
        deletes_at=batch.deletes_at,
        trunk=batch.model_name,
        items="videos",
        raw=batch.raw,
    )
