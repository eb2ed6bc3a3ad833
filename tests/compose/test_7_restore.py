"""Backup, drop, restore of the deployment, by the operator's own verbs. It is the last: what a
restore lost on purpose, the verdict names from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg
import pytest

from deploy.embedded.postgres import ADMIN as DATABASE_ADMIN
from deploy.embedded.services import SERVICES
from lianhu.contracts.rights import ADMIN
from lianhu.eventing.connection import Access
from tests.compose.deployment import Deployment
from tests.counter import Counter
from tests.demo.clock import Clock
from tests.demo.wire import Sender, Watcher
from tests.restoring import drop_and_restore, restore_short

pytestmark = [pytest.mark.compose, pytest.mark.long, pytest.mark.timeout(900)]


@dataclass
class Site:
    """The deployment, and who stands at it."""

    deployed: Deployment
    desk: Counter

    def access(self, user: str = ADMIN) -> Access:
        return self.deployed.access(user)

    def stop(self) -> None:
        self.deployed.compose("stop", *SERVICES)

    def start(self) -> None:
        self.deployed.compose("up", "--detach", "--wait")

    def sql(self, statement: str) -> str:
        async def work() -> str:
            connection = await asyncpg.connect(self.deployed.dsn(DATABASE_ADMIN, "postgres"))
            try:
                return str(await connection.fetchval(statement))
            finally:
                await connection.close()

        return asyncio.run(work())

    def back_up(self) -> str:
        return self.deployed.script("backup").strip()

    def restore(self, target: str) -> list[str]:
        """Each service's lines follow its name."""
        service, lines = "", []
        for line in self.deployed.script("restore", target).splitlines():
            if line in SERVICES:
                service = line
            elif service:
                lines.append(f"{service}: {line}")
        return lines

    def now(self) -> str:
        """As a person would say it."""
        said = 'to_char(clock_timestamp(), \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')'
        return f"time={self.sql(f'SELECT {said}')}"


@pytest.fixture(scope="module")
def site(deployed: Deployment) -> Iterator[Site]:
    watcher = Watcher(deployed.access(), lambda _: None)
    try:
        desk = Counter(
            databases=deployed.dsns,
            sender=Sender(deployed.access),
            watcher=watcher,
            clock=Clock(deployed.dsns()),
        )
        yield Site(deployed, desk)
    finally:
        watcher.close()


def test_after_a_drop_everything_up_to_it_comes_back(site: Site) -> None:
    drop_and_restore(site.desk, site)


def test_short_of_the_last_commit_it_names_what_is_lost_and_traffic_goes_on(site: Site) -> None:
    restore_short(site.desk, site, site.now)
