"""Commands at a steady pace, and how long each one's answer takes.

An open loop: the next command leaves when its moment has come, whatever became of those before,
and its time runs from that moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from threading import Event, Thread
from time import monotonic

from confluent_kafka import Consumer, Producer, TopicPartition

from lianhu.contracts.registry import answers_topic
from tests.load.generator import PUBLISHER, Outgoing

_ANSWERS = answers_topic("mediation", PUBLISHER)
_PATIENCE_SECONDS = 60.0


class Asking:
    """Sends for as long as a `with` block, and listens until everything is answered."""

    def __init__(self, bootstrap: str, orders: Iterable[Outgoing], a_second: float) -> None:
        self._orders = orders
        self._pause = 1 / a_second
        self._over, self._done = Event(), Event()
        self._due: dict[str, float] = {}
        """By the command's id: when it was to leave."""
        self._took: dict[str, float] = {}
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0, "log_level": 0}
        )
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "asking", "log_level": 0}
        )
        self._threads = [
            Thread(target=target, daemon=True) for target in (self._send, self._listen)
        ]

    def __enter__(self) -> Asking:
        parts = self._consumer.list_topics(_ANSWERS, timeout=10).topics[_ANSWERS].partitions
        places = [TopicPartition(_ANSWERS, number) for number in parts]
        for place in places:
            place.offset = self._consumer.get_watermark_offsets(place, timeout=10)[1]
        self._consumer.assign(places)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Send no more, wait for what is not answered yet. What never is has no time."""
        self._over.set()
        self._threads[0].join()
        last = monotonic() + _PATIENCE_SECONDS
        while len(self._took) < len(self._due) and monotonic() < last:
            self._done.wait(0.05)
        self._done.set()
        self._threads[1].join()
        self._consumer.close()

    def between(self, start: float, end: float) -> list[float]:
        """Seconds of those that were to leave then, by `monotonic`; infinite without an answer."""
        return [
            self._took.get(id_, float("inf"))
            for id_, due in self._due.items()
            if start <= due < end
        ]

    def _send(self) -> None:
        due = monotonic()
        for order in self._orders:
            due += self._pause
            if self._over.wait(max(due - monotonic(), 0)):
                break
            self._due[dict(order.headers)["ce_id"].decode()] = due
            self._producer.produce(order.topic, order.value, order.key, headers=[*order.headers])
            self._producer.poll(0)
        self._producer.flush(30)

    def _listen(self) -> None:
        while not self._done.is_set():
            for message in self._consumer.consume(500, timeout=0.02):
                now = monotonic()
                for cause in _causes(message.headers()):
                    if cause in self._due:
                        self._took.setdefault(cause, now - self._due[cause])


def _causes(headers: object) -> Iterator[str]:
    pairs = headers.items() if isinstance(headers, dict) else headers
    assert pairs is None or isinstance(pairs, Iterable)
    for name, value in pairs or ():
        if name == "ce_causationid":
            yield value.decode()


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that so great a share of them does not exceed; of at least one value."""
    ordered = sorted(values)
    return ordered[max(ceil(share * len(ordered)), 1) - 1]
