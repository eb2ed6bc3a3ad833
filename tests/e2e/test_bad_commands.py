"""What officers, partners and the treasury may get wrong is answered by path and slug, over Kafka.

Behind what is wrong something right is sent, and goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import yaml

from lianhu.contracts.money import yuan
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.vocabulary import PublisherKind
from tests.bad_commands import AMOUNTS, PUBLIC, SECRET, SENDERS, bodies, missing, money_fault
from tests.checker.check import check
from tests.checker.collect import collect, judge
from tests.checker.evidence import Database, Evidence
from tests.counter import CITY, COMMUNITY, DISTRICT, SERVICES, STREET, ChainCounter, Faults, counter
from tests.demo.book import Case
from tests.demo.chain import by
from tests.demo.reports import OFFICERS, POLICE, TREASURY

pytestmark = pytest.mark.timeout(240)

CIVIL_AFFAIRS = "civil-affairs-futian"
NANSHAN, OTHER_STREET = "440305000000", "440304002000"
OTHER_TREASURY = "treasury-nanshan"
"""Registered by this test: a treasury that pays for another district."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainCounter]:
    given = [one.model_dump(mode="json") for one in Publishers.read().each()]
    given.append({"name": OTHER_TREASURY, "title": "南山", "kind": "treasury", "unit": NANSHAN})
    registry: Path = tmp_path_factory.mktemp("registry") / "publishers.yaml"
    registry.write_text(yaml.safe_dump({"publishers": given}), encoding="utf-8")
    with counter(registry) as here:
        pool: dict[str, Any] = {
            "pool": pool_of(here),
            "amount": {"amount": "20000"},
            "by": "clerk-1",
        }
        here.done(TREASURY, "welfare", "fund-pool", **pool)
        yield here


def pool_of(desk: ChainCounter, unit: str = DISTRICT) -> str:
    return f"difficulty-relief/{unit}/{desk.clock.now().year}"


def applying(case: Case, number: int, **more: object) -> dict[str, Any]:
    """An application by somebody of this number."""
    return {
        "case": case.number,
        "by": by("social-worker", COMMUNITY, "clerk-17"),
        "programme": "difficulty-relief",
        "applicant": {
            "name": "闻人秀",
            "born": "1985-05-01",
            "document": f"44030419850501{number:04d}",
            "tags": [{"name": "poverty"}],
        },
        "cause": "winter",
        "papers": ["identity", "difficulty-proof"],
        "payee": f"card-{number:04d}",
        **more,
    }


def applied(desk: ChainCounter, case: Case, number: int, **more: object) -> str:
    answer = desk.done(OFFICERS, "welfare", "apply", **applying(case, number, **more))
    return str(answer.data["application"])


def signing(case: Case, application: str, unit: str) -> dict[str, Any]:
    """A level's approval."""
    return {
        "case": case.number,
        "application": application,
        "by": by("reviewer", unit),
        "verdict": "approve",
    }


SIGN = (OFFICERS, "welfare", "sign-application")
CONFIRM = (TREASURY, "welfare", "confirm-payment")
BOUNCE = (TREASURY, "welfare", "bounce-payment")

# amounts


@pytest.mark.parametrize("what", AMOUNTS)
def test_an_amount_that_is_none_is_told_to_whoever_wrote_it(desk: ChainCounter, what: str) -> None:
    amount = AMOUNTS[what][0]
    about: dict[str, Any] = {"case": "440304-2026-000999", "by": by("reviewer", STREET)}
    assert desk.refused(
        *(TREASURY, "welfare", "fund-pool"), pool=pool_of(desk), amount=amount, by="clerk-1"
    ) == money_fault("amount", what)
    assert desk.refused(
        *CONFIRM, envelope=f"{pool_of(desk)}/2026-03-02", count=1, total=amount, by="clerk-1"
    ) == money_fault("total", what)
    assert desk.refused(
        *SIGN, **about, application="440304-2026-000999-a1", verdict="approve", amount=amount
    ) == money_fault("amount", what)


