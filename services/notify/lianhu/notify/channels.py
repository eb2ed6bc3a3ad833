"""By which ways a notice leaves the house, and what a channel can say of an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from lianhu.contracts.vocabulary import Language, NoticeChannel
from lianhu.notify.templates import Text


@dataclass(frozen=True, slots=True)
class Sending:
    """One attempt: the notice, what it says in which languages, and to whom."""

    notice: str
    """The idempotency key: the same for every attempt."""
    texts: Mapping[Language, Text]
    to: str = field(repr=False)
    """The address. Never shown."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `failed` is said only when it surely had no effect."""

    outcome: Literal["done", "failed", "unknown"]
    reason: str | None = None
    """A slug, with `failed`."""
    final: bool = False
    """With `failed`: trying again by this channel would fail again."""


class Channel(Protocol):
    """A way out."""

    name: NoticeChannel
    idempotent: bool
    """A second sending of the same notice changes nothing."""

    async def send(self, sending: Sending) -> Outcome:
        """Send, and say how it ended. What is neither `done` nor surely `failed` is `unknown`."""
        ...
