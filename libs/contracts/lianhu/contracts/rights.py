"""Who may do what at the broker, derived from the registry and the publishers.

What does not follow from them nobody may. Every name is written out: a right by a prefix of topics
would give a publisher's answers to whoever registers a longer name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lianhu.contracts.publishers import Publisher, Publishers
from lianhu.contracts.registry import (
    REGISTRY,
    SERVICES,
    answers_topic,
    dead_letters_topic,
    events_topic,
)

ADMIN = "admin"
"""Makes users, rights and topics; the broker's only super user besides the brokers themselves."""
BROKER = "broker"
"""As which the brokers speak to each other, by certificate and not by password."""
MONITOR = "monitor"
"""May describe everything and read nothing."""
OPERATIONS = "operations"
"""Reads what was parked: metadata of letters, without bodies."""

EVERYTHING = "*"
CLUSTER = "kafka-cluster"


class On(StrEnum):
    """What a right is about."""

    TOPIC = "topic"
    GROUP = "group"
    CLUSTER = "cluster"


class May(StrEnum):
    """What it allows. Who may read or write may describe too."""

    READ = "read"
    WRITE = "write"
    DESCRIBE = "describe"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One user may do one thing. `prefixed`: with everything whose name begins so."""

    user: str
    may: May
    on: On
    name: str
    prefixed: bool = False


def group_of(service: str) -> str:
    """The consumer group of a service."""
    return f"lianhu-{service}"


def users(publishers: Publishers) -> tuple[str, ...]:
    """Everybody who has a password, the administrator first."""
    return (ADMIN, MONITOR, OPERATIONS, *SERVICES, *(one.name for one in publishers.each()))


def rights(publishers: Publishers) -> frozenset[Right]:
    """All rights there are. The administrator has none: a super user is asked nothing."""
    found = {Right(MONITOR, May.DESCRIBE, On.CLUSTER, CLUSTER)}
    found |= {Right(MONITOR, May.DESCRIBE, on, EVERYTHING) for on in (On.TOPIC, On.GROUP)}
    found |= _reading(OPERATIONS, *(dead_letters_topic(service) for service in SERVICES))
    found |= _groups(OPERATIONS)
    for service in SERVICES:
        found |= _of_service(service, publishers)
    for publisher in publishers.each():
        found |= _writing(publisher.name, *publisher.writes())
        found |= _reading(publisher.name, *publisher.reads())
        found |= _groups(publisher.name)
    return frozenset(found)


def _of_service(service: str, publishers: Publishers) -> set[Right]:
    sources = [events_topic(source) for source in REGISTRY.sources_of(service)]
    asked = [topic for one in publishers.each() for topic in _to(service, one)]
    answered = [
        topic
        for one in publishers.each()
        if (topic := answers_topic(service, one.name)) in one.reads()
    ]
    # its own too: after a restore the topic may know more than the journal
    return (
        _reading(service, *sources, *asked, events_topic(service))
        | _writing(service, events_topic(service), dead_letters_topic(service), *answered)
        | {Right(service, May.READ, On.GROUP, group_of(service))}
    )


def _to(service: str, publisher: Publisher) -> list[str]:
    return [topic for topic in publisher.writes() if topic.partition(".")[0] == service]


def _reading(user: str, *topics: str) -> set[Right]:
    return {Right(user, May.READ, On.TOPIC, topic) for topic in topics}


def _writing(user: str, *topics: str) -> set[Right]:
    return {Right(user, May.WRITE, On.TOPIC, topic) for topic in topics}


def _groups(user: str) -> set[Right]:
    """Its own name, and what begins with it and a dot: no other name can begin so."""
    return {
        Right(user, May.READ, On.GROUP, user),
        Right(user, May.READ, On.GROUP, f"{user}.", prefixed=True),
    }
