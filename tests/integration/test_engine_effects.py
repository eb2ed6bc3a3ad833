"""Calls outside: made after the commit and outside any transaction; what is lost is taken up.

Here they are notify's: its real rules, a channel that keeps what it took, and an engine that starts
them as a running service does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from typing import ClassVar

import asyncpg
import pytest
from structlog.testing import capture_logs

from lianhu.contracts.base import Internal
from lianhu.contracts.mediation import CaseOffered
from lianhu.contracts.notify import NoticeAttempted
from lianhu.contracts.parts import Audience, DueAt
from lianhu.contracts.vocabulary import AudienceRole, Category, NoticeChannel, Risk
from lianhu.eventing import effects as engine_effects
from lianhu.eventing.batch import Done
from lianhu.eventing.effects import Effect, Effects
from lianhu.eventing.engine import Engine
from lianhu.eventing.rows import Rows
from lianhu.eventing.rules import EffectEnded, Rank, Stream, case_stream
from lianhu.eventing.testing import START, FakeRecord, TestEngine, event_record, open_engine
from lianhu.eventing.vault import Vault
from lianhu.jurisdiction import Level
from lianhu.notify import workflow
from lianhu.notify.channels import Outcome, Sending
from lianhu.notify.effects import attempts
from lianhu.notify.policy import Policy
from lianhu.notify.screen import Screens
from lianhu.notify.state import CaseState
from lianhu.notify.store import InAppRow
from tests.conftest import MakeDatabase
from tests.engine_toy import KEYS
from tests.notify_desk import BARE, TEXTED
from tests.wire import until, until_true

pytestmark = pytest.mark.infra

CASE, OTHER = "440304-2026-000123", "440304-2026-000124"
STREAM = case_stream(CASE)
STREET = "440304010000"
POLICY = replace(TEXTED, lines=TEXTED.lines.model_copy(update={"relay": None}))
ANSWER_BY = START + POLICY.channels[NoticeChannel.SMS].answer_within
ATTEMPTED, DELIVERED = "notice-attempted", "notice-delivered"


def offer(case: str = CASE) -> FakeRecord:
    """An event over which one unit is told one thing."""
    event = CaseOffered(
        case=case,
        audience=(Audience(role=AudienceRole.OWNING_UNIT, unit=STREET),),
        unit=STREET,
        level=Level.STREET,
        category=Category.FAMILY_DISPUTE,
        risk=Risk.YELLOW,
        accept_by=DueAt(at=START + timedelta(days=3)),
        policy_version="mediation-2026-01",
    )
    return event_record("mediation", event, case_stream(case), 1)


class Taken:
    """A channel that knows a notice again and keeps each once."""

    name = NoticeChannel.SMS
    idempotent = True

    def __init__(self) -> None:
        self.notices: set[str] = set()

    async def send(self, sending: Sending) -> Outcome:
        self.notices.add(sending.notice)
        return Outcome("done")


class Desk:
    """Notify's engine, whose calls are started after each commit and made once it `works`."""

    def __init__(self, one: TestEngine, effect: Effect, at_once: int, taken: Taken) -> None:
        self.one = one
        self._taken = taken
        house = one.house
        self._calls = Effects(
            "notify",
            {NoticeAttempted.type_: effect},
            one.handle,
            house.clock,
            house.metrics,
            at_once,
        )
        one.engine = Engine(house, one.pool, self._after)

    async def _after(self, done: Done) -> None:
        self._calls.start(done.effects)

    @asynccontextmanager
    async def works(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._calls.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def becomes(self, *types: str, case: str = CASE) -> None:
        """Wait until these are the events of a case's stream."""

        async def there() -> bool:
            return await self.one.types(case_stream(case)) == [*types]

        await until(there, f"{types} on {case}")

    async def told(self) -> list[str]:
        """The cases whose notices the channel took."""
        rows = await self.one.fetch("SELECT DISTINCT stream, body FROM journal ORDER BY stream")
        return [
            case
            for case, found in groupby(rows, lambda row: row["stream"].partition("/")[2])
            if {json.loads(row["body"])["notice"] for row in found} <= self._taken.notices
        ]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.one.house.metrics.registry.get_sample_value(name, labels)


def vault_of(one: TestEngine) -> Vault:
    return Vault(one.pool, one.house.keys, one.house.clock, one.house.metrics)


@asynccontextmanager
async def desk(
    url: str,
    wrap: Callable[[TestEngine, Effect], Effect] = lambda _, effect: effect,
    at_once: int = 2,
    taken: Taken | None = None,
) -> AsyncIterator[Desk]:
    """A process of notify on this database."""
    taken = taken or Taken()
    one = await open_engine(
        "notify",
        url,
        workflow,
        {Rank.CASE: CaseState},
        POLICY,
        effects=frozenset({NoticeAttempted.type_}),
        keys=KEYS,
    )
    try:
        yield Desk(one, wrap(one, attempts([taken], POLICY, vault_of(one))), at_once, taken)
    finally:
        await one.pool.close()


async def test_the_attempt_is_committed_before_the_call_and_its_end_comes_as_a_message(
    make_database: MakeDatabase,
) -> None:
    url = await make_database("notify")
    seen: list[tuple[int, int]] = []

    def looking(one: TestEngine, real: Effect) -> Effect:
        async def effect(stream: Stream, event: Internal) -> EffectEnded:
            other = await asyncpg.connect(url)
            try:
                attempts = await other.fetchval(
                    "SELECT count(*) FROM journal WHERE stream = $1 AND type = $2",
                    str(stream),
                    event.type_,
                )
                # of this database, by whomever: nothing is held while a call may take its time
                open_ = await other.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
                )
            finally:
                await other.close()
            seen.append((attempts, open_))
            return await real(stream, event)

        return effect

    async with desk(url, looking) as notify, notify.works():
        await notify.one.take(offer())
        await notify.becomes(ATTEMPTED, DELIVERED)
        assert seen == [(1, 0)]
        assert await notify.told() == [CASE]
        attempted, delivered = await notify.one.fetch(
            "SELECT causation, body::json->>'notice' AS notice FROM journal ORDER BY version"
        )
        assert delivered["causation"] == f"{STREAM}:effect:{attempted['notice']}:1"
        assert notify.metric("lianhu_effects_total", outcome="done") == 1
        assert await notify.one.verify() == []


