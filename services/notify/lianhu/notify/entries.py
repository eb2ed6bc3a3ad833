"""What a policy can say about one role of one type of event, and the figures it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from lianhu.contracts.base import Line
from lianhu.contracts.faults import Slug
from lianhu.contracts.parts import Clock, Hours
from lianhu.contracts.vocabulary import AudienceRole, NoticeChannel, Path


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _distinct(channels: tuple[NoticeChannel, ...]) -> tuple[NoticeChannel, ...]:
    if len({*channels}) < len(channels):
        raise ValueError("a channel is named twice")
    return channels


Channels = Annotated[tuple[NoticeChannel, ...], Field(min_length=1), AfterValidator(_distinct)]


class Told(_Model):
    """A unit is told, by these channels, with this template."""

    template: str
    channels: Channels
    red: tuple[NoticeChannel, ...] = ()
    """Besides, where the risk is red and the directory knows a duty contact."""
    digest: bool = False
    """Not at once, but with all else of the day on the next working morning."""


class ToldPerson(_Model):
    """A person is told by the safest way of their contact card."""

    person: str
    """The template."""
    neutral: str | None = None
    """The template on the protection path; the other party has none and is told nothing there."""
    reach: tuple[Path, ...] = ()
    """On these paths somebody goes in person where nothing reaches them."""


class Suppressed(_Model):
    """This role would be told but for the reason; an event says so each time."""

    suppressed: Slug
    channels: Annotated[tuple[NoticeChannel, ...], AfterValidator(_distinct)] = ()


class Silent(_Model):
    """Nobody is told and nothing is noted; the reason is for the reader of the policy."""

    silent: Line


_SORTS = ("template", "person", "suppressed", "silent")


def _sort(value: object) -> str | None:
    if isinstance(value, Mapping):
        return next((sort for sort in _SORTS if sort in value), None)
    return None


Entry = Annotated[
    Annotated[Told, Tag("template")]
    | Annotated[ToldPerson, Tag("person")]
    | Annotated[Suppressed, Tag("suppressed")]
    | Annotated[Silent, Tag("silent")],
    Discriminator(
        _sort,
        custom_error_type="entry",
        custom_error_message="an entry says template, person, suppressed or silent",
    ),
]


class Rule(_Model):
    """What is done about one type of event: an entry for each role, or silence with a reason."""

    tell: Mapping[AudienceRole, Entry] | None = None
    silent: Line | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Rule:
        if (self.tell is None) == (self.silent is None):
            raise ValueError("a rule says either tell or silent")
        return self


Patience = Annotated[timedelta, Field(gt=timedelta(0))]


class Trying(_Model):
    """How long an answer is awaited and how often is tried."""

    answer_within: Patience
    """How long an outcome is awaited before it is unknown."""
    retry_after: tuple[Patience, ...]
    """The wait after the first, the second … attempt that surely had no effect."""
    source: Line

    @property
    def attempts(self) -> int:
        """The most attempts that there are: one more than there are waits."""
        return len(self.retry_after) + 1


class ChannelPolicy(Trying):
    """How a channel is used."""

    idempotent: bool
    """It tells doubles apart by the notice's id, so an unknown outcome may be tried again."""


class Quiet(Hours):
    """The hours in which nobody is disturbed 免打扰时段."""

    source: Line


class Neutral(_Model):
    """What a neutral text may say."""

    facts: tuple[str, ...]
    """All that it may name."""
    never: Annotated[tuple[str, ...], Field(min_length=1)]
    """Words that would give away the matter or the sender; in no neutral text of any language."""
    source: Line


class Visit(_Model):
    """How a unit is asked to go in person 上门联系."""

    template: str
    channels: Channels
    not_for: tuple[Slug, ...]
    """Reasons for which nobody is sent."""
    source: Line


class Digest(_Model):
    """When and how a unit's digest leaves."""

    template: str
    channels: Channels
    hour: Clock
    most: Annotated[int, Field(ge=1, le=500)]
    """So many case numbers are named; of further ones it says how many there are."""
    source: Line
