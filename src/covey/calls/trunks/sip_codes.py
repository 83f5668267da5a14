"""What the far side's answer means: the table from SIP codes and close texts to the end of a call.

The stack says why a call closed in one line: a final answer as it came (`486 Busy Here`), or an error of the
system with its number (`Connection timed out [110]`). One answer never proves whether the number or the trunk is
to blame; the engine counts them.
"""

import errno
import re
from dataclasses import dataclass
from typing import Final

from covey.calls.call import CallEnd

BY_CODE: Final = {
    401: CallEnd.trunk_auth,
    403: CallEnd.trunk_auth,
    404: CallEnd.invalid_number,
    407: CallEnd.trunk_auth,
    408: CallEnd.no_answer,
    410: CallEnd.invalid_number,
    415: CallEnd.codec_mismatch,
    480: CallEnd.unavailable,
    484: CallEnd.invalid_number,
    486: CallEnd.busy,
    487: CallEnd.no_answer,
    488: CallEnd.codec_mismatch,
    600: CallEnd.busy,
    603: CallEnd.rejected,
    604: CallEnd.invalid_number,
    606: CallEnd.codec_mismatch,
    607: CallEnd.rejected,
    608: CallEnd.rejected,
}
"""Final answers with a meaning of their own."""

BY_CLASS: Final = {
    3: CallEnd.moved,
    4: CallEnd.trunk_unavailable,
    5: CallEnd.trunk_unavailable,
    6: CallEnd.rejected,
}
"""What the first digit says when the code is none of those."""

BY_ERROR: Final = {
    errno.ETIMEDOUT: CallEnd.no_final_answer,
    errno.ECONNREFUSED: CallEnd.trunk_unavailable,
    errno.EPROTO: CallEnd.trunk_unavailable,
    errno.EDESTADDRREQ: CallEnd.trunk_unavailable,
    errno.EHOSTUNREACH: CallEnd.trunk_unavailable,
    errno.ENETUNREACH: CallEnd.trunk_unavailable,
}
"""Errors of the system. After a time-out the phone may have rung, so it is not the trunk's alone."""

_ANSWER: Final = re.compile(r"([3-6][0-9]{2})(?: |$)", re.ASCII)
_ERROR: Final = re.compile(r"\[([0-9]+)\]$", re.ASCII)


@dataclass(frozen=True, slots=True)
class SipRefusal:
    """Why a call that nobody answered came to its end; `sip_code` is None if no final answer came."""

    end: CallEnd
    sip_code: int | None


def read_close(text: str, rang: bool) -> SipRefusal:
    """What the close text of an unanswered call means; `rang` is whether the far side had said that a phone rings.

    A 408 without that comes from a proxy that cannot reach what lies behind it, the phone or its own carrier.
    A text that is not in the tables means that an INVITE left and nothing is known: `no_final_answer`.
    """
    if answer := _ANSWER.match(text):
        code = int(answer[1])
        if code == 408 and not rang:
            return SipRefusal(CallEnd.unavailable, code)
        return SipRefusal(BY_CODE.get(code, BY_CLASS[code // 100]), code)
    if error := _ERROR.search(text):
        return SipRefusal(BY_ERROR.get(int(error[1]), CallEnd.no_final_answer), None)
    return SipRefusal(CallEnd.no_final_answer, None)
