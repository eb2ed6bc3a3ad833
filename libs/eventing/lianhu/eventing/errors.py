"""Which errors of the database and the broker pass by themselves, and which are ours."""

from __future__ import annotations

import asyncpg
from aiokafka.errors import KafkaError

from lianhu.contracts.faults import Poison, Refused, Transient

_PASSING_CLASSES = (
    "08",  # connection
    "40",  # rollback: serialization, deadlock
    "53",  # resources: disk, memory, connections
    "55",  # object not in the needed state: lock timeout
    "57",  # operator: cancelled, shut down, starting up
    "58",  # system: I/O
    "25P",  # idle in transaction, transaction timeout
)

BROKEN_OFF = (asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver says of a connection that is gone. The latter while it has read the server's
farewell and not the end: it finds itself in a state that it did not expect, and says so."""


_TOO_LATE = "the handler is closed"


class LimitReached(Transient):
    """Too many messages failed: the batch is rolled back and the service stands still."""

    slug = "limit-reached"


class ShapeFromTheFuture(Transient):
    """A newer release wrote what this one cannot fold: this replica steps aside."""

    slug = "shape-from-the-future"


class Outdated(Transient):
    """A person was forgotten between the look for the reference and the locks: look again."""

    slug = "reference-outdated"


class Incomplete(Exception):
    """The locks taken do not cover what the states name."""


def written_too_late(error: BaseException) -> bool:
    """Whether the event loop (uvloop) says that a connection ended before it was written to."""
    return type(error) is RuntimeError and str(error).endswith(_TOO_LATE)


def passes(error: BaseException) -> bool:
    """Whether trying again later is right."""
    if written_too_late(error):
        return True
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return True  # a migration changed a type beneath us; the next try asks for it anew
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state.startswith(_PASSING_CLASSES)
    return isinstance(error, (Transient, OSError, TimeoutError, KafkaError, *BROKEN_OFF))


__all__ = [
    "BROKEN_OFF",
    "Incomplete",
    "LimitReached",
    "Outdated",
    "Poison",
    "Refused",
    "ShapeFromTheFuture",
    "Transient",
    "passes",
    "written_too_late",
]
