"""A history before it happens: the machines, what people do, what goes wrong, all drawn from one seed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random


@dataclass(frozen=True)
class LaneFacts:
    """A lane and its limits."""

    name: str
    cap: int
    pace: int | None


@dataclass(frozen=True)
class Submit:
    """Somebody submits a batch; `number` names it in the other acts."""

    at: float
    number: int
    lane: str
    items: int
    workspace: str = "w"
    refs: tuple[str | None, ...] = (None,)
    cap: int | None = None
    pace: int | None = None
    max_tries: int = 1
    repeatable: bool = False
    exclusive: bool = False
    start_in: float | None = None
    expires_in: float | None = None
    seconds: float = 1.0


@dataclass(frozen=True)
class Order:
    """Somebody stops, pauses, resumes or erases a batch, or drops one of its items."""

    at: float
    what: str
    number: int
    seq: int = 0


@dataclass(frozen=True)
class Crash:
    """A process dies; another life begins later. `silently`: as with its whole machine, nobody closes its sessions."""

    at: float
    node: int
    back_in: float
    silently: bool = False


@dataclass(frozen=True)
class Freeze:
    """A process stands still for a while."""

    at: float
    node: int
    seconds: float


@dataclass(frozen=True)
class Drain:
    """A process is asked to end; another life begins later."""

    at: float
    node: int
    back_in: float


@dataclass(frozen=True)
class Weather:
    """A process's way to the database is bad for a while."""

    at: float
    node: int
    seconds: float
    lose_questions: float = 0.0
    lose_answers: float = 0.0
    slow: float = 0.0
    stumbles: float = 0.0
    """So many of the messages are late by themselves, and of the answers lost at once."""
    cut: bool = False


@dataclass(frozen=True)
class Restart:
    """The database is away for a while."""

    at: float
    seconds: float


@dataclass(frozen=True)
class FailOver:
    """The database is away for a while, and what it acknowledged in the last moments before is lost."""

    at: float
    seconds: float
    lost: float


@dataclass(frozen=True)
class Sick:
    """The far side of a lane gives everything back for a while."""

    at: float
    lane: str
    seconds: float


@dataclass(frozen=True)
class ClockSet:
    """A machine's clock is set."""

    at: float
    node: int
    ahead: float


Act = Submit | Order | Crash | Freeze | Drain | Weather | Restart | FailOver | Sick | ClockSet


@dataclass(frozen=True)
class Script:
    """A whole history. After `calm_at` nothing goes wrong any more."""

    seed: int
    nodes: int
    room: int
    lanes: tuple[LaneFacts, ...]
    calm_at: float
    acts: tuple[Act, ...] = field(default=())

    @property
    def items(self) -> int:
        return sum(act.items for act in self.acts if isinstance(act, Submit))

    def lines(self) -> list[str]:
        """The history, to be read."""
        facts = (
            f"{self.nodes} nodes with room for {self.room}, {', '.join(map(str, self.lanes))}, calm at {self.calm_at}"
        )
        return [facts, *(f"[{n}] {act}" for n, act in enumerate(self.acts))]


class Kind(StrEnum):
    """What else happens in a history."""

    any = "any"
    fail_over = "fail-over"
    """What was acknowledged in the last moments is lost."""
    stumbling = "stumbling"
    """From end to end messages are late by themselves while others pass them, and answers are lost at once."""
    flooding = "flooding"
    """One workspace submits, cancels, pauses, resumes and retries without end, beside others on the same lanes."""


FLOOD = "flood"
"""The workspace that does so."""


def write(seed: int, kind: Kind = Kind.any) -> Script:
    """The history of a seed."""
    dice = Random(seed)
    bulk = dice.random() < 0.3
    lanes = tuple(_lane(dice, f"lane-{n}", bulk) for n in range(dice.choice((1, 1, 2))))
    nodes = dice.choice((1, 2, 2, 3))
    calm_at = round(dice.uniform(4, 14), 3)
    acts: list[Act] = [_submit(dice, n, lanes, calm_at, bulk) for n in range(dice.choice((1, 2, 2, 3)))]
    batches = len(acts)
    for _ in range(dice.choice((0, 1, 2, 4))):
        acts.append(_order(dice, acts[:batches], calm_at))
    for _ in range(dice.choice((0, 1, 2, 4))):
        acts.append(_fault(dice, nodes, lanes, calm_at))
    theme = dice.random()
    if theme < 0.05:
        acts += _zombie(dice, lanes, calm_at)
    elif theme < 0.12:
        acts += _busy_crash(dice, lanes, calm_at)
    elif theme < 0.3:
        acts += _stumbles(dice, acts[:batches])
    if kind is Kind.fail_over:
        acts.append(FailOver(round(dice.uniform(1, calm_at), 3), 0.5, round(dice.uniform(0, 0.2), 4)))
    if kind is Kind.stumbling:
        acts += [Weather(0.05, node, calm_at, stumbles=round(dice.uniform(0.02, 0.3), 3)) for node in range(nodes)]
    if kind is Kind.flooding:
        acts += _flood(dice, lanes, calm_at)
    acts.sort(key=lambda act: act.at)
    return Script(seed, nodes, dice.choice((2, 8, 20, 60)) if not bulk else 60, lanes, calm_at, tuple(acts))


def _lane(dice: Random, name: str, bulk: bool) -> LaneFacts:
    if bulk:
        return LaneFacts(name, dice.choice((20, 50, 100)), dice.choice((None, None, None, 80)))
    return LaneFacts(name, dice.choice((1, 2, 4, 10, 30)), dice.choice((None, None, 5, 20)))


