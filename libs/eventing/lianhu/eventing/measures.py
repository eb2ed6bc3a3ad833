"""What a service measures of its own work: what happened is counted, what stands is summed up.

Both follow from the journal. An event is counted by the replica that committed it, once; what
stands is summed up by the leader alone (`stock.py`). Labels are few and bounded: units, levels,
outcomes, pools; never an id, a name or a text.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Gauge

from lianhu.contracts.base import Internal
from lianhu.eventing.rules import Rank, State, Stream


class Happened(NamedTuple):
    """An event that was committed, and the state of its stream just before it."""

    stream: Stream
    before: State | None
    event: Internal
    at: datetime
    """Domain time that the event bears: that of the message that led to it."""


class Part(NamedTuple):
    """What one stream adds to one gauge."""

    gauge: Gauge
    labels: tuple[str, ...]
    amount: float


class Measures:
    """A service that measures nothing of its own; others override what they need."""

    kinds: tuple[Rank, ...] = ()
    """The kinds of stream of which stock is taken."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """A service's own metrics are made here."""

    def happened(self, one: Happened, now: datetime) -> None:
        """Called for each event after its commit; `now`, in domain time, is when that was."""

    def parts(self, state: State) -> Iterable[Part]:
        """What a stream in this state adds to gauges; asked for streams of `kinds` only."""
        return ()


__all__ = ["Happened", "Measures", "Part"]
