"""Welfare on PostgreSQL: a pool that many want at once, a claim that two make, the report."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from lianhu.contracts.base import Internal, Model
from lianhu.contracts.intake import ErasureOrdered
from lianhu.contracts.money import LedgerAccount
from lianhu.contracts.payments import LedgerPosted, PaymentInstructed
from lianhu.contracts.welfare import WelfareCommand, WelfareRefused
from lianhu.eventing.delivery import Outcome
from lianhu.eventing.rules import Rank, Stream, case_stream
from lianhu.eventing.testing import (
    FakeRecord,
    TestEngine,
    event_record,
    open_engine,
    public_record,
)
from lianhu.privacy import DataKey, MasterKey, MasterKeys, Sealer
from lianhu.welfare import workflow
from lianhu.welfare.report import PoolReport, reports
from tests.conftest import MakeDatabase
from tests.welfare_desk import (
    DISTRICT,
    POLICY,
    POOL,
    answer,
    applicant,
    apply,
    at,
    fund,
    opened,
    sign,
)

pytestmark = pytest.mark.infra

OFFICERS = "welfare.commands.officers-shenzhen.v1"
TREASURY = "welfare.commands.treasury-futian.v1"
KEYS = MasterKeys(MasterKey.generate())
INDEX = DataKey.new("index/persons")
"""Replicas find people by the same key."""


@asynccontextmanager
async def replicas(url: str, count: int) -> AsyncIterator[list[TestEngine]]:
    """So many engines of welfare on one database."""
    engines = [
        await open_engine(
            "welfare", url, workflow, workflow.STATES, POLICY, keys=KEYS, index_key=INDEX
        )
        for _ in range(count)
    ]
    try:
        with capture_logs():
            yield engines
    finally:
        for one in engines:
            await one.pool.close()


class Office:
    """Numbers what is sent, as a broker would."""

    def __init__(self) -> None:
        self._offsets = Counter[str]()
        self._keys: dict[str, DataKey] = {}

    def command(self, body: Model, moment: str = "2026-03-02 10:00") -> FakeRecord:
        """A command of an officer or of the treasury."""
        topic = OFFICERS if isinstance(body, WelfareCommand) else TREASURY
        offset = self._offsets[topic]
        self._offsets[topic] += 1
        id_ = f"m-{topic}-{offset}"
        return public_record(topic, body.type_, body, id_=id_, offset=offset, at=at(moment))

    def event(self, body: Internal, case: str, sequence: int = 1) -> FakeRecord:
        """An event of intake, sealed with the key of its case."""
        stream = case_stream(case)
        key = self._keys.setdefault(case, DataKey.new(str(stream)))
        sealed = type(body).model_validate_json(body.model_dump_json(context=Sealer(key)))
        wrapped = b64encode(KEYS.wrap(key)).decode()
        return event_record("intake", sealed, stream, sequence, datakey=wrapped)


def numbered(count: int) -> list[str]:
    return [f"440304-2026-{n:06d}" for n in range(1, count + 1)]


async def faults(one: TestEngine) -> Counter[str]:
    """How often each slug was answered."""
    rows = await one.fetch("SELECT body FROM journal WHERE type = $1", WelfareRefused.type_)
    return Counter(fault["slug"] for row in rows for fault in json.loads(row["body"])["faults"])


async def ledger(one: TestEngine) -> PoolReport:
    """The report of the pool."""
    async with one.pool.acquire() as connection:
        (found,) = await reports(connection, POOL, None)
    return found


async def submitted(one: TestEngine, office: Office, count: int, *, emergency: bool) -> list[str]:
    """So many cases, each with an application of somebody else."""
    cases = numbered(count)
    await one.take(*(office.event(opened(case), case) for case in cases))
    wanted = [
        apply(case, applicant=applicant(f"44030419900228{n:04d}"), emergency=emergency)
        for n, case in enumerate(cases)
    ]
    await one.take(*(office.command(command) for command in wanted))
    assert await faults(one) == {}
    return cases


@pytest.mark.parametrize("emergency", [False, True])
async def test_a_pool_that_holds_ten_gives_to_ten_of_thirty_two(
    make_database: MakeDatabase, emergency: bool
) -> None:
    each = 200_000 if emergency else 300_000
    office = Office()
    async with replicas(await make_database("welfare"), 4) as engines:
        one = engines[0]
        await one.take(office.command(fund(10 * each + each // 2)))
        cases = await submitted(one, office, 32, emergency=emergency)
        records = [office.command(sign(case=case), "2026-03-02 11:00") for case in cases]

        # one after another, in pairs and in heaps, by all of them at once
        work = []
        for n, engine in enumerate(engines):
            mine = records[n::4]
            work += [engine.take(*mine[:1]), engine.take(*mine[1:3]), engine.take(*mine[3:])]
        await asyncio.gather(*work)

        assert await faults(one) == {"pool-exhausted": 22}
        found = await ledger(one)
        assert found.faults == []
        account = LedgerAccount.COMMITTED if emergency else LedgerAccount.RESERVED
        assert found.balances[account] == 10 * each
        assert found.balances[LedgerAccount.AVAILABLE] == each // 2
        assert sum(found.balances.values()) == 0
        assert {reason for reason, _ in await one.parked()} == {"refused"}
        assert await one.verify() == []

        # who was refused stays where it was, and is served when there is money again
        await one.take(office.command(fund(22 * each), "2026-03-02 12:00"))
        again = [office.command(sign(case=case), "2026-03-02 13:00") for case in cases]
        await asyncio.gather(*(e.take(*again[n::4]) for n, e in enumerate(engines)))
        found = await ledger(one)
        assert found.balances[account] == 32 * each
        assert found.faults == []


async def test_two_replicas_and_one_approval_that_comes_twice(make_database: MakeDatabase) -> None:
    office = Office()
    async with replicas(await make_database("welfare"), 2) as (one, two):
        await one.take(office.command(fund()))
        cases = await submitted(one, office, 10, emergency=False)
        for case in cases:
            await asyncio.gather(
                one.take(office.command(sign(case=case), "2026-03-02 11:00")),
                two.take(office.command(sign(case=case), "2026-03-02 11:00")),
            )
        assert await faults(one) == {"public-notice-running": 10}
        assert (await ledger(one)).balances[LedgerAccount.RESERVED] == 10 * 300_000


async def test_the_same_person_claims_in_two_cases_at_once_and_has_one(
    make_database: MakeDatabase,
) -> None:
    office = Office()
    async with replicas(await make_database("welfare"), 2) as (one, two):
        cases = numbered(24)
        await one.take(*(office.event(opened(case), case) for case in cases))
        for n in range(12):
            who = applicant(f"44030419900228{n:04d}")
            spelt = applicant(f"440304 19900228 {n:04d}".replace(" ", "-"))
            await asyncio.gather(
                one.take(office.command(apply(cases[2 * n], applicant=who))),
                two.take(office.command(apply(cases[2 * n + 1], applicant=spelt))),
            )
        assert await faults(one) == {"already-claimed": 12}
        outcomes = Counter(one.outcomes() + two.outcomes())
        assert outcomes[Outcome.REFUSED] == 12
        claims = await one.fetch(
            "SELECT stream FROM aggregates WHERE stream LIKE 'claim/%' AND state IS NOT NULL"
        )
        assert len(claims) == 12
        assert await one.verify() == []


async def paid(one: TestEngine, office: Office, count: int) -> PaymentInstructed:
    """So many emergencies helped, their envelope with the treasury."""
    await one.take(office.command(fund()))
    cases = await submitted(one, office, count, emergency=True)
    await one.take(*(office.command(sign(case=case), "2026-03-02 11:00") for case in cases))
    envelope = Stream(Rank.ENVELOPE, f"{POOL}/2026-03-02")
    await one.fire(at("2026-03-02 17:00"), envelope)
    (row,) = await one.fetch(
        "SELECT body, answers FROM journal WHERE type = $1", PaymentInstructed.type_
    )
    assert row["answers"] == "treasury-futian"
    return PaymentInstructed.model_validate_json(row["body"])


async def test_an_envelope_of_many_cases_is_confirmed_in_one_transaction(
    make_database: MakeDatabase,
) -> None:
    office = Office()
    async with replicas(await make_database("welfare"), 2) as (one, two):
        order = await paid(one, office, 40)
        assert (order.count, order.total) == (40, 40 * 200_000)
        back = [order.items[3].application, order.items[30].application]
        said = answer(order, bounced=back)
        transactions = len(one.done) + len(two.done)
        await asyncio.gather(
            one.take(office.command(said, "2026-03-03 09:00")),
            two.take(office.command(said, "2026-03-03 09:00")),
        )
        assert len(one.done) + len(two.done) == transactions + 2
        assert await faults(one) == {"already-confirmed": 1}
        found = await ledger(one)
        assert found.faults == []
        assert found.balances[LedgerAccount.PAID] == 38 * 200_000
        assert found.balances[LedgerAccount.COMMITTED] == 2 * 200_000
        assert found.balances.get(LedgerAccount.INSTRUCTED) == 0
        again = await one.state(Stream(Rank.ENVELOPE, f"{POOL}/2026-03-03"))
        assert again is not None
        assert len(json.loads(again)["items"]) == 2
        assert await one.parked() == [("refused", f"envelope/{order.envelope}")]
        assert await one.verify() == []


async def ran(url: str, *arguments: str) -> tuple[int, str]:
    """The command line of welfare, as an operator runs it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lianhu.welfare", "ledger", *arguments),
        env={**os.environ, "LIANHU_WELFARE_DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_the_ledger_report_says_what_a_pool_holds_and_whether_it_balances(
    make_database: MakeDatabase,
) -> None:
    office = Office()
    url = await make_database("welfare")
    async with replicas(url, 1) as (one,):
        await paid(one, office, 3)
        code, text = await ran(url)
        assert code == 0
        assert "difficulty-relief/440304000000/2026" in text
        for amount in ("-100000.00", "94000.00", "6000.00", "yes"):
            assert amount in text
        code, text = await ran(url, "--unit", DISTRICT, "--pool", POOL)
        assert (code, "yes" in text) == (0, True)
        code, text = await ran(url, "--unit", "440305000000")
        assert (code, "yes" in text) == (0, False)

        # a row that somebody slipped into the journal
        entry = LedgerPosted.model_validate_json(
            await one.pool.fetchval(
                "SELECT body FROM journal WHERE type = $1 LIMIT 1", LedgerPosted.type_
            )
        )
        crooked = entry.model_copy(update={"lines": entry.lines[1:]})
        await one.pool.execute(
            "INSERT INTO journal (stream, version, epoch, id, type, time, body, hash)"
            " VALUES ($1, 9999, 1, 'x', $2, now(), $3, '')",
            f"pool/{POOL}",
            LedgerPosted.type_,
            crooked.model_dump_json(),
        )
        code, text = await ran(url)
        assert code == 1
        assert "does not sum to zero" in text
        assert "is not the sum of its entries" in text


async def test_an_erased_case_leaves_no_key_and_nobody_who_is_found(
    make_database: MakeDatabase,
) -> None:
    office = Office()
    async with replicas(await make_database("welfare"), 1) as (one,):
        (case, other) = await submitted(one, office, 2, emergency=False)
        before = await one.fetch("SELECT ref FROM person_refs")
        assert len(before) == 2

        await one.take(office.event(ErasureOrdered(case=case), case, sequence=2))

        assert len(await one.fetch("SELECT ref FROM person_refs")) == 1
        keys = await one.fetch("SELECT id, wrapped FROM case_keys WHERE id LIKE 'case/%'")
        left = {row["id"]: bool(row["wrapped"]) for row in keys}
        assert left == {f"case/{case}": False, f"case/{other}": True}
        await one.take(office.event(opened(case), case, sequence=3))
        await one.take(office.command(apply(case), "2026-03-03 10:00"))
        assert await faults(one) == {"case-erased": 1}
        assert await one.verify() == []
