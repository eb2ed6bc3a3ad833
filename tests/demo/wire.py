"""The demo's own Kafka clients: publishers that send, and a watcher that reads every topic."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from lianhu.eventing.connection import Access, access
from tests.checker.topics import record_of
from tests.demo.book import Book, Happened

T = TypeVar("T")

PATIENCE = 90.0
"""Seconds for what takes one; the machine may have other work."""

_QUIET = {"log_level": 0, "reconnect.backoff.max.ms": 500}
"""A client that says nothing of a broker that is away, and finds it soon after it is back."""


class Unexpected(RuntimeError):
    """The demo did not go as it should; the message is a sentence."""


@dataclass
class Sent:
    """A message that was handed to Kafka."""

    publisher: str
    id: str
    withheld: str = ""
    """Why the client itself would not send it."""
    told: dict[KafkaError | None, Message] = field(default_factory=dict)
    """What Kafka said of it: an error or none, and the record."""

    @property
    def place(self) -> str:
        """`partition/offset`; empty unless it is there."""
        record = self.told.get(None)
        return "" if record is None else f"{record.partition()}/{record.offset()}"

    @property
    def error(self) -> str:
        """Why it is not there; empty when it is, or nothing was heard of it yet."""
        errors = [error.str() for error in self.told if error is not None]
        return self.withheld or ", ".join(errors)


class Sender:
    """Sends CloudEvents in binary mode, as any publisher with a stock client would.

    `kafka`: how the broker is reached, by all alike or by each publisher as itself.
    """

    def __init__(self, kafka: str | Access | Callable[[str], Access]) -> None:
        self._kafka = kafka
        self._producers: dict[str, Producer] = {}

    def _of(self, publisher: str) -> Producer:
        who = publisher if callable(self._kafka) else ""
        if who not in self._producers:
            reached = self._kafka(who) if callable(self._kafka) else access(self._kafka)
            self._producers[who] = Producer(
                {
                    **reached.librdkafka(),
                    "acks": "all",
                    "message.max.bytes": 2 * 1024 * 1024,
                    **_QUIET,
                }
            )
        return self._producers[who]

    def send(
        self, topic: str, publisher: str, type_: str, id_: str, body: bytes, key: str | None = None
    ) -> Sent:
        """Hand a message to Kafka; call `flush` to be sure that it is there."""
        sent = Sent(publisher, id_)
        headers = {
            "ce_specversion": "1.0",
            "ce_id": id_,
            "ce_source": f"demo/{publisher}",
            "ce_type": type_,
            "content-type": "application/json",
        }
        try:
            self._produce(
                self._of(publisher),
                topic,
                body,
                key=key,
                headers=[(name, text.encode()) for name, text in headers.items()],
                # not a function of ours: a Ctrl-C while it runs would be lost in the client
                on_delivery=sent.told.__setitem__,
            )
        except KafkaException as error:
            sent.withheld = error.args[0].str()
        self._of(publisher).poll(0)
        return sent

    @staticmethod
    def _produce(producer: Producer, topic: str, body: bytes, **more: Any) -> None:
        while True:
            try:
                producer.produce(topic, body, **more)
            except BufferError:  # the client holds as much as it will: let some of it leave
                producer.poll(0.1)
            else:
                return

    def report(self, publisher: str, id_: str, body: bytes) -> Sent:
        """A report on the publisher's own topic."""
        type_ = "lianhu.intake.report-submitted.v1"
        return self.send(f"intake.reports.{publisher}.v1", publisher, type_, id_, body)

    def command(
        self,
        publisher: str,
        id_: str,
        name: str,
        key: str,
        data: dict[str, object],
        service: str = "mediation",
    ) -> Sent:
        """A command; by its key all of one case keep their order."""
        body = json.dumps(data, ensure_ascii=False).encode()
        type_ = f"lianhu.{service}.{name}.v1"
        topic = f"{service}.commands.{publisher}.v1"
        return self.send(topic, publisher, type_, id_, body, key=key)

    def flush(self) -> None:
        """Wait until everything is acknowledged."""
        if any(producer.flush(PATIENCE) for producer in self._producers.values()):
            raise Unexpected(f"Kafka did not take the messages within {PATIENCE:.0f} s.")


class Watcher:
    """Reads events and answers of all services into a book, as they come."""

    def __init__(self, kafka: str | Access, told: Callable[[Happened], None]) -> None:
        self.book = Book()
        self._told = told
        settings = {
            **access(kafka).librdkafka(),
            "group.id": "lianhu-demo",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 50,
            **_QUIET,
        }
        self._consumer = Consumer(settings)
        # a connection of its own: on the other a question waits behind a waiting fetch
        self._asking = Consumer(settings)
        topics = self._consumer.list_topics(timeout=10).topics
        self._consumer.assign(
            [
                TopicPartition(name, number, 0)
                for name, topic in topics.items()
                if ".events." in name or ".answers." in name
                for number in topic.partitions
            ]
        )

    def to_the_end(self) -> Book:
        """The book with all that stands on the topics at this moment."""
        places = self._consumer.assignment()
        ends = {
            (p.topic, p.partition): self._asking.get_watermark_offsets(p, timeout=10)[1]
            for p in places
        }

        def reached(book: Book) -> Book | None:
            # a partition of which nothing was read yet has no position, which is a negative number
            now = self._consumer.position(places)
            return (
                book if all(max(p.offset, 0) >= ends[p.topic, p.partition] for p in now) else None
            )

        return self.until("the end of the topics", reached, 60.0)

    def close(self) -> None:
        """Let go."""
        self._asking.close()
        self._consumer.close()

    def until(self, what: str, found: Callable[[Book], T | None], seconds: float = PATIENCE) -> T:
        """Read on until `found` finds something; raises `Unexpected` with what was waited for."""
        last = monotonic() + seconds
        while True:
            answer = found(self.book)
            if answer is not None and answer is not False:
                return answer
            if monotonic() > last:
                raise Unexpected(f"Waited {seconds:.0f} s in vain for {what}.")
            self.more()

    def more(self) -> None:
        """Take into the book what has come, at most a tenth of a second later."""
        for message in self._consumer.consume(num_messages=500, timeout=0.1):
            if message.error() is not None:
                raise Unexpected(f"Kafka could not be read: {message.error()}")
            happened = self.book.take(record_of(message))
            if happened is not None:
                self._told(happened)
