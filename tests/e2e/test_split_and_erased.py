"""A report is split off; a case is erased, another restricted by a duty: in all four services."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from lianhu.eventing.cli import build
from lianhu.eventing.clock import Clock as EngineClock
from lianhu.eventing.metrics import Metrics
from lianhu.eventing.vault import NotOpened, Vault
from lianhu.intake.app import service as intake
from lianhu.mediation.app import service as mediation
from lianhu.notify.app import service as notify
from lianhu.privacy import MasterKeys, Sealed
from lianhu.welfare.app import service as welfare
from tests.checker.collect import judge
from tests.counter import COMMUNITY, DISTRICT, SERVICES, STREET, ChainCounter, counter
from tests.demo.book import Case
from tests.demo.chain import by
from tests.demo.reports import GRID, OFFICERS, TREASURY

pytestmark = pytest.mark.timeout(240)

SHE = {"name": "宇文静", "phone": "13603018811", "document": {"number": "440304198703120045"}}
ANOTHER = {"name": "长孙萍", "phone": "13603018812", "document": {"number": "440304199104230066"}}
THIRD = {"name": "令狐燕", "phone": "13603018813", "document": {"number": "440304198809150088"}}
HE = {"name": "东方强", "phone": "13603018819"}
SAFE = {"allowed": ["sms"], "hours": {"start": "00:00", "end": "00:00"}}
TOKEN = re.compile(r"s1:case/[0-9-]+:[A-Za-z0-9_-]+")
SEALED: TypeAdapter[Sealed[Any]] = TypeAdapter(Sealed[Any])
CHAIR = by("chair", DISTRICT)
LAW = "个人信息保护法 §47"


@pytest.fixture(scope="module")
def desk() -> Iterator[ChainCounter]:
    with counter() as here:
        yield here


def applied(desk: ChainCounter, case: Case, document: str) -> str:
    """An emergency application, which the street alone signs; its number."""
    answer = desk.done(
        *(OFFICERS, "welfare", "apply"),
        case=case.number,
        by=by("social-worker", COMMUNITY),
        programme="difficulty-relief",
        applicant={
            "name": "申请人",
            "born": "1987-03-12",
            "document": document,
            "tags": [{"name": "poverty"}],
        },
        cause="winter",
        papers=["identity", "difficulty-proof"],
        payee=f"card-{document[-4:]}",
        emergency=True,
    )
    return str(answer.data["application"])


def sealed_of(desk: ChainCounter, case: Case) -> dict[str, set[str]]:
    """Every closed value of a case that stands in a service's journal or states."""
    found = {}
    for service in SERVICES:
        rows = desk.ask(
            service,
            "SELECT body FROM journal UNION ALL SELECT state FROM aggregates WHERE state <> ''",
        )
        tokens = {token for row in rows for token in TOKEN.findall(row[0])}
        found[service] = {token for token in tokens if f":case/{case.number}:" in token}
    return found


def opened(desk: ChainCounter, service: str, tokens: Collection[str]) -> list[Any]:
    """What a service's own vault says to each of these values: what it holds, or `NotOpened`."""

    async def work() -> list[Any]:
        clock = EngineClock(movable=True)
        async with asyncpg.create_pool(desk.dsns[service], min_size=1, max_size=1) as pool:
            async with pool.acquire() as connection:
                await clock.refresh(connection)
            vault = Vault(pool, MasterKeys.read(desk.running.master_key), clock, Metrics())
            return await vault.open([SEALED.validate_python(one) for one in tokens], "test")

    return asyncio.run(work())


def shut(desk: ChainCounter, service: str, tokens: Collection[str]) -> set[str]:
    """Why these values stay closed, of each that does; empty: all can be opened."""
    return {one.slug for one in opened(desk, service, tokens) if isinstance(one, NotOpened)}


def keys_of(desk: ChainCounter, case: Case) -> dict[str, asyncpg.Record]:
    """Each service's row of the case's key."""
    sql = "SELECT wrapped, erased_at, restricted_until FROM case_keys WHERE id = $1"
    rows = {service: desk.ask(service, sql, f"case/{case.number}") for service in SERVICES}
    return {service: found[0] for service, found in rows.items() if found}


