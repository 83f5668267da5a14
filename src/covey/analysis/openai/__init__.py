"""Models behind OpenAI-compatible endpoints.

Importing this imports the `openai` SDK, which the extra `analysis` brings.
"""

from covey.analysis.openai.backend import OpenAiBackend
from covey.analysis.openai.messages import VideoFrame, VideoSource

__all__ = ["OpenAiBackend", "VideoFrame", "VideoSource"]
