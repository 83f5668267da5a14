"""workers: which processes run batches now."""

from typing import Annotated, Any

import typer

from covey.cli.exits import Exit
from covey.cli.output import JsonFlag, print_json, print_table, span, when
from covey.cli.session import leave, talk
from covey.client import CoveyClient, load_profile


def workers(
    every: Annotated[bool, typer.Option("--all", help="Also those that have ended, of the last days.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the processes that run batches: who is alive, with how much in hand. Needs an admin's key."""
    if not load_profile().admin_key:
        leave("This needs an admin's key: COVEY_ADMIN_KEY, or `covey login --admin`.", Exit.refused)

    async def work(client: CoveyClient) -> list[dict[str, Any]]:
        return await client.workers.list(every=every)

    found = talk(work, as_json=as_json)
    if as_json:
        print_json(found)
        return
    columns = ("worker", "state", "active", "host", "process", "version", "started", "last sign")
    print_table(columns, (_row(each) for each in found), right=("active", "process"))


def _row(worker: dict[str, Any]) -> tuple[object, ...]:
    sign = worker["secondsSinceSign"]
    return (
        worker["id"],
        worker["state"],
        worker["active"],
        worker["host"] or "",
        worker["process"] or "",
        worker["version"] or "",
        when(worker["startedAt"]),
        f"{span(sign)} ago" if sign is not None and worker["state"] != "ended" else "",
    )