def indexes(desk: ChainCounter, service: str, people: set[str]) -> int:
    """How many blind indexes lead to these people."""
    sql = "SELECT count(*) AS rows FROM person_refs WHERE ref = ANY ($1::text[])"
    (row,) = desk.ask(service, sql, sorted(people))
    return int(row["rows"])


def people_of(case: Case) -> set[str]:
    """Whom a case speaks of, by reference."""
    return {one["person"] for one in case.opened.data["people"]}


def letters(desk: ChainCounter, case: Case) -> list[tuple[str, str]]:
    """What is parked of a case, by service and reason."""
    sql = "SELECT reason FROM parked WHERE stream = $1"
    return [
        (service, row["reason"])
        for service in SERVICES
        for row in desk.ask(service, sql, f"case/{case.number}")
    ]


def test_a_joined_report_becomes_a_case_of_its_own_that_mediation_takes(desk: ChainCounter) -> None:
    case = desk.opened("split-1", narrative="夫妻因家务多次争吵。", concerned=SHE, other_party=HE)
    desk.report(
        *("split-2", GRID),
        channel="hospital",
        narrative="护士反映产妇与婆婆不和。",
        concerned=SHE,
    )
    joined = desk.happens(case, "report-joined").data["joined"]
    about = {"case": case.number, "report": joined, "reason": "录入时选错了人"}
    assert desk.refused(
        OFFICERS, "intake", "split-case", **about, by=by("mediator", "440304001020")
    ) == {("/by/post", "post-may-not"), ("/by/unit", "wrong-unit")}

    split = desk.done(
        *(OFFICERS, "intake", "split-case"), **about, by=by("duty-officer", COMMUNITY)
    )

    assert (split.name, split.data["case"]) == ("case-split", case.number)
    number = split.data["new"]
    new = desk.watcher.until("the new case", lambda book: book.cases.get(number), 60.0)
    desk.happens(new, "case-offered")
    token = new.opened.data["account"]
    (account,) = opened(desk, "intake", [token])
    assert account["narrative"] == "护士反映产妇与婆婆不和。"
    assert token.startswith(f"s1:case/{number}:"), "under a key of its own"
    assert (new.publisher, new.opened.data["channel"]) == (GRID, "hospital")
    assert number != case.number
    accepted = desk.done(
        *(OFFICERS, "mediation", "accept-case"), case=number, by=by("duty-officer", COMMUNITY)
    )
    assert accepted.name == "case-accepted"
    # it is gone from where it was, and neither case is in the other's way
    assert desk.refused(
        *(OFFICERS, "intake", "split-case"), **about, by=by("duty-officer", COMMUNITY)
    ) == {("/report", "already-split")}
    desk.closed(case)
    assert new.last("case-closed") is None


def test_an_erased_case_can_be_opened_and_found_again_by_nobody(desk: ChainCounter) -> None:
    case = desk.opened(
        *("erased-1",),
        narrative="丈夫长期不归家，不给抚养费。",
        concerned=ANOTHER,
        other_party=HE,
        safe_contact=SAFE,
    )
    application = applied(desk, case, "440304199104230066")
    submitted = desk.happens(case, "application-submitted")
    erase = {"case": case.number, "basis": LAW}
    desk.happens(case, "application-noted")
    assert desk.refused(OFFICERS, "intake", "erase-case", **erase, by=CHAIR) == {
        ("/case", "case-open"),
        ("/case", "application-open"),
    }
    desk.done(
        *(OFFICERS, "welfare", "withdraw-application"),
        case=case.number,
        application=application,
        by=by("social-worker", COMMUNITY),
        reason="她不再需要了",
    )
    desk.closed(case)
    for post in ("duty-officer", "finance"):
        assert desk.refused(OFFICERS, "intake", "erase-case", **erase, by=by(post, DISTRICT)) == {
            ("/by/post", "post-may-not")
        }
    before, applicant = sealed_of(desk, case), {submitted.data["person"]}
    mine = people_of(case)
    other = desk.opened("erased-2", narrative="另一家的事，同一个男人。", other_party=HE)
    shared = mine & people_of(other)
    alone = mine - shared
    assert all(before.values()), "every service keeps something closed of it"
    for service, tokens in before.items():
        assert shut(desk, service, tokens) == set()
    assert (len(shared), len(alone)) == (1, 1)
    assert indexes(desk, "intake", alone)
    assert indexes(desk, "welfare", applicant)
    assert letters(desk, case)

    asked = desk.done(OFFICERS, "intake", "erase-case", **erase, by=CHAIR)

    assert asked.name == "erasure-asked"
    gone = desk.happens(case, "case-erased")
    complete = datetime.fromisoformat(gone.data["complete_at"])
    assert complete - gone.time == timedelta(days=14), "what topics keep is gone then"
    desk.happens(case, "keys-erased", len(SERVICES))
    assert {event.service for event in case.all("keys-erased")} == {*SERVICES}
    after = sealed_of(desk, case)
    assert all(tokens <= after[service] for service, tokens in before.items()), "journals stay"
    for service, tokens in after.items():
        assert shut(desk, service, tokens) == {"key-erased"}
    for row in keys_of(desk, case).values():
        assert (row["wrapped"], row["erased_at"] is not None) == (b"", True)
    assert keys_of(desk, case).keys() == {*SERVICES}
    assert indexes(desk, "intake", alone) == indexes(desk, "welfare", applicant) == 0
    assert indexes(desk, "intake", shared), "another case still knows him"
    assert letters(desk, case) == []
    assert desk.refused(OFFICERS, "intake", "erase-case", **erase, by=CHAIR) == {
        ("/case", "already-erased")
    }
    # whoever calls again is somebody new
    again = desk.opened("erased-3", narrative="她又来电话了。", concerned=ANOTHER)
    assert not again.opened.data["repeat"]
    assert not people_of(again) & alone