def test_after_all_of_them_the_pool_holds_what_was_paid_in_and_the_next_goes_on(
    desk: ChainCounter,
) -> None:
    more: dict[str, Any] = {"pool": pool_of(desk), "amount": {"amount": "0.01"}, "by": "clerk-1"}
    entry = desk.done(TREASURY, "welfare", "fund-pool", **more)
    assert (entry.name, entry.data["amount"]) == ("ledger-posted", 1)
    assert balances(desk) == {"source": -2_000_001, "available": 2_000_001}
    nothing = {**more, "amount": {"amount": "0.00"}}
    assert desk.refused(TREASURY, "welfare", "fund-pool", **nothing) == {("/amount", "nothing")}


def balances(desk: ChainCounter) -> dict[str, int]:
    """What stands in the pool's accounts, but for zeros."""
    (row,) = desk.ask(
        "welfare", "SELECT state FROM aggregates WHERE stream = $1", f"pool/{pool_of(desk)}"
    )
    found: dict[str, int] = json.loads(row["state"])["balances"]
    return {account: fen for account, fen in found.items() if fen}


def test_a_pool_is_funded_by_its_own_treasury_only(desk: ChainCounter) -> None:
    about: dict[str, Any] = {"amount": {"amount": "70000"}, "by": "clerk-9"}
    fund = ("welfare", "fund-pool")
    assert desk.refused(OTHER_TREASURY, *fund, pool=pool_of(desk), **about) == {
        ("/pool", "not-of-this-publisher")
    }
    assert desk.refused(TREASURY, *fund, pool=pool_of(desk, NANSHAN), **about) == {
        ("/pool", "unknown-pool")
    }
    assert desk.refused(OFFICERS, *fund, pool=pool_of(desk), **about) == {
        ("ce:type", "not-of-this-publisher")
    }


# approvals

WRONG_UNIT, WRONG_POST = ("/by/unit", "wrong-unit"), ("/by/post", "post-may-not")
SIGNED, OWN = ("/by/officer", "signed-before"), ("/by/officer", "own-submission")


def test_an_approval_is_taken_once_in_order_and_from_whom_it_is_due(desk: ChainCounter) -> None:
    case = desk.opened("signed-1", narrative="丈夫去世后独自抚养孩子，生活困难。")
    one = applied(desk, case, 21)

    def refused(unit: str, **more: object) -> Faults:
        return desk.refused(*SIGN, **{**signing(case, one, unit), **more})

    def signed(unit: str) -> str:
        id_ = desk.send(*SIGN, **signing(case, one, unit))
        assert {answer.name for answer in desk.answers(OFFICERS, id_)} != {"message-refused"}
        return id_

    # before the street has signed
    assert refused(CITY) == refused(DISTRICT) == {WRONG_UNIT}
    assert refused(OTHER_STREET) == refused(NANSHAN) == {WRONG_UNIT}
    assert refused(STREET, by=by("finance", STREET)) == {WRONG_POST}
    assert refused(STREET, by=by("reviewer", STREET, "clerk-17")) == {OWN}
    assert refused(STREET, by=by("finance", NANSHAN, "clerk-17")) == {WRONG_POST, WRONG_UNIT, OWN}
    assert refused(STREET, application=f"{case.number}-a7") == {
        ("/application", "unknown-application")
    }
    assert refused(STREET, amount={"amount": "3000.01"}) == {("/amount", "more-than-asked")}
    first = signed(STREET)
    # twice: as a message of its own, and as the very message told again
    assert refused(STREET) == {("/application", "public-notice-running")}
    again = signing(case, one, STREET)
    desk.sender.command(OFFICERS, first, SIGN[2], case.number, again, service="welfare")

    notice = desk.happens(case, "public-notice-started")
    desk.pass_by(notice.data["until"]["at"])
    desk.happens(case, "public-notice-ended")
    assert refused(STREET) == {WRONG_UNIT, SIGNED}
    assert refused(CITY) == {WRONG_UNIT}
    street = by("reviewer", STREET)["officer"]
    assert refused(DISTRICT, by=by("reviewer", DISTRICT, street)) == {SIGNED}
    signed(DISTRICT)
    district = by("reviewer", DISTRICT)["officer"]
    assert refused(CITY, by=by("approver", CITY, district)) == {SIGNED}
    signed(CITY)
    assert refused(CITY) == {("/application", "already-approved")}
    desk.watcher.to_the_end()
    assert len(case.all("application-signed")) == 3
    told = [answer.name for answer in desk.answers(OFFICERS, first)]
    assert sorted(told) == ["application-signed", "ledger-posted"], "once, however often it came"


