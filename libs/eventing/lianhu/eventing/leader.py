"""What only one replica of a service does: relay, deadlines, parked messages, sweeping.

The leader holds an advisory lock on a connection of its own. When its process stops breathing, the
connection is ended by `idle_session_timeout` and another replica takes over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from time import monotonic

import asyncpg
import structlog

from lianhu.eventing import aggregates, inbox, parked, relay
from lianhu.eventing.batch import NOTIFY
from lianhu.eventing.clock import utc_now
from lianhu.eventing.delivery import Delivery, Origin, Reason
from lianhu.eventing.engine import Engine
from lianhu.eventing.envelope import Reader
from lianhu.eventing.errors import BROKEN_OFF, ShapeFromTheFuture, passes
from lianhu.eventing.house import House
from lianhu.eventing.rules import Stream
from lianhu.eventing.stock import Stock
from lianhu.eventing.watermark import Mark, Progress, Stalls, Watermark, show

log = structlog.get_logger(__name__)

LEADER_LOCK = 0x6C69616E_02
_DUE, _ROUNDS = 100, 10
"""Deadlines of one transaction, between which messages have their turn, and how many transactions
under one look at the broker: what was handled by then stays handled."""
_RIPE = 100
_SWEEP_SECONDS = 60.0
_LOOK_SECONDS = 2.0
_STOCK_SECONDS = 5.0

Connect = Callable[[], Awaitable[asyncpg.Connection]]


class Leader:
    """Takes the lead when it is free and does its work while it holds it."""

    def __init__(
        self,
        house: House,
        engine: Engine,
        pool: asyncpg.Pool,
        reader: Reader,
        publisher: relay.Relay,
        connect: Connect,
        watermark: Callable[[], Watermark],
    ) -> None:
        self._house = house
        self._engine = engine
        self._pool = pool
        self._reader = reader
        self._relay = publisher
        self._connect = connect
        self._watermark = watermark
        self._journal = asyncio.Event()
        self._released = asyncio.Event()
        self._stopping = asyncio.Event()
        self.handled_up_to: datetime | None = None
        """Broker time up to which all partitions were handled, at the last look."""

    def wake(self, *, journal: bool, released: bool) -> None:
        """This process committed rows, or something that lets parked messages go on."""
        if journal:
            self._journal.set()
        if released:
            self._released.set()

    def stop(self) -> None:
        """Publish what stands in the journal, then end."""
        self._stopping.set()
        self._journal.set()

    async def run(self) -> None:
        """Until `stop` or cancelled. Whatever breaks is tried again."""
        while not self._stopping.is_set():
            connection = None
            try:
                connection = await self._connect()
                await self._candidate(connection)
            except Exception as error:
                log.warning("the lead was lost", exc_info=error)
            finally:
                self._house.leads = False
                self._house.metrics.forget()
                await self._relay.drop()
                if connection is not None:
                    connection.terminate()
            if not self._stopping.is_set():
                await asyncio.sleep(self._house.settings.poll_seconds)

    async def _candidate(self, connection: asyncpg.Connection) -> None:
        database_seen = self._house.metrics.database_seen
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LEADER_LOCK):
            database_seen.set(utc_now().timestamp())
            if await _set_within(self._stopping, self._house.settings.poll_seconds):
                return
        self._house.leads = True
        self._house.metrics.leader.set(1)
        log.info("took the lead")
        await connection.add_listener(NOTIFY, lambda *_: self._journal.set())
        tasks = [
            asyncio.create_task(self._publish(connection)),
            asyncio.create_task(self._each(self.fire_once)),
            asyncio.create_task(self._drain()),
            asyncio.create_task(self._sweep()),
            asyncio.create_task(self._take_stock()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError, Exception):
                    await task

    # the relay

    async def _publish(self, connection: asyncpg.Connection) -> None:
        settings = self._house.settings
        poll, gather = settings.poll_seconds, settings.relay_wait_ms / 1000
        pause = 0.1
        while True:
            began = monotonic()
            self._journal.clear()
            try:
                while await self._relay.step(connection):
                    pass
                pause = 0.1
            except Exception as error:
                if isinstance(error, (asyncpg.PostgresError, *BROKEN_OFF)):
                    raise
                log.warning("publishing broke off", exc_info=error)
                await connection.fetchval("SELECT 1")
                await asyncio.sleep(pause)
                pause = min(2 * pause, poll)
                continue
            if self._stopping.is_set():
                await self._relay.close()
                return
            # each publication costs much the same, however few rows: let some gather
            await _set_within(self._stopping, began + gather - monotonic())
            await _set_within(self._journal, poll)

    # deadlines

    async def _each(
        self, step: Callable[[Watermark, Stalls, list[float]], Awaitable[bool]]
    ) -> None:
        watermark = self._watermark()
        stalls = Stalls(self._house.settings.stalled_seconds)
        looked = [0.0]
        try:
            while True:
                more = False
                try:
                    await watermark.start()
                    more = await step(watermark, stalls, looked)
                except Exception as error:
                    if not passes(error):
                        raise
                    log.warning("deadlines wait", exc_info=error)
                if not more:
                    await asyncio.sleep(self._house.settings.poll_seconds / 2)
        finally:
            await watermark.stop()

    async def fire_once(self, watermark: Watermark, stalls: Stalls, looked: list[float]) -> bool:
        """Fire what is due as far as all that came before was handled; whether more may be."""
        house = self._house
        async with self._pool.acquire() as connection:
            await house.clock.refresh(connection)
            earliest = await aggregates.earliest_due(connection)
            now = utc_now()
            lag = 0.0 if earliest is None else (house.clock.domain(now) - earliest).total_seconds()
            house.metrics.deadline_lag.set(max(lag, 0.0))
            if lag <= 0 and monotonic() - looked[0] < _LOOK_SECONDS:
                return False
            # progress first: what it says is handled by then cannot be undone by what follows
            progress = await inbox.progress_of(connection)
        mark = await watermark.read(progress)
        house.metrics.broker_seen.set(utc_now().timestamp())
        looked[0] = monotonic()
        self._show(mark, progress, stalls)
        self.handled_up_to = mark.at
        if lag <= 0 or mark.at is None:
            return False
        horizon = house.clock.domain(mark.at)
        for _ in range(_ROUNDS):
            async with self._pool.acquire() as connection:
                found = await aggregates.due(connection, horizon, _DUE)
            await self.handle(
                [
                    Delivery(
                        Origin.ENGINE,
                        house.name,
                        utc_now(),
                        horizon=horizon,
                        touched=(Stream.parse(name),),
                    )
                    for name, _ in found
                ]
            )
            if len(found) < _DUE:
                return False
        return True

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """All together; or each apart, where some are a newer release's: those are left to it.

        Raises `ShapeFromTheFuture` then, when the others are handled.
        """
        try:
            await self._engine.handle(deliveries)
        except ShapeFromTheFuture as error:
            left = error
        else:
            return
        for one in deliveries:
            try:
                await self._engine.handle([one])
            except ShapeFromTheFuture as error:
                left = error
        raise left

    def _show(self, mark: Mark, progress: Progress, stalls: Stalls) -> None:
        now = utc_now()
        show(self._house.metrics, mark, progress, now)
        stalled = stalls.look(mark, progress, now)
        self._house.metrics.unread.set(len(stalled))
        for topic, partition in stalled:
            log.error("nobody reads a partition", topic=topic, partition=partition)

    # parked messages

    async def _drain(self) -> None:
        while True:
            self._released.clear()
            more = False
            try:
                more = await self.drain_once()
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("parked messages wait", exc_info=error)
                await asyncio.sleep(self._house.settings.poll_seconds)
            if not more:
                await _set_within(self._released, self._house.settings.poll_seconds / 2)

    async def drain_once(self) -> bool:
        """Try what is ripe once more; whether anything was."""
        async with self._pool.acquire() as connection:
            await self._house.clock.refresh(connection)
            found = await parked.ripe(connection, self._house.service_key, _RIPE)
        if not found:
            return False
        again = [self.again(one) for one in found]
        # by number within an epoch, and no epoch before the one that it follows
        again.sort(key=lambda one: (one.source, one.about or "", one.epoch))
        await self.handle(again)
        return True

    def again(self, one: parked.Parked) -> Delivery:
        """A parked message as a delivery, read anew by this release."""
        delivery = self._reader.read(one.record)
        delivery.origin = Origin.PARKED
        delivery.parked = one.id
        delivery.letter, delivery.was = one.letter, one.reason
        delivery.ripe = one.ripe
        # its case may lie unread in another partition: not all are equally far
        handled = self.handled_up_to is not None and self.handled_up_to >= delivery.at
        delivery.final = one.reason is Reason.AWAITING and one.ripe and handled
        return delivery

    # sweeping

    async def _sweep(self) -> None:
        settings, metrics = self._house.settings, self._house.metrics
        swept = 0.0
        waiting_since: float | None = None
        cursor_before = -1
        while True:
            try:
                async with self._pool.acquire() as connection:
                    counts = {
                        reason: (count, since)
                        for reason, count, since in await parked.counts(connection)
                    }
                    cursor, last = await relay.outbox(connection)
                    if monotonic() - swept > _SWEEP_SECONDS:
                        swept = monotonic()
                        now = utc_now()
                        await inbox.prune(connection, now, settings.inbox_days)
                        await parked.prune(
                            connection, now, settings.refused_days, settings.refused_kept
                        )
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("sweeping waits", exc_info=error)
            else:
                metrics.database_seen.set(utc_now().timestamp())
                for reason in Reason:
                    count, since = counts.get(reason, (0, utc_now()))
                    metrics.parked.labels(reason).set(count)
                    metrics.parked_age.labels(reason).set((utc_now() - since).total_seconds())
                if cursor >= last or cursor != cursor_before:
                    waiting_since = None if cursor >= last else monotonic()
                cursor_before = cursor
                metrics.outbox_rows.set(last - cursor)
                metrics.outbox_age.set(
                    monotonic() - waiting_since if waiting_since is not None else 0
                )
            await asyncio.sleep(_LOOK_SECONDS)

    async def _take_stock(self) -> None:
        stock = Stock(self._house)
        try:
            while True:
                more = False
                try:
                    async with self._pool.acquire() as connection:
                        more = await stock.look(connection)
                except Exception as error:
                    if not passes(error):
                        raise
                    log.warning("taking stock waits", exc_info=error)
                # a pause between pages too: whatever is handled meanwhile comes first
                await asyncio.sleep(0.01 if more else _STOCK_SECONDS)
        finally:
            stock.forget()


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
