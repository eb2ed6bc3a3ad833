"""Whatever a stranger sends is answered, kept, and holds nobody up: one real chain, a stock client.

Behind each bad record a good one is sent on the same partition, which must become a case.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg
import pytest
from confluent_kafka import KafkaError

from deploy.embedded import session
from deploy.embedded.session import Session
from tests.bad_records import BAD, GOOD, INVALID, SECRET, Faults
from tests.checker.collect import collect, judge
from tests.demo.book import Case, Happened
from tests.demo.reports import GRID, HOTLINE, OFFICERS
from tests.demo.wire import Watcher
from tests.stranger import COMMUNITY, Headers, NotTaken, Stranger, binary, dumped, report
from tests.wire import send_header_name

pytestmark = pytest.mark.timeout(240)

SERVICES = ("intake", "mediation", "welfare", "notify")
REPORTS, COMMANDS = f"intake.reports.{HOTLINE}.v1", f"mediation.commands.{OFFICERS}.v1"
PARTITION = 1
MANY = 2000


@dataclass
class Chain:
    """A running chain, a stranger that sends to it, and what its topics have said."""

    running: Session
    stranger: Stranger
    watcher: Watcher

    @property
    def dsns(self) -> dict[str, str]:
        return {name: self.running.dsns(name).runtime for name in SERVICES}

    def bad(self, value: bytes | None, headers: Headers) -> str:
        """Send a report; its place."""
        return self.stranger.send(REPORTS, value, headers, PARTITION)

    def opened(self, publisher: str, id_: str) -> Case:
        """The case of a report, once it was offered."""

        def offered() -> Case | None:
            case = self.watcher.book.case_of(publisher, id_)
            return case if case is not None and case.last("case-offered") else None

        return self.watcher.until(f"{id_} to be a case", lambda _: offered(), 60.0)

    def next_is_opened(self, place: str) -> Case:
        """Send a good report on the same partition; its case."""
        id_ = f"behind-{place.replace('/', '-')}"
        behind = self.stranger.send(REPORTS, dumped(report()), binary(id_), PARTITION)
        assert behind.partition("/")[0] == place.partition("/")[0]
        return self.opened(HOTLINE, id_)

    def answers(self, publisher: str, identity: str, count: int = 1) -> list[Happened]:
        """What a message was answered, `count` or more, on its publisher's own topic."""
        self.watcher.until(
            f"{count} answers to {identity}",
            lambda book: len([*book.answers_to(publisher, identity)]) >= count,
        )
        return [*self.watcher.to_the_end().answers_to(publisher, identity)]

    def refused(self, publisher: str, identity: str) -> Happened:
        """The one answer, which is a refusal."""
        (answer,) = self.answers(publisher, identity)
        assert answer.name == "message-refused"
        return answer

    def letter(self, service: str, topic: str, place: str) -> tuple[str, Faults]:
        """Reason and faults of the parked letter of a record."""
        partition, offset = place.split("/")

        async def ask() -> list[tuple[str, str]]:
            connection = await asyncpg.connect(self.dsns[service])
            try:
                rows = await connection.fetch(
                    "SELECT reason, faults FROM parked"
                    ' WHERE topic = $1 AND partition = $2 AND "offset" = $3',
                    *(topic, int(partition), int(offset)),
                )
                return [(row[0], row[1]) for row in rows]
            finally:
                await connection.close()

        ((reason, faults),) = asyncio.run(ask())
        return reason, {(fault["path"], fault["slug"]) for fault in json.loads(faults)}


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    extra = {"LIANHU_MEDIATION_AWAITING_SECONDS": "1"}
    with session(environment="test", extra=extra) as running:
        watcher = Watcher(running.bootstrap, lambda _: None)
        try:
            yield Chain(running, Stranger(running.bootstrap), watcher)
        finally:
            watcher.close()


def faults_of(answer: Happened) -> Faults:
    return {(fault["path"], fault["slug"]) for fault in answer.data["faults"]}


def forms_of(secret: str | bytes) -> set[bytes]:
    """A value as it may stand somewhere: as it is, and as JSON escapes it."""
    if isinstance(secret, bytes):
        return {secret}
    return {secret.encode(), dumped(secret).strip(b'"'), json.dumps(secret).strip('"').encode()}


def says(answer: Happened, secret: str | bytes) -> bool:
    """Whether a value stands anywhere in an answer: key, headers or body."""
    record = answer.record
    parts = [record.key, record.value, *(value for _, value in record.headers)]
    return any(form in part for part in parts if part for form in forms_of(secret))


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_answered_and_kept_and_holds_nobody_up(chain: Chain, name: str) -> None:
    wrong = BAD[name]
    place = chain.bad(wrong.value, binary(name) if wrong.headers is None else wrong.headers)
    chain.next_is_opened(place)
    answer = chain.refused(HOTLINE, name if wrong.named else place)
    assert answer.record.topic == f"intake.answers.{HOTLINE}.v1"
    assert faults_of(answer) == wrong.faults
    assert answer.data["message"] == (name if wrong.named else None)
    assert answer.data["position"] == place
    assert [secret for secret in (SECRET, *wrong.secrets) if says(answer, secret)] == []
    assert chain.letter("intake", REPORTS, place) == ("refused", wrong.faults)


