"""A record to a delivery: each record on its own, and never an exception.

What cannot be read carries its faults; its neighbours in the batch go on.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

from pydantic import TypeAdapter, ValidationError

from lianhu.contracts import REGISTRY, Contract, Kind
from lianhu.contracts.base import Instant
from lianhu.contracts.cloudevents import Envelope, read
from lianhu.contracts.decode import decode
from lianhu.contracts.faults import Fault
from lianhu.contracts.publishers import Publisher, Publishers, kind_of, publisher_of
from lianhu.contracts.topics import MAX_BODY
from lianhu.eventing.clock import Clock, from_ms
from lianhu.eventing.delivery import Delivery, Origin, Position, Record
from lianhu.eventing.rules import Message, Stream

_TIME: TypeAdapter[datetime] = TypeAdapter(Instant)
_POSITIVE = re.compile(r"[1-9][0-9]{0,8}")
_RESERVED = re.compile(r"^/*lianhu([./:-].*)?$", re.IGNORECASE)
_VERSION = re.compile(r"^(?P<stem>.+)\.v(?P<major>[0-9]{1,4})$")


class Reader:
    """Reads the records of one service's topics."""

    def __init__(
        self,
        service: str,
        publishers: Publishers,
        clock: Clock,
        look_again: Callable[[], Publishers] | None = None,
    ) -> None:
        self._service = service
        self.publishers = publishers
        self._clock = clock
        self._look_again = look_again

    def _publisher(self, name: str) -> Publisher | None:
        """One who is not known may have been registered a moment ago."""
        found = self.publishers.get(name)
        if found is None and self._look_again is not None:
            found = self._look_again().get(name)
        return found

    def read(self, record: Record) -> Delivery:
        """A delivery with its message, or with the faults that keep it from being one."""
        publisher = publisher_of(record.topic)
        if publisher is None:
            return self._internal(record)
        return self._public(record, publisher)

    def _public(self, record: Record, name: str) -> Delivery:
        value = record.value
        at = from_ms(record.timestamp)
        delivery = Delivery(Origin.BROKER, record.topic, at, record)
        if value is not None and len(value) > MAX_BODY:
            envelope = Envelope({}, b"", (Fault(path="", slug="too-large"),))
            if not _structured(record):
                head = read(record.headers, b"")
                envelope = Envelope(head.attributes, b"", head.faults + envelope.faults)
        else:
            envelope = read(record.headers, value)
        faults = list(envelope.faults)
        get = envelope.attributes.get
        if given := get("id"):
            delivery.identity = delivery.named = given
        else:
            # a space cannot stand in a given id, so a position is never mistaken for one
            delivery.identity = f" {record.partition}/{record.offset}"
        type_ = get("type") or ""
        delivery.type = type_ if type_ in _KNOWN else None
        delivery.digest = sha256(b"%s\n%s" % (type_.encode(), value or b"")).digest()
        delivery.publisher = publisher = self._publisher(name)
        if publisher is None:
            faults.append(Fault(path="", slug="unknown-publisher"))
        if _RESERVED.match(get("source", "")):
            faults.append(Fault(path="ce:source", slug="reserved"))
        kind = kind_of(record.topic)
        delivery.command = kind is Kind.COMMAND
        contract = None
        if type_:
            contract = self._accepted(type_, kind, faults)
            if contract is not None and publisher and publisher.kind not in contract.senders:
                faults.append(Fault(path="ce:type", slug="not-of-this-publisher"))
        data = None
        unread = envelope.faults and any(fault.path == "" for fault in envelope.faults)
        if contract is not None and not unread:
            data, wrong = decode(contract.model, envelope.data)
            faults += wrong
        delivery.faults = tuple(faults)
        if data is not None and publisher is not None and not faults:
            identity = delivery.identity.strip()
            delivery.message = Message(
                id=identity,
                type=contract.type if contract is not None else "",
                data=data,
                time=self._clock.domain(at),
                source=name,
                publisher=publisher,
                correlation=_bounded(get("correlationid")) or identity,
                trace=_bounded(get("traceparent")),
            )
        return delivery

    def _accepted(self, type_: str, kind: Kind, faults: list[Fault]) -> Contract | None:
        contract = REGISTRY.get(type_)
        if contract is not None and contract.service == self._service and contract.kind is kind:
            return contract
        if contract is not None:
            slug = "wrong-topic"
        elif (found := _VERSION.match(type_)) and any(
            known.type.startswith(f"{found['stem']}.v") for known in REGISTRY
        ):
            slug = "unsupported-version"
        else:
            slug = "unknown-type"
        faults.append(Fault(path="ce:type", slug=slug))
        return None

    def _internal(self, record: Record) -> Delivery:
        at = from_ms(record.timestamp)
        producer = record.topic.split(".", 1)[0]
        delivery = Delivery(Origin.BROKER, producer, at, record)
        envelope = read(record.headers, record.value)
        get = envelope.attributes.get
        delivery.type = type_ = get("type")
        faults = list(envelope.faults)
        try:
            delivery.stream = stream = Stream.parse(get("subject", ""))
        except ValueError:
            stream = None
            faults.append(Fault(path="ce:subject", slug="malformed"))
        number, epoch = get("sequence", ""), get("epoch", "")
        if _POSITIVE.fullmatch(number) and _POSITIVE.fullmatch(epoch):
            delivery.sequence = Position(int(epoch), int(number), get("rowhash", ""))
        else:
            faults.append(Fault(path="ce:sequence", slug="malformed"))
        if key := get("datakey"):
            try:
                delivery.wrapped = b64decode(key, validate=True)
            except binascii.Error:
                faults.append(Fault(path="ce:datakey", slug="malformed"))
        contract = REGISTRY.get(type_ or "")
        if contract is None or self._service not in contract.consumers:
            delivery.relevant = False
            delivery.faults = tuple(faults)
            return delivery
        data, wrong = decode(contract.model, envelope.data, tolerant=True)
        faults += wrong
        delivery.faults = tuple(faults)
        if data is not None and stream is not None and not faults:
            delivery.message = Message(
                id=get("id", ""),
                type=contract.type,
                data=data,
                time=_time(get("time")) or self._clock.domain(at),
                source=producer,
                stream=stream,
                correlation=get("correlationid"),
                trace=get("traceparent"),
            )
        return delivery


_KNOWN = frozenset(contract.type for contract in REGISTRY)


def _structured(record: Record) -> bool:
    return any(
        key == "content-type" and b"cloudevents" in (value or b"") for key, value in record.headers
    )


def _bounded(text: str | None) -> str | None:
    return text if text is not None and len(text) <= 128 and text.isprintable() else None


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return _TIME.validate_python(text)
    except ValidationError:
        return None