# payments


def test_a_confirmation_that_does_not_fit_holds_the_envelope_and_finance_is_told(
    desk: ChainCounter,
) -> None:
    cases = [desk.opened(f"paid-{n}", narrative="下岗后无收入。") for n in (1, 2)]
    both = [
        applied(desk, case, 31 + n, emergency=True, amount={"amount": "1500"})
        for n, case in enumerate(cases)
    ]
    for case, one in zip(cases, both, strict=True):
        desk.done(*SIGN, **signing(case, one, STREET))
    envelopes = {desk.happens(case, "application-approved").data["envelope"] for case in cases}
    (envelope,) = envelopes
    word = {"envelope": envelope, "by": "clerk-1"}
    right: dict[str, Any] = {**word, "count": 2, "total": {"amount": "3000.00"}, "paid": both}
    back = {**word, "application": both[0], "reason": "no-such-account"}
    assert desk.refused(*CONFIRM, **right) == {("/envelope", "not-instructed")}
    assert desk.refused(*BOUNCE, **back) == {("/envelope", "not-instructed")}
    assert desk.refused(*CONFIRM, **{**right, "envelope": f"{pool_of(desk)}/2026-01-05"}) == {
        ("/envelope", "unknown-envelope")
    }
    order = desk.instructed(TREASURY, envelope).data
    paid = [item["application"] for item in order["items"]]
    assert {*both} <= {*paid}
    total = {"amount": yuan(order["total"])}
    right = {**word, "count": len(paid), "total": total, "paid": paid}
    before = balances(desk)
    wrong: dict[str, dict[str, Any]] = {
        "wrong-count": {"count": len(paid) + 1},
        "wrong-total": {"total": {"amount": yuan(order["total"] + 1)}},
        "wrong-items": {"paid": [*paid[1:], paid[1]]},
    }
    for why, change in wrong.items():
        held = desk.done(*CONFIRM, **{**right, **change})
        assert (held.name, held.data["why"]) == ("envelope-held", why)
        assert held.record.topic == f"welfare.answers.{TREASURY}.v1"
    sql = "SELECT text_zh FROM in_app WHERE unit = $1"
    desk.watcher.until(
        "finance to be told three times",
        lambda _: sum(envelope in row["text_zh"] for row in desk.ask("notify", sql, DISTRICT)) >= 3,
        60.0,
    )
    assert desk.refused(OTHER_TREASURY, *CONFIRM[1:], **right) == {
        ("/envelope", "not-of-this-publisher")
    }
    assert desk.refused(OTHER_TREASURY, *BOUNCE[1:], **back) == {
        ("/envelope", "not-of-this-publisher")
    }
    assert desk.refused(OFFICERS, *CONFIRM[1:], **right) == {("ce:type", "not-of-this-publisher")}
    assert desk.refused(*BOUNCE, **{**back, "application": f"{cases[0].number}-a9"}) == {
        ("/application", "unknown-payment")
    }
    assert balances(desk) == before, "nothing of it moved money"

    assert {one.name for one in settled(desk, right)} == {"envelope-settled", "ledger-posted"}

    after = balances(desk)
    assert after["paid"] == before.get("paid", 0) + order["total"]
    for case in cases:
        assert desk.happens(case, "application-ended").data["ending"] == "paid"
    assert desk.refused(*CONFIRM, **right) == {("/envelope", "already-confirmed")}
    assert desk.refused(*BOUNCE, **back) == {("/envelope", "already-confirmed")}
    assert balances(desk) == after


def settled(desk: ChainCounter, right: dict[str, Any]) -> list[Any]:
    """What a confirmation that fits is answered, once its envelope is settled."""
    id_ = desk.send(*CONFIRM, **right)

    def all_said() -> bool:
        told = desk.watcher.book.answers_to(TREASURY, id_)
        return any(one.name == "envelope-settled" for one in told)

    desk.watcher.until("the envelope to be settled", lambda _: all_said(), 60.0)
    return [*desk.watcher.to_the_end().answers_to(TREASURY, id_)]


# partners