@pytest.mark.parametrize("name", GOOD)
def test_what_is_only_odd_is_taken(chain: Chain, name: str) -> None:
    value, headers = GOOD[name]
    chain.next_is_opened(chain.bad(value, headers))
    chain.opened(HOTLINE, name)
    (answer,) = chain.answers(HOTLINE, name)
    assert answer.name == "report-accepted"


def test_a_header_name_that_is_no_text_costs_its_own_record_only(chain: Chain) -> None:
    asyncio.run(send_header_name(chain.running.bootstrap, REPORTS, PARTITION, b"ce_\xff"))
    answer = chain.refused(HOTLINE, "odd")
    chain.next_is_opened(answer.data["position"])
    assert faults_of(answer) == {(f"ce:{name}", "missing") for name in ("source", "type")} | {
        ("ce:specversion", "missing")
    }


def test_a_message_told_again_has_no_second_effect_and_no_second_answer(chain: Chain) -> None:
    for again in range(3):
        place = chain.bad(dumped(report()), binary("again"))
        if not again:
            chain.opened(HOTLINE, "again")
    refused = [chain.bad(b"{}", binary("refused-again")) for _ in range(3)]
    chain.next_is_opened(place)
    assert [answer.name for answer in chain.answers(HOTLINE, "again")] == ["report-accepted"]
    assert chain.refused(HOTLINE, "refused-again").data["position"] == refused[0]
    cases = chain.watcher.to_the_end().cases.values()
    assert len([case for case in cases if case.report == "again"]) == 1


def test_an_id_that_comes_with_another_body_is_refused_once(chain: Chain) -> None:
    chain.bad(dumped(report()), binary("reused"))
    places = [chain.bad(dumped(report(SECRET)), binary("reused")) for _ in range(2)]
    chain.next_is_opened(places[-1])
    accepted, refused = chain.answers(HOTLINE, "reused", 2)
    assert (accepted.name, refused.name) == ("report-accepted", "message-refused")
    assert faults_of(refused) == {("ce:id", "id-reused")}
    assert not says(refused, SECRET)
    assert chain.letter("intake", REPORTS, places[0]) == ("refused", {("ce:id", "id-reused")})


def test_an_id_that_looks_like_the_place_of_another_record_is_not_mistaken(chain: Chain) -> None:
    place = chain.bad(dumped(report()), binary(None))
    chain.next_is_opened(chain.bad(dumped(report()), binary(place)))
    chain.opened(HOTLINE, place)
    nameless, named = sorted(chain.answers(HOTLINE, place, 2), key=lambda answer: answer.name)
    assert faults_of(nameless) == {("ce:id", "missing")}
    assert named.data["report"] == place


def test_a_type_that_cannot_be_read_makes_no_second_message_of_an_id(chain: Chain) -> None:
    places = [chain.bad(b"{}", binary("typeless", type_)) for type_ in ("a b", "c d")]
    chain.next_is_opened(places[-1])
    answer = chain.refused(HOTLINE, "typeless")
    assert faults_of(answer) == {("ce:type", "not-printable-ascii")}


def test_a_body_over_the_broker_s_limit_is_refused_at_the_producer(chain: Chain) -> None:
    body = dumped(report(SECRET, wish="愿" * 1_000_000))
    with pytest.raises(NotTaken) as by_the_client:
        chain.bad(body, binary("over-the-limit"))
    assert by_the_client.value.code == KafkaError.MSG_SIZE_TOO_LARGE
    generous = Stranger(chain.running.bootstrap, **{"message.max.bytes": 8 * 2**20})
    with pytest.raises(NotTaken) as by_the_broker:
        generous.send(REPORTS, body, binary("over-the-limit"), PARTITION)
    assert by_the_broker.value.code == KafkaError.MSG_SIZE_TOO_LARGE
    chain.next_is_opened(f"{PARTITION}/over")
    assert not [*chain.watcher.to_the_end().answers_to(HOTLINE, "over-the-limit")]


# Commands


def command(case: str, post: str, unit: str, **other: object) -> bytes:
    by = {"officer": "officer-17", "post": post, "unit": unit}
    return dumped({"case": case, "by": by, **other})


def accepts(id_: str) -> Headers:
    return binary(id_, "lianhu.mediation.accept-case.v1")


