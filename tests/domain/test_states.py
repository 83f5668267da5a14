"""States are derived from facts: the same by the domain and, for lists, by the store."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.domain.batch import Batch, BatchState, Counts, StopReason, batch_state, stopped_state
from covey.domain.breaker import FRESH, Breaker, blame, outcome_code
from covey.domain.run import (
    Aborted,
    Blame,
    Defer,
    End,
    Failed,
    ItemBudget,
    Lost,
    Outcome,
    Retry,
    Returned,
    RunState,
    Succeeded,
    decide,
)

from ..clock import NOON

FACTS = Batch(
    id="0" * 24, workspace="w", kind="k", lane="l", config=b"{}", origin="batch", name=None, created_at=NOON,
    start_at=None, started_at=None, paused_at=None, pause_reason=None, stopped_at=None, stop_reason=None,
    stop_message=None, aborted_at=None, completed_at=None, expires_at=None, cap=None, pace=None, hours=None,
    max_tries=1, next_at=None, notes={}, counts=Counts(1, 0, 0, 0, 0), read_at=NOON,
)  # fmt: skip
LATER = NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, BatchState.queued),
        ({"start_at": LATER}, BatchState.scheduled),
        ({"start_at": NOON}, BatchState.queued),
        ({"started_at": NOON}, BatchState.running),
        ({"started_at": NOON, "paused_at": NOON}, BatchState.paused),
        ({"paused_at": NOON, "start_at": LATER}, BatchState.paused),
        ({"completed_at": NOON, "paused_at": NOON}, BatchState.completed),
        ({"stop_reason": StopReason.cancel, "paused_at": NOON}, BatchState.stopping),
        *(({"stop_reason": reason, "completed_at": NOON}, stopped_state(reason)) for reason in StopReason),
    ],
)
def test_the_state_of_a_batch(facts: dict[str, object], state: BatchState) -> None:
    batch = replace(FACTS, **facts)  # type: ignore[arg-type]
    assert batch.state is batch_state(batch, NOON) is state
    assert batch.ended == ("completed_at" in facts)


standings = st.builds(
    ItemBudget,
    stopped=st.booleans(),
    aborted=st.just(False),
    repeatable=st.booleans(),
    tries=st.integers(0, 4),
    max_tries=st.integers(1, 5),
    returns=st.integers(0, 2),
    losses=st.integers(0, 2),
    lane_works=st.booleans(),
).flatmap(lambda one: st.sampled_from([one, replace(one, aborted=one.stopped)]))
endings = st.sampled_from([Succeeded("s"), Failed("f", "m"), Failed("e", "m", blame=Blame.either)])
outcomes = st.one_of(
    endings,
    st.builds(Retry, st.just(LATER), endings),
    st.builds(Returned, st.sampled_from(["not_started", "x"]), st.just("m"), st.sampled_from(Blame), st.booleans()),
    st.just(Aborted("a")),
    st.just(Lost()),
)


@given(outcomes, standings)
def test_whatever_comes_of_a_run_its_budgets_hold(outcome: Outcome | Lost, standing: ItemBudget) -> None:
    decision = decide(outcome, standing, NOON)
    match decision:
        case Defer():
            assert not standing.stopped
            assert decision.tries < standing.max_tries or decision.tries == standing.tries
            assert decision.returns < 3
            assert decision.losses < 3
            assert decision.at is None or decision.at > NOON
        case End():
            assert decision.state in (RunState.succeeded, RunState.failed, RunState.canceled)
    if isinstance(outcome, Succeeded | Failed):
        assert isinstance(decision, End)
        assert decision.code == outcome.code
    if isinstance(outcome, Returned) and outcome.ours and not standing.stopped:
        assert isinstance(decision, Defer)
        assert decision.returns == standing.returns


items = st.sampled_from("abcdefgh")
words = st.lists(st.tuples(items, st.sampled_from(["ok", "x", "y", "nothing"])), max_size=60)


@given(words)
def test_the_breaker_opens_by_five_different_items_alike_and_by_nothing_else(said: list[tuple[str, str]]) -> None:
    breaker, streak, code = FRESH, set[str](), ""
    for item, word in said:
        if word == "nothing":
            outcome: Outcome = Returned("not_started")
        elif word == "ok":
            outcome = Succeeded("s")
        else:
            outcome = Failed(word, "", blame=Blame.either)
        breaker = breaker.after(item, outcome, NOON)
        if word == "ok":
            streak, code = set(), ""
        elif word != "nothing":
            streak = streak | {item} if word == code else {item}
            code = word
        if len(streak) >= 5 or not breaker.closed:
            assert not breaker.closed
            assert breaker.reason == code
            return
        assert breaker.closed


def test_a_breakers_blame_and_code() -> None:
    down = Failed("down", "", blame=Blame.either)
    assert blame(Retry(LATER, down)) is Blame.either
    assert outcome_code(Retry(LATER, down)) == "down"
    assert blame(Aborted("a")) is Blame.nothing
    assert blame(Succeeded("s")) is Blame.item
    assert Breaker(opens=5).hopeless
    assert not Breaker(opens=4).hopeless
