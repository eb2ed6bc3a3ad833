"""The one list of message types: type, model, topic, producer, readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from lianhu.contracts.base import Internal, Model
from lianhu.contracts.vocabulary import PublisherKind

SERVICES = ("intake", "mediation", "welfare", "notify")

M = TypeVar("M", bound=Model)
ModelType = type[Model]


class Kind(StrEnum):
    """What sort of message a type is; the sort decides its topic."""

    REPORT = "report"
    """From a reporting system, on `intake.reports.{publisher}.v1`."""
    COMMAND = "command"
    """From an officers' system, on `{service}.commands.{publisher}.v1`."""
    EVENT = "event"
    """From a service, on `{service}.events.v1`, or private to it."""
    LETTER = "letter"
    """Metadata of a parked message, on `{service}.dead-letters.v1`."""

    @property
    def public(self) -> bool:
        """Sent by a publisher outside."""
        return self in (Kind.REPORT, Kind.COMMAND)


@dataclass(frozen=True, slots=True)
class Contract:
    """One message type: `lianhu.{service}.{name}.v{major}`."""

    type: str
    kind: Kind
    model: ModelType
    service: str
    """The service that reads it when public, that publishes it otherwise."""
    name: str
    major: int
    consumers: tuple[str, ...]
    """The services whose rules look at it; others only take note of its sequence number."""
    answers: tuple[PublisherKind, ...]
    """Copied to the answers topic of the publisher whose message caused it, if of such a kind."""
    senders: tuple[PublisherKind, ...] = ()
    """Which kinds of publisher may send it, when public."""
    private: bool = False
    """It stands in a stream that is not published: nobody outside the service ever reads it."""

    @property
    def addressed(self) -> bool:
        """It goes to a partner or a treasury that it names itself, whoever caused it."""
        addressee = getattr(self.model, "addressee", None)
        return addressee is not None and addressee is not Internal.addressee

    def goes_to(self, kind: PublisherKind) -> bool:
        """Whether a publisher of this kind may find it among its answers."""
        asked = kind in (PublisherKind.PARTNER, PublisherKind.TREASURY)
        return kind in self.answers or (asked and self.addressed)

    @property
    def topic(self) -> str:
        """The topic, with `{publisher}` where a publisher's name goes."""
        match self.kind:
            case Kind.REPORT:
                return f"{self.service}.reports.{{publisher}}.v1"
            case Kind.COMMAND:
                return f"{self.service}.commands.{{publisher}}.v1"
            case Kind.EVENT:
                return events_topic(self.service)
            case Kind.LETTER:
                return dead_letters_topic(self.service)


class Registry:
    """All contracts by type. Filled once, at import of `lianhu.contracts`."""

    def __init__(self) -> None:
        self._by_type: dict[str, Contract] = {}

    def __iter__(self) -> Iterator[Contract]:
        return iter(self._by_type.values())

    def add(self, contract: Contract) -> None:
        """Raises ValueError when the type stands already."""
        if contract.type in self._by_type:
            raise ValueError(f"the type {contract.type} stands twice in the registry")
        self._by_type[contract.type] = contract

    def get(self, type_: str) -> Contract | None:
        """The contract of a type, or None."""
        return self._by_type.get(type_)

    def of(self, model: type[Model]) -> Contract:
        """The contract of a model; KeyError when it is no message."""
        return self._by_type[model.type_]

    def published_by(self, service: str) -> tuple[Contract, ...]:
        """What a service writes."""
        return tuple(c for c in self if c.service == service and not c.kind.public)

    def accepted_by(self, service: str) -> tuple[Contract, ...]:
        """What publishers outside may send to a service."""
        return tuple(c for c in self if c.service == service and c.kind.public)

    def read_by(self, service: str) -> tuple[Contract, ...]:
        """What the rules of a service look at."""
        return tuple(c for c in self if service in c.consumers)

    def sources_of(self, service: str) -> tuple[str, ...]:
        """The services whose events topic a service reads, in the order of the chain."""
        names = {c.service for c in self.read_by(service) if c.kind is Kind.EVENT}
        return tuple(name for name in SERVICES if name in names and name != service)

    def refusal_of(self, service: str) -> Contract:
        """The type by which a service refuses a message."""
        return self._by_type[f"lianhu.{service}.message-refused.v1"]

    def letter_of(self, service: str) -> Contract:
        """The type by which a service reports a parked message."""
        return self._by_type[f"lianhu.{service}.letter-parked.v1"]


REGISTRY = Registry()

_ANSWERED: dict[bool, tuple[PublisherKind, ...]] = {True: (PublisherKind.OFFICERS,), False: ()}
_SENDERS = {Kind.REPORT: (PublisherKind.REPORTING,), Kind.COMMAND: (PublisherKind.OFFICERS,)}


def contract(
    type_: str,
    kind: Kind,
    *,
    consumers: tuple[str, ...],
    answers: bool | tuple[PublisherKind, ...] = False,
    senders: tuple[PublisherKind, ...] | None = None,
    private: bool = False,
) -> Callable[[type[M]], type[M]]:
    """Register a model under a type; a class decorator.

    `answers`: which kinds of publisher it answers when their message caused it; True: officers'.
    `private`: of a person or a claim, whose streams no topic carries.
    `senders`: without it a report comes from reporting systems and a command from officers'.
    """
    lianhu, service, name, version = type_.split(".")
    if lianhu != "lianhu" or service not in SERVICES or not version.startswith("v"):
        raise ValueError(f"{type_} is not of the form lianhu.<service>.<name>.v<major>")

    def register(model: type[M]) -> type[M]:
        model.type_ = type_
        REGISTRY.add(
            Contract(
                type=type_,
                kind=kind,
                model=model,
                service=service,
                name=name,
                major=int(version[1:]),
                consumers=consumers,
                answers=_ANSWERED[answers] if isinstance(answers, bool) else answers,
                senders=_SENDERS.get(kind, ()) if senders is None else senders,
                private=private,
            )
        )
        return model

    return register


def events_topic(service: str) -> str:
    """Where a service says what happened."""
    return f"{service}.events.v1"


def dead_letters_topic(service: str) -> str:
    """Where a service says what it parked."""
    return f"{service}.dead-letters.v1"


def answers_topic(service: str, publisher: str) -> str:
    """Where a service answers one publisher."""
    return f"{service}.answers.{publisher}.v1"
