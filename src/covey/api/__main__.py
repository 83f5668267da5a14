"""`python -m covey.api [FOLDER]` writes the API document and its page into docs/."""

import sys
from pathlib import Path

import orjson

from covey.api.app import document
from covey.api.kit.reference import markdown


def main(folder: Path) -> None:
    """Write `openapi.json` and `api.md`."""
    raw = document()
    (folder / "openapi.json").write_bytes(raw)
    (folder / "api.md").write_text(markdown(orjson.loads(raw)), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
