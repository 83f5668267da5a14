"""Answers that are made while they are read."""

from collections.abc import AsyncIterator, Mapping

from fastapi.responses import StreamingResponse

BEGINNING = 2
"""A head line, and what the database had to say first."""


async def streamed(pieces: AsyncIterator[bytes], media_type: str, headers: Mapping[str, str]) -> StreamingResponse:
    """An answer of these pieces. It begins when the first are there: a database that cannot answer is a 503 until
    then, and a torn file only after."""
    begun = []
    async for piece in pieces:
        begun.append(piece)
        if len(begun) == BEGINNING:
            break

    async def whole() -> AsyncIterator[bytes]:
        for piece in begun:
            yield piece
        async for piece in pieces:
            yield piece

    return StreamingResponse(whole(), media_type=media_type, headers=headers)
