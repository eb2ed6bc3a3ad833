"""A rolling release of a service with a new migration, while reports come in all the time."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import asyncpg
import pytest

from tests.checker.collect import judge
from tests.compose.deployment import DEPLOY, Deployment, run
from tests.demo.reports import HOTLINE
from tests.faults.gaps import Gaps
from tests.load.sending import Sending

pytestmark = [pytest.mark.compose, pytest.mark.long, pytest.mark.timeout(900)]

SERVICE = "mediation"
NEXT = Path(__file__).parent / "next"
FEW = 50
PAUSE = 0.1
GAP = 15.0
"""No partition with waiting messages may stand still so long."""


def ready(deployed: Deployment) -> dict[str, str]:
    """The replicas that are ready, each with the name of its image."""
    told = run(
        *("docker", "ps", "--no-trunc", "--format", "{{.ID}} {{.Image}}"),
        *("--filter", f"label=com.docker.compose.project={deployed.project}"),
        *("--filter", f"label=com.docker.compose.service={SERVICE}"),
        *("--filter", "health=healthy"),
    )
    return dict(line.split() for line in told.splitlines())


def built(deployed: Deployment) -> str:
    """The next release, which is here from now on; the name of its image."""
    version = f"after-{deployed.project}"
    deployed.release(version)
    run(
        *("docker", "build", "--quiet", "--tag", f"lianhu/{SERVICE}:{version}"),
        *("--build-arg", f"BEFORE=lianhu/{SERVICE}:latest", "--build-arg", f"SERVICE={SERVICE}"),
        str(NEXT),
        DOCKER_BUILDKIT="0",
    )
    return f"lianhu/{SERVICE}:{version}"


def side_by_side(deployed: Deployment) -> Iterator[frozenset[str]]:
    """Release it as an operator does; which releases were ready, at each look meanwhile."""
    script = ["sh", str(DEPLOY / "release.sh"), SERVICE]
    environment = {**os.environ, **deployed.environment}
    with subprocess.Popen(script, env=environment, stdout=-1, stderr=-2, text=True) as releasing:
        while releasing.poll() is None:
            yield frozenset(ready(deployed).values())
            sleep(0.5)
        assert releasing.stdout is not None
        assert releasing.returncode == 0, releasing.stdout.read()


async def columns(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT table_name FROM information_schema.columns WHERE column_name = 'next_release'"
        )
        return {row[0] for row in rows}
    finally:
        await connection.close()


def test_a_release_with_a_migration_takes_the_place_of_the_one_before_under_load(
    deployed: Deployment,
) -> None:
    before = ready(deployed)
    assert len(before) == deployed.replicas[SERVICE]
    image = built(deployed)
    with (
        Gaps(deployed.access(), {SERVICE: deployed.dsns()[SERVICE]}) as gaps,
        Sending(deployed.access(HOTLINE), PAUSE) as sending,
    ):
        sending.until(FEW, "reports to be taken")
        seen = list(side_by_side(deployed))
        sending.until(len(sending.taken) + FEW, "reports to be taken by the new release")
    sending.are_cases(deployed.access())

    after = ready(deployed)
    assert set(after.values()) == {image}
    assert len(after) == len(before)
    assert not before.keys() & after.keys()
    together = seen.count(frozenset({image, *before.values()}))
    assert together, "old and new were never ready side by side"
    assert asyncio.run(columns(deployed.databases()[SERVICE])) == {"aggregates", "journal"}
    print(
        f"{len(sending.taken)} reports; both releases ready at {together} of {len(seen)} looks; "
        f"no partition with waiting messages stood still longer than {gaps.longest[SERVICE]:.1f} s"
    )
    assert gaps.longest[SERVICE] < GAP, gaps.where[SERVICE]


def test_nothing_was_lost_or_doubled_by_it(deployed: Deployment) -> None:
    assert judge(deployed.access(), deployed.dsns(), within=60).findings == ()
