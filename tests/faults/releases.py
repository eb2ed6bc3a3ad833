"""Replicas of the next release of mediation beside today's, under load, and all the way back."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from deploy.embedded.services import ROOT
from lianhu.eventing.migrate import migrate
from tests.demo.wire import Unexpected
from tests.faults.ground import SPARE, WELL, Ground
from tests.faults.newer import NEWER
from tests.faults.strikes import Fault, measured

_WEIGHED = """
SELECT count(*) AS written, count(DISTINCT stream) AS cases,
       count(DISTINCT stream) FILTER (WHERE EXISTS (
           SELECT FROM aggregates AS a WHERE a.stream = j.stream AND a.shape = $2)) AS taken_over
FROM journal AS j WHERE type = $1
"""
_TYPE = "lianhu.mediation.case-weighed.v1"


def new_release_and_back() -> Fault:
    """A migration, then replica by replica to the next release, and replica by replica back.

    Between the steps both releases work side by side, each on what the other has written.
    """

    def strike(ground: Ground) -> str:
        releases = ground.releases
        ground.start(SPARE)
        names = ground.present("mediation")

        def each() -> None:
            with _migrations() as folder:
                migrate(ground.running.dsns("mediation").owner, folder)
            for become in (releases.newer, releases.todays):
                for name in names:
                    ground.load.go(ground.size.each)
                    ground.stop(name)
                    become(name)
                    ground.start(name)
                    ground.load.probe().seconds(WELL)

        try:
            gap = measured(ground, ("mediation",), each, None)
            ground.day_passes()  # what is waited for there today's release answers
            ground.load.until(
                "today's release to go on with cases of the next one",
                lambda: asyncio.run(_weighed(ground))[2],
            )
            written, cases, taken_over = asyncio.run(_weighed(ground))
            _verify(ground)
        finally:
            for name in names:
                releases.todays(name)
            ground.stop(SPARE)
        told = f"{written} events of a new type about {cases} cases; today's release went on with"
        return f"{told} {taken_over} of them; {gap}"

    return Fault("mediation new release and back", strike)


@contextmanager
def _migrations() -> Iterator[Path]:
    """Those of today's release, and those of the next one."""
    with TemporaryDirectory() as name, as_file(files("lianhu.mediation") / "migrations") as own:
        for folder in (own, NEWER / "migrations"):
            for path in folder.glob("*.sql"):
                shutil.copy(path, name)
        yield Path(name)


async def _weighed(ground: Ground) -> tuple[int, int, int]:
    from lianhu.mediation.workflow import CaseState

    connection = await asyncpg.connect(ground.running.dsns("mediation").admin)
    try:
        found = await connection.fetchrow(_WEIGHED, _TYPE, CaseState.SHAPE)
        return found["written"], found["cases"], found["taken_over"]
    finally:
        await connection.close()


def _verify(ground: Ground) -> None:
    """Both releases say of the journal that its folds are the states, each of its own."""
    for become in (ground.releases.newer, ground.releases.todays):
        become("mediation")
        command, environment = ground.running.stack.operator("mediation", ["journal", "verify"])
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0 or "0 faults" not in done.stdout:
            raise Unexpected(f"journal verify: {done.stdout[-500:]}{done.stderr[-500:]}")
