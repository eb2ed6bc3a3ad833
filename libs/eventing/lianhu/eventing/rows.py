"""Rows of a service's own, written in the transaction of the events that they follow from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import asyncpg

from lianhu.contracts.base import Internal


class Rows(Protocol):
    """What a service keeps besides, for others to read: there exactly when its event is.

    An event that has a row starts no call outside.
    """

    def of(self, event: Internal, policy: Any) -> Any | None:
        """The row of an event; None: it has none. What it raises fails the message."""
        ...

    async def write(self, connection: asyncpg.Connection, rows: Sequence[Any]) -> None:
        """All rows of a batch, with one statement; never none. A row that stands stays."""
        ...


class NoRows:
    """A service that keeps nothing besides."""

    def of(self, event: Internal, policy: Any) -> None:
        """None."""

    async def write(self, connection: asyncpg.Connection, rows: Sequence[Any]) -> None:
        """Is never called."""
