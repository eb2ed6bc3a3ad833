"""Deadlines: many that wait, some that are due at once, and what other commands notice of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

import asyncpg

from deploy.embedded import session
from deploy.embedded.services import SERVICES
from lianhu.privacy import MasterKeys
from tests.load.asking import Asking, percentile
from tests.load.generator import Load, send
from tests.load.growing import TEMPLATES, Grown
from tests.load.parts import Finding, Say, Setting, at_most
from tests.load.racers import Mediation, TooSlow, rested

_TEMPLATES = 1000
_ASKED = 200
"""Cases that commands are about meanwhile."""
_A_SECOND = 50.0
_CALM_SECONDS = 10.0
_AHEAD = timedelta(seconds=6)
"""So long before, deadlines are moved to the moment at which all are due."""
_PATIENCE_SECONDS = 300.0

# Copies that nobody has accepted yet: their one clock is that of the offer.
_MOVE = """
UPDATE aggregates SET next_due = $1,
       state = jsonb_set(state::jsonb, '{clocks,0,1}', to_jsonb($2::text))::text
WHERE stream IN (
    SELECT stream FROM aggregates
    WHERE stream LIKE 'case/' || $3 || '%' AND next_due IS NOT NULL
    ORDER BY stream DESC LIMIT $4
)
"""
_PENDING = "SELECT count(*) FROM aggregates WHERE next_due IS NOT NULL"
_LEFT = """
SELECT (SELECT count(*) FROM aggregates WHERE next_due <= $1),
       (SELECT coalesce(max(seq), 0) FROM journal) - (SELECT seq FROM relay_cursor)
"""
_CLIMBED = "SELECT count(*) FROM journal WHERE seq > $1 AND type LIKE '%case-escalated%'"


@dataclass(frozen=True)
class Fired:
    """What was measured; seconds."""

    pending: int
    due: int
    seconds: float
    """From the moment at which they were due until the last was told."""
    calm: tuple[float, ...]
    """Of each command before that, until its answer."""
    meanwhile: tuple[float, ...]
    """Of each command that was sent until the last was told."""


async def measure(pending: int, due: int, say: Say) -> Fired:
    """On a stack of its own. Raises `AssertionError` when not each fired once."""
    with session(services=dict.fromkeys(SERVICES, 0), clock_movable=False) as stack:
        start, keys = datetime.now(UTC), MasterKeys.read(stack.master_key)
        base = Load(_TEMPLATES, 0, start, seed=1000, first=TEMPLATES)
        asked = Load(_ASKED, 1_000_000, start)
        first = Mediation(stack)
        await first.prepare()
        for load in (base, asked):
            send(stack.bootstrap, load.opened(keys))
        await first.handle(_TEMPLATES + _ASKED)
        grown = Grown(stack, "mediation_grown")
        await grown.prepare()
        await grown.multiply(pending, f"{base.beginning}9")
        connection = await asyncpg.connect(grown.database)
        try:
            before = await rested(connection)
            waiting = await connection.fetchval(_PENDING)
            await grown.settle()
            try:
                with Asking(stack.bootstrap, asked.orders(), _A_SECOND) as asking:
                    await asyncio.sleep(2)
                    calm = monotonic()
                    await asyncio.sleep(_CALM_SECONDS)
                    calm_end = monotonic()
                    moment = datetime.now(UTC) + _AHEAD
                    text = moment.isoformat()
                    await connection.execute(_MOVE, moment, text, f"{base.beginning}9", due)
                    if (late := (moment - datetime.now(UTC)).total_seconds()) < 0:
                        raise TooSlow("the deadlines were due before all of them were moved")
                    await asyncio.sleep(late)
                    began = monotonic()
                    await _all_told(connection, moment)
                    ended = monotonic()
            finally:
                grown.stop()
            climbed = await connection.fetchval(_CLIMBED, before)
        finally:
            await connection.close()
    if climbed != due:
        raise AssertionError(f"{climbed} cases climbed, {due} deadlines were due")
    found = Fired(
        waiting,
        due,
        ended - began,
        tuple(asking.between(calm, calm_end)),
        tuple(asking.between(began, ended)),
    )
    say(
        f"{due:,} of {waiting:,} deadlines fired in {found.seconds:.1f} s; "
        f"{len(found.calm)} commands before, {len(found.meanwhile)} meanwhile"
    )
    return found


async def _all_told(connection: asyncpg.Connection, moment: datetime) -> None:
    last = monotonic() + _PATIENCE_SECONDS
    while True:
        due, unpublished = await connection.fetchrow(_LEFT, moment)
        if not due and not unpublished:
            return
        if monotonic() > last:
            raise TooSlow(f"{due} deadlines are due still")
        await asyncio.sleep(0.05)


def findings(found: Sequence[Fired]) -> list[Finding]:
    """For the report, of at least one measurement."""
    of = f"{found[0].due:,} due at once of {found[0].pending:,}"
    seconds = tuple(one.seconds for one in found)
    told = [Finding(f"{of}: until all have fired", seconds, "s", at_most(5))]
    for name, share in (("median", 0.5), ("95th percentile", 0.95)):
        before = [percentile(one.calm, share) for one in found]
        after = [percentile(one.meanwhile, share) for one in found]
        told += [
            Finding(f"a command's answer before, {name}", tuple(1e3 * t for t in before), "ms"),
            Finding(f"a command's answer meanwhile, {name}", tuple(1e3 * t for t in after), "ms"),
            Finding(
                f"a command's answer, {name}: meanwhile / before",
                tuple(b / a for a, b in zip(before, after, strict=True)),
                "times",
                at_most(2),
            ),
        ]
    return told


class Deadlines:
    """A part of the bench."""

    name = "deadlines"

    def run(self, setting: Setting, say: Say) -> Sequence[Finding]:
        """As the setting says, once."""
        return findings([asyncio.run(measure(setting.pending, setting.due, say))])
