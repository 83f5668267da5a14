"""The shortest history that still fails: acts are left out, and batches made smaller, for as long as it does."""

import time
import traceback
from collections.abc import Sequence
from dataclasses import replace

from .broken import Broken
from .script import Kind, Script, Submit, write
from .world import World

SHRINK_SECONDS = 20.0


def only(script: Script, acts: Sequence[int] | None, most_items: int | None) -> Script:
    """The history with these acts only, and with no batch of more items."""
    kept = range(len(script.acts)) if acts is None else acts
    chosen = [script.acts[number] for number in kept]
    if most_items is not None:
        chosen = [replace(act, items=min(act.items, most_items)) if isinstance(act, Submit) else act for act in chosen]
    return replace(script, acts=tuple(chosen))


def failure(script: Script) -> BaseException | None:
    """What goes wrong in a history."""
    try:
        World(script).run()
    except (Exception, Broken) as error:
        return error
    return None


def kind(error: BaseException) -> str:
    """What two failures have in common that are the same."""
    return error.promise if isinstance(error, Broken) else type(error).__name__


def shrink(script: Script, failed: BaseException) -> tuple[list[int], int | None]:
    """The acts and the most items of a batch with which a history still fails in the same way."""
    kept, most_items = list(range(len(script.acts))), None
    until = time.monotonic() + SHRINK_SECONDS

    def fails(acts: list[int], items: int | None) -> bool:
        if time.monotonic() > until:
            return False
        found = failure(only(script, acts, items))
        return found is not None and kind(found) == kind(failed)

    for items in (1, 2, 3, 5, 10, 20, 50):
        if fails(kept, items):
            most_items = items
            break
    smaller = True
    while smaller:
        smaller = False
        for number in list(kept):
            fewer = [one for one in kept if one != number]
            if fails(fewer, most_items):
                kept, smaller = fewer, True
    for items in (1, 2, 3, 5, 10):
        if (most_items is None or items < most_items) and fails(kept, items):
            most_items = items
            break
    return kept, most_items


def report(script: Script, failed: BaseException, kind: Kind = Kind.any) -> str:
    """What to tell of a history that failed: the shortest that does, and how to run it."""
    kept, most_items = shrink(script, failed)
    short = only(script, kept, most_items)
    again = failure(short) or failed
    numbers = ",".join(map(str, kept))
    options = f"--only '{numbers}'" + (f" --items {most_items}" if most_items else "")
    which = "" if kind is Kind.any else f" --kind {kind}"
    options += which
    lines = [
        f"seed {script.seed}: {type(again).__name__}: {again}",
        f"the shortest history that does it, {len(kept)} of {len(script.acts)} acts:",
        *short.lines(),
        f"run it: .venv/bin/python -m tests.simulation {script.seed} {options} --trace",
        f"all of it: .venv/bin/python -m tests.simulation {script.seed}{which}",
    ]
    return "\n".join(lines)


def run_one(
    seed: int,
    *,
    only: Sequence[int] | None = None,
    most_items: int | None = None,
    kind: Kind = Kind.any,
    trace: bool = False,
) -> int:
    """Run one history and print what there is to say; 1 if it failed."""
    script = cut(write(seed, kind), only, most_items)
    print("\n".join(script.lines()))
    world = World(script, trace=trace)
    try:
        world.run()
    except BaseException as error:
        print("\n".join(world.ledger.trace or []))
        traceback.print_exception(error)
        return 1
    print("\n".join(world.ledger.trace or []))
    seconds = world.loop.time()
    print(f"held: {script.items} items, {world.database.operations} operations, {seconds:.1f} virtual seconds")
    return 0


cut = only
