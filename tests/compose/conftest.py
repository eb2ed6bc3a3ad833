"""One deployment for all tests of this folder, from nothing and gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compose.deployment import Deployment, deployment, why_not


@pytest.fixture(scope="session")
def deployed() -> Iterator[Deployment]:
    """All of it, with three replicas of mediation."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with deployment({"mediation": 3}) as running:
        yield running
