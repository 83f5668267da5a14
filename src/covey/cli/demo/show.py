"""What the demo does, in its order, and what it says about it."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.text import Text

from covey.cli.demo.environment import DemoFailed, DemoServer, running
from covey.cli.demo.proof import Proof, prove
from covey.cli.exits import Exit, exit_code
from covey.cli.output import clean, data, print_line, print_table, say, span
from covey.cli.session import explain, leave
from covey.cli.show import call_row, export_to, put_transcript
from covey.cli.view import Seen
from covey.cli.watch import following
from covey.client import Agent, Batch, Call, Cancelled, CoveyClient, CoveyClientError, StartOptions

OnLook = Callable[[Batch], Awaitable[None]]

AT_ONCE_IN_SECOND = 6
"""The second batch is narrow, so that a cancel finds calls in every state."""

WITNESS_SECONDS = 5.0
SOUNDS = (".ogg", ".opus", ".flac", ".wav")


def run(*, keep: bool) -> Exit:
    """The whole demo; its exit code."""
    contacts, agent = _example("contacts.csv"), json.loads(_example("reminder.json").read_text("utf-8"))
    try:
        return asyncio.run(_run(contacts, agent, keep=keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        leave("Interrupted; nothing is left running.", Exit.interrupted)
    except TimeoutError:
        leave("The demo's server did not come up in time.")
    except CoveyClientError as error:
        explain(error)
        return exit_code(error)


def _example(name: str) -> Path:
    """A file of the examples, in the folder of this checkout."""
    found = [root / "examples" / name for root in (Path.cwd(), Path(__file__).parents[4])]
    there = next((path for path in found if path.is_file()), None)
    if there is None:
        leave(f"There is no examples/{name}: run the demo in a checkout of Covey.", Exit.usage)
    return there


async def _run(contacts: Path, agent_body: dict[str, Any], *, keep: bool) -> Exit:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    _heading("Covey's demo, first act: real SIP and sound, to phones that exist on this machine only")
    async with running(keep=keep) as demo:
        print_line(f"A server of its own runs at {demo.profile.url}, on the fresh folder {demo.folder}.")
        async with CoveyClient(demo.profile) as client:
            holds = await _show(client, demo, contacts, agent_body)
            holds = await _show_videos(client, demo) and holds
        _tell_next(demo, keep=keep)
    if not keep:
        print_line("The server has ended; nothing is left running.")
    return Exit.ok if holds else Exit.failed


async def _show(client: CoveyClient, demo: DemoServer, contacts: Path, agent_body: dict[str, Any]) -> bool:
    agent = await client.agents.create(agent_body)
    print_line(f"The agent {agent.name!r} says: {agent.greeting}")

    _heading(f"First batch: everybody in {_short(contacts)} is called")
    first = await _first(client, demo, contacts, agent)
    calls = [call async for call in client.batches.calls(first.id)]
    _put_calls(calls)

    _heading("Second batch: the same people again, called back in mid-flight")
    second = await _second(client, demo, contacts, agent)
    _put_calls([call async for call in client.batches.calls(second.id)])

    await _put_conversation(client, first, calls)
    return await _put_proof(client, demo, first, second)


async def _show_videos(client: CoveyClient, demo: DemoServer) -> bool:
    from covey.cli.demo.videos import called_back, put_checked, second_act

    _heading("Second act: three short videos are drawn here, and the analyser local-facts is asked about them")
    folder = demo.folder / "videos"

    async def watch(batch_id: str) -> Batch:
        return await _watch(client, demo, batch_id)

    checked = await second_act(client, folder, watch)
    data().print()
    put_checked(checked)

    _heading("A batch of six videos, called back while it is processing")
    answered, ended = await called_back(client, folder)
    print_line(
        f"The cancel was answered {answered.status}: {answered.canceled_items} will never be analysed, "
        f"{answered.processing_items} were processing and went on to their end, {answered.ready_items} were ready. "
        f"It ended {ended.status}: {ended.ready_items} ready, {ended.canceled_items} canceled, of {ended.total_items}."
    )
    whole = ended.ready_items + ended.failed_items + ended.canceled_items == ended.total_items
    right = sum(one.holds for one in checked)
    good = right == len(checked) and whole and ended.status == "canceled"
    text = f"{right} of {len(checked)} answers have all that was drawn"
    data().print(Text(("✓ " if good else "✗ ") + text, "green" if good else "red"))
    return good


async def _first(client: CoveyClient, demo: DemoServer, contacts: Path, agent: Agent) -> Batch:
    started = await client.batches.start(contacts, agent.id, StartOptions(name="reminders"))
    return await _watch(client, demo, started.batch_id)


async def _second(client: CoveyClient, demo: DemoServer, contacts: Path, agent: Agent) -> Batch:
    options = StartOptions(name="called back", allow_duplicate=True, max_concurrent=AT_ONCE_IN_SECOND)
    started = await client.batches.start(contacts, agent.id, options)
    answer: list[Cancelled] = []

    async def cancel_in_flight(batch: Batch) -> None:
        progress = batch.progress
        if not answer and progress.active >= AT_ONCE_IN_SECOND - 1 and progress.completed + progress.failed >= 2:
            answer.append(await client.batches.cancel(batch.id))

    ended = await _watch(client, demo, started.batch_id, cancel_in_flight)
    if not answer:
        raise DemoFailed("The second batch ended before it could be cancelled.")
    details = answer[0].details
    print_line(
        f"The cancel was answered: {details.cancelled_calls} will never be dialled, {details.active_calls} were active "
        f"and went on to their end, {details.completed_calls + details.failed_calls} were over before."
    )
    return ended


async def _watch(client: CoveyClient, demo: DemoServer, batch_id: str, at_each_look: OnLook | None = None) -> Batch:
    seen = Seen()
    async for batch in following(client, batch_id, seen):
        trouble = demo.ended()
        if trouble is not None:
            raise trouble
        if batch is not None and at_each_look is not None:
            await at_each_look(batch)
    assert seen.batch is not None
    return seen.batch


def _put_calls(calls: list[Call]) -> None:
    columns = ("line", "number", "name", "status", "outcome", "seconds", "error")
    rows = []
    for call in calls:
        line, _, number, *rest = call_row(call)
        rows.append((line, number, call.metadata.get("first_name", ""), *rest))
    data().print()
    print_table(columns, rows, right=("line", "seconds"))


async def _put_conversation(client: CoveyClient, batch: Batch, calls: list[Call]) -> None:
    good = [call for call in calls if call.outcome == "successful"]
    if not good:
        return
    call = await client.batches.call(batch.id, good[0].job_id)
    _heading(f"One conversation: {call.phone_number}, {span(call.duration)}")
    put_transcript(call)


async def _put_proof(client: CoveyClient, demo: DemoServer, first: Batch, second: Batch) -> bool:
    phones = next(demo.folder.rglob("phones.jsonl"), None)
    if phones is None:
        raise DemoFailed(f"The phones wrote no phones.jsonl below {demo.folder}.")
    results = {batch.id: demo.folder / name for batch, name in ((first, "results.csv"), (second, "called-back.csv"))}
    for batch_id, file in results.items():
        await export_to(client, batch_id, file, "csv")
    _heading("Do the results say what the phones saw?")
    proofs = [await _prove(file, phones, batch_id) for batch_id, file in results.items()]
    for proof, batch in zip(proofs, (first, second), strict=True):
        _put_verdict(proof, batch)
    _put_files(demo, phones)
    return all(proof.holds for proof in proofs)


async def _prove(results: Path, phones: Path, batch_id: str) -> Proof:
    """The proof; phones that were only just hung up get a moment to write that down."""
    proof = prove(results, phones, batch_id)
    with suppress(TimeoutError):
        async with asyncio.timeout(WITNESS_SECONDS):
            while not proof.holds:
                await asyncio.sleep(0.2)
                proof = prove(results, phones, batch_id)
    return proof


def _put_verdict(proof: Proof, batch: Batch) -> None:
    text = f"{clean(batch.name)}: {proof.agreeing} of {proof.total} numbers agree with what their phones wrote down"
    if batch.progress.cancelled:
        text += f"; the {batch.progress.cancelled} cancelled ones never rang"
    data().print(Text(("✓ " if proof.holds else "✗ ") + text, "green" if proof.holds else "red"))
    for doubt in proof.doubts:
        say(f"  {doubt}", "red")


def _put_files(demo: DemoServer, phones: Path) -> None:
    _heading("What lies where")
    sounds = {file.parent for file in demo.folder.rglob("*") if file.suffix in SOUNDS}
    print_line(f"results       {_short(demo.folder / 'results.csv')}, {_short(demo.folder / 'called-back.csv')}")
    print_line(f"phones' log   {_short(phones)}")
    for folder in sorted(sounds):
        print_line(f"sound         {_short(folder)}")
    print_line(f"server's log  {_short(demo.log)}")


def _tell_next(demo: DemoServer, *, keep: bool) -> None:
    _heading("What next")
    if keep:
        print_line(f"The server keeps running at {demo.profile.url}. To use it:")
        print_line(f"  export COVEY_PROFILE={demo.profile_file}")
        print_line("  covey list")
        print_line("  covey submit your.csv --agent reminder --watch      (demo numbers: +1 area code 555 01xx)")
        print_line(f"To stop it: kill {demo.process.pid}")
    else:
        print_line("`make demo KEEP=1` leaves the server running, for a list of your own to the demo phones.")
        print_line("`covey init` and `covey serve` start a server to stay.")
    print_line("A dashboard, and trunks to real phones, come with later versions.")


def _heading(text: str) -> None:
    data().print()
    data().print(Text(clean(text), "bold"))


def _short(path: Path) -> Path:
    """The path as seen from here, if it is below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
