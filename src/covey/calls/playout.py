"""What the agent is saying: lines handed out as PCM a little ahead of time, and how much of them was really heard."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from covey.calls.call import SAMPLE_RATE, Line, Speaker, Turn

BYTES_A_SECOND = SAMPLE_RATE * 2
_PAUSE = bytes(int(0.2 * SAMPLE_RATE) * 2)
"""The breath between two lines that follow each other."""


@dataclass(slots=True)
class _Piece:
    """A line (None: a pause) being handed out; `at` is when its first sample sounds."""

    line: Line | None
    sound: bytes
    handed: int = 0
    at: float = 0.0
    ends_at: float | None = None


class Playout:
    """Plays lines one after the other. Knows when they sound by keeping account of the transmit buffer, which is
    filled ahead of time and drains in real time."""

    def __init__(self, clips: Mapping[str, bytes]) -> None:
        """`clips` maps the lines' keys to PCM."""
        self._clips = clips
        self._pieces: deque[_Piece] = deque()
        self._buffered_until = 0.0

    def say(self, lines: Sequence[Line]) -> None:
        """Starts to say `lines`; there is nothing else being said."""
        for number, line in enumerate(lines):
            if number:
                self._pieces.append(_Piece(None, _PAUSE))
            self._pieces.append(_Piece(line, self._clips[line.clip]))

    def next(self, max_bytes: int, now: float) -> bytes:
        """The next PCM to send, at most `max_bytes` of it; b"" when all was handed out."""
        room = max_bytes - max_bytes % 2
        parts = []
        for piece in self._pieces:
            if room <= 0:
                break
            if piece.ends_at is None:
                part = self._hand_out(piece, room, now)
                room -= len(part)
                parts.append(part)
        return b"".join(parts)

    def finished(self, now: float) -> list[Turn]:
        """The lines that sounded to their end since the last time this was asked."""
        turns = []
        while self._pieces and (ends_at := self._pieces[0].ends_at) is not None and ends_at <= now:
            piece = self._pieces.popleft()
            turns += _turn(piece, ends_at)
        return turns

    def cut(self, now: float) -> list[Turn]:
        """Stops; what was handed out but has not sounded yet is to be flushed. Answers the lines as far as heard."""
        turns = self.heard_so_far(now)
        self._pieces.clear()
        self._buffered_until = now
        return turns

    def heard_so_far(self, now: float) -> list[Turn]:
        """The lines not yet reported as finished, as far as they sounded by `now`."""
        return [turn for piece in self._pieces if piece.handed for turn in _turn(piece, now)]

    @property
    def silent(self) -> bool:
        """Whether everything was said and reported."""
        return not self._pieces

    @property
    def sounded_until(self) -> float:
        """When the last sound handed out ends."""
        return self._buffered_until

    def _hand_out(self, piece: _Piece, room: int, now: float) -> bytes:
        part = piece.sound[piece.handed : piece.handed + room]
        starts = max(self._buffered_until, now)
        if not piece.handed:
            piece.at = starts
        piece.handed += len(part)
        self._buffered_until = starts + len(part) / BYTES_A_SECOND
        if piece.handed == len(piece.sound):
            piece.ends_at = self._buffered_until
        return part


def _turn(piece: _Piece, now: float) -> list[Turn]:
    said_for = min(now - piece.at, piece.handed / BYTES_A_SECOND)
    if piece.line is None or said_for <= 0:
        return []
    return [Turn(Speaker.agent, piece.line.text, round(piece.at, 3), said_for=round(said_for, 3))]
