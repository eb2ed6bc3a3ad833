"""DBOS: a durable workflow for each message, of as many steps as a hop has parts.

`decode`, `decide`, `write` and `publish`; DBOS records each step's outcome before the next one
begins. The message's id is the workflow's, so DBOS' own table is the inbox. A partition's records
one after the other, partitions side by side, each in a thread. The same models, rules and hash
chain, the same two records out. It does less than the engine: nothing is parked or refused, no
deadlines, no gaps, one replica. Run as `python -m tests.load.durable`, told by `DURABLE_*`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread
from typing import Any

import sqlalchemy as sa
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka import Message as Record
from dbos import DBOS, DBOSConfig, SetWorkflowID

from lianhu.contracts import REGISTRY
from lianhu.eventing.journal import chain
from lianhu.eventing.rules import Message
from lianhu.mediation import workflow
from lianhu.mediation.policy import Policy
from lianhu.mediation.settings import Settings
from lianhu.mediation.workflow import CaseState
from lianhu.privacy import MasterKeys, Sealer
from tests.load.floor import SEALED, NoIds, leaving, publisher_of_commands
from tests.load.generator import COMMANDS, PUBLISHER

STEPS = 4
"""Durable steps of one message."""

_READ = sa.text("SELECT version, head, at, state, wrapped FROM states WHERE stream = :stream")
_WRITE = sa.text(
    "UPDATE states SET version = :version, head = :hash, at = :time, state = :state"
    " WHERE stream = :stream AND version = :version - 1"
)
_JOURNAL = sa.text(
    "INSERT INTO journal (stream, version, id, type, time, causation, answers, body, hash)"
    " VALUES (:stream, :version, :id, :type, :time, :causation, :answers, :body, :hash)"
    " RETURNING seq"
)
_SENT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the journal, the state after it, and the wrapped key of its case."""

    stream: str
    version: int
    id: str
    type: str
    time: datetime
    causation: str
    answers: str
    body: str
    hash: bytes
    state: str
    wrapped: bytes

    def values(self) -> dict[str, Any]:
        """By the names of columns."""
        return {name: getattr(self, name) for name in self.__slots__}


class Steps:
    """What each step does, without DBOS."""

    def __init__(self, engine: sa.Engine, producer: Producer, keys: MasterKeys) -> None:
        self._engine = engine
        self._producer = producer
        self._keys = keys
        self._policy = Policy.load(Settings())
        self._publisher = publisher_of_commands()
        self._ids = NoIds()

    def decode(self, id_: str, type_: str, body: bytes, stamp: int) -> Message:
        """The message of a record, without its publisher, which every step knows."""
        contract = REGISTRY.get(type_)
        if contract is None:
            raise ValueError(type_)
        data = contract.model.model_validate_json(body, strict=True)
        at = datetime.fromtimestamp(stamp / 1000, UTC)
        return Message(id_, contract.type, data, at, PUBLISHER)

    def decide(self, message: Message) -> Row:
        """One event, as every command of this load has, on the state as it is stored."""
        message = message._replace(publisher=self._publisher)
        (stream,) = workflow.touches(message, self._ids)
        name = str(stream)
        with self._engine.connect() as connection:
            before = connection.execute(_READ, {"stream": name}).one()
        state, now = CaseState.model_validate_json(before.state), max(message.time, before.at)
        decision = workflow.decide(message, {stream: state}, now, self._ids, self._policy)
        (event,) = decision[stream]
        sealed = isinstance(event, SEALED)
        sealer = Sealer(self._keys.unwrap(name, before.wrapped)) if sealed else None
        body = event.model_dump_json(context=sealer)
        version, id_ = before.version + 1, token_hex(16)
        hash_ = chain(name, version, id_, event.type_, now, message.id, body, before.head)
        after = workflow.evolve(stream, state, event, now)
        assert isinstance(after, CaseState)
        return Row(
            stream=name,
            version=version,
            id=id_,
            type=event.type_,
            time=now,
            causation=message.id,
            answers=PUBLISHER,
            body=body,
            hash=hash_,
            state=after.model_dump_json(),
            wrapped=before.wrapped,
        )

    def write(self, row: Row) -> int:
        """State and journal in a transaction; the row's number."""
        with self._engine.begin() as connection:
            if connection.execute(_WRITE, row.values()).rowcount != 1:
                raise RuntimeError(f"{row.stream} was changed by somebody else")
            return int(connection.execute(_JOURNAL, row.values()).scalar_one())

    def publish(self, seq: int, row: Row) -> None:
        """Both records, acknowledged."""
        failed: list[KafkaError] = []
        missing, all_sent = [2], Event()

        def told(error: KafkaError | None, _: Record) -> None:
            if error is not None:
                failed.append(error)
            missing[0] -= 1
            if not missing[0]:
                all_sent.set()

        values = (*(getattr(row, name) for name in Row.__slots__[:9]), row.wrapped)
        for topic, key, value, headers in leaving((seq, *values)):
            self._producer.produce(topic, value, key, headers=list(headers), on_delivery=told)
        if not all_sent.wait(_SENT_SECONDS) or failed:
            raise RuntimeError(f"not published: {failed}")


