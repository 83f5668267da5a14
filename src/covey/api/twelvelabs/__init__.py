"""The TwelveLabs API: batches and tasks of video analysis, and the assets they are about."""
