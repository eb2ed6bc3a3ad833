"""Reads every topic of the chain, from its first record to its last, in no consumer group."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, Message, TopicPartition

from lianhu.eventing.connection import Access, access
from tests.checker.evidence import Record
from tests.checker.odd import headers_at

Headers = tuple[tuple[str, bytes | None], ...]
Known = MutableMapping[tuple[str, int], list[Record]]
"""What was read before, by topic and partition."""

SECONDS = 60.0
"""Without a single record for so long, reading is given up."""


class Unreadable(RuntimeError):
    """A topic could not be read to its end; the message is a sentence."""


def read_topics(
    kafka: str | Access, known: Known | None = None
) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    """All records, partition by partition, and the topics whose first records are gone.

    Nothing is committed and no group is joined. What is `known` is not read again, and what is
    read becomes known. Raises `Unreadable`.
    """
    consumer = Consumer(
        {
            **access(kafka).librdkafka(),
            "group.id": "lianhu-checker",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
        }
    )
    try:
        return _read(consumer, kafka, {} if known is None else known)
    except KafkaException as error:
        raise Unreadable(f"Kafka could not be read: {error}") from error
    finally:
        consumer.close()


def _read(
    consumer: Consumer, kafka: str | Access, known: Known
) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    ends: dict[tuple[str, int], int] = {}
    wanted, cut = [], []
    found: dict[tuple[str, int], list[Record]] = {}
    for name, topic in sorted(consumer.list_topics(timeout=10).topics.items()):
        if name.startswith("__"):
            continue
        for number in sorted(topic.partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(name, number), timeout=10)
            if low > 0:
                cut.append(name)
            if high > low:
                before = _as_before(known.get((name, number), []), low, high)
                found[name, number] = before
                start = before[-1].offset + 1 if before else low
                if start < high:
                    ends[name, number] = high
                    wanted.append(TopicPartition(name, number, start))
    consumer.assign(wanted)
    waiting, last = set(ends), monotonic()
    while waiting:
        messages = consumer.consume(num_messages=1000, timeout=0.2)
        if messages:
            last = monotonic()
        elif monotonic() - last > SECONDS:
            raise Unreadable(f"Nothing came of {len(waiting)} partitions for {SECONDS:.0f} s.")
        for message in messages:
            record = _record(message, kafka)
            place = (record.topic, record.partition)
            if record.offset < ends[place]:
                found[place].append(record)
            if record.offset + 1 >= ends[place]:
                waiting.discard(place)
    known.clear()
    known.update(found)
    records = tuple(record for place in sorted(found) for record in found[place])
    return records, tuple(sorted(set(cut)))


def _as_before(records: list[Record], low: int, high: int) -> list[Record]:
    """What is known of a partition, unless its ends show that it is not the same any more.

    One that was made anew and has outgrown what it was does not show it: a look afresh does.
    """
    same = bool(records) and records[0].offset == low and records[-1].offset < high
    return [*records] if same else []


def _record(message: Message, kafka: str | Access) -> Record:
    try:
        return record_of(message)
    except UnicodeDecodeError:  # a header's name is not text, and the client gives none of them
        bare = record_of(message, headers=())
        return replace(bare, headers=headers_at(kafka, bare.topic, bare.partition, bare.offset))


def record_of(message: Message, headers: Headers | None = None) -> Record:
    """A client's message as plain data, with other headers where some are given.

    Raises `Unreadable` for an error of the client, `UnicodeDecodeError` for a header's name.
    """
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if message.error() is not None:
        raise Unreadable(f"Kafka could not be read: {message.error()}")
    if topic is None or partition is None or offset is None or offset == OFFSET_INVALID:
        raise Unreadable("Kafka gave a record without a place.")
    _, stamp = message.timestamp()
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        at=datetime.fromtimestamp(stamp / 1000, UTC),
        key=_bytes(message.key()),
        headers=_headers(message) if headers is None else headers,
        value=_bytes(message.value()),
    )


def _headers(message: Message) -> Headers:
    found = message.headers()
    pairs = found.items() if isinstance(found, dict) else found or ()
    return tuple((name, _bytes(value)) for name, value in pairs)


def _bytes(value: object) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    return str(value).encode()
