"""The check in its own process: what comes back, what stays behind, and how it ends."""

import asyncio
import csv
import io
import os
import re
import signal
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covey.calls.intake import (
    BadRow,
    CheckedList,
    Encoding,
    IntakeFailed,
    IntakeOptions,
    NumberRule,
    OnInvalid,
    check,
    template,
)
from covey.calls.intake.report import csv_report
from covey.calls.trunks.demo import behaviour_of, behaviours
from covey.domain.batch import NewItem
from covey.domain.errors import BadRequest

from ...patience import PATIENCE
from .conftest import check_path

CONTACTS = Path(__file__).parents[3] / "examples" / "contacts.csv"
SIMULATED = IntakeOptions(rule=NumberRule.simulated)


def numbers(count: int) -> list[str]:
    return [f"+1202{200 + row // 10_000}{row % 10_000:04}" for row in range(count)]


def names_in(folder: Path) -> list[str]:
    """What lies in a folder, so that nothing stays behind unseen."""
    return sorted(path.name for path in folder.iterdir())


def write(folder: Path, text: str) -> Path:
    path = folder / "list.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return path


async def all_items(checked: CheckedList, size: int = 500) -> list[NewItem]:
    return [item async for piece in checked.pieces(size) for item in piece]


async def test_a_list_comes_back_in_pieces(tmp_path: Path) -> None:
    wanted = numbers(1_100)
    path = write(tmp_path, "phone_number,name\n" + "".join(f'{n},"Zoë\t{n}"\n' for n in wanted))
    work = tmp_path / "work"
    work.mkdir()
    told: list[int] = []
    async with await check(path, IntakeOptions(rule=NumberRule.simulated, zones=True), work, progress=told.append) as c:
        assert (c.total, c.columns, c.duplicates, len(c.sha256)) == (1_100, ("phone_number", "name"), 0, 64)
        sizes = [len(piece) async for piece in c.pieces(500)]
        assert sizes == [500, 500, 100]
        items = await all_items(c)
        assert [item.ref for item in items] == wanted
        assert {item.zone for item in items} == {"America/New_York"}
        assert orjson.loads(items[7].input) == {
            "row": 9,
            "values": {"phone_number": wanted[7], "name": f"Zoë\t{wanted[7]}"},
        }
        assert c.refusal() is None
        assert told[-1] == 1_100
    assert names_in(work) == []


async def test_the_report_keeps_the_first_thousand_and_the_file_all(tmp_path: Path) -> None:
    path = write(tmp_path, "phone_number,name\n" + "=2+2,x\n" * 1_500 + "+12025550123,x\n")
    options = IntakeOptions(rule=NumberRule.simulated, on_invalid=OnInvalid.skip)
    async with await check(path, options, tmp_path) as checked:
        assert checked.refusal() is None
        assert (checked.report.invalid, checked.total, len(checked.report.bad_rows)) == (1_500, 1, 1_000)
        bad = [row async for rows in checked.bad_rows() for row in rows]
        assert [row.row for row in bad] == list(range(2, 1_502))
        text = b"".join([block async for block in checked.report_csv()]).decode()
        lines = list(csv.reader(io.StringIO(text, newline="")))
        assert lines[0] == ["row", "column", "value", "code", "message", "suggestion"]
        assert len(lines) == 1_501
        assert lines[1][:4] == ["2", "phone_number", "'=2+2", "not_a_number"]
        assert checked.report.as_json()["invalidCount"] == 1_500
        kept = tmp_path / "skipped.jsonl"
        checked.keep_bad_rows(kept)
    assert len(kept.read_bytes().splitlines()) == 1_500
    assert names_in(tmp_path) == [path.name, kept.name]


async def test_bad_rows_refuse_a_list_unless_they_are_skipped(tmp_path: Path) -> None:
    path = write(tmp_path, "phone_number\n+12025550123\nAda\n")
    async with await check(path, SIMULATED, tmp_path) as checked:
        refusal = checked.refusal()
    assert refusal is not None
    assert (refusal.code, refusal.details["invalidCount"]) == ("invalid_rows", 1)
    assert refusal.details["invalidRows"][0]["value"] == "Ada"


async def test_what_concerns_the_file_is_raised_and_leaves_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "name,mobile\nAda,+12025550123\n")
    with pytest.raises(BadRequest) as caught:
        await check(path, SIMULATED, tmp_path)
    assert caught.value.code == "no_phone_column"
    assert caught.value.details == {"columns": ["name", "mobile"], "candidates": ["mobile"]}
    assert names_in(tmp_path) == [path.name]


async def test_options_reach_the_other_process(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes("Tél;nom\n06 12 34 56 78;Zoë\n+12025550123;Ada\n".encode("cp1252"))
    options = IntakeOptions(
        rule=NumberRule.real,
        encoding=Encoding.windows_1252,
        phone_column="tél",
        region="FR",
        countries=frozenset({"FR"}),
        placeholders=frozenset({"nom"}),
    )
    async with await check(path, options, tmp_path) as checked:
        assert [item.ref for item in await all_items(checked)] == ["+33612345678"]
        assert [row.code for row in checked.report.bad_rows] == ["country_not_allowed"]
        assert checked.options is options
    assert IntakeOptions.load(orjson.loads(orjson.dumps(options.dump()))) == options


async def test_a_check_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    path = write(tmp_path, "phone_number\n" + "\n".join(numbers(200_000)))
    before = children(os.getpid())
    with pytest.raises(IntakeFailed) as caught:
        await check(path, SIMULATED, tmp_path, seconds=0.3)
    assert (caught.value.status, caught.value.code) == (503, "intake_failed")
    assert names_in(tmp_path) == [path.name]
    assert children(os.getpid()) == before


async def test_a_check_that_cannot_write_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, "phone_number\n+12025550123\n")
    with pytest.raises(IntakeFailed):
        await check(path, SIMULATED, tmp_path / "not there")
    assert names_in(tmp_path) == [path.name]