async def test_how_a_call_ended_is_connected_with_what_caused_it(
    make_database: MakeDatabase,
) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    told = offer()
    headers = [("ce_correlationid", b"report-7"), ("ce_traceparent", trace.encode())]
    async with desk(await make_database("notify")) as notify, notify.works():
        await notify.one.take(replace(told, headers=[*told.headers, *headers]))
        await notify.becomes(ATTEMPTED, DELIVERED)
        rows = await notify.one.fetch("SELECT correlation, trace FROM journal ORDER BY version")
        assert [tuple(row) for row in rows] == [("report-7", trace)] * 2


async def test_an_attempt_that_was_rolled_back_is_not_made(make_database: MakeDatabase) -> None:
    async with desk(await make_database("notify")) as notify, notify.works():
        await notify.one.abort(offer())
        await notify.one.take(offer(OTHER))
        await notify.becomes(ATTEMPTED, DELIVERED, case=OTHER)
        assert await notify.told() == [OTHER]


@pytest.mark.parametrize("died", ["before the call", "after the call"])
async def test_what_a_process_that_died_had_begun_is_taken_up_by_the_deadline(
    make_database: MakeDatabase, died: str
) -> None:
    url, taken = await make_database("notify"), Taken()
    async with desk(
        url, taken=taken
    ) as notify:  # its calls are started, and it never comes to make them
        await notify.one.take(offer())
        if died == "after the call":
            (row,) = await notify.one.fetch("SELECT body FROM journal")
            event = NoticeAttempted.model_validate_json(row["body"])
            ended = await attempts([taken], POLICY, vault_of(notify.one))(STREAM, event)
            assert ended.outcome == "done"
            assert await notify.told() == [CASE]
    async with desk(url, taken=taken) as notify, notify.works():
        await notify.one.fire(ANSWER_BY - timedelta(seconds=1), STREAM)
        await notify.becomes(ATTEMPTED)
        await notify.one.fire(ANSWER_BY, STREAM)
        await notify.becomes(ATTEMPTED, ATTEMPTED, DELIVERED)
        assert len(taken.notices) == 1, "told once, however often it was tried"
        rows = await notify.one.fetch(
            "SELECT body::json->>'attempt' AS attempt FROM journal ORDER BY version"
        )
        assert [row["attempt"] for row in rows] == ["1", "2", "2"]
        assert await notify.one.verify() == []


