"""What a trunk and its diallers say to each other, and how it crosses the socket between them.

A frame is two lengths (four bytes each, network order), a JSON object and a tail of raw bytes (sound).

    trunk to dialler    setup · place · withdraw · hang_up · recognized · shut_down
    dialler to trunk    ready · beat · dialling · ringing · answered · turn · understand · report
"""

from datetime import datetime

from covey.calls.call import (
    Ask,
    CallEnd,
    CallOrder,
    CallReport,
    Line,
    Media,
    Script,
    Speaker,
    StartLease,
    Turn,
    VoicemailPolicy,
)
from covey.processes.frames import Message


def read_order(data: Message) -> CallOrder:
    """The call order that was sent as `data`."""
    return CallOrder(**{**data, "script": _read_script(data["script"]), "lease": StartLease(**data["lease"])})


def _read_script(data: Message) -> Script:
    message = data["voicemail_message"]
    return Script(
        opening=tuple(Line(**line) for line in data["opening"]),
        asks=tuple(_read_ask(ask) for ask in data["asks"]),
        goodbye=Line(**data["goodbye"]),
        voicemail=VoicemailPolicy(data["voicemail"]),
        voicemail_message=Line(**message) if message else None,
        detect_machine=data["detect_machine"],
    )


def _read_ask(data: Message) -> Ask:
    lines = {key: Line(**data[key]) for key in ("question", "again", "confirm_yes", "confirm_no")}
    return Ask(**{**data, **lines})


def read_report(data: Message) -> CallReport:
    """The call report that was sent as `data`."""
    return CallReport(
        **{
            **data,
            "end": CallEnd(data["end"]),
            "ended_at": datetime.fromisoformat(data["ended_at"]),
            "dialled_at": _read_time(data["dialled_at"]),
            "answered_at": _read_time(data["answered_at"]),
            "turns": tuple(read_turn(turn) for turn in data["turns"]),
            "media": Media(**data["media"]),
        }
    )


def read_turn(data: Message) -> Turn:
    """The turn that was sent as `data`."""
    return Turn(**{**data, "speaker": Speaker(data["speaker"])})


def _read_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
