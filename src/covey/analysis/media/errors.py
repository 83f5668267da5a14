"""What goes wrong with a file, for programs and for people."""

BROKEN = "video_file_broken"
"""The file is damaged, or of no kind that is read here."""

TOO_LARGE = "video_resolution_too_high"
"""Its pictures are larger than a decoder takes."""

TOO_SMALL = "video_resolution_too_low"
"""Its pictures are smaller than the settings ask for."""

NO_VIDEO = "no_video_track"
"""It has sound, but nothing to see."""

LIMIT = "decoder_limit"
"""Decoding it took more memory or time than a decoder gets."""

UNSAFE = "decoder_not_isolated"
"""This machine cannot isolate decoders, and the settings ask for it."""

NOT_INSTALLED = "analysis_not_installed"
"""The libraries that decode are not installed."""


class Undecodable(Exception):
    """A file gave nothing. `code` is for programs, `message` is a sentence that holds nothing of the file."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
