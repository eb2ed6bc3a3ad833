"""Every record of every topic, one after the other, from the first to the last there is."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic, sleep

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from lianhu.eventing.connection import Access, access
from tests.checker.evidence import Record
from tests.checker.topics import SECONDS, Unreadable, record_of

_PASSING = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
_PAUSE = 0.2


def records_of(kafka: str | Access, *, public: bool) -> Iterator[Record]:
    """Of the publishers' own topics, or of all others; no group is joined. Raises `Unreadable`."""
    consumer = Consumer(
        {
            **access(kafka).librdkafka(),
            "group.id": "lianhu-leaks",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
        }
    )
    try:
        yield from _read(consumer, public=public)
    except KafkaException as error:
        raise Unreadable(f"Kafka could not be read: {error}") from error
    finally:
        consumer.close()


def is_public(topic: str) -> bool:
    """Whether publishers write it: reports and commands."""
    parts = topic.split(".")
    return len(parts) > 1 and parts[1] in ("reports", "commands")


def _span(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """First and next offset; a partition that has no leader just now is asked again."""
    last = monotonic() + SECONDS
    while True:
        try:
            low, high = consumer.get_watermark_offsets(place, timeout=10)
        except KafkaException as error:
            if monotonic() > last or error.args[0].code() not in _PASSING:
                raise
            sleep(_PAUSE)
        else:
            return low, high


def _read(consumer: Consumer, *, public: bool) -> Iterator[Record]:
    ends: dict[tuple[str, int], int] = {}
    wanted = []
    for name, topic in sorted(consumer.list_topics(timeout=10).topics.items()):
        if name.startswith("__") or is_public(name) != public:
            continue
        for number in sorted(topic.partitions):
            low, high = _span(consumer, TopicPartition(name, number))
            if high > low:
                ends[name, number] = high
                wanted.append(TopicPartition(name, number, low))
    consumer.assign(wanted)
    waiting, last = set(ends), monotonic()
    while waiting:
        messages = consumer.consume(num_messages=1000, timeout=0.2)
        if messages:
            last = monotonic()
        elif monotonic() - last > SECONDS:
            raise Unreadable(f"Nothing came of {len(waiting)} partitions for {SECONDS:.0f} s.")
        for message in messages:
            record = record_of(message)
            place = (record.topic, record.partition)
            if record.offset < ends[place]:
                yield record
            if record.offset + 1 >= ends[place]:
                waiting.discard(place)