@pytest.mark.parametrize(
    ("name", "post", "unit", "faults"),
    [
        ("of-another-unit", "duty-officer", "440304001020", {("/by/unit", "wrong-unit")}),
        ("of-no-unit", "duty-officer", "440304999999", {("/by/unit", "unknown-unit")}),
        ("not-its-post", "finance", COMMUNITY, {("/by/post", "post-may-not")}),
        (
            "neither",
            "finance",
            "440304001020",
            {("/by/post", "post-may-not"), ("/by/unit", "wrong-unit")},
        ),
    ],
)
def test_a_command_of_somebody_who_may_not_is_refused_and_the_next_is_carried_out(
    chain: Chain, name: str, post: str, unit: str, faults: Faults
) -> None:
    number = chain.next_is_opened(f"{PARTITION}/{name}").number
    place = chain.stranger.send(COMMANDS, command(number, post, unit), accepts(name), 2)
    good = command(number, "duty-officer", COMMUNITY)
    chain.stranger.send(COMMANDS, good, accepts(f"{name}-then"), 2)
    assert [one.name for one in chain.answers(OFFICERS, f"{name}-then")] == ["case-accepted"]
    answer = chain.refused(OFFICERS, name)
    assert answer.record.topic == f"mediation.answers.{OFFICERS}.v1"
    assert faults_of(answer) == faults
    assert not says(answer, "officer-17")
    assert chain.letter("mediation", COMMANDS, place) == ("refused", faults)


def test_a_command_for_an_unknown_case_waits_for_it_and_is_refused_then(chain: Chain) -> None:
    unknown = command("440304-2026-999999", "duty-officer", COMMUNITY)
    place = chain.stranger.send(COMMANDS, unknown, accepts("unknown-case"), 2)
    number = chain.next_is_opened(f"{PARTITION}/unknown").number
    good = command(number, "duty-officer", COMMUNITY)
    chain.stranger.send(COMMANDS, good, accepts("known-case"), 2)
    assert [one.name for one in chain.answers(OFFICERS, "known-case")] == ["case-accepted"]
    answer = chain.refused(OFFICERS, "unknown-case")
    assert faults_of(answer) == {("/case", "unknown-case")}
    assert not says(answer, "440304-2026-999999")
    assert chain.letter("mediation", COMMANDS, place) == ("refused", {("/case", "unknown-case")})


def test_a_command_that_is_no_json_is_answered_on_the_officers_own_topic(chain: Chain) -> None:
    place = chain.stranger.send(COMMANDS, b'{"case": "440304', accepts("cut"), 2)
    answer = chain.refused(OFFICERS, "cut")
    assert faults_of(answer) == {INVALID}
    assert chain.letter("mediation", COMMANDS, place) == ("refused", {INVALID})


# All of it together


def test_two_thousand_reports_at_once_by_the_client_s_defaults_are_all_taken(chain: Chain) -> None:
    body = dumped(report("网格员入户，邻居反映夫妻争吵。" * 12, channel="grid"))
    ids = {f"many-{number}" for number in range(MANY)}
    places = chain.stranger.send_all(
        f"intake.reports.{GRID}.v1", [(body, binary(id_)) for id_ in sorted(ids)]
    )
    assert len(places) == MANY
    book = chain.watcher.book
    chain.watcher.until(
        "all to be answered and opened",
        lambda _: all(book.case_of(GRID, id_) and any(book.answers_to(GRID, id_)) for id_ in ids),
        90.0,
    )
    chain.watcher.to_the_end()
    told = [answer for publisher, answer in book.answers if publisher == GRID]
    assert {answer.name for answer in told} == {"report-accepted"}
    assert sorted(str(answer.causation) for answer in told) == sorted(ids)
    assert len({answer.data["receipt"] for answer in told}) == MANY
    assert len([case for case in book.cases.values() if case.publisher == GRID]) == MANY


def test_the_promise_was_kept_over_all_of_this(chain: Chain) -> None:
    verdict = judge(chain.running.bootstrap, chain.dsns, within=60.0)
    assert verdict.ok, verdict.lines()
    counts = verdict.counts
    assert counts["reports"] == counts["cases"] + counts["refused"] + counts["repeated"]


def test_neither_logs_nor_journals_nor_topics_of_ours_tell_what_was_sent(chain: Chain) -> None:
    evidence = collect(chain.running.bootstrap, chain.dsns)
    written = {
        path.name: path.read_bytes() for path in chain.running.run_dir.glob("logs/*.log")
    } | {
        f"{name} {row.seq}": row.body.encode()
        for name, database in evidence.databases.items()
        for row in database.journal
    }
    for record in evidence.records:
        if record.public is None:
            parts = [record.key, record.value, *(value for _, value in record.headers)]
            written[record.position] = b"\n".join(part or b"" for part in parts)
    assert written.keys() >= {f"{name}.log" for name in SERVICES}
    secrets = {SECRET, *(secret for wrong in BAD.values() for secret in wrong.secrets)}
    forms = {form for secret in secrets for form in forms_of(secret)}
    whole = b"\n".join(written.values())
    if any(form in whole for form in forms):
        assert [name for name, text in written.items() if any(form in text for form in forms)] == []
