"""Calls outside (a notice, a payment file): made after the commit; their end is a message.

`attempt started` is committed before the call. When a process dies in between, the attempt's own
deadline takes it up again; so nothing here needs to be stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from lianhu.contracts.base import Internal
from lianhu.eventing.clock import Clock, utc_now
from lianhu.eventing.delivery import Delivery, Origin
from lianhu.eventing.metrics import Metrics
from lianhu.eventing.rules import EffectEnded, Message, Stream
from lianhu.eventing.work import Call

log = structlog.get_logger(__name__)

Effect = Callable[[Stream, Internal], Awaitable[EffectEnded]]
Handle = Callable[[Sequence[Delivery]], Awaitable[None]]

_MOST_WAITING = 5000
_MOST_TOGETHER = 500
_GATHER_SECONDS = 0.02
"""So long ends gather before they are recorded: a transaction costs much the same for each."""


class Effects:
    """Runs the calls of one process, so many at once, and hands their ends to the engine."""

    def __init__(
        self,
        service: str,
        effects: Mapping[str, Effect],
        handle: Handle,
        clock: Clock,
        metrics: Metrics,
        at_once: int,
    ) -> None:
        self._service = service
        self._effects = effects
        self._handle = handle
        self._clock = clock
        self._metrics = metrics
        self._at_once = at_once
        self._calls: asyncio.Queue[Call] = asyncio.Queue(_MOST_WAITING)
        self._ends: asyncio.Queue[tuple[Call, EffectEnded]] = asyncio.Queue(_MOST_WAITING)

    def start(self, calls: Sequence[Call]) -> None:
        """Take these on. What finds no place is left to its deadline."""
        for call in calls:
            try:
                self._calls.put_nowait(call)
            except asyncio.QueueFull:
                self._metrics.effects_dropped.inc()
        self._metrics.effects_waiting.set(self._calls.qsize())

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._at_once):
                group.create_task(self._call())
            group.create_task(self._report())

    async def _call(self) -> None:
        while True:
            call = await self._calls.get()
            try:
                ended = await self._effects[call.event.type_](call.stream, call.event)
            except Exception as error:
                log.error(
                    "call outside failed unexpectedly",
                    stream=str(call.stream),
                    type=call.event.type_,
                    exc_info=error,
                )
                self._metrics.effects.labels("error").inc()
                continue
            self._metrics.effects.labels(ended.outcome).inc()
            await self._ends.put((call, ended))

    async def _report(self) -> None:
        while True:
            ended = [await self._ends.get()]
            await asyncio.sleep(_GATHER_SECONDS)
            while not self._ends.empty() and len(ended) < _MOST_TOGETHER:
                ended.append(self._ends.get_nowait())
            self._metrics.effects_waiting.set(self._calls.qsize())
            deliveries = [self._delivery(*one) for one in ended]
            try:
                await self._handle(deliveries)
            except Exception as error:
                log.warning(
                    "ends of calls not recorded",
                    count=len(ended),
                    first=deliveries[0].position,
                    exc_info=error,
                )
                await asyncio.sleep(1)

    def _delivery(self, call: Call, ended: EffectEnded) -> Delivery:
        now = utc_now()
        message = Message(
            id=f"{ended.stream}:effect:{ended.ref}:{ended.attempt}",
            type="effect",
            data=ended,
            time=self._clock.domain(now),
            source=self._service,
            correlation=call.correlation,
            trace=call.trace,
        )
        return Delivery(Origin.ENGINE, self._service, now, message=message)