async def test_what_finds_no_place_is_counted_and_left_to_its_deadline(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_effects, "_MOST_WAITING", 1)
    async with desk(await make_database("notify")) as notify:
        await notify.one.take(offer(CASE), offer(OTHER))
        assert notify.metric("lianhu_effects_waiting") == 1
        assert notify.metric("lianhu_effects_deferred_total") == 1
        async with notify.works():
            await notify.becomes(ATTEMPTED, DELIVERED, case=CASE)
            await notify.becomes(ATTEMPTED, case=OTHER)
            await notify.one.fire(ANSWER_BY, case_stream(OTHER))
            await notify.becomes(ATTEMPTED, ATTEMPTED, DELIVERED, case=OTHER)
        assert await notify.told() == [CASE, OTHER]


async def test_a_call_that_falls_is_told_and_taken_up_by_its_deadline(
    make_database: MakeDatabase,
) -> None:
    fallen: list[Stream] = []

    def falling(one: TestEngine, real: Effect) -> Effect:
        async def effect(stream: Stream, event: Internal) -> EffectEnded:
            if not fallen:
                fallen.append(stream)
                raise RuntimeError("an effect fell")
            return await real(stream, event)

        return effect

    async with desk(await make_database("notify"), falling, at_once=1) as notify:
        with capture_logs() as logged:
            async with notify.works():
                await notify.one.take(offer(CASE), offer(OTHER))
                await notify.becomes(ATTEMPTED, DELIVERED, case=OTHER)
        (line,) = logged
        assert line["event"] == "call outside failed unexpectedly"
        assert (line["stream"], line["type"]) == (str(STREAM), NoticeAttempted.type_)
        assert notify.metric("lianhu_effects_total", outcome="error") == 1
        async with notify.works():
            await notify.one.fire(ANSWER_BY, STREAM)
            await notify.becomes(ATTEMPTED, ATTEMPTED, DELIVERED)


async def test_only_so_many_calls_are_made_at_once(make_database: MakeDatabase) -> None:
    cases = [f"440304-2026-{n:06}" for n in range(1, 8)]
    gate = asyncio.Event()
    under_way: list[Stream] = []

    def slow(one: TestEngine, real: Effect) -> Effect:
        async def effect(stream: Stream, event: Internal) -> EffectEnded:
            under_way.append(stream)
            await gate.wait()
            return await real(stream, event)

        return effect

    async with desk(await make_database("notify"), slow, at_once=3) as notify, notify.works():
        await notify.one.take(*(offer(case) for case in cases))
        await until_true(lambda: len(under_way) >= 3, "three calls")
        # while they take their time, messages are handled
        await notify.one.take(offer())
        assert len(under_way) == 3
        gate.set()
        for case in (*cases, CASE):
            await notify.becomes(ATTEMPTED, DELIVERED, case=case)
        assert await notify.told() == sorted((*cases, CASE))


