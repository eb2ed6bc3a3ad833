"""Who may speak to Lianhu from outside: registering a publisher is data, its topics follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from lianhu.contracts import policies
from lianhu.contracts.base import DivisionCode
from lianhu.contracts.registry import SERVICES, Kind, answers_topic
from lianhu.contracts.vocabulary import Authority, Channel, PublisherKind

RESERVED = frozenset({*SERVICES, "admin", "broker", "monitor", "operations"})
"""Our own users at the broker; a publisher of such a name would have their rights. Nor does a
name begin with `lianhu`, as our consumer groups do."""

PublisherName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,40}$")]


class Publisher(BaseModel):
    """A registered publisher 登记的外部系统."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: PublisherName
    kind: PublisherKind
    unit: DivisionCode
    """The unit it belongs to: decides where a report without a place goes; the branch in which
    an officers' system may give commands."""
    channels: tuple[Channel, ...] = ()
    authority: Authority | None = None
    """Which authority a partner is."""
    partitions: Annotated[int, Field(ge=1, le=48)] = 3
    title: str

    @model_validator(mode="after")
    def _fits(self) -> Publisher:
        if (self.kind is PublisherKind.REPORTING) != bool(self.channels):
            raise ValueError(f"publisher {self.name}: a reporting system has channels, others none")
        if (self.kind is PublisherKind.PARTNER) != (self.authority is not None):
            raise ValueError(f"publisher {self.name}: a partner has an authority, others none")
        return self

    def writes(self) -> tuple[str, ...]:
        """The topics it may write."""
        match self.kind:
            case PublisherKind.REPORTING:
                return (f"intake.reports.{self.name}.v1",)
            case PublisherKind.OFFICERS:
                services = ("intake", "mediation", "welfare")
                return tuple(f"{service}.commands.{self.name}.v1" for service in services)
            case PublisherKind.PARTNER:
                return (f"mediation.commands.{self.name}.v1",)
            case PublisherKind.TREASURY:
                return (f"welfare.commands.{self.name}.v1",)

    def reads(self) -> tuple[str, ...]:
        """The topics it may read: its own answers."""
        return tuple(answers_topic(topic.split(".")[0], self.name) for topic in self.writes())


class Publishers(BaseModel):
    """The registry of publishers, by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    publishers: tuple[Publisher, ...]

    @model_validator(mode="after")
    def _named_once(self) -> Publishers:
        names = [publisher.name for publisher in self.publishers]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"registered twice: {', '.join(twice)}")
        if taken := sorted({n for n in names if n in RESERVED or n.startswith("lianhu")}):
            raise ValueError(f"one of our own names is no publisher's: {', '.join(taken)}")
        return self

    @classmethod
    def read(cls, path: Path | None = None) -> Publishers:
        """From a YAML file; without one, those of the demo. ValueError names every hole."""
        source = path if path is not None else files("lianhu.contracts") / "publishers.yaml"
        return policies.read(source, cls, "the registry of publishers")

    def __len__(self) -> int:
        return len(self.publishers)

    def each(self) -> Iterator[Publisher]:
        """All of them, in the order of the file."""
        return iter(self.publishers)

    def get(self, name: str) -> Publisher | None:
        """By name."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> Mapping[str, Publisher]:
        return {publisher.name: publisher for publisher in self.publishers}


def public_pattern(service: str) -> str:
    """A regular expression of the public topics that a service reads.

    It is anchored: the Kafka client looks for it at the start of a name only.
    """
    kinds = "(?:reports|commands)" if service == "intake" else "commands"
    return rf"^{service}\.{kinds}\.[a-z][a-z0-9-]+\.v1$"


@lru_cache(maxsize=4096)
def publisher_of(topic: str) -> str | None:
    """The publisher whose public topic this is, or None for an internal topic."""
    parts = topic.split(".")
    if len(parts) == 4 and parts[1] in ("reports", "commands"):
        return parts[2]
    return None


@lru_cache(maxsize=4096)
def kind_of(topic: str) -> Kind:
    """Which kind of message a topic carries."""
    return _KINDS.get(topic.split(".")[1], Kind.EVENT)


_KINDS = {"reports": Kind.REPORT, "commands": Kind.COMMAND}
