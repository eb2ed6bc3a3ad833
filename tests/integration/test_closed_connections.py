"""A connection to the broker that ends just before the client writes to it, on our event loop.

Like `test_traps.py`: when the first one fails, the client knows of it by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
import uvloop
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from structlog.testing import capture_logs

from lianhu.eventing.errors import passes
from lianhu.eventing.sending import RENEW, SEND, install, lasting, telling
from tests.wire import until_true

pytestmark = pytest.mark.infra
T = TypeVar("T")


def on_our_loop(work: Callable[[], Awaitable[T]]) -> T:
    """What a coroutine function gives, on the loop that the services run on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        async def run() -> T:
            return await work()

        return runner.run(run())


@asynccontextmanager
async def client(broker: str) -> AsyncIterator[AIOKafkaClient]:
    """A client that has asked the broker once, over a connection that it keeps."""
    made = AIOKafkaClient(bootstrap_servers=broker, metadata_max_age_ms=60_000)
    await made.bootstrap()
    try:
        assert await made.force_metadata_update()
        yield made
    finally:
        await made.close()


async def ended(of: AIOKafkaClient) -> AIOKafkaConnection:
    """Its connection is closed, and stands as in the moment before it heard of that.

    It is a moment between two turns of the loop, and restored here.
    """
    (one,) = of._conns.values()
    writer, told, one._on_close_cb = one._writer, one._on_close_cb, None
    writer.transport.abort()
    await until_true(lambda: one._writer is None and "closed=True" in repr(writer), "its end")
    one._writer, one._reader, one._on_close_cb = writer, asyncio.StreamReader(), told
    return one


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client as it is."""
    monkeypatch.setattr(AIOKafkaConnection, "send", SEND)
    monkeypatch.setattr(AIOKafkaClient, "_md_synchronizer", RENEW)


@pytest.mark.usefixtures("plain")
def test_the_client_asks_for_news_of_its_brokers_no_more_and_tells_nobody(broker: str) -> None:
    async def work() -> BaseException | None:
        async with client(broker) as made:
            await ended(made)
            news = made.force_metadata_update()
            await until_true(made._sync_task.done, "its task to end")
            assert not news.done(), "who waits for it waits for ever"
            news.cancel()
            task, made._sync_task = made._sync_task, None
            error: BaseException | None = task.exception()
            return error

    error = on_our_loop(work)
    assert type(error) is RuntimeError
    assert passes(error), "where it meets ourselves, it is an error that passes"


def test_ours_asks_over_another_connection(broker: str) -> None:
    install()

    async def work() -> None:
        async with client(broker) as made:
            one = await ended(made)
            with pytest.raises(KafkaConnectionError):
                await one.send(MetadataRequest([]))
            assert not one.connected(), "the client knows now"
            assert await asyncio.wait_for(made.force_metadata_update(), 10)
            await ended(made)
            await asyncio.wait_for(made.force_metadata_update(), 10)
            assert await asyncio.wait_for(made.force_metadata_update(), 10)
            assert not made._sync_task.done()

    on_our_loop(work)


@pytest.mark.usefixtures("plain")
def test_an_error_that_nobody_expected_is_told_and_ends_no_renewal(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AIOKafkaClient, "_md_synchronizer", lasting(RENEW))

    async def work() -> None:
        async with client(broker) as made:
            one = await ended(made)
            with capture_logs() as told:
                news = made.force_metadata_update()
                await until_true(lambda: told, "it to be told")
                one._reader.feed_eof()  # now the connection's own reader hears of the end
                assert await asyncio.wait_for(news, 10)
            assert {one["event"] for one in told} == {"the brokers were not asked for their topics"}

    on_our_loop(work)


def test_another_error_of_the_same_kind_is_not_taken_for_it() -> None:
    def send(_: object) -> None:
        raise RuntimeError("a mistake of ours")

    with pytest.raises(RuntimeError, match="a mistake of ours"):
        telling(send)(object())
    assert not passes(RuntimeError("a mistake of ours"))
