"""Where the calls runner and its API keep files inside of the data folder."""

from pathlib import Path


def skipped_path(data: Path, batch: str) -> Path:
    """Where a batch's skipped rows are listed, one JSON object a line."""
    return data / "skipped" / f"{batch}.jsonl"


def recordings_folder(data: Path) -> Path:
    """Where recordings stay, unless the settings name a bucket."""
    return data / "recordings"


def recording_spool(data: Path) -> Path:
    """Where a call writes its recording while it lasts."""
    return data / "recording"


def open_calls_folder(data: Path) -> Path:
    """Where each dialler has a file as long as it may have left a call open."""
    return data / "diallers"