def test_a_partner_answers_what_it_was_asked_itself_and_once(desk: ChainCounter) -> None:
    case = desk.opened(
        *("asked-1",),
        narrative="昨晚被丈夫打伤。",
        indicators={"physical_violence": True, "injury": True},
    )
    ask = desk.happens(case, "partner-asked").data
    assert ask["to"] == POLICE
    word = {"case": case.number, "ask": ask["ask"], "by": "officer-110", "says": "received"}
    said = ("mediation", "partner-answered")
    assert desk.refused(CIVIL_AFFAIRS, *said, **word, note=SECRET) == {("/ask", "not-asked")}
    assert desk.refused(POLICE, *said, **{**word, "ask": token_hex(16)}) == {
        ("/ask", "unknown-ask")
    }
    assert desk.refused(OFFICERS, *said, **word) == {("ce:type", "not-of-this-publisher")}
    assert desk.done(POLICE, *said, **word).name == "partner-replied"
    assert desk.refused(POLICE, *said, **word) == {("/says", "already-recorded")}
    assert desk.done(POLICE, *said, **{**word, "says": "answered"}).name == "partner-replied"
    assert desk.refused(POLICE, *said, **{**word, "says": "filed"}) == {
        ("/ask", "already-answered")
    }


# every type, from the registry


@pytest.mark.parametrize("kind", SENDERS)
def test_every_type_is_answered_for_an_empty_body_a_wrong_type_and_an_unknown_field(
    desk: ChainCounter, kind: PublisherKind
) -> None:
    publisher = SENDERS[kind]
    sent = {}
    for contract in PUBLIC:
        if kind in contract.senders:
            topic = contract.topic.format(publisher=publisher)
            for field, body in bodies(contract).items():
                id_ = f"{contract.name}.{field}"
                raw = json.dumps(body, ensure_ascii=False).encode()
                desk.sender.send(topic, publisher, contract.type, id_, raw)
                sent[id_] = (contract, field)
    desk.sender.flush()
    desk.watcher.until(
        "an answer to each",
        lambda book: all(next(book.answers_to(publisher, id_), None) for id_ in sent),
        60.0,
    )
    for id_, (contract, field) in sent.items():
        (answer,) = desk.watcher.book.answers_to(publisher, id_)
        assert answer.record.topic == f"{contract.service}.answers.{publisher}.v1"
        assert SECRET not in (answer.record.value or b"").decode()
        faults = {(fault["path"], fault["slug"]) for fault in answer.data["faults"]}
        wrong = faults - missing(contract, field)
        assert faults >= missing(contract, field), id_
        match field:
            case "":
                # a command always needs something; of a report, what happened
                assert (wrong, bool(faults)) == (set(), True), id_
            case "nobody_knows":
                assert wrong == {("/nobody_knows", "unknown-field")}, id_
            case _:
                assert wrong, id_
                assert all(path.split("/")[1] == field for path, _ in wrong), id_
                assert {slug for _, slug in wrong} & {"missing", "unknown-field"} == set(), id_


# all of it together


def test_the_promise_was_kept_over_all_of_this_and_no_log_says_what_was_sent(
    desk: ChainCounter,
) -> None:
    verdict = judge(desk.running.bootstrap, desk.dsns, within=60.0)
    assert verdict.ok, verdict.lines()
    for service in SERVICES:
        log = (desk.running.run_dir / "logs" / f"{service}.log").read_text(encoding="utf-8")
        assert SECRET not in log
        assert json.dumps(SECRET).strip('"') not in log


def test_the_checker_finds_an_entry_of_the_ledger_that_was_made_twice(desk: ChainCounter) -> None:
    evidence = collect(desk.running.bootstrap, desk.dsns)
    found = {finding.what for finding in check(with_a_payment_twice(evidence)).findings}
    assert "done-twice" in found


def with_a_payment_twice(evidence: Evidence) -> Evidence:
    """As if a confirmation had paid one of its payments twice."""
    welfare: Database = evidence.databases["welfare"]
    paid = next(row for row in welfare.journal if row.data.get("posting") == "pay")
    again = replace(paid, id=token_hex(16), seq=welfare.journal[-1].seq + 1)
    bent = replace(welfare, journal=(*welfare.journal, again))
    return replace(evidence, databases={**evidence.databases, "welfare": bent})
