"""What `covey` answers to the shell, and which error makes which."""

from enum import IntEnum

from covey.client import errors


class Exit(IntEnum):
    """The exit codes of every command."""

    ok = 0
    """It worked."""
    failed = 1
    """It did not work; the last line on stderr says why."""
    usage = 2
    """The command line, or what it hands over, is wrong; nothing was started."""
    not_found = 3
    """There is nothing of this id or name."""
    refused = 4
    """The key is missing or unknown, or may not do this."""
    conflict = 5
    """The state of things does not allow it: ended, a duplicate, or somebody said no."""
    unreachable = 6
    """No server answers, or it cannot answer now."""
    interrupted = 130
    """Ctrl-C."""
    unread = 141
    """The reader of its output went away, as `head` does; this is not reported."""


def exit_code(error: errors.CoveyClientError) -> Exit:
    """The exit code that tells this error."""
    match error:
        case errors.BadRequest() | errors.TooLarge() | errors.Unprocessable():
            return Exit.usage
        case errors.NotFound():
            return Exit.not_found
        case errors.Refused() | errors.ProfileError():
            return Exit.refused
        case errors.Conflict():
            return Exit.conflict
        case errors.Unreachable() | errors.Unavailable() | errors.RateLimited():
            return Exit.unreachable
        case _:
            return Exit.failed
