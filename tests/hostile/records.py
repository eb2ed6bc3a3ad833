"""Whole records: bodies as bytes that were damaged on the way, under headers of every kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

from lianhu.contracts import REGISTRY, Contract, Kind
from lianhu.contracts.publishers import Publishers
from tests.hostile.made import TEXTS, Maker

Headers = list[tuple[str, bytes | None]]
Wild = tuple[str, bytes | None, Headers]
"""Topic, value, headers."""

_BYTES = (b"", b"\xff\xfe\xe9", b"\x00", b"\xed\xa0\x80", b"\xf0\x9f", b"x" * 3000, b"\xc0\x80")
_NAMES = (
    *("ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time", "ce_subject"),
    *("ce_correlationid", "ce_traceparent", "ce_sequence", "ce_datakey", "ce_", "ce_\u202e"),
    *("content-type", "x-desk", "", "ce_" + "n" * 200),
)
_DEEP = (b"[" * 20_000, b'{"a":' * 5000, b"[" * 150 + b"]" * 150)
_STRUCTURED = b"application/cloudevents+json"


def topics_of(service: str) -> dict[str, list[Contract]]:
    """Each public topic of a service and the contracts that its publisher may send there."""
    found: dict[str, list[Contract]] = {}
    for contract in REGISTRY:
        if not contract.kind.public or contract.service != service:
            continue
        stem = "reports" if contract.kind is Kind.REPORT else "commands"
        for publisher in Publishers.read().each():
            if publisher.kind in contract.senders:
                topic = f"{service}.{stem}.{publisher.name}.v1"
                found.setdefault(topic, []).append(contract)
    return found


def wild(service: str, random: Random, harm: float = 0.03, pace: int = 20) -> Iterator[Wild]:
    """Records without end for the public topics of a service; some are quite in order.

    `pace`: after how many of them there is likely to be another case to speak of.
    """
    topics = topics_of(service)
    every = [contract for contracts in topics.values() for contract in contracts]
    makers = (Maker(random, 0.0), Maker(random, harm), Maker(random, 10 * harm))
    number = 0
    while True:
        number += 1
        topic = random.choice([*topics])
        contract = random.choice(topics[topic] if random.random() < 0.95 else every)
        maker = random.choice(makers)
        maker.newest = 1 + number // pace
        body = maker.body(contract.model)
        id_ = f"wild-{number}".encode()
        headers: Headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", id_),
            ("ce_source", b"wild"),
            ("ce_type", contract.type.encode()),
            ("content-type", b"application/json"),
        ]
        if random.random() < 0.1:
            whole = {name[3:]: (text or b"").decode() for name, text in headers if "_" in name}
            if random.random() < 0.3:
                whole[random.choice(("time", "subject", "id", "x", "\ud800"))] = makers[0].odd()
            value = _dumped({**whole, "data": body}, random)
            headers = [("content-type", _STRUCTURED)]
        else:
            value = _dumped(body, random)
        yield topic, _damaged(value, random), _struck(headers, random)


def _dumped(body: object, random: Random) -> bytes:
    plain = random.random() < 0.5
    return json.dumps(body, ensure_ascii=plain).encode("utf-8", "surrogatepass")


def _damaged(value: bytes, random: Random) -> bytes | None:
    if random.random() > 0.15:
        return value
    place = random.randrange(len(value) + 1)
    match random.randrange(10):
        case 0:
            return None
        case 1:
            return value[:place]
        case 2:
            return value[:place] + random.choice(_BYTES) + value[place:]
        case 3:
            return random.choice(_DEEP)
        case 4:
            return b"\xef\xbb\xbf" + value
        case 5:
            return value.decode("utf-8", "replace").encode("utf-16")
        case 6:
            return value + value
        case 7:
            return b"1" * 10_000
        case 8:
            return value.replace(b":", b":" + random.choice((b"1e999999", b"-", b"1" * 400)), 1)
        case _:
            return random.randbytes(random.randrange(200))


def _struck(headers: Headers, random: Random) -> Headers:
    if random.random() > 0.15:
        return headers
    name = random.choice(_NAMES)
    match random.randrange(7):
        case 0:
            return [*headers, (name, None)]
        case 1:
            return [*headers, (name, random.choice(_BYTES))]
        case 2:
            return [*headers, (name, random.choice(TEXTS).encode("utf-8", "surrogatepass"))]
        case 3:
            return [one for one in headers if one[0] != name]
        case 4:
            return [(key, random.choice(_BYTES) if key == name else text) for key, text in headers]
        case 5:
            count = random.choice((1, 50, 3000))
            return [*headers, *((f"ce_x{n}", b"\xff" if n % 2 else None) for n in range(count))]
        case _:
            return [(key, None if key == name else text) for key, text in headers]
