"""What every service publishes about messages themselves: refusals and dead letters."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from lianhu.contracts.base import CaseId, Instant, Internal, Line
from lianhu.contracts.faults import Fault, Slug


class MessageRefused(Internal):
    """A message of a publisher was not taken: every fault by path and slug, never the value.

    `message` is the id that the publisher gave, if it gave one that can be read; `position` is
    where the message stands in the publisher's own topic, as `partition/offset`.
    """

    publisher: str
    message: str | None
    position: str
    type: str | None = None
    faults: tuple[Fault, ...] = Field(min_length=1)


class LetterParked(Internal):
    """A message was parked: where it came from, why, and the letter's number; no body."""

    letter: str
    topic: str
    partition: int
    offset: int
    stream: str | None
    reason: Slug
    faults: tuple[Fault, ...] = ()
    due: Instant | None = None


PersonRef = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""A random reference of a person; by itself it says nothing of whom."""


class ErasureAnswered(Internal):
    """A service's answer to the question whether a case may be erased.

    `until`: a retention duty of its own runs until then, by `basis`; None: nothing forbids it.
    """

    case: CaseId
    until: Instant | None = None
    basis: Line | None = None


class KeysErased(Internal):
    """A service destroyed its data key of a case: what that closed stays closed 已删除.

    The engine deletes the key in the transaction in which this is written.
    """

    case: CaseId


class KeysRestricted(Internal):
    """A retention duty still runs: the key stays and opens nothing for anybody 限制处理.

    The engine notes it with the key in the transaction in which this is written.
    """

    case: CaseId
    until: Instant
    basis: Line
    """The duty, e.g. 人民调解法 §27."""


class PersonForgotten(Internal):
    """No open case knows this person any more: the engine deletes what led to the reference."""

    person: PersonRef
