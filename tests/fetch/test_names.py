"""Looking names up, with name servers that are dead: they hang until the test lets go of them."""

import asyncio
import gc
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from covey.fetch import names
from covey.fetch.names import Names
from tests.patience import PATIENCE, patience


class NameServers:
    """Names of `dead` hang until `let_go`, and are then not to be found; all others are at 127.0.0.2."""

    def __init__(self) -> None:
        self.asked = Counter[str]()
        self.let_go = threading.Event()

    def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked[host] += 1
        if host.endswith(".dead"):
            self.let_go.wait(2 * PATIENCE)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port))] * 2


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServers]:
    servers = NameServers()
    monkeypatch.setattr(socket, "getaddrinfo", servers)
    yield servers
    servers.let_go.set()


async def asking(looked_up: Names, *hosts: str) -> list[asyncio.Task[Any]]:
    """So many who ask, each at its look-up."""
    tasks = [asyncio.create_task(looked_up.addresses(host, 80)) for host in hosts]
    await asyncio.sleep(0)
    return tasks


async def cancelled(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_good_name_is_answered_beside_many_whose_servers_are_dead(servers: NameServers) -> None:
    looked_up = Names()
    dead = await asking(looked_up, *(f"{number}.dead" for number in range(96)))
    async with patience():
        assert await looked_up.addresses("good.test", 80) == ["127.0.0.2"]
    assert not any(task.done() for task in dead)
    await cancelled(dead)


async def test_all_who_ask_for_the_same_name_share_one_thread(servers: NameServers) -> None:
    looked_up = Names()
    for _ in range(5):  # a webhook's tries, each given up in time: the thread of the first is there still
        await cancelled(await asking(looked_up, *["same.dead"] * 100))
    left = await asking(looked_up, *["same.dead"] * 100)
    await cancelled(left[:50])
    assert not any(task.done() for task in left[50:])
    servers.let_go.set()
    async with patience():
        answers = await asyncio.gather(*left[50:], return_exceptions=True)
    assert {type(answer) for answer in answers} == {socket.gaierror}
    assert servers.asked == {"same.dead": 1}
    with pytest.raises(socket.gaierror):
        await looked_up.addresses("same.dead", 80)
    assert servers.asked == {"same.dead": 2}, "an answer was kept"


async def test_what_nobody_asks_for_any_more_gets_no_thread(
    servers: NameServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "LOOK_UPS", 1)
    looked_up = Names()
    hanging = await asking(looked_up, "first.dead")
    evicted = await asking(looked_up, "second.test", "second.test", "third.test")
    await cancelled([evicted[0], evicted[2]])
    servers.let_go.set()
    async with patience():
        assert await evicted[1] == ["127.0.0.2"]
        assert await looked_up.addresses("third.test", 80) == ["127.0.0.2"]
    await asyncio.gather(*hanging, return_exceptions=True)
    assert servers.asked == {"first.dead": 1, "second.test": 1, "third.test": 1}


async def test_an_answer_that_nobody_waits_for_is_no_fault(servers: NameServers) -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    looked_up = Names()
    await cancelled(await asking(looked_up, "one.dead"))
    servers.let_go.set()
    async with patience():
        with pytest.raises(socket.gaierror):
            await looked_up.addresses("one.dead", 80)
        await looked_up.addresses("good.test", 80)
    gc.collect()
    assert complaints == []