def durable(steps: Steps) -> Callable[[str, str, bytes, int], None]:
    """The workflow: the four as DBOS' steps. Before `DBOS.launch()`."""

    @DBOS.step()
    def decode(id_: str, type_: str, body: bytes, stamp: int) -> Message:
        return steps.decode(id_, type_, body, stamp)

    @DBOS.step()
    def decide(message: Message) -> Row:
        return steps.decide(message)

    @DBOS.step()
    def write(row: Row) -> int:
        return steps.write(row)

    @DBOS.step()
    def publish(seq: int, row: Row) -> None:
        steps.publish(seq, row)

    @DBOS.workflow()
    def hop(id_: str, type_: str, body: bytes, stamp: int) -> None:
        row = decide(decode(id_, type_, body, stamp))
        publish(write(row), row)

    return hop


class Partition(Thread):
    """One partition's records, one after the other, each committed when its workflow has ended."""

    def __init__(
        self, kafka: str, number: int, hop: Callable[[str, str, bytes, int], None], over: Event
    ) -> None:
        super().__init__(name=f"partition-{number}")
        self._place = TopicPartition(COMMANDS, number)
        self._kafka = kafka
        self._hop = hop
        self._over = over

    def run(self) -> None:
        """Until told to end; an error ends the process."""
        consumer = _consumer(self._kafka)
        consumer.assign(consumer.committed([self._place], timeout=10))
        try:
            while not self._over.is_set():
                record = consumer.poll(0.2)
                if record is None or record.error() is not None:
                    continue
                headers = {
                    name: _text(value) for name, value in dict(record.headers() or {}).items()
                }
                id_ = headers["ce_id"]
                with SetWorkflowID(id_):
                    body, stamp = record.value() or b"", record.timestamp()[1]
                    self._hop(id_, headers["ce_type"], body, stamp)
                consumer.commit(message=record, asynchronous=True)
        except BaseException:
            os.kill(os.getpid(), signal.SIGTERM)
            raise
        finally:
            consumer.close()


def _text(value: str | bytes | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def _consumer(kafka: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "durable",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )


def main() -> None:
    """Run until SIGTERM, as the `DURABLE_*` variables say."""
    kafka, database = os.environ["DURABLE_KAFKA"], os.environ["DURABLE_DATABASE"]
    url = sa.make_url(database).set(drivername="postgresql+psycopg")
    keys = MasterKeys.read(Path(os.environ["DURABLE_MASTER_KEY"]))
    # an awaited publish gains nothing by waiting for neighbours
    producer = Producer({"bootstrap.servers": kafka, "enable.idempotence": True, "linger.ms": 0})
    engine = sa.create_engine(url, pool_size=20)
    config = DBOSConfig(
        name="durable",
        system_database_url=url.render_as_string(hide_password=False),
        log_level="ERROR",
        enable_otlp=False,
    )
    DBOS(config=config)
    hop = durable(Steps(engine, producer, keys))
    DBOS.launch()
    over = Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    parts = producer.list_topics(COMMANDS, timeout=10).topics[COMMANDS].partitions
    threads = [Partition(kafka, number, hop, over) for number in parts]
    for thread in threads:
        thread.start()
    while not over.is_set():
        producer.poll(0.1)
    for thread in threads:
        while thread.is_alive():
            producer.poll(0.1)
    DBOS.destroy()


if __name__ == "__main__":
    main()
