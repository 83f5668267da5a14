"""What other processes say wakes the loops it is meant for."""

import pytest

from covey.engine.wakeups import Wakeups


@pytest.mark.parametrize(
    ("hint", "woken"),
    [
        ("work:one", {"one"}),
        ("work:three:and:more", {"three:and:more"}),
        ("drop", {"drops"}),
        ("withdraw:0123", {"0123"}),
        ("withdraw", {"one", "two", "drops"}),
        ("", {"one", "two", "drops"}),
        ("what a newer Covey says", {"one", "two", "drops"}),
    ],
)
def test_a_wakeup_of_another_process(hint: str, woken: set[str]) -> None:
    wakeups = Wakeups()
    events = {"one": wakeups.lane("one"), "two": wakeups.lane("two"), "drops": wakeups.drops}
    withdrawn: list[str] = []
    wakeups.withdraw = withdrawn.append
    wakeups.heard(hint)
    if hint.startswith("work:three"):
        events["three:and:more"] = wakeups.lane("three:and:more")
    assert {name for name, event in events.items() if event.is_set()} | set(withdrawn) == woken
