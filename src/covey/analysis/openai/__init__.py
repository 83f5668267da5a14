"""Models behind OpenAI-compatible endpoints.

Importing this imports the `openai` SDK, which the extra `analysis` brings.
"""

from covey.analysis.openai.backend import OpenAiBackend
from covey.analysis.openai.messages import Decoder, Frame

__all__ = ["Decoder", "Frame", "OpenAiBackend"]
