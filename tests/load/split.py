"""Where a hop's CPU goes in the engine: decode, decide, SQL, publish, and what is beside them.

The profiler looks at the stack every millisecond, so what it sees is time, and what it sees beside
the work is counted by what the system says that the process used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pyinstrument.session import Session

from tests.load.hop import ground
from tests.load.parts import Finding, Say, Setting
from tests.load.profiled import parts, split


async def measure(cases: int, commands: int, say: Say) -> dict[str, float]:
    """µs of CPU per hop, by the names of `profiled.SPLIT`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "session.pyisession"
        async with ground(cases, commands, 1, profile=path, floor=False) as made:
            found = await made.engine.handle(commands)
        say(f"{found.rate:,.0f} hops/s and {found.cpu:.0f} µs CPU per hop with the profiler")
        return split(parts(Session.load(path), commands), found.cpu)


class Split:
    """A part of the bench."""

    name = "split"

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        """As the setting says, once."""
        found = asyncio.run(measure(setting.cases, setting.commands, say))
        whole = sum(found.values())
        return [
            *(Finding(name, (cost,), "µs/hop under the profiler") for name, cost in found.items()),
            *(Finding(name, (100 * cost / whole,), "% of a hop") for name, cost in found.items()),
        ]