def test_a_case_whose_payment_has_a_voucher_is_restricted_and_says_so(desk: ChainCounter) -> None:
    case = desk.opened("kept-1", narrative="下岗后无收入，家中老人生病。", concerned=THIRD)
    pool = f"difficulty-relief/{DISTRICT}/{desk.clock.now().year}"
    desk.done(
        *(TREASURY, "welfare", "fund-pool"), pool=pool, amount={"amount": "5000"}, by="clerk-1"
    )
    application = applied(desk, case, "440304198809150088")
    desk.done(
        *(OFFICERS, "welfare", "sign-application"),
        case=case.number,
        application=application,
        by=by("reviewer", STREET),
        verdict="approve",
    )
    envelope = desk.happens(case, "application-approved").data["envelope"]
    closed_soon = desk.instructed(TREASURY, envelope)
    desk.done(
        *(TREASURY, "welfare", "confirm-payment"),
        envelope=envelope,
        count=1,
        total={"amount": f"{closed_soon.data['total'] / 100:.2f}"},
        paid=[application],
        by="clerk-1",
    )
    assert desk.happens(case, "application-ended").data["ending"] == "paid"
    desk.closed(case)
    before = sealed_of(desk, case)

    desk.done(OFFICERS, "intake", "erase-case", case=case.number, basis=LAW, by=CHAIR)

    said = desk.happens(case, "erasure-restricted").data
    assert (said["service"], said["basis"][:8]) == ("welfare", "会计档案管理办法")
    desk.happens(case, "keys-restricted", len(SERVICES))
    assert {event.service for event in case.all("keys-restricted")} == {*SERVICES}
    assert {event.data["until"] for event in case.all("keys-restricted")} == {said["until"]}
    until = datetime.fromisoformat(said["until"])
    assert until - desk.clock.now() > timedelta(days=30 * 365)
    assert case.last("keys-erased") is None
    for row in keys_of(desk, case).values():
        assert row["wrapped"]
        assert (row["erased_at"], row["restricted_until"]) == (None, until)
    for service, tokens in before.items():
        assert shut(desk, service, tokens) == {"key-restricted"}
    assert indexes(desk, "intake", people_of(case)), "when it ends she is to be found"
    assert desk.refused(
        *(OFFICERS, "intake", "erase-case"), case=case.number, basis=LAW, by=CHAIR
    ) == {("/case", "erasure-restricted")}


def test_every_journal_verifies_and_the_promise_was_kept_over_all_of_it(desk: ChainCounter) -> None:
    verdict = judge(desk.running.bootstrap, desk.dsns, within=60.0)
    assert verdict.ok, verdict.lines()
    for app in (intake, mediation, welfare, notify):
        _, environment = desk.running.stack.operator(app.name, ())
        ended = CliRunner().invoke(build(app), ["journal", "verify"], env=environment)
        assert (ended.exit_code, ended.output) == (0, "0 faults\n")