async def test_a_check_that_nobody_waits_for_ends(tmp_path: Path) -> None:
    path = write(tmp_path, "phone_number\n" + "\n".join(numbers(400_000)))
    before = children(os.getpid())
    begun = asyncio.Event()
    task = asyncio.create_task(check(path, SIMULATED, tmp_path, progress=lambda done: begun.set() if done else None))
    await asyncio.wait_for(begun.wait(), PATIENCE)
    assert len(children(os.getpid()) - before) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children(os.getpid()) == before
    assert names_in(tmp_path) == [path.name]


PARENT = """
import asyncio, sys
from pathlib import Path
from covey.calls.intake import IntakeOptions, NumberRule, check
options = IntakeOptions(rule=NumberRule.simulated)
asyncio.run(check(Path(sys.argv[1]), options, Path(sys.argv[2]), progress=lambda done: print(done, flush=True)))
"""


async def test_a_check_dies_with_its_parent_and_is_nice(tmp_path: Path) -> None:
    path = write(tmp_path, "phone_number\n" + "\n".join(numbers(400_000)))
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(path), str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    while int(await asyncio.wait_for(parent.stdout.readline(), PATIENCE)) == 0:
        pass
    (child,) = children(parent.pid)
    assert os.getpriority(os.PRIO_PROCESS, child) == os.getpriority(os.PRIO_PROCESS, 0) + 10
    watched = os.pidfd_open(child)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(watched, ended.set)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await asyncio.wait_for(ended.wait(), PATIENCE)
    asyncio.get_running_loop().remove_reader(watched)
    os.close(watched)


def children(pid: int) -> set[int]:
    """The living children of a process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


async def test_the_examples_ring_every_kind_of_demo_phone(tmp_path: Path) -> None:
    async with await check(CONTACTS, IntakeOptions(placeholders=frozenset({"first_name", "doctor"})), tmp_path) as c:
        items = await all_items(c)
        assert (c.total, c.duplicates, c.report.invalid) == (24, 0, 0)
    kinds = [kind.kind for item in items if item.ref and (kind := behaviour_of(item.ref))]
    assert set(kinds) == {behaviour.kind for behaviour in behaviours()}
    assert c.columns == ("phone_number", "first_name", "last_name", "appointment_day", "appointment_time", "doctor")


async def test_a_template_is_a_list_to_fill_in(tmp_path: Path) -> None:
    assert template() == b"phone_number,first_name,last_name,email\r\n"
    header = template(["doctor", "first_name", "day, or so"])
    assert header == b'phone_number,first_name,last_name,email,doctor,"day, or so"\r\n'
    path = tmp_path / "list.csv"
    path.write_bytes(header + b"+12025550123,Ada,,,Who,today\r\n")
    options = IntakeOptions(rule=NumberRule.simulated, placeholders=frozenset({"doctor", "day, or so"}))
    assert check_path(path, options).numbers == ["+12025550123"]


def test_a_report_as_csv_is_safe_to_open() -> None:
    row = BadRow(7, "=cmd()", "@x", "not_a_number", "The cell is wrong.", None)
    assert b"".join(csv_report([row])).splitlines()[1] == b"7,'=cmd(),'@x,not_a_number,The cell is wrong.,"


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), "\x7f"]), max_size=30)
LINES = st.lists(CELL, min_size=1, max_size=3).map("\n".join) | st.just('"') | st.just("=1+1;,") | st.just("\r\n\r")
NAME = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=10).map(lambda text: f"c {text}")
NUMBER = st.integers(0, 9_999_999).map(lambda n: f"+1415{2 + n // 1_250_000}{n % 1_000_000:06}")


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """A header with the phone column somewhere, and rows that fit it."""
    others = draw(st.lists(NAME, max_size=4, unique=True))
    at = draw(st.integers(0, len(others)))
    rows = [draw(st.lists(LINES, min_size=len(others), max_size=len(others))) for _ in range(draw(st.integers(1, 6)))]
    for row in rows:
        row.insert(at, draw(NUMBER))
    return [*others[:at], "phone_number", *others[at:]], rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(
    lists(),
    st.sampled_from([",", ";"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_a_csv_writer_wrote_comes_back_exactly(
    tmp_path: Path,
    given: tuple[list[str], list[list[str]]],
    separator: str,
    end: str,
    codec: str,
    quoting: Any,
) -> None:
    header, rows = given
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting)
    starts = [0]
    for row in [header, *rows]:
        writer.writerow(row)
        starts.append(len(text.getvalue()))
    path = tmp_path / "list.csv"
    path.write_bytes(text.getvalue().encode(codec))
    encoding = Encoding.utf_16 if codec == "utf-16" else Encoding.utf_8
    checked = check_path(path, IntakeOptions(rule=NumberRule.simulated, encoding=encoding))
    assert checked.bad == ()
    assert [list(item[2]["values"].values()) for item in checked.items] == rows
    assert list(checked.items[0][2]["values"]) == header
    assert checked.numbers == [row[header.index("phone_number")] for row in rows]
    ends = [len(re.findall(r"\r\n|\r|\n", text.getvalue()[a:b])) for a, b in pairwise(starts)]
    assert [item[2]["row"] for item in checked.items] == [1 + sum(ends[: n + 1]) for n in range(len(rows))]
