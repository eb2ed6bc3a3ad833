"""The journal: chained, in commit order, to the byte; what tampering shows; numbers; grants."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import asyncpg
import pytest

from lianhu.eventing import journal
from lianhu.eventing.migrate import migrate
from lianhu.eventing.rules import Rank, Stream, case_stream
from lianhu.eventing.testing import TestEngine
from lianhu.privacy import MasterKey
from tests.conftest import MakeDatabase
from tests.engine_toy import Toy, again, command, engine, engines, event, report
from tests.infrastructure import names
from tests.infrastructure.ground import Server

pytestmark = pytest.mark.infra

CASE = "440304-2026-000001"
STREAM = case_stream(CASE)


def framed(*parts: bytes) -> bytes:
    """SHA-256 of the parts, each after its length in four bytes; written anew, for comparison."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.digest()


async def test_each_row_is_chained_to_the_one_before_it(make_database: MakeDatabase) -> None:
    toy = Toy()
    toy.does["no"] = "refuse"
    async with engine(make_database, toy) as one:
        await one.take(
            event(CASE, 1),
            command(CASE, "no", offset=0),
            command(CASE, "c-1", "说明 with ¼ and \u2028", offset=1),
        )
        await one.take(
            command("440304-2026-000009", "c-2", source="lianhu", offset=2), event(CASE, 2)
        )
        heads: dict[str, bytes] = {}
        rows = await one.fetch("SELECT * FROM journal ORDER BY seq")
        assert len(rows) == 7
        for row in rows:
            expected = framed(
                row["stream"].encode(),
                str(row["version"]).encode(),
                row["id"].encode(),
                row["type"].encode(),
                row["time"].isoformat().encode(),
                (row["causation"] or "").encode(),
                row["body"].encode(),
                heads.get(row["stream"], b""),
            )
            assert row["hash"] == expected
            heads[row["stream"]] = expected
        stored = await one.fetch("SELECT stream, head FROM aggregates")
        assert {row["stream"]: row["head"] for row in stored} == heads


async def test_an_event_s_time_with_another_offset_does_not_break_the_chain(
    make_database: MakeDatabase,
) -> None:
    async with engine(make_database, Toy()) as one:
        first = event(CASE, 1)
        headers = dict(first.headers) | {"ce_time": b"2026-03-02T09:00:00.123456+08:00"}
        await one.take(replace(first, headers=tuple(headers.items())))
        assert await one.verify() == []


async def test_bodies_stand_in_the_journal_to_the_byte(make_database: MakeDatabase) -> None:
    text = '引号 \\" tab \\t 1.0 <>&  double  space é'
    async with engine(make_database, Toy(), "intake") as one:
        await one.take(report("m-1", f"at=matter/m1 {text}"))
        (row,) = one.done[0].rows
        (stored,) = await one.fetch("SELECT body, hash FROM journal")
        assert stored["body"].encode() == row.body.encode()
        assert json.loads(stored["body"])["report"] == f"m-1 at=matter/m1 {text}"
        (kind,) = await one.fetch("SELECT pg_typeof(body)::text AS kind FROM journal")
        assert kind["kind"] == "text"


async def test_seq_is_the_order_of_commits(make_database: MakeDatabase) -> None:
    """A reader that goes on from the last row it saw never misses one, under four writers."""
    async with engines(make_database, Toy(), 4, "intake") as writers:
        seen: list[int] = []
        finished = asyncio.Event()

        async def poll() -> None:
            async with writers[0].pool.acquire() as connection:
                last = 0
                while True:
                    over = finished.is_set()
                    rows = await journal.after(connection, last, 1000)
                    seen.extend(row.seq for row in rows)
                    last = seen[-1] if seen else 0
                    if over and not rows:
                        return

        async def write(writer: TestEngine, number: int) -> None:
            for turn in range(15):
                await writer.take(
                    *(
                        report(f"m-{number}-{turn}-{n}", f"at=case/{number}-{n}", offset=n)
                        for n in range(turn % 7 + 1)
                    )
                )

        poller = asyncio.create_task(poll())
        await asyncio.gather(*(write(writer, n) for n, writer in enumerate(writers)))
        finished.set()
        await poller
        rows = await writers[0].fetch("SELECT seq FROM journal ORDER BY seq")
        assert seen == [row["seq"] for row in rows]
        assert len(seen) == 4 * sum(turn % 7 + 1 for turn in range(15))


# numbers


async def test_case_numbers_are_unique_under_concurrency(make_database: MakeDatabase) -> None:
    async with engines(make_database, Toy(), 2, "intake") as (one, two):
        jobs = []
        for turn in range(8):
            for name, replica in (("a", one), ("b", two)):
                records = [report(f"{name}-{turn}-{n}", offset=turn * 40 + n) for n in range(40)]
                jobs.append(replica.take(*records))
        # eight tasks in each of two replicas at once
        await asyncio.gather(*jobs)
        rows = await one.fetch("SELECT stream FROM aggregates")
        numbers = sorted(row["stream"] for row in rows)
        assert len(numbers) == 640
        assert all(name.startswith("case/440304-2026-") for name in numbers)
        (row,) = await one.fetch("SELECT next FROM counters")
        assert 640 < row["next"] <= 640 + 16 * 50 + 1, "gaps are allowed, waste is not"
        assert await one.parked() == []


