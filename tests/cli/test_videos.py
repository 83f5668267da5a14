"""Videos on the command line, against a real server that looks at them with `local-facts`."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from covey.cli.exits import Exit
from covey.cli.uploads import LONGEST_CUSTOM_ID, custom_ids
from tests.api.twelvelabs import clips

from .conftest import Command, clean_environment

README = Path(__file__).parents[2] / "README.md"
ASK = ("--prompt", "How long is it?")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of video, whose name no custom id may have."""
    folder = tmp_path_factory.mktemp("clips") / "erste"
    folder.mkdir()
    clips.video(folder / "Über uns (1).mp4")
    return folder / "Über uns (1).mp4"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A file that looks like a video from outside."""
    (tmp_path / "broken.mp4").write_bytes(b"\0\0\0\x20ftypisom" + b"nothing" * 100)
    return tmp_path / "broken.mp4"


def kept(covey: Command) -> list[str]:
    """The ids of all assets there are."""
    return [str(asset["_id"]) for asset in covey.json("assets", "list")]


def test_answers_say_which_video_they_are_of(covey: Command, clip: Path, tmp_path: Path) -> None:
    twin = tmp_path / clip.name
    twin.write_bytes(clip.read_bytes())
    before = len(kept(covey))
    result = covey("analyze", str(clip), str(twin), str(clip), *ASK, "--watch")
    assert result.exit_code == Exit.ok, result.stderr
    assert "3 videos accepted as" in result.stderr
    assert len(kept(covey)) == before + 2
    for named in ("Uber_uns_1_mp4", "Uber_uns_1_mp4-2", "Uber_uns_1_mp4-3"):
        assert f"{named}  ready" in result.stdout
    lines = [json.loads(line) for line in covey("results", "--json").stdout.splitlines()]
    assert [line["custom_id"] for line in lines] == custom_ids([clip.name] * 3)
    again = covey("analyze", kept(covey)[0], *ASK)
    assert "1 video accepted as" in again.stderr
    assert len(kept(covey)) == before + 2
    covey("watch", again.stdout.strip())
    assert "Uber_uns_1_mp4  ready" in covey("results", again.stdout.strip()).stdout


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("no-such.mp4",), "no-such.mp4: there is no such file"),
        ((str(README),), "README.md: it is text, no video"),
        (("photo.jpg",), "photo.jpg: by its name it is image/jpeg, no video"),
        (("empty.mp4",), "empty.mp4: it is empty"),
        (("0" * 24,), "does not exist in collection assets"),
        (("--model", "no-such"), "there is no model 'no-such'"),
        (("--max-tokens", "1"), "max_tokens"),
    ],
)
def test_nothing_is_uploaded_for_a_batch_that_cannot_be(
    covey: Command,
    clip: Path,
    more: Sequence[str],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0")
    (tmp_path / "empty.mp4").touch()
    monkeypatch.chdir(tmp_path)
    before = kept(covey)
    result = covey("analyze", str(clip), *ASK, *more)
    assert result.exit_code in (Exit.usage, Exit.not_found)
    assert why in result.stderr
    assert kept(covey) == before


def test_a_watched_batch_ends_with_its_answers_in_json_too(covey: Command, clip: Path) -> None:
    result = covey("analyze", str(clip), str(clip), *ASK, "--watch", "--json")
    assert result.exit_code == Exit.ok, result.stderr
    *looks, first, second = [json.loads(line) for line in result.stdout.splitlines()]
    assert looks[-1]["status"] == "completed"
    assert all("batch_id" in look for look in looks)
    assert [line["status"] for line in (first, second)] == ["ready", "ready"]
    assert "0:02" in first["data"]["data"] or "2.0" in first["data"]["data"]
    assert [line["custom_id"] for line in (first, second)] == custom_ids([clip.name] * 2)


def test_what_was_uploaded_for_nothing_is_said(covey: Command, clip: Path, broken: Path) -> None:
    before = kept(covey)
    result = covey("analyze", str(clip), str(broken), *ASK)
    assert result.exit_code == Exit.failed
    left = [asset for asset in kept(covey) if asset not in before]
    assert len(left) == 2
    assert f"{clip.name} was uploaded and stays as asset {left[1]}." in result.stderr
    assert f"{broken.name} was uploaded and stays as asset {left[0]}." in result.stderr
    assert result.stderr.splitlines()[-1].startswith("broken.mp4: ")


def test_one_bad_file_does_not_stop_the_others(covey: Command, clip: Path, broken: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.bin"
    text.write_bytes(b"\x01\x02\x03 nothing that is known")
    result = covey("assets", "add", str(text), str(broken), str(clip))
    assert result.exit_code == Exit.failed
    newest, failed, *_ = kept(covey)
    assert result.stdout.strip() == newest
    assert f"{clip.name} is asset {newest}." in result.stderr
    assert re.search(rf"^broken\.mp4: .*[^.]\. It stays as asset {failed}\.$", result.stderr, re.MULTILINE)
    assert "notes.bin: file: " in result.stderr
    assert covey("assets", "add", str(clip)).exit_code == Exit.ok


def test_what_only_calls_can_do_says_what_videos_can(covey: Command, clip: Path) -> None:
    batch = covey("analyze", str(clip), *ASK).stdout.strip()
    for command, instead in (
        (("limit", batch, "--max-concurrent", "2"), "concurrency"),
        (("export", batch), f"covey results {batch} --json"),
        (("retry", batch, "--yes"), f"covey results {batch}"),
        (("items", batch), f"covey results {batch}"),
        (("show", batch, "--history"), f"covey show {batch}"),
        (("export", f"batch_{batch}"), f"covey results {batch}"),
    ):
        result = covey(*command)
        assert result.exit_code == Exit.usage
        assert f"{batch} is a batch of videos; " in result.stderr
        assert instead in result.stderr
    nothing = covey("items", "1" * 18 + "0" * 6)
    assert nothing.exit_code == Exit.not_found
    assert "There is no batch of calls of this id" in nothing.stderr


def test_the_lines_of_the_readme_run(covey: Command, clip: Path) -> None:
    for asset in kept(covey):
        covey("assets", "delete", asset, "--yes")
    assert covey("assets", "add", str(clip)).exit_code == Exit.ok
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    lines = next(block for block in blocks if "TwelveLabs(" in block)
    done = subprocess.run(
        [sys.executable, "-c", lines], env=clean_environment(**covey.environment), capture_output=True, check=True
    )
    assert re.fullmatch(r"\[['\"].*0:00.*['\"]\]\n", done.stdout.decode())


def test_custom_ids_are_different_and_fit() -> None:
    long = "x" * 80
    assert custom_ids(["a.mp4", "a.mp4", "a-mp4", "日本", long, long]) == [
        "a_mp4",
        "a_mp4-2",
        "a-mp4",
        "video",
        "x" * LONGEST_CUSTOM_ID,
        "x" * (LONGEST_CUSTOM_ID - 2) + "-2",
    ]
