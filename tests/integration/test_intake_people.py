"""The same person at the same moment on PostgreSQL: one case; after an erasure nothing opens."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from lianhu.contracts.base import Internal
from lianhu.contracts.intake import (
    CaseOpened,
    CaseSplit,
    EraseCase,
    Opened,
    ReportAccepted,
    ReportJoined,
    ReportSubmitted,
    SplitCase,
)
from lianhu.contracts.mediation import CaseConcluded
from lianhu.contracts.parts import Account
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.vocabulary import Outcome
from lianhu.eventing.delivery import Outcome as Handled
from lianhu.eventing.journal import Row
from lianhu.eventing.metrics import Metrics
from lianhu.eventing.relay import Relay
from lianhu.eventing.rules import Rank, State, Stream, case_stream
from lianhu.eventing.testing import (
    START,
    FakeRecord,
    TestEngine,
    event_record,
    open_engine,
    public_record,
)
from lianhu.eventing.vault import NotOpened, Vault
from lianhu.intake import workflow
from lianhu.intake.state import CaseState, PersonState
from lianhu.jurisdiction import Level, Post
from lianhu.privacy import DataKey, MasterKey, MasterKeys, Sealed
from tests.conftest import MakeDatabase
from tests.intake_desk import (
    ANSWERS,
    COMMUNITY,
    CONFIRMATIONS,
    DISTRICT,
    HARMLESS,
    LI,
    POLICY,
    WANG,
    officer,
)

pytestmark = pytest.mark.infra

KEYS = MasterKeys(MasterKey.generate())
INDEX = DataKey.new("index/persons")
CHANNELS = {"hotline-futian": "walk-in", "grid-futian": "grid"}
COMMANDS = "intake.commands.officers-shenzhen.v1"
CALL: dict[str, Any] = {"reporter": LI | {"relation": "family"}}


@asynccontextmanager
async def replicas(make_database: MakeDatabase, count: int) -> AsyncIterator[list[TestEngine]]:
    """Several intakes on one database, with one key for their blind indexes."""
    url = await make_database("intake")
    states: dict[Rank, type[State]] = {Rank.CASE: CaseState, Rank.PERSON: PersonState}
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(count):
            one = await open_engine(
                "intake", url, workflow, states, POLICY, keys=KEYS, index_key=INDEX
            )
            stack.push_async_callback(one.pool.close)
            opened.append(one)
        yield opened


def report(
    number: int, publisher: str = "hotline-futian", at: timedelta = timedelta(), **fields: Any
) -> FakeRecord:
    given = {
        "channel": CHANNELS[publisher],
        "narrative": HARMLESS,
        "place": {"division": COMMUNITY},
    }
    return public_record(
        f"intake.reports.{publisher}.v1",
        ReportSubmitted.type_,
        ReportSubmitted.model_validate(given | fields),
        id_=f"r-{number}",
        offset=number,
        at=START + at,
    )


async def events(one: TestEngine, kind: type[Internal]) -> list[Any]:
    rows = await one.fetch("SELECT body FROM journal WHERE type = $1 ORDER BY seq", kind.type_)
    return [kind.model_validate_json(row["body"]) for row in rows]


async def all_handled(*engines: TestEngine) -> None:
    for one in engines:
        assert set(one.outcomes()) <= {Handled.HANDLED, Handled.IGNORED}
        assert await one.parked() == []
        assert await one.verify() == []


def person(number: int) -> dict[str, Any]:
    """Somebody with a number of fifteen digits, and everything else of theirs."""
    return {
        "name": "王小红",
        "born": f"19{50 + number % 40}-05-01",
        "phone": f"138{number:08d}",
        "document": {"number": f"110105{number:09d}"},
    }


def spelt(given: dict[str, Any], draw: Random) -> dict[str, Any]:
    """The same person as another clerk writes them down."""
    number, phone = given["document"]["number"], given["phone"]
    document = draw.choice([number, f"{number[:6]}-{number[6:]}", f"({number})"])
    written = given | {
        "name": draw.choice(["王小红", "王 小紅", "王·小红"]),
        "phone": draw.choice([phone, f"+86 {phone}", f"{phone[:3]} {phone[3:7]} {phone[7:]}"]),
        "document": {"number": document},
    }
    if draw.random() < 0.3:
        del written["document"]
    return written


async def test_two_replicas_and_the_same_person_at_the_same_moment_open_one_case(
    make_database: MakeDatabase,
) -> None:
    draw = Random(4)
    rounds = 60
    async with replicas(make_database, 2) as (one, two):
        for number in range(rounds):
            who = person(number)
            await asyncio.gather(
                one.take(report(number, concerned=spelt(who, draw))),
                two.take(report(number, "grid-futian", concerned=spelt(who, draw))),
            )
        cases = await events(one, CaseOpened)
        joined = await events(one, ReportJoined)
        assert len(cases) == rounds
        assert {event.case for event in joined} == {event.case for event in cases}
        assert len(joined) == rounds
        assert len(await events(one, ReportAccepted)) == 2 * rounds
        await all_handled(one, two)


async def test_nor_do_they_open_two_for_somebody_whom_intake_knows_already(
    make_database: MakeDatabase,
) -> None:
    rounds = 40
    people = [{"document": {"number": f"110105{number:09d}"}} for number in range(rounds)]
    async with replicas(make_database, 2) as (one, two):
        # their rows stand: only the locks keep the replicas apart
        await one.take(*(report(n, other_party=who) for n, who in enumerate(people)))
        for number, who in enumerate(people):
            await asyncio.gather(
                one.take(report(rounds + number, concerned=who)),
                two.take(report(number, "grid-futian", concerned=who)),
            )
        assert len(await events(one, CaseOpened)) == 2 * rounds
        assert len(await events(one, ReportJoined)) == rounds
        await all_handled(one, two)


async def test_whole_batches_of_the_same_people_in_opposite_order_never_lock_each_other_up(
    make_database: MakeDatabase,
) -> None:
    draw = Random(5)
    size, rounds = 12, 10
    async with replicas(make_database, 2) as (one, two):
        for turn in range(rounds):
            people = [person(turn * size + place) for place in range(size)]
            # each is the other party of the next, so that the batches meet in every role
            fields: list[dict[str, Any]] = [
                {"concerned": spelt(who, draw), "other_party": people[place - 1]}
                for place, who in enumerate(people)
            ]
            numbers = range(turn * size, (turn + 1) * size)
            forth = [report(n, **given) for n, given in zip(numbers, fields, strict=True)]
            back = [
                report(n, "grid-futian", **given)
                for n, given in zip(numbers, reversed(fields), strict=True)
            ]
            await asyncio.gather(one.take(*forth), two.take(*back))  # a deadlock would raise
        assert len(await events(one, CaseOpened)) == size * rounds
        assert len(await events(one, ReportJoined)) == size * rounds
        await all_handled(one, two)


async def test_the_call_of_the_other_party_never_joins_whoever_is_first(
    make_database: MakeDatabase,
) -> None:
    async with replicas(make_database, 2) as (one, two):
        for number in range(30):
            her = person(number)
            his = {"phone": f"139{number:08d}", "relation": "family"}
            await asyncio.gather(
                one.take(report(number, concerned=her, other_party={"phone": his["phone"]})),
                two.take(report(number, "grid-futian", concerned=her, reporter=his)),
            )
        assert len(await events(one, CaseOpened)) == 60
        assert await events(one, ReportJoined) == []
        await all_handled(one, two)


async def test_receipts_differ_in_nothing_but_ids_and_all_leave_in_one_transaction(
    make_database: MakeDatabase,
) -> None:
    fields: dict[str, Any] = {"concerned": WANG, "other_party": LI}
    async with replicas(make_database, 1) as (one,):
        await one.take(report(0, **fields))
        await one.take(
            report(1, concerned={"name": "张小芳"}),  # opened
            report(2, **fields),  # joined
            report(3, **CALL),  # linked
        )
        assert [len(done.outcomes) for done in one.done] == [1, 3]
        rows = await one.fetch(
            "SELECT j.*, k.wrapped FROM journal AS j LEFT JOIN case_keys AS k ON k.id = j.stream"
            " WHERE type = $1 AND causation <> 'r-0' ORDER BY j.seq",
            ReportAccepted.type_,
        )
        became = {row["stream"]: set(await one.types(Stream.parse(row["stream"]))) for row in rows}
        assert sorted(map(sorted, became.values())) == [
            ["case-linked", "case-opened", "report-accepted"],
            ["case-opened", "report-accepted"],
            ["report-accepted"],
        ]
        relay = Relay(
            "intake", Publishers.read(), lambda: pytest.fail("not published"), Metrics(), 9
        )
        seen = set()
        for row in rows:
            body = json.loads(row["body"])
            assert (len(body.pop("receipt")), body.pop("report")) == (32, row["causation"])
            found = Row(**{name: row[name] for name in Row._fields})
            (_, (topic, key, headers)) = relay.records(found, row["wrapped"])
            assert key.decode() == row["causation"]
            shown = dict(headers)
            assert shown.pop("ce_causationid").decode() == row["causation"]
            assert len(shown.pop("ce_id")) == 32
            seen.add((topic, json.dumps(body), tuple(sorted(shown.items())), len(row["body"])))
        assert len(seen) == 1, "also the time is that of the report's arrival"
        await all_handled(one)


async def test_a_receipt_tells_no_time_but_that_of_its_report(make_database: MakeDatabase) -> None:
    async with replicas(make_database, 1) as (one,):
        await one.take(report(0, concerned=WANG, at=timedelta(hours=1)))
        await one.take(report(1, "grid-futian", concerned=WANG))  # told before, handled after
        rows = await one.fetch(
            "SELECT time FROM journal WHERE type = $1 ORDER BY seq", ReportAccepted.type_
        )
        assert [row["time"] for row in rows] == [START + timedelta(hours=1), START]
        assert len(await events(one, ReportJoined)) == 1


class Heard:
    """What other services say of a case, in the order in which each of them says it."""

    def __init__(self) -> None:
        self._said: Counter[str] = Counter()

    def __call__(self, event: Any) -> FakeRecord:
        producer = event.type_.split(".")[1]
        self._said[producer] += 1
        return event_record(producer, event, case_stream(event.case), self._said[producer])


def concluded(case: str) -> CaseConcluded:
    return CaseConcluded(
        case=case,
        outcome=Outcome.SETTLED,
        unit=DISTRICT,
        level=Level.DISTRICT,
        missing_steps=(),
        by=officer(Post.MEDIATOR),
    )


def command(number: int, body: SplitCase | EraseCase) -> FakeRecord:
    return public_record(COMMANDS, body.type_, body, id_=f"c-{number}", offset=number)


async def test_a_report_is_split_off_under_a_number_and_a_key_of_its_own(
    make_database: MakeDatabase,
) -> None:
    async with replicas(make_database, 1) as (one,):
        await one.take(
            report(0, concerned=WANG),
            report(1, "grid-futian", concerned=WANG, narrative="另一个人的事"),
        )
        (joined,) = await events(one, ReportJoined)
        split = SplitCase(case=joined.case, report=joined.joined, by=officer(), reason="录入有误")
        await one.take(command(0, split))
        (divided,) = await events(one, CaseSplit)
        _, new = await events(one, CaseOpened)
        assert (divided.case, divided.new) == (joined.case, new.case)
        vault = Vault(one.pool, KEYS, one.house.clock, one.house.metrics)
        (account,) = await vault.open([new.account], "test")
        assert isinstance(account, Account)
        assert account.narrative == "另一个人的事"
        assert new.account.key_id == str(case_stream(new.case))
        await one.take(command(1, split))
        assert one.outcomes()[-1] is Handled.REFUSED
        assert await one.verify() == []


async def test_an_erased_case_opens_nothing_and_its_people_are_new_again(
    make_database: MakeDatabase,
) -> None:
    heard = Heard()
    async with replicas(make_database, 2) as (one, two):
        await one.take(
            report(0, concerned=WANG, other_party=LI, safe_contact={"allowed": ["sms"]}),
            report(1, "grid-futian", concerned=WANG),
        )
        (first,) = await events(one, CaseOpened)
        case = first.case
        await one.take(heard(concluded(case)))
        await one.take(command(0, EraseCase(case=case, by=officer(), basis="个人信息保护法 §47")))
        for answer in ANSWERS:
            await one.take(heard(answer(case=case)))
        vault = Vault(one.pool, KEYS, one.house.clock, one.house.metrics)
        assert not isinstance((await vault.open([first.account], "test"))[0], NotOpened)
        # the last two confirm at the same moment, on two replicas
        first_one, second, third = (heard(kind(case=case)) for kind in CONFIRMATIONS)
        await one.take(first_one)
        await asyncio.gather(one.take(second), two.take(third))

        assert (await one.types(case_stream(case)))[-2:] == ["case-erased", "keys-erased"]
        values: list[Sealed[Any]] = [
            event.account
            for kind in (CaseOpened, ReportJoined)
            for event in await events(one, kind)
        ]
        assert first.card is not None
        for opened in await vault.open([*values, first.card.card], "test"):
            assert isinstance(opened, NotOpened)
            assert opened.slug == "key-erased"
        (row,) = await one.fetch("SELECT count(*) AS rows FROM person_refs")
        assert row["rows"] == 0
        assert await one.verify() == []
        assert await one.drain() == 0

        await two.take(report(2, "grid-futian", concerned=WANG))
        _, again = await events(one, CaseOpened)
        assert isinstance(again, Opened)
        assert (again.case == case, again.repeat) == (False, False)
        assert not {found.person for found in again.people} & {
            found.person for found in first.people
        }
        await one.take(heard(concluded(case)))
        await all_handled(one, two)


async def test_a_restricted_case_is_asked_about_again_when_the_duty_has_run_out(
    make_database: MakeDatabase,
) -> None:
    until, heard = START + timedelta(days=30), Heard()
    async with replicas(make_database, 1) as (one,):
        await one.take(report(0, concerned=WANG))
        (first,) = await events(one, CaseOpened)
        case, stream = first.case, case_stream(first.case)
        await one.take(heard(concluded(case)))
        await one.take(command(0, EraseCase(case=case, by=officer(), basis="x")))
        mediation, welfare, notify = ANSWERS
        await one.take(heard(mediation(case=case, until=until, basis="人民调解法 §27")))
        await one.take(heard(welfare(case=case)), heard(notify(case=case)))
        (key,) = await one.fetch(
            "SELECT restricted_until, erased_at FROM case_keys WHERE id = $1", str(stream)
        )
        assert (key["restricted_until"], key["erased_at"]) == (until, None)
        await one.fire(until - timedelta(seconds=1), stream)
        assert (await one.types(stream))[-1] == "keys-restricted"
        await one.fire(until, stream)
        assert (await one.types(stream))[-1] == "erasure-asked"
        assert await one.verify() == []
