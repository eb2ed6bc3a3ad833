"""What is addressed to a publisher lands among its answers, on the real broker; who says what."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer

from lianhu.contracts.mediation import PartnerAnswered, PartnerChased
from lianhu.contracts.vocabulary import PartnerSays
from lianhu.eventing import database, relay
from lianhu.eventing.relay import Relay
from lianhu.eventing.rules import case_stream
from lianhu.eventing.testing import FakeRecord, TestEngine, public_record
from lianhu.privacy import DataKey
from tests.conftest import MakeDatabase
from tests.engine_toy import COMMANDS, KEYS, Toy, command, engine, event, event_id
from tests.wire import Seen, headers, tail

pytestmark = pytest.mark.infra

CASE = "440304-2026-000001"
STREAM = case_stream(CASE)
EVENTS = "mediation.events.v1"
POLICE = "mediation.answers.police-futian.v1"
OFFICERS = "mediation.answers.officers-shenzhen.v1"
OF_POLICE = "mediation.commands.police-futian.v1"


async def publish(one: TestEngine, bootstrap: str, after: int | None = None) -> None:
    """All that waits, as the leader does it; with `after`, again from there."""
    connection = await database.open_leader(one.house.settings, "mediation")

    def producer() -> AIOKafkaProducer:
        return AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)

    publisher = Relay("mediation", one.house.publishers, producer, one.house.metrics, 100)
    try:
        if after is not None:
            await relay.republish(connection, after)
        while await publisher.step(connection):
            pass
    finally:
        await publisher.close()
        await connection.close()


def short(record: Seen) -> tuple[str, str]:
    """Topic and short name of a record."""
    return record.topic, headers(record)["type"].split(".")[2]


async def faults(one: TestEngine) -> list[tuple[str, str]]:
    """Path and slug of everything that was refused."""
    rows = await one.fetch(
        "SELECT body FROM journal WHERE type LIKE '%.message-refused.v1' ORDER BY seq"
    )
    found = [fault for row in rows for fault in json.loads(row["body"])["faults"]]
    return [(fault["path"], fault["slug"]) for fault in found]


def answered(topic: str) -> FakeRecord:
    """What a partner says, on some topic."""
    body = PartnerAnswered(case=CASE, ask="0" * 32, says=PartnerSays.RECEIVED, by="desk-3")
    return public_record(topic, PartnerAnswered.type_, body, id_="said", offset=7)


async def test_what_is_addressed_goes_to_its_addressee_and_to_the_services(
    broker_with_topics: str, make_database: MakeDatabase
) -> None:
    toy = Toy()
    toy.does["ask"] = "tell:police-futian"
    async with (
        engine(make_database, toy) as one,
        tail(broker_with_topics, EVENTS, POLICE, OFFICERS) as seen,
    ):
        await one.take(event(CASE, 1), command(CASE, "ask"))
        await publish(one, broker_with_topics)
        await seen.reach(4)
        await seen.nothing_more()
        assert sorted(map(short, seen.seen)) == [
            (POLICE, "partner-chased"),
            (EVENTS, "partner-chased"),
            (EVENTS, "report-accepted"),
            (EVENTS, "report-accepted"),
        ]
        to_police, to_services = (
            next(record for record in seen.seen if short(record) == (topic, "partner-chased"))
            for topic in (POLICE, EVENTS)
        )
        assert to_police.value == to_services.value
        assert to_police.key == str(STREAM).encode()
        told = headers(to_police)
        assert told["id"] == headers(to_services)["id"]
        assert told["causationid"] == "ask"
        assert not {"sequence", "datakey", "rowhash", "epoch", "correlationid"} & set(told)


async def test_what_a_deadline_or_another_service_caused_goes_to_the_addressee_too(
    broker_with_topics: str, make_database: MakeDatabase
) -> None:
    toy = Toy()
    toy.does[event_id(CASE, 1)] = "tell:police-futian"
    async with engine(make_database, toy) as one, tail(broker_with_topics, POLICE) as seen:
        await one.take(event(CASE, 1))
        await publish(one, broker_with_topics)
        (record,) = await seen.reach(1)
        assert PartnerChased.model_validate_json(record.value or b"").to == "police-futian"


@pytest.mark.parametrize("name", ["nobody", "treasury-futian", "hotline-futian"])
async def test_an_addressee_without_a_topic_is_poison_and_holds_up_nobody(
    broker_with_topics: str, make_database: MakeDatabase, name: str
) -> None:
    """The treasury and a hotline are registered, and have no answers of mediation's."""
    toy = Toy()
    toy.does["ask"] = f"tell:{name}"
    async with engine(make_database, toy) as one, tail(broker_with_topics, EVENTS) as seen:
        await one.take(event(CASE, 1), command(CASE, "ask"))
        other = "440304-2026-000002"
        await one.take(event(other, 1))
        assert await one.parked() == [("poison", str(STREAM))]
        (row,) = await one.fetch("SELECT faults FROM parked")
        assert json.loads(row["faults"])[0]["slug"] == "unknown-addressee"
        await publish(one, broker_with_topics)
        subjects = [headers(record)["subject"] for record in await seen.reach(2)]
        assert sorted(subjects) == [str(STREAM), f"case/{other}"]


async def test_a_publisher_that_says_what_is_not_its_own_to_say_is_refused_and_told(
    broker_with_topics: str, make_database: MakeDatabase
) -> None:
    async with (
        engine(make_database, Toy()) as one,
        tail(broker_with_topics, POLICE, OFFICERS) as seen,
    ):
        note = replace(command(CASE, "note", offset=1), topic=OF_POLICE)
        await one.take(event(CASE, 1), note, answered(COMMANDS))
        assert await faults(one) == [("ce:type", "not-of-this-publisher")] * 2
        assert await one.parked() == [("refused", None), ("refused", None)]
        await publish(one, broker_with_topics)
        await seen.reach(2)
        await seen.nothing_more()
        assert sorted(map(short, seen.seen)) == [
            (OFFICERS, "message-refused"),
            (POLICE, "message-refused"),
        ]
        assert {headers(r)["causationid"] for r in seen.seen if r.topic == POLICE} == {"note"}


async def test_the_key_travels_with_no_event_once_it_is_erased(
    broker_with_topics: str, make_database: MakeDatabase
) -> None:
    toy = Toy()
    toy.does |= {"seal": "seal", "erase": "erase"}
    header = b64encode(KEYS.wrap(DataKey.new(str(STREAM)))).decode()
    async with engine(make_database, toy) as one, tail(broker_with_topics, EVENTS) as seen:
        await one.take(event(CASE, 1, datakey=header), command(CASE, "seal"))
        await publish(one, broker_with_topics)
        assert {headers(r).get("datakey") for r in await seen.reach(3)} == {header}
        await one.take(command(CASE, "erase", offset=1), event(CASE, 2, datakey=header))
        # what was published before, too, when it is published again
        await publish(one, broker_with_topics, after=0)
        again = (await seen.reach(9))[3:]
        assert len(again) == 6
        assert {headers(r).get("datakey") for r in again} == {None}
