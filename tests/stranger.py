"""A stranger at the chain: a stock Kafka client that sends what it likes, and reads its answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from secrets import token_hex
from time import monotonic
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from lianhu.eventing.connection import Access, access
from tests.checker.topics import record_of

REPORT = "lianhu.intake.report-submitted.v1"
COMMUNITY = "440304001019"
"""沙埔头社区 of 福田区."""
SECONDS = 120.0

Headers = list[tuple[str, str | bytes | None]]


class NotTaken(RuntimeError):
    """The broker, or the client on its behalf, did not take a record."""

    def __init__(self, error: KafkaError) -> None:
        super().__init__(error.str())
        self.code = error.code()


class Stranger:
    """A producer with librdkafka's defaults, but for what is given."""

    def __init__(self, kafka: str | Access, **settings: object) -> None:
        self._producer = Producer({**access(kafka).librdkafka(), "log_level": 0, **settings})

    def send(self, topic: str, value: bytes | None, headers: Headers, partition: int = -1) -> str:
        """Send one record; its place, `partition/offset`. Raises `NotTaken`."""
        (place,) = self.send_all(topic, [(value, headers)], partition)
        return place

    def send_all(
        self, topic: str, records: Sequence[tuple[bytes | None, Headers]], partition: int = -1
    ) -> list[str]:
        """Hand over all, then wait; their places. Raises `NotTaken` for the first that failed."""
        places: list[str] = []
        failed: list[KafkaError] = []

        def arrived(error: KafkaError | None, message: Any) -> None:
            if error is not None:
                failed.append(error)
            else:
                places.append(f"{message.partition()}/{message.offset()}")

        for value, headers in records:
            try:
                self._producer.produce(
                    topic, value, headers=headers, partition=partition, on_delivery=arrived
                )
            except KafkaException as refused:
                raise NotTaken(refused.args[0]) from None
            self._producer.poll(0)
        assert self._producer.flush(60) == 0
        if failed:
            raise NotTaken(failed[0])
        return places


def answers(access: Access, *ids: str) -> list[dict[str, str]]:
    """What a publisher reads in answer to these messages, as itself and in a group of its own."""
    found: dict[str, dict[str, str]] = {}
    group = {"group.id": f"{access.user}.{token_hex(4)}", "auto.offset.reset": "earliest"}
    with closing(Consumer({**access.librdkafka(), **group, "log_level": 0})) as consumer:
        consumer.subscribe([f"intake.answers.{access.user}.v1"])
        last = monotonic() + SECONDS
        while not found.keys() >= set(ids):
            assert monotonic() < last, f"only {found.keys()} were answered"
            message = consumer.poll(1)
            if message is not None and message.error() is None:
                record = record_of(message)
                headers = {name: (value or b"").decode() for name, value in record.headers}
                answer = {**headers, "body": (record.value or b"").decode()}
                found[answer.get("ce_causationid", "")] = answer
    return [found[id_] for id_ in ids]


def binary(id_: str | None, type_: str = REPORT, **other: str | bytes | None) -> Headers:
    """Headers of binary mode; `other` attributes are added, or stand instead of the usual ones."""
    usual = {"specversion": "1.0", "id": id_, "source": "desk/futian", "type": type_}
    if id_ is None:
        del usual["id"]
    found = {**usual, **other}
    headers: Headers = [
        (f"ce_{name}", value.encode() if isinstance(value, str) else value)
        for name, value in found.items()
    ]
    return [*headers, ("content-type", b"application/json")]


def structured(**attributes: object) -> bytes:
    """A whole message in one body, which goes with the headers `STRUCTURED`."""
    usual = {"specversion": "1.0", "source": "desk/futian", "type": REPORT}
    return json.dumps({**usual, **attributes}, ensure_ascii=False).encode()


STRUCTURED: Headers = [("content-type", b"application/cloudevents+json; charset=utf-8")]


def report(
    narrative: str = "夫妻因家务多次争吵，希望社区调解。", **other: object
) -> dict[str, object]:
    """The data of a report that is taken, but for what `other` says instead."""
    usual = {
        "channel": "hotline-12338",
        "narrative": narrative,
        "place": {"division": COMMUNITY},
    }
    return {**usual, **other}


def dumped(data: object) -> bytes:
    """As JSON, with Chinese as it is."""
    return json.dumps(data, ensure_ascii=False).encode()
