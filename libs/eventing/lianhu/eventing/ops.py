"""The operator's commands on one service's database; each prints what it found or did."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import asyncpg
import structlog
from rich.console import Console

from lianhu.contracts.faults import Poison
from lianhu.eventing import journal, parked, relay
from lianhu.eventing.clock import Clock, advance, utc_now
from lianhu.eventing.delivery import Reason
from lianhu.eventing.house import House
from lianhu.eventing.rules import Stream
from lianhu.privacy import DataKey, open_bytes

log = structlog.get_logger(__name__)

_HOURS = 24 * 3600.0
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PARKED = """
SELECT letter, reason, source, stream, sequence, faults, at, due, attempts, topic, partition,
       "offset"
FROM parked WHERE ($1::text IS NULL OR reason = $1) ORDER BY id LIMIT $2
"""
_LETTER = 'SELECT topic, partition, "offset", stamp, body FROM parked WHERE letter = $1'
_OVERDUE = """
SELECT stream, next_due FROM aggregates WHERE next_due <= $1 ORDER BY next_due LIMIT $2
"""
_STATES = """
SELECT stream, version, head, state, shape FROM aggregates ORDER BY stream
"""


async def parked_list(
    connection: asyncpg.Connection, console: Console, reason: Reason | None, limit: int
) -> None:
    """What is parked, oldest first, without bodies."""
    lines = []
    for row in await connection.fetch(_PARKED, reason, limit):
        faults = ", ".join(f"{f['path'] or '/'} {f['slug']}" for f in json.loads(row["faults"]))
        line = (
            row["letter"],
            row["reason"],
            f"{row['topic']} {row['partition']}/{row['offset']}",
            row["stream"] or "-",
            str(row["sequence"] or "-"),
            faults or "-",
            row["at"].isoformat(timespec="seconds"),
            row["due"].isoformat(timespec="seconds") if row["due"] else "-",
            str(row["attempts"]),
        )
        lines.append(line)
    heads = ("letter", "reason", "from", "stream", "seq", "faults", "since", "due", "tries")
    _print(console, heads, lines)


async def parked_show(
    connection: asyncpg.Connection, console: Console, letter: str, key: DataKey
) -> bool:
    """One letter with its body, unsealed: it may hold personal data, so this is logged."""
    row = await connection.fetchrow(_LETTER, letter)
    if row is None:
        return False
    log.warning(
        "letter unsealed",
        command="parked show",
        letter=letter,
        topic=row["topic"],
        position=f"{row['partition']}/{row['offset']}",
    )
    record = parked.unpack(
        row["topic"],
        row["partition"],
        row["offset"],
        row["stamp"],
        open_bytes(key, row["body"]),
    )
    console.out(f"{record.topic} {record.partition}/{record.offset}", highlight=False)
    for name, value in record.headers:
        console.out(_plain(f"{name}: {value!r}"), highlight=False)
    console.out(_plain((record.value or b"").decode("utf-8", "replace")), highlight=False)
    return True


def _plain(text: str) -> str:
    """What a stranger wrote must not steer the operator's terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _print(console: Console, heads: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """In columns as wide as need be: an id that is cut short can be handed to no other command."""
    table = [heads, *([_plain(cell) for cell in line] for line in lines)]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    for line in table:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        console.out("  ".join(padded).rstrip(), highlight=False)


async def verify(connection: asyncpg.Connection, house: House) -> list[str]:
    """A sentence for each journal row that breaks its chain and each state that is no fold."""
    wrong: list[str] = []
    checked: set[str] = set()
    # one snapshot of both tables, so that it may run beside the service; however long it takes
    await connection.execute("SET transaction_timeout = 0; SET statement_timeout = 0")
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        states = {row["stream"]: row for row in await connection.fetch(_STATES, timeout=_HOURS)}
        passed = await journal.passed_over(connection)
        async for rows in journal.by_stream(connection):
            name = rows[0].stream
            checked.add(name)
            wrong += _chain(rows)
            row = states.get(name)
            if row is None:
                wrong.append(f"{name}: has a journal and no row of state")
                continue
            if row["head"] != rows[-1].hash or row["version"] != rows[-1].version:
                wrong.append(f"{name}: the state stands elsewhere than the journal's last row")
            try:
                state = house.fold(Stream.parse(name), rows, passed)
            except (Poison, ValueError) as error:
                wrong.append(f"{name}: cannot be folded ({type(error).__name__})")
                continue
            if row["state"] is not None and row["shape"] != house.shape(Stream.parse(name).kind):
                continue  # written by another release: folded anew when it is next touched
            text = None if state is None else state.model_dump_json()
            if text != row["state"]:
                wrong.append(f"{name}: the fold of the journal is not the state")
    wrong += [
        f"{name}: has a state and no journal"
        for name, row in states.items()
        if name not in checked and (row["version"] or row["state"] is not None)
    ]
    return wrong


def _chain(rows: Sequence[journal.Row]) -> list[str]:
    wrong = []
    previous: bytes | None = None
    for place, row in enumerate(rows, start=1):
        if row.version != place:
            wrong.append(f"{row.stream}: row {place} is missing, {row.version} follows")
            break
        if not journal.verify(row, previous):
            wrong.append(f"{row.stream}: row {place} is not what its hash says")
            break
        if place > 1 and row.seq < rows[place - 2].seq:
            wrong.append(f"{row.stream}: row {place} stands before its predecessor")
            break
        previous = row.hash
    return wrong


async def outbox(connection: asyncpg.Connection, console: Console) -> None:
    """How many journal rows wait to be published."""
    cursor, last = await relay.outbox(connection)
    console.print(f"published up to {cursor}, journal ends at {last}: {last - cursor} wait")


async def overdue(
    connection: asyncpg.Connection, console: Console, clock: Clock, limit: int
) -> None:
    """Deadlines that are due and not answered yet."""
    await clock.refresh(connection)
    now = clock.now()
    lines = []
    for row in await connection.fetch(_OVERDUE, now, limit):
        late = timedelta(seconds=round((now - row["next_due"]).total_seconds()))
        lines.append((row["stream"], row["next_due"].isoformat(timespec="seconds"), str(late)))
    _print(console, ("stream", "due", "late by"), lines)


async def clock_advance(
    connection: asyncpg.Connection, by: timedelta, start: datetime | None
) -> tuple[datetime, timedelta]:
    """Move domain time from `start` (broker time; by default half a second from now) on."""
    begin = start or utc_now() + timedelta(milliseconds=500)
    return begin, await advance(connection, by, begin)
