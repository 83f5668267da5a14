"""No CSV that is answered holds a cell that a spreadsheet would run, with whatever separator it is opened."""

import csv
import io

from tests.api.harness import PREFIX, ApiHarness, succeeded

COLUMN = "note;=1+1"
ROWS = f"phone_number,=name,{COLUMN}\n+12125550101,x;=cmd,@Ann|=2\n".encode()
BAD = f"phone_number,=name,{COLUMN}\nx;=cmd|'/C calc'!A0,=a,b\n@Ann,c,d\n".encode()


def safe(text: str) -> list[list[str]]:
    """The rows of a CSV, once no separator makes a cell of it that is run."""
    assert "=" in text
    for separator in ",;|\t":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            for cell in row:
                assert not cell.lstrip().startswith(("=", "@", "-")), (separator, cell)
    return list(csv.reader(io.StringIO(text, newline="")))


async def test_exports_and_histories_of_calls(api: ApiHarness) -> None:
    batch = await api.planted(ROWS)
    for taken in await api.claim():
        await api.finish(taken, succeeded(transcript="agent: Hello\n=1+1;@x", answers={"a": "x;=1"}))
    header, row = safe((await api.client.get(f"{PREFIX}/{batch}/export")).text)
    assert (header[1:3], row[:3]) == (["'=name", "note;'=1+1"], ["+12125550101", "x;'=cmd", "'@Ann|'=2"])
    raw = (await api.client.get(f"{PREFIX}/{batch}/export", params={"raw": "true"})).text
    assert next(csv.reader(io.StringIO(raw)))[:3] == ["phone_number", "=name", COLUMN]
    body = {"includeTranscripts": True, "includePostAnalysis": True}
    history = safe((await api.client.post("/v2/api/call-history/export-csv", json=body)).text)
    assert history[1][-1] == "agent: Hello\n'=1+1;'@x"


async def test_reports_and_templates(api: ApiHarness) -> None:
    agent = await api.agent(greeting=f"Hello {{{COLUMN}}}, {{=name}}")
    answer = await api.start(agent, BAD, path=f"{PREFIX}/validate?format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert [row[2] for row in safe(answer.text)[1:]] == ["x;'=cmd|'/C calc'!A0", "'@Ann"]
    assert not list(api.services.spool.iterdir())
    [header] = safe((await api.client.get(f"{PREFIX}/template", params={"agentId": agent})).text)
    assert header[-2:] == ["'=name", "note;'=1+1"]