def _submit(dice: Random, number: int, lanes: tuple[LaneFacts, ...], calm_at: float, bulk: bool) -> Submit:
    exclusive = dice.random() < 0.3 and not bulk
    refs = tuple(dice.choice((None, "a", "b", "c", "d", "e")) for _ in range(7)) if exclusive else (None,)
    return Submit(
        at=round(dice.uniform(0, calm_at / 2), 3),
        number=number,
        lane=dice.choice(lanes).name,
        items=dice.randint(50, 220) if bulk else dice.randint(1, 35),
        workspace=dice.choice("wwv"),
        refs=refs,
        cap=None if bulk else dice.choice((None, None, None, 1, 3)),
        pace=None if bulk else dice.choice((None, None, None, 4)),
        max_tries=dice.randint(1, 3),
        repeatable=dice.random() < 0.4,
        exclusive=exclusive,
        start_in=dice.choice((None, None, None, 2.0)),
        expires_in=dice.choice((None, None, None, 5.0, 20.0)),
        seconds=0.3 if bulk else dice.choice((0.2, 1.0, 3.0)),
    )


def _order(dice: Random, submits: Sequence[Act], calm_at: float) -> Order:
    what = dice.choice(("stop", "stop", "stop", "abort", "abort", "pause", "resume", "drop", "drop", "erase"))
    number = dice.randrange(len(submits))
    at = round(submits[number].at + dice.random() ** 2 * (calm_at - submits[number].at) + 0.3, 3)
    return Order(at, what, number, dice.randrange(10))


def _flood(dice: Random, lanes: tuple[LaneFacts, ...], calm_at: float) -> list[Act]:
    """Batch after batch of one workspace, each with some orders; a retry is the same batch once more."""
    acts: list[Act] = []
    for number in range(200, 200 + dice.randint(8, 20)):
        drawn = _submit(dice, number, lanes, calm_at, bulk=False)
        cap = next(lane.cap for lane in lanes if lane.name == drawn.lane)
        items, seconds = dice.randint(1, 2 * cap + 5), min(drawn.seconds, 1.0)
        batch = replace(drawn, workspace=FLOOD, start_in=None, items=items, seconds=seconds)
        acts.append(batch)
        at = batch.at
        for _ in range(dice.randint(0, 4)):
            at = round(at + dice.expovariate(2), 3)
            acts.append(Order(at, dice.choice(("stop", "abort", "pause", "resume", "pause", "resume")), number))
        if dice.random() < 0.4:
            acts.append(replace(batch, at=round(at + dice.uniform(0.1, 1), 3), number=number + 100))
    return acts


def _zombie(dice: Random, lanes: tuple[LaneFacts, ...], calm_at: float) -> list[Act]:
    """A process stands still until it was given up, and goes on where it stood, amid runs that began anew."""
    at = round(dice.uniform(1, calm_at / 2), 3)
    work = Submit(
        at=round(at * dice.random(), 3),
        number=100,
        lane=dice.choice(lanes).name,
        items=dice.randint(20, 40),
        max_tries=2,
        repeatable=dice.random() < 0.8,
        seconds=8.0,
    )
    return [work, Freeze(at, 0, round(dice.uniform(31, 36), 3))]


def _busy_crash(dice: Random, lanes: tuple[LaneFacts, ...], calm_at: float) -> list[Act]:
    """A process dies while its runs go on at the far side, and the lane has no slot to spare."""
    at, lane = round(dice.uniform(0.5, calm_at / 2), 3), min(lanes, key=lambda lane: lane.cap)
    work = Submit(at=round(at / 2, 3), number=101, lane=lane.name, items=min(60, 2 * lane.cap + 5), seconds=5.0)
    return [work, Crash(at, 0, back_in=0.5)]


def _stumbles(dice: Random, submits: Sequence[Act]) -> list[Act]:
    """Processes stand still for moments while there is much to start."""
    at = min(act.at for act in submits)
    return [
        Freeze(round(at + dice.uniform(0.01, 3), 3), dice.randrange(3), round(dice.choice((0.2, 0.4, 0.8)), 3))
        for _ in range(4)
    ]


def _fault(dice: Random, nodes: int, lanes: tuple[LaneFacts, ...], calm_at: float) -> Act:
    at, node, span = round(dice.uniform(0.1, calm_at), 3), dice.randrange(nodes), round(dice.uniform(0.3, 4), 3)
    match dice.randrange(12):
        case 0 | 1:
            return Crash(at, node, back_in=round(dice.uniform(0.2, 3), 3))
        case 2:
            return Crash(at, node, back_in=round(dice.uniform(0.2, 3), 3), silently=dice.random() < 0.3)
        case 3 | 4:
            return Freeze(at, node, round(dice.choice((0.3, 0.6, 1.5, 5)) * dice.uniform(0.8, 1.2), 3))
        case 5 | 6:
            return Weather(at, node, span, lose_questions=0.1, lose_answers=0.3)
        case 7:
            return Weather(at, node, span, slow=dice.choice((0.05, 0.3, 2.0, 4.0)))
        case 8:
            return Weather(at, node, span, cut=True)
        case 9:
            return Restart(at, round(dice.uniform(0.1, 3), 3))
        case 10:
            return Sick(at, dice.choice(lanes).name, span)
        case _:
            return dice.choice((Drain(at, node, 1.0), ClockSet(at, node, round(dice.uniform(-2, 2), 3))))
