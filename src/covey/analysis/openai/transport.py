"""Connections to an endpoint, which take no more of a reply than an answer may hold: an endpoint that sends without
end, or sends what unpacks to more, cannot fill the server's memory."""

import httpx2

REPLY_BYTES = 8 * 2**20
"""The most of a reply that is kept, unpacked: of a chat completion, a transcription, or an error. An answer of 128,000
tokens has less than 4 MB, even with every character of it escaped."""

_CUT = "covey.cut"
_OF_THE_WHOLE = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
"""Headers that say how the body came; they are not true of what is kept."""


class BoundedTransport(httpx2.AsyncHTTPTransport):
    """Answers with bodies that are read and unpacked, up to REPLY_BYTES. The connection of a longer one is closed."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The reply to a request, all there. Raises what reading it raises."""
        response = await super().handle_async_request(request)
        response.request = request
        try:
            body = await _beginning(response)
        finally:
            await response.aclose()
        return httpx2.Response(
            response.status_code,
            headers=[(name, value) for name, value in response.headers.raw if name.lower() not in _OF_THE_WHOLE],
            content=bytes(body[:REPLY_BYTES]),
            extensions={**response.extensions, _CUT: len(body) > REPLY_BYTES},
        )


def was_cut(response: httpx2.Response) -> bool:
    """Whether the endpoint sent more than was kept."""
    return bool(response.extensions.get(_CUT))


async def _beginning(response: httpx2.Response) -> bytearray:
    """The body, unpacked; or its beginning, longer than REPLY_BYTES by a piece. Pieces have a megabyte at most, however
    little was sent for them."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > REPLY_BYTES:
            break
    return body
