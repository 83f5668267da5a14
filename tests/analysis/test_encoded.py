"""Base64 in pieces is base64."""

import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.analysis import encoded
from covey.analysis.encoded import decoded


@given(st.binary(max_size=200))
def test_pieces_are_the_whole(content: bytes) -> None:
    text = base64.b64encode(content).decode()
    assert b"".join(decoded(text)) == content


@pytest.mark.parametrize("extra", [-2, -1, 0, 1, 2, 5])
def test_a_text_of_several_pieces(extra: int) -> None:
    content = bytes(range(256)) * ((2 * encoded.PIECE * 3 // 4 + 256) // 256) + b"x" * (6 + extra)
    pieces = list(decoded(base64.b64encode(content).decode()))
    assert len(pieces) == 3
    assert b"".join(pieces) == content


@given(st.text(alphabet="AZaz09+/= \n-_é", max_size=12))
def test_what_is_no_base64_is_refused_as_a_whole_text_is(text: str) -> None:
    try:
        whole = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        with pytest.raises((binascii.Error, ValueError)):
            list(decoded(text))
    else:
        assert b"".join(decoded(text)) == whole


def test_padding_stands_at_the_end_only() -> None:
    with pytest.raises(ValueError, match="padding before the end"):
        list(decoded("A" * (encoded.PIECE - 2) + "==" + "AAAA"))
