"""Backup, drop, restore on the real chain, at the broker as it is deployed.

There each service may do no more than it needs, also for this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from deploy.embedded import session
from deploy.embedded.secured import SecuredKafka
from deploy.embedded.session import Session
from lianhu.contracts.rights import ADMIN
from lianhu.eventing.connection import Access
from tests.counter import SERVICES, Counter, dsns_of
from tests.demo.clock import Clock
from tests.demo.wire import Sender, Watcher
from tests.restoring import drop_and_restore, restore_short

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@dataclass
class Site:
    """The embedded chain, and who stands at it."""

    running: Session
    desk: Counter

    def access(self, user: str = ADMIN) -> Access:
        return self.running.access(user)

    def stop(self) -> None:
        for name in SERVICES:
            self.running.stop(name)

    def start(self) -> None:
        for name in SERVICES:
            self.running.start(name)

    def sql(self, statement: str) -> str:
        return self.running.stack.postgres.psql(statement).strip()

    def back_up(self) -> str:
        return self.running.stack.back_up()

    def restore(self, target: str) -> list[str]:
        return self.running.stack.restore(target)

    def now(self) -> str:
        """Where the log stands."""
        return f"lsn={self.sql('SELECT pg_current_wal_flush_lsn()::text')}"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with session(environment="test", archive=True, broker=SecuredKafka) as running:
        watcher = Watcher(running.access(), lambda _: None)
        try:
            desk = Counter(
                databases=lambda: dsns_of(running),
                sender=Sender(running.access()),
                watcher=watcher,
                clock=Clock(dsns_of(running)),
            )
            yield Site(running, desk)
        finally:
            watcher.close()


def test_after_a_drop_everything_up_to_it_comes_back(site: Site) -> None:
    drop_and_restore(site.desk, site)


def test_short_of_the_last_commit_it_names_what_is_lost_and_traffic_goes_on(site: Site) -> None:
    restore_short(site.desk, site, site.now)
