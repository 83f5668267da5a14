"""What a full disk means, wherever files are written."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from covey.domain.errors import CoveyError

log = structlog.get_logger(__name__)


class NoRoom(CoveyError):
    """The server has no room for the file now; ask whoever runs it, or try again later."""

    status = 507
    code = "no_room"


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def free_bytes() -> Iterator[None]:
    """Write files in here. Raises NoRoom where the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            log.error("disk_full", why=error.strerror)
            raise NoRoom from error
        raise