async def test_a_message_keeps_its_number_when_it_is_tried_again(
    make_database: MakeDatabase,
) -> None:
    toy = Toy()
    toy.does["bad"] = "unwritable"
    async with engine(make_database, toy, "intake") as one:
        await one.take(report("a", offset=0), report("bad", offset=1), report("b", offset=2))
        rows = await one.fetch(
            "SELECT stream FROM aggregates WHERE state IS NOT NULL ORDER BY stream"
        )
        assert [row["stream"] for row in rows] == [
            "case/440304-2026-000001",
            "case/440304-2026-000003",
        ]


# verify

TAMPERED = {
    "a changed body": (
        "UPDATE journal SET body = replace(body, 'c-1', 'c-9') WHERE version = 2",
        "row 2 is not what its hash says",
    ),
    "a removed row": ("DELETE FROM journal WHERE version = 2", "row 2 is missing, 3 follows"),
    "a removed last row": (
        "DELETE FROM journal WHERE version = 4",
        "the state stands elsewhere than the journal's last row",
    ),
    "a removed stream": ("DELETE FROM journal", "has a state and no journal"),
    "a removed state": ("DELETE FROM aggregates", "has a journal and no row of state"),
    "reordered rows": (
        "UPDATE journal SET version = CASE version WHEN 2 THEN -3 ELSE -2 END"
        " WHERE version IN (2, 3); UPDATE journal SET version = -version WHERE version < 0",
        "row 2 is not what its hash says",
    ),
    "another time": (
        "UPDATE journal SET time = time + interval '1 microsecond' WHERE version = 3",
        "row 3 is not what its hash says",
    ),
    "another cause": (
        "UPDATE journal SET causation = 'someone-else' WHERE version = 3",
        "row 3 is not what its hash says",
    ),
    "a changed state": (
        "UPDATE aggregates SET state = replace(state, 'c-1', 'c-9')",
        "the fold of the journal is not the state",
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_tampering_shows(make_database: MakeDatabase, what: str) -> None:
    sql, sentence = TAMPERED[what]
    async with engine(make_database, Toy()) as one:
        await one.take(event(CASE, 1), *(command(CASE, f"c-{n}", offset=n) for n in (1, 2, 3)))
        assert await one.verify() == []
        async with one.pool.acquire() as connection:
            await connection.execute(sql)
        wrong = await one.verify()
        assert any(f"{STREAM}: " in line and sentence in line for line in wrong), wrong


async def test_the_check_may_run_beside_the_service(make_database: MakeDatabase) -> None:
    async with engines(make_database, Toy(), 2, "intake") as (one, two):
        records = [
            [report(f"m-{n}-{k}", f"at=matter/m{k}", offset=20 * n + k) for k in range(20)]
            for n in range(20)
        ]

        async def write() -> None:
            for batch in records:
                await one.take(*batch)

        writing = asyncio.create_task(write())
        while not writing.done():
            assert await two.verify() == []
        await writing
        assert await two.verify() == []


async def test_the_operator_s_command_finds_it_too(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    url = await make_database("mediation")
    MasterKey.generate().write(tmp_path / "master.key")
    environment = os.environ | {
        "LIANHU_MEDIATION_DATABASE_URL": url,
        "LIANHU_MEDIATION_MASTER_KEY_FILE": str(tmp_path / "master.key"),
        "LIANHU_MEDIATION_ENVIRONMENT": "test",
    }

    async def verify() -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "lianhu.mediation", "journal", "verify"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    good = await verify()
    assert (good.returncode, good.stdout) == (0, "0 faults\n"), good.stderr
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("INSERT INTO aggregates (stream, version) VALUES ('case/x', 3)")
    finally:
        await connection.close()
    bad = await verify()
    assert bad.returncode == 1
    assert bad.stdout == "case/x: has a state and no journal\n1 faults\n"


# grants


async def test_the_service_itself_cannot_change_its_journal(postgres: Server) -> None:
    dsns = await asyncio.to_thread(postgres.create_service_database, names.fresh("mediation"))
    migrations = files("lianhu.mediation") / "migrations"
    await asyncio.to_thread(migrate, dsns.owner, migrations)
    await asyncio.to_thread(migrate, dsns.owner, migrations)  # nothing is left to do
    runtime = await asyncpg.connect(dsns.runtime)
    try:
        await runtime.execute(
            "INSERT INTO journal (stream, version, epoch, id, type, time, body, hash)"
            " VALUES ('case/x', 1, 1, 'i', 't', now(), '{}', '')"
        )
        for forbidden in (
            "UPDATE journal SET body = ''",
            "DELETE FROM journal",
            "TRUNCATE journal",
            "DROP TABLE journal",
            "INSERT INTO epochs (epoch) VALUES (2)",
            "DELETE FROM epochs",
            "CREATE TABLE mine (x integer)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await runtime.execute(forbidden)
        for table in (
            *("aggregates", "inbox", "parked", "progress", "case_keys", "person_refs"),
            *("counters", "relay_cursor", "clock"),
        ):
            await runtime.execute(f"DELETE FROM {table}")
    finally:
        await runtime.close()


async def test_an_engine_works_with_the_runtime_role(postgres: Server) -> None:
    dsns = await asyncio.to_thread(postgres.create_service_database, names.fresh("intake"))
    await asyncio.to_thread(migrate, dsns.owner, files("lianhu.intake") / "migrations")
    toy = Toy()
    toy.does["bad"] = "raise"
    async with again(dsns.runtime, toy, 1, "intake") as (one,):
        await one.take(report("a", offset=0), report("bad", offset=1), report(None, offset=2))
        letters = [row["letter"] for row in await one.fetch("SELECT letter FROM parked")]
        toy.does.clear()
        assert await one.replay(*letters) == 2
        await one.drain()
        assert await one.verify() == []
        assert await one.state(Stream(Rank.CASE, "440304-2026-000001")) is not None
