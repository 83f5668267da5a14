"""local-facts: what can be said about a video from what is measured in it. No model, and never called one."""

from covey.analysis.localfacts.answering import answer_general, answer_segments, count_tokens
from covey.analysis.localfacts.capabilities import CAPABILITIES, MADE_BY, UNSUPPORTED, capabilities

__all__ = [
    "CAPABILITIES",
    "MADE_BY",
    "UNSUPPORTED",
    "answer_general",
    "answer_segments",
    "capabilities",
    "count_tokens",
]
