"""The AsyncAPI 3.0 document of one service or of the whole, from the registry and the publishers.

A channel is a topic as it is created, with its partitions and its settings; a publisher's topics
stand one by one, since each may differ. Operations are seen from the service: it *receives* and
*sends*. Servers are left out: where a broker stands is no part of a contract.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from pydantic import BaseModel, JsonValue
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from lianhu.contracts import REGISTRY, SERVICES, Contract, Kind
from lianhu.contracts.cloudevents import JSON
from lianhu.contracts.publishers import Publishers, publisher_of
from lianhu.contracts.registry import answers_topic, dead_letters_topic, events_topic
from lianhu.contracts.schemas import sealed_models
from lianhu.contracts.topics import Topic, topics

Document: TypeAlias = dict[str, JsonValue]

VERSION = "1.0.0"
"""Of the document; the types carry their own."""

_MODE: JsonSchemaMode = "validation"
_BINDING = {"bindingVersion": "0.5.0"}
_NUMERIC = ("retention.ms", "retention.bytes", "max.message.bytes")

_HEADERS = {
    "ce_specversion": "The version of CloudEvents, 1.0.",
    "ce_id": "The id its producer gave: the same message sent twice has the same id.",
    "ce_source": "Who sent it; of a publisher's message the topic decides, not this.",
    "ce_type": "The message type.",
    "content-type": "Of the body.",
}
_OPTIONAL_HEADERS = {
    "ce_time": "When it was made, RFC 3339 with an offset.",
    "ce_subject": "What it is about; of a service's event its stream, such as case/…",
    "ce_correlationid": "The id of the message that began it all.",
    "ce_causationid": "The id of the message that caused this one.",
    "ce_traceparent": "The trace it belongs to (W3C Trace Context).",
}
_SERVICE_HEADERS = {
    "ce_sequence": "The event's position in its stream, from 1 without a gap.",
    "ce_epoch": "Raised when the service was restored to an earlier point.",
    "ce_rowhash": "The hash of the event's journal row.",
    "ce_datakey": "The wrapped data key of the case, where a field is sealed; base64.",
}


def asyncapi(service: str | None, publishers: Publishers) -> Document:
    """The document of a service, or of all with None. Raises ValueError for an unknown service."""
    if service is not None and service not in SERVICES:
        raise ValueError(f"no service {service}; there are {', '.join(SERVICES)}")
    of = SERVICES if service is None else (service,)
    created = {topic.name: topic for topic in topics(publishers)}
    operations: dict[str, JsonValue] = {}
    carried: dict[str, tuple[Contract, ...]] = {}
    for name in of:
        for action, topic, contracts in _operations(name, created, publishers):
            carried[topic] = _carried(topic, publishers)
            operations[f"{name}.{action}.{topic}"] = _operation(action, topic, contracts)
    used = {contract.type: contract for contracts in carried.values() for contract in contracts}
    return {
        "asyncapi": "3.0.0",
        "id": f"urn:lianhu:{service or 'all'}",
        "info": {
            "title": f"Lianhu {service}" if service else "Lianhu",
            "version": VERSION,
            "description": "CloudEvents 1.0 over Kafka; binary mode, on public topics also "
            "structured. A body is JSON of at most 256 KiB.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "channels": {
            topic: _channel(created[topic], contracts) for topic, contracts in carried.items()
        },
        "operations": operations,
        "components": {
            "messages": {contract.type: _message(contract) for contract in used.values()},
            "schemas": _schemas(used.values()),
        },
    }


def _operations(
    service: str, created: Iterable[str], publishers: Publishers
) -> Iterator[tuple[str, str, tuple[Contract, ...]]]:
    """What a service does with which topic, and with which of its messages."""
    for topic in created:
        owner, kind = topic.split(".")[:2]
        if owner == service:
            if contracts := _carried(topic, publishers):
                yield "receive" if publisher_of(topic) else "send", topic, contracts
        elif kind == "events":
            read = tuple(c for c in _carried(topic, publishers) if service in c.consumers)
            if read:
                yield "receive", topic, read


def _carried(topic: str, publishers: Publishers) -> tuple[Contract, ...]:
    """All that a topic may carry."""
    owner = topic.split(".", maxsplit=1)[0]
    if topic == events_topic(owner):
        published = REGISTRY.published_by(owner)
        return tuple(c for c in published if c.kind is Kind.EVENT and not c.private)
    if topic == dead_letters_topic(owner):
        return tuple(c for c in REGISTRY.published_by(owner) if c.kind is Kind.LETTER)
    name = publisher_of(topic) or topic.removeprefix(f"{owner}.answers.").removesuffix(".v1")
    publisher = publishers.get(name)
    if publisher is None or topic not in (*publisher.writes(), *publisher.reads()):
        raise ValueError(f"{topic} is of no known kind")
    if topic == answers_topic(owner, name):
        return tuple(c for c in REGISTRY.published_by(owner) if c.goes_to(publisher.kind))
    return tuple(
        c
        for c in REGISTRY.accepted_by(owner)
        if publisher.kind in c.senders and c.topic.format(publisher=name) == topic
    )


def _operation(action: str, topic: str, contracts: Iterable[Contract]) -> JsonValue:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "messages": [{"$ref": f"#/channels/{topic}/messages/{c.type}"} for c in contracts],
    }


def _channel(topic: Topic, contracts: Iterable[Contract]) -> JsonValue:
    settings: dict[str, JsonValue] = {}
    for name, text in topic.config.items():
        settings[name] = int(text) if name in _NUMERIC else text
        if name == "cleanup.policy":
            settings[name] = list(text.split(","))
    return {
        "address": topic.name,
        "messages": {c.type: {"$ref": f"#/components/messages/{c.type}"} for c in contracts},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": settings,
                **_BINDING,
            }
        },
    }


def _message(contract: Contract) -> JsonValue:
    key = (
        "Not relied upon; the case number keeps one case's commands in order."
        if contract.kind.public
        else "The stream, such as case/…: one stream, one partition. Opaque to a reporting system."
    )
    summary = (contract.model.__doc__ or "").strip().split("\n")[0]
    return {
        "name": contract.type,
        "title": contract.model.__name__,
        "summary": summary,
        "contentType": JSON,
        "headers": _headers(contract),
        "payload": {"$ref": f"#/components/schemas/{contract.type}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, **_BINDING}},
    }


def _headers(contract: Contract) -> JsonValue:
    """The headers of binary mode."""
    described = {**_HEADERS, **_OPTIONAL_HEADERS}
    if not contract.kind.public:
        described |= _SERVICE_HEADERS
    headers: dict[str, JsonValue] = {
        name: {"type": "string", "description": text} for name, text in described.items()
    }
    for name, value in (("specversion", "1.0"), ("type", contract.type)):
        headers[f"ce_{name}"] = {"const": value, "description": described[f"ce_{name}"]}
    required: list[JsonValue] = [name for name in _HEADERS if name != "content-type"]
    return {"type": "object", "required": required, "properties": headers}


def _schemas(contracts: Iterable[Contract]) -> JsonValue:
    """The payloads under their types, their parts under the names of their models."""
    types: dict[type[BaseModel], str] = {c.model: c.type for c in contracts}
    parts = [sealed for model in types for sealed in sealed_models(model)]
    models = dict.fromkeys((*types, *parts))
    refs, joint = models_json_schema(
        [(model, _MODE) for model in models], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, JsonValue] = dict(joint["$defs"])
    for model, type_ in types.items():
        schemas[type_] = schemas.pop(refs[model, _MODE]["$ref"].rsplit("/", 1)[1])
    return schemas
