"""`make guards`: take each guard of tests/guards away, one after the other, and see its test fail.

    python tools/guards.py [WORD …]

A row names a file of `src/covey`, the exact text that is the guard, what takes its place, and the tests that must fail
then. The text has to be found exactly once. Everything happens in a copy of `src`. With words, only rows whose `what`
has one of them. Fails if a guard is missed by its test, or a row does not fit any more.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SECONDS = 180


def guards() -> list[dict[str, Any]]:
    """All rows, of all files."""
    files = sorted((ROOT / "tests" / "guards").glob("*.toml"))
    return [row for file in files for row in tomllib.loads(file.read_text(encoding="utf-8"))["guard"]]


def take_away(copy: Path, guard: dict[str, Any]) -> str:
    """What is wrong with a row; empty if the tests fail without the guard."""
    file = copy / "covey" / guard["file"]
    text = file.read_text(encoding="utf-8")
    found = text.count(guard["old"])
    if found != 1:
        return f"its text is there {found} times in {guard['file']}"
    file.write_text(text.replace(guard["old"], guard["new"]), encoding="utf-8")
    try:
        return fails(copy, guard["tests"])
    finally:
        file.write_text(text, encoding="utf-8")


def fails(copy: Path, tests: list[str]) -> str:
    """Empty if the tests fail, else what they do."""
    names = [f"tests/{test}" for test in tests]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *names]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return ""  # what waits for ever has failed, too
    if done.returncode == 1:
        return ""
    if done.returncode == 0:
        return "its test passes without it"
    return f"pytest ended {done.returncode}: {done.stdout.strip().splitlines()[-1:]}"


def main() -> None:
    """Take each away."""
    words = sys.argv[1:]
    rows = [row for row in guards() if not words or any(word in row["what"] for word in words)]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "src"
        shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
        for number, row in enumerate(rows, 1):
            why = take_away(copy, row)
            wrong += bool(why)
            print(f"{number:3} of {len(rows)}  {'MISSED' if why else 'fails '}  {row['what']}", flush=True)
            if why:
                print(f"            {why}", flush=True)
    print(f"{len(rows) - wrong} of {len(rows)} guards: their tests fail without them")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