async def test_an_end_that_cannot_be_recorded_is_told_and_taken_up_by_its_deadline(
    make_database: MakeDatabase,
) -> None:
    async with desk(await make_database("notify")) as notify:
        await notify.one.take(offer())
        # a newer release wrote there what this one does not know: this process steps aside
        await notify.one.fetch("UPDATE aggregates SET shape = shape + 1")
        await notify.one.fetch("UPDATE journal SET type = 'newer.' || type")
        with capture_logs() as logged:
            async with notify.works():
                await until_true(lambda: logged, "the end of the call")
        (line,) = logged
        (row,) = await notify.one.fetch("SELECT body::json->>'notice' AS notice FROM journal")
        assert line["event"] == "ends of calls not recorded"
        assert (line["first"], line["count"]) == (f"{STREAM}:effect:{row['notice']}:1", 1)
        assert await notify.told() == [CASE]
        await notify.one.fetch("UPDATE aggregates SET shape = shape - 1")
        await notify.one.fetch("UPDATE journal SET type = substr(type, length('newer.') + 1)")
        async with notify.works():
            await notify.one.fire(ANSWER_BY, STREAM)
            await notify.becomes(ATTEMPTED, ATTEMPTED, DELIVERED)
        assert await notify.told() == [CASE]


@asynccontextmanager
async def screens(url: str, rows: Rows) -> AsyncIterator[TestEngine]:
    """Notify's engine with these screens, and nobody who would make a call."""
    one = await open_engine(
        "notify",
        url,
        workflow,
        {Rank.CASE: CaseState},
        BARE,
        effects=frozenset({NoticeAttempted.type_}),
        rows=rows,
        keys=KEYS,
    )
    try:
        yield one
    finally:
        await one.pool.close()


async def test_what_stands_on_a_screen_stands_with_its_attempt_or_not_at_all(
    make_database: MakeDatabase,
) -> None:
    async with screens(await make_database("notify"), Screens()) as one:
        await one.abort(offer(OTHER))
        await one.take(offer(), offer())
        rows = await one.fetch("SELECT case_number, unit FROM in_app")
        assert [tuple(row) for row in rows] == [(CASE, STREET)]
        assert await one.types(STREAM) == [ATTEMPTED, DELIVERED]
        assert not any(done.effects for done in one.done), "it needs no call"
        assert await one.verify() == []


async def test_a_row_is_made_by_the_policy_as_it_stands_now(make_database: MakeDatabase) -> None:
    """Policy and publishers are read anew while a service runs."""

    class Seen(Screens):
        """Keeps by which policies it was asked."""

        policies: ClassVar[set[str]] = set()

        def of(self, event: Internal, policy: Policy) -> InAppRow | None:
            self.policies.add(policy.version)
            return super().of(event, policy)

    async with screens(await make_database("notify"), Seen()) as one:
        one.house.policy = replace(BARE, version="renewed")
        await one.take(offer())
        assert Seen.policies == {"renewed"}


async def test_a_row_that_cannot_be_made_parks_its_event_and_no_other(
    make_database: MakeDatabase,
) -> None:
    class Lost(Screens):
        """Has no text for one of the cases."""

        def of(self, event: Internal, policy: Policy) -> InAppRow | None:
            lost = isinstance(event, NoticeAttempted) and event.case == OTHER
            return super().of(event.model_copy(update={"template": "lost"} if lost else {}), policy)

    async with screens(await make_database("notify"), Lost()) as one:
        await one.take(offer(OTHER), offer())
        rows = await one.fetch("SELECT case_number FROM in_app")
        assert [row["case_number"] for row in rows] == [CASE]
        assert await one.types(case_stream(OTHER)) == []
        (parked,) = await one.fetch("SELECT stream, faults FROM parked")
        assert parked["stream"] == str(case_stream(OTHER))
        assert "template-fault" in parked["faults"]
        assert await one.verify() == []
