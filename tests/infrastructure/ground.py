"""What every ground gives to the tests, and no more. What needs more is not marked `infra`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from deploy.embedded import Dsns


class Broker(Protocol):
    """One Kafka without a password, which makes no topic that nobody asked for."""

    @property
    def bootstrap(self) -> str:
        """The address that clients are given: host:port."""
        ...

    def standing_still(self) -> AbstractContextManager[None]:
        """It answers nothing within the block, loses no connection, and goes on afterwards."""
        ...


class Server(Protocol):
    """One PostgreSQL, set as all of ours are, whose administrator we are."""

    def admin_dsn(self, database: str = "postgres") -> str:
        """The address of a database, as the administrator."""
        ...

    def create_service_database(self, name: str) -> Dsns:
        """Create a service's database and its two roles, as they are deployed."""
        ...


class Infrastructure(Protocol):
    """Gives brokers and servers, each gone with its data when its block ends."""

    def broker(self) -> AbstractContextManager[Broker]:
        """A broker that has no topic yet. Asked for twice, these are two."""
        ...

    def server(self) -> AbstractContextManager[Server]:
        """A server on which no name of `names.fresh` is taken."""
        ...
