"""Media that nobody trusts, read in processes that may do nothing else."""

from covey.analysis.media.decoder import Decoder, Progress, isolation
from covey.analysis.media.errors import Undecodable
from covey.analysis.media.facts import Facts, Frame, Inspection, Shot, Text

__all__ = ["Decoder", "Facts", "Frame", "Inspection", "Progress", "Shot", "Text", "Undecodable", "isolation"]
