"""Which fictional number behaves how: the one table for the phones, the documentation and the command line.

The North American plan keeps 555-0100 to 555-0199 of every area code for fiction. The last two digits decide.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from covey.calls.call import CallEnd


class BehaviourKind(StrEnum):
    """What a demo phone does when it is called."""

    says_yes = "says_yes"
    presses_one = "presses_one"
    says_no = "says_no"
    presses_two = "presses_two"
    busy = "busy"
    never_answers = "never_answers"
    mailbox = "mailbox"
    hangs_up = "hangs_up"
    does_not_exist = "does_not_exist"
    declines = "declines"
    switched_off = "switched_off"
    silent = "silent"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Numbers ending in `first` to `last` are phones of this `kind`; `end` is how a call to one of them ends when
    its agent asks a required question with the usual digits."""

    kind: BehaviourKind
    first: int
    last: int
    what: str
    end: CallEnd


TABLE: Final = (
    Behaviour(BehaviourKind.says_yes, 0, 39, "answers and says yes to every question", CallEnd.successful),
    Behaviour(BehaviourKind.presses_one, 40, 49, "answers and presses 1", CallEnd.successful),
    Behaviour(BehaviourKind.says_no, 50, 54, "answers and says no to every question", CallEnd.declined),
    Behaviour(BehaviourKind.presses_two, 55, 59, "answers and presses 2", CallEnd.declined),
    Behaviour(BehaviourKind.busy, 60, 64, "is busy (486)", CallEnd.busy),
    Behaviour(BehaviourKind.never_answers, 65, 69, "rings and never answers", CallEnd.no_answer),
    Behaviour(BehaviourKind.mailbox, 70, 74, "is a mailbox: a greeting, a beep, then it records", CallEnd.voicemail),
    Behaviour(BehaviourKind.hangs_up, 75, 79, "answers and hangs up after a second and a half", CallEnd.hung_up),
    Behaviour(BehaviourKind.does_not_exist, 80, 84, "does not exist (404)", CallEnd.invalid_number),
    Behaviour(BehaviourKind.declines, 85, 89, "rings and declines (603)", CallEnd.rejected),
    Behaviour(BehaviourKind.switched_off, 90, 94, "is switched off (480)", CallEnd.unavailable),
    Behaviour(BehaviourKind.silent, 95, 99, "answers and says nothing", CallEnd.no_response),
)

_NUMBER: Final = re.compile(r"\+1[2-9][0-9]{2}55501([0-9]{2})", re.ASCII)


def behaviours() -> tuple[Behaviour, ...]:
    """The table, in the order of the numbers."""
    return TABLE


def is_demo_number(number: str) -> bool:
    """Whether `number` (E.164) is one of the fictional numbers the demo phones have: +1 area 555 01xx."""
    return _NUMBER.fullmatch(number) is not None


def behaviour_of(number: str) -> Behaviour | None:
    """How the phone with this number behaves; None if there is no such phone."""
    found = _NUMBER.fullmatch(number)
    if found is None:
        return None
    last_two = int(found[1])
    return next(row for row in TABLE if row.first <= last_two <= row.last)
