"""What the report of a call makes of its run: the table of ends, their sentences, and who may be to blame."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from covey.calls.call import CallEnd, CallReport, Speaker, Turn
from covey.calls.config import RetryPlan
from covey.domain.run import NOT_STARTED
from covey.engine.runner import Aborted, Blame, Failed, Outcome, Retry, Returned, Run, Succeeded

ANSWERED = frozenset(
    {
        CallEnd.successful,
        CallEnd.declined,
        CallEnd.no_response,
        CallEnd.hung_up,
        CallEnd.voicemail,
        CallEnd.too_long,
    }
)
"""The ends of calls that somebody, or something, answered: they complete the call."""

RETURNED = frozenset({CallEnd.trunk_auth, CallEnd.trunk_unavailable})
"""The ends that reached nobody: the item goes back, and the engine decides between trunk and number."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How an end that reached nobody reads to a person, and what it tells about the trunk."""

    sentence: str
    blame: Blame = Blame.item


FAILURES: Mapping[CallEnd, Failure] = {
    CallEnd.busy: Failure("Number busy"),
    CallEnd.no_answer: Failure("No answer"),
    CallEnd.unavailable: Failure("Phone not reachable", Blame.either),
    CallEnd.rejected: Failure("Call rejected", Blame.either),
    CallEnd.invalid_number: Failure("Number does not exist", Blame.either),
    CallEnd.moved: Failure("Number has moved"),
    CallEnd.codec_mismatch: Failure("The far side takes no sound format of ours", Blame.either),
    CallEnd.trunk_auth: Failure("The trunk refused the call", Blame.either),
    CallEnd.trunk_unavailable: Failure("The trunk could not place the call", Blame.either),
    CallEnd.no_final_answer: Failure("The far side never answered the dial; the phone may have rung", Blame.either),
    CallEnd.outcome_unknown: Failure(
        "The dialler stopped during the call; what came of it is not known", Blame.nothing
    ),
    CallEnd.aborted: Failure("Hung up on request", Blame.nothing),
}

INTERRUPTED = Failed("interrupted", "The server was shut down during the call", blame=Blame.nothing)


def outcome_of(
    report: CallReport, run: Run, retry: RetryPlan | None, least_gap: float, now: datetime, recording: str | None
) -> Outcome:
    """The engine's outcome of a reported call (docs/contracts/trillet.md 12.7 and 12.12)."""
    end, result = report.end, result_of(report, run, recording)
    if end is CallEnd.not_started:
        return Returned(NOT_STARTED, report.text)
    if end is CallEnd.aborted and run.drop_reason == "interrupted":
        return Failed(INTERRUPTED.code, INTERRUPTED.message, result, Blame.nothing) if report.dialled_at else _back()
    if end is CallEnd.aborted and report.dialled_at is None:
        return Aborted(run.drop_reason or end.value)
    if end in RETURNED:
        return Returned(end.value, _told(end, report), Blame.either)
    final: Succeeded | Failed
    if end in ANSWERED:
        lasted = _seconds(report.dialled_at, report.ended_at)
        final = Succeeded(end.value, result, lasted, charged=result["talk_seconds"])
    else:
        failure = FAILURES[end]
        final = Failed(end.value, _after(failure.sentence, run.tries + 1), result, failure.blame)
    if retry is not None and end.value in retry.codes:
        return Retry(now + timedelta(seconds=retry.gap(run.tries + 1, least_gap)), final)
    return final


def _back() -> Returned:
    return Returned(NOT_STARTED, "the server was shut down before the dial")


def _after(sentence: str, attempts: int) -> str:
    return sentence if attempts == 1 else f"{sentence} after {attempts} attempts"


def _told(end: CallEnd, report: CallReport) -> str:
    return f"{FAILURES[end].sentence} ({report.sip_code})" if report.sip_code else FAILURES[end].sentence


def _seconds(since: datetime | None, until: datetime) -> float:
    return 0.0 if since is None else max(0.0, (until - since).total_seconds())


def result_of(report: CallReport, run: Run, recording: str | None) -> dict[str, Any]:
    """What is kept of a call beside its outcome: what was said, and what the network carried."""
    return {
        "call_id": f"call_{run.item}",
        "outcome": report.end.value,
        "answers": report.answers,
        "answered_at_ms": _millis(report.answered_at),
        "talk_seconds": round(_seconds(report.answered_at, report.ended_at), 3) if report.answered_at else 0,
        "transcript": transcript(report.turns),
        "turns": [_turn(turn) for turn in report.turns],
        "answerer": report.answerer,
        "message_left": report.message_left,
        "sip": {"call_id": report.sip_call_id, "code": report.sip_code, "text": report.text},
        "media": asdict(report.media),
        "recording": recording,
    }


def _millis(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)


def _turn(turn: Turn) -> dict[str, Any]:
    kept = asdict(turn)
    return {name: value for name, value in kept.items() if value is not None}


def transcript(turns: tuple[Turn, ...]) -> str:
    """The conversation as one text, a line a turn."""
    return "\n".join(f"{turn.speaker.value}: {_said(turn)}" for turn in turns)


def _said(turn: Turn) -> str:
    if turn.digit is not None:
        return f"[pressed {turn.digit}]"
    if turn.speaker is Speaker.callee and not turn.text:
        return "[not understood]"
    return turn.text
