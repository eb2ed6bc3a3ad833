"""`python -m deploy.embedded.migrations`: every database to this release, by one process.

The same step as each service's `migrate`, without a service's start for each. The arguments are
the services; each owner's address is in the environment, as its service is told it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

from deploy.embedded.services import owner_address
from lianhu.eventing.migrate import migrate


def main(services: Sequence[str]) -> None:
    """Raises `MigrationFailed` with dbmate's own words."""

    def one(service: str) -> str:
        return migrate(
            os.environ[owner_address(service)], files(f"lianhu.{service}") / "migrations"
        )

    with ThreadPoolExecutor(len(services)) as pool:
        for service, told in zip(services, pool.map(one, services), strict=True):
            print(f"{service}: {told}")


if __name__ == "__main__":
    main(sys.argv[1:])
