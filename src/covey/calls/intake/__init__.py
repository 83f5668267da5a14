"""Lists of people to call: a CSV file is checked to its end before anything is stored.

source    the bytes: encoding, fingerprint, what is no CSV
table     the rows and their lines;   header   the columns above them
numbers   a cell becomes a phone number or a problem;   plan   the numbering plans behind it
checker   puts these together, in the process of `child`
check     starts that process, and reads back what it wrote;   queue   who may start one now
report    what was found
"""

from covey.calls.intake.check import CheckedList, IntakeFailed, check
from covey.calls.intake.options import Encoding, IntakeLimits, IntakeOptions, NumberRule, OnDuplicate, OnInvalid
from covey.calls.intake.queue import CheckQueue, TooManyChecks
from covey.calls.intake.report import BadRow, Report, csv_report
from covey.calls.intake.table import template

__all__ = [
    "BadRow",
    "CheckQueue",
    "CheckedList",
    "Encoding",
    "IntakeFailed",
    "IntakeLimits",
    "IntakeOptions",
    "NumberRule",
    "OnDuplicate",
    "OnInvalid",
    "Report",
    "TooManyChecks",
    "check",
    "csv_report",
    "template",
]
