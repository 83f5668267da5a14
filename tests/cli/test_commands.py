"""The commands against a real server, its demo phones and all."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from covey.cli.commands import app
from covey.cli.exits import Exit
from covey.client import load_profile

from .conftest import NASTY, PRINTABLE, Command

MakeList = Callable[..., str]

BUSY, ABSENT, DECLINES = "+12025550160", "+12025550180", "+12025550185"


def started(covey: Command, file: str, agent: str, *options: str) -> str:
    """Start a batch that waits; its id."""
    result = covey("submit", file, "--agent", agent, "--at", "+2h", *options)
    assert result.exit_code == 0, result.stderr
    return str(result.stdout).strip()


def check_that_it_is_known(covey: Command, file: str, batch: str) -> None:
    """A list that was called is not called again by accident, whatever name it is given."""
    for name in ("three", "July"):
        again = covey("submit", file, "--agent", "caller", "--name", name)
        assert again.exit_code == Exit.conflict
        assert batch in again.stderr
        assert "--allow-duplicate" in again.stderr
        assert covey.json("list")["batches"][0]["id"] == batch
    checked = covey("validate", file, "--agent", "caller")
    assert checked.exit_code == Exit.ok
    assert "3 of the numbers are also in a batch on the trunk demo" in checked.stderr


def test_a_list_becomes_calls_and_results(covey: Command, agent: str, make_list: MakeList, tmp_path: Path) -> None:
    file = make_list((BUSY, "Ada"), (ABSENT, "Bo"), (DECLINES, "Cy"))
    result = covey("submit", file, "--agent", "caller", "--name", "three", "--watch")
    assert result.exit_code == Exit.ok, result.stderr
    assert "0 completed, 3 failed, 0 active, 0 cancelled, 0 waiting of 3" in result.stdout.splitlines()[-1]

    newest = covey.json("show")
    assert newest["name"] == "three"
    assert newest["outcomes"] == {"busy": 1, "invalid_number": 1, "rejected": 1}
    calls = covey.json("items", newest["id"])["calls"]
    assert [call["errorCode"] for call in calls] == ["busy", "invalid_number", "rejected"]

    shown = covey("show", calls[0]["jobId"])
    assert re.search(r"Call-ID\s+\S+", shown.stdout)
    assert "486" in shown.stdout
    assert "Ada" in shown.stdout
    assert covey("show", calls[0]["jobId"].removeprefix("call_")).stdout == shown.stdout

    target = tmp_path / "results.csv"
    assert covey("export", newest["id"], "-o", str(target)).exit_code == 0
    header, *rows = target.read_text().splitlines()
    assert header.startswith("phone_number,first_name,")
    assert len(rows) == 3
    assert covey("export", newest["id"].removeprefix("batch_")).stdout.splitlines()[0] == header
    assert [json.loads(line)["phone_number"] for line in covey("export", "--json").stdout.splitlines()] == [
        BUSY,
        ABSENT,
        DECLINES,
    ]

    check_that_it_is_known(covey, file, newest["id"])

    ended = covey("cancel", newest["id"], "--yes")
    assert ended.exit_code == Exit.conflict
    assert "nothing" in ended.stderr.lower()

    retried = covey("retry", newest["id"], "--error-code", "busy", "--yes", "--watch")
    assert retried.exit_code == Exit.ok, retried.stderr
    assert "1 failed" in retried.stdout.splitlines()[-1]
    twice = covey("retry", newest["id"], "--error-code", "busy", "--yes")
    assert twice.exit_code == Exit.conflict
    assert "--allow-duplicate" in twice.stderr
    meant = covey("retry", newest["id"], "--error-code", "busy", "--yes", "--allow-duplicate")
    assert meant.exit_code == 0, meant.stderr
    line = ("retry", newest["id"], "--error-code", "busy", "--yes", "--allow-duplicate")
    limits = ("--at", "+1d", "--expires", "+2d", "--max-concurrent", "2", "--calls-per-second", "0.5")
    later = covey(*line, *limits)
    assert "It starts at" in later.stderr
    found = covey.json("show", later.stdout.strip())
    assert (found["maxConcurrent"], found["callsPerSecond"]) == (2, 0.5)
    assert found["expiresAt"] - found["scheduledAt"] == pytest.approx(86_400_000, abs=60_000)
    assert "prices" in covey(*line, "--max-cost", "5").stderr


def test_a_start_is_said_with_its_zone_and_a_day_alone_is_no_time(
    covey: Command, agent: str, make_list: MakeList
) -> None:
    file = make_list((BUSY, "Ada"))
    for option in ("--at", "--expires"):
        refused = covey("submit", file, "--agent", agent, option, "2031-11-23")
        assert refused.exit_code == Exit.usage
        assert "2031-11-23T09:00" in " ".join(refused.stderr.split())
    at = (datetime.now(UTC) + timedelta(days=3)).astimezone().replace(microsecond=0)
    accepted = covey("submit", file, "--agent", agent, "--at", at.isoformat())
    assert accepted.exit_code == 0, accepted.stderr
    assert f"It starts at {at.isoformat()}." in accepted.stderr
    batch = accepted.stdout.strip()
    assert f"starts {at.isoformat()}" in covey("show", batch).stdout
    assert re.search(r"\d\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", covey("show", batch, "--history").stdout)
    assert covey("cancel", batch, "--yes").exit_code == 0


def test_bad_rows_start_nothing_and_say_what_is_right(covey: Command, agent: str, make_list: MakeList) -> None:
    before = covey.json("list")["pagination"]["total"]
    file = make_list((BUSY, "Ada"), ("4.15555E+09", "[red]Bo[/]"), ("12025550160", "\x1b[31mCy"))
    result = covey("submit", file, "--agent", agent)
    assert result.exit_code == Exit.usage
    assert result.stdout == ""
    assert "4.15555E+09" in result.stderr
    assert "--skip-invalid" in result.stderr
    assert "\x1b" not in result.stderr
    as_json = covey("submit", file, "--agent", agent, "--json")
    assert as_json.exit_code == Exit.usage
    assert [row["row"] for row in json.loads(as_json.stdout)["invalidRows"]] == [3, 4]
    assert covey.json("list")["pagination"]["total"] == before

    report = covey("validate", file, "--agent", agent)
    assert report.exit_code == Exit.usage
    assert "bad rows" in report.stdout
    batch = started(covey, file, agent, "--skip-invalid")
    assert len(covey.json("show", batch, "--skipped")["invalidRows"]) == 2
    assert covey("cancel", batch, "--yes").exit_code == 0


def test_a_cancel_says_what_it_stops_and_wants_a_yes(covey: Command, agent: str, make_list: MakeList) -> None:
    batch = started(covey, make_list((BUSY, "Ada"), (ABSENT, "Bo")), agent)
    refused = covey("cancel", batch)
    assert refused.exit_code == Exit.usage
    assert "2 waiting calls will never be dialled" in refused.stderr
    assert "--yes" in refused.stderr
    assert covey.json("show", batch)["status"] == "queued"
    done = covey.json("cancel", batch, "--yes")
    assert done["details"]["cancelledCalls"] == 2
    assert covey("watch", batch).exit_code == Exit.failed


def test_pause_limit_and_resume(covey: Command, agent: str, make_list: MakeList) -> None:
    batch = started(covey, make_list((BUSY, "Ada")), agent)
    assert covey.json("pause", batch)["paused"] is True
    assert "paused" in covey("show", batch).stdout
    assert covey.json("limit", batch, "--max-concurrent", "3")["maxConcurrent"] == 3
    assert covey.json("resume", batch)["paused"] is False
    assert [event["event"] for event in covey.json("show", batch, "--history")][-1] == "resumed"
    assert covey("cancel", batch, "--yes").exit_code == 0
    assert covey("pause", batch).exit_code == Exit.conflict


def test_nothing_from_outside_reaches_the_terminal_as_it_comes(
    covey: Command, agent: str, make_list: MakeList, folder: Path
) -> None:
    file = make_list((BUSY, PRINTABLE))
    batch = started(covey, file, agent, "--name", NASTY)
    call = covey.json("items", batch)["calls"][0]["jobId"]
    covey("dnc", "add", ABSENT, "--reason", NASTY)
    covey("agents", "create", "--name", NASTY, "--greeting", NASTY.replace("{first_name}", ""))
    doors = [
        ("list",),
        ("show", batch),
        ("show", batch, "--history"),
        ("show", call),
        ("items", batch),
        ("agents", "list"),
        ("dnc", "list"),
        ("show", NASTY),
        ("cancel", batch),
        ("list", "--json"),
        ("items", batch, "--json"),
    ]
    for door in doors:
        result = covey(*door)
        for text in (result.stdout, result.stderr):
            assert "\x1b" not in text, door
            assert "\x07" not in text, door
            assert "\u202e" not in text, door
    assert "[bold red]x[/]" in covey("show", call).stdout
    assert covey.json("items", batch)["calls"][0]["metadata"]["first_name"] == PRINTABLE
    assert covey("dnc", "remove", ABSENT).exit_code == 0
    assert covey("cancel", batch, "--yes").exit_code == 0


def test_numbers_nobody_calls(covey: Command, tmp_path: Path) -> None:
    file = tmp_path / "dnc.csv"
    file.write_text("number;why\n+12025550101;a\n+12025550102;b\nnobody 1\n")
    unnamed = covey("dnc", "import", str(file))
    assert unnamed.exit_code == Exit.usage
    assert "phoneColumn=number" in unnamed.stderr
    imported = covey("dnc", "import", str(file), "--reason", "asked", "--phone-column", "number")
    assert imported.exit_code == Exit.usage
    assert "2 numbers are new" in imported.stderr
    assert "nobody 1" in imported.stderr
    listed = {entry["number"]: entry["reason"] for entry in covey.json("dnc", "list")}
    assert listed["+12025550101"] == "asked"
    assert covey.json("person", "+12025550101")["blocked"] is True
    assert covey("dnc", "remove", "+12025550101").exit_code == 0
    assert covey.json("dnc", "remove", "+12025550102") == {"removed": "+12025550102"}
    assert covey("dnc", "remove", "+12025550101").exit_code == Exit.not_found


def test_no_line_of_a_list_of_numbers_is_lost(covey: Command, tmp_path: Path) -> None:
    file = tmp_path / "dnc.txt"
    file.write_text("+12125550144, +12125550145\n\nnot a number\n(212) 555-0146\n+12125550144\n")
    imported = covey("dnc", "import", str(file), "--region", "US")
    assert imported.exit_code == Exit.usage
    assert "3 numbers are new on the list, 0 were on it before" in imported.stderr
    assert "1 repeat" in imported.stderr
    assert "not a number" in imported.stderr
    assert "1 were not understood and are not on it" in imported.stderr
    for number in ("+12125550144", "+12125550145", "(212) 555-0146"):
        assert covey.json("person", number, "--region", "US")["blocked"] is True
    file.write_bytes("Téléphone;x\n+12125550144;ä\n".encode("cp1252"))
    assert "windows-1252" in covey("dnc", "import", str(file)).stderr
    body = covey.json("dnc", "import", str(file), "--encoding", "windows-1252", "--phone-column", "Téléphone")
    assert (body["added"], body["known"], body["invalidCount"], body["phoneColumn"]) == (0, 1, 0, "Téléphone")
    for number in ("+12125550144", "+12125550145", "(212) 555-0146"):
        assert covey("dnc", "remove", number, "--region", "US").exit_code == 0


def test_numbers_that_are_not_understood_are_said(covey: Command) -> None:
    added = covey("dnc", "add", "+12125550147", "+12125550147", "+12125550148, +12125550149")
    assert added.exit_code == Exit.usage
    assert "1 numbers are new on the list" in added.stderr
    assert "+12125550148, +12125550149" in added.stderr
    assert covey("dnc", "remove", "+12125550147").exit_code == 0


def test_a_person_is_erased_only_with_a_yes(covey: Command) -> None:
    assert covey("person", BUSY, "--erase").exit_code == Exit.usage
    assert "calls" in covey.json("person", "+12025550133", "--erase", "--yes")


def test_what_an_agent_or_a_login_answers_in_json(covey: Command, tmp_path: Path) -> None:
    made = covey.json("agents", "create", "--name", "short-lived", "--greeting", "Hi.")["agentId"]
    assert covey.json("agents", "delete", "short-lived", "--yes") == {"deleted": made}
    assert covey.json("template")["columns"][0] == "phone_number"
    kept, profile = load_profile(covey.environment), tmp_path / "other.toml"
    environment = {**covey.environment, "COVEY_PROFILE": str(profile)}
    command = ["login", "--url", kept.url, "--workspace", kept.workspace, "--json"]
    result = CliRunner().invoke(app, command, env=environment, input=f"{kept.api_key}\n")
    assert result.exit_code == 0, result.stderr
    answer = {"profile": str(profile), "url": kept.url, "workspace": kept.workspace}
    assert json.loads(result.stdout) == answer
    assert kept.api_key not in result.stdout


def test_a_single_call(covey: Command, agent: str) -> None:
    result = covey("call", BUSY, "--agent", agent, "--var", "first_name=Ada")
    assert result.exit_code == 0, result.stderr
    assert "waiting active completed failed".find(covey.json("show", result.stdout.strip())["status"]) >= 0


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("show", "batch_000000000000000000000000"), Exit.not_found),
        (("show", "nonsense"), Exit.not_found),
        (("agents", "show", "nobody"), Exit.not_found),
        (("export", "batch_000000000000000000000000"), Exit.not_found),
        (("items", "batch_000000000000000000000000", "--status", "asleep"), Exit.usage),
        (("export", "--format", "xlsx"), Exit.usage),
        (("submit", "/nowhere.csv", "--agent", "a"), Exit.usage),
        (("hang-up", "batch_000000000000000000000000"), Exit.usage),
        (("limit", "batch_000000000000000000000000"), Exit.usage),
        (("keys", "create"), Exit.usage),
    ],
)
def test_exit_codes(covey: Command, agent: str, args: tuple[str, ...], code: Exit) -> None:
    result = covey(*args)
    assert result.exit_code == code, result.stderr
    assert result.stderr.strip()


def test_a_wrong_key_is_refused_and_login_does_not_keep_it(covey: Command, tmp_path: Path) -> None:
    result = covey("list", COVEY_API_KEY="covey_sk_wrong")
    assert result.exit_code == Exit.refused
    assert "covey login" in result.stderr
    profile = tmp_path / "other.toml"
    tried = covey("login", "--workspace", "w", COVEY_PROFILE=str(profile))
    assert tried.exit_code == Exit.usage
    assert not profile.exists()


def test_nobody_at_the_address(covey: Command) -> None:
    result = covey("list", COVEY_URL="http://127.0.0.1:1")
    assert result.exit_code == Exit.unreachable
    assert "covey serve" in result.stderr


def test_the_template_can_be_filled_in(covey: Command) -> None:
    assert covey("template").stdout.startswith("phone_number,first_name,last_name,email")


def test_keys_need_an_admins_key_while_the_server_runs(covey: Command, folder: Path) -> None:
    result = covey("keys", "list", COVEY_DATA=str(folder / "data"))
    assert result.exit_code == Exit.refused
    assert "COVEY_ADMIN_KEY" in result.stderr
