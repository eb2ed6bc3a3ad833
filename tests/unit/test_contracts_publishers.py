"""Publishers and topics: registering one is data, and its topics follow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from lianhu.contracts import SERVICES, Kind
from lianhu.contracts.publishers import (
    Publisher,
    Publishers,
    kind_of,
    public_pattern,
    publisher_of,
)
from lianhu.contracts.topics import INTERNAL_PARTITIONS, MAX_BODY, topics
from lianhu.contracts.vocabulary import Authority, Channel, PublisherKind

HOTLINE = Publisher(
    name="hotline",
    kind=PublisherKind.REPORTING,
    unit="440304000000",
    channels=(Channel.LETTER,),
    partitions=2,
    title="热线",
)
OFFICERS = Publisher(
    name="officers", kind=PublisherKind.OFFICERS, unit="440300000000", title="工作系统"
)
POLICE = Publisher(
    name="police",
    kind=PublisherKind.PARTNER,
    unit="440304000000",
    authority=Authority.POLICE,
    title="公安",
)
TREASURY = Publisher(
    name="treasury", kind=PublisherKind.TREASURY, unit="440304000000", title="国库"
)
ALL = Publishers(publishers=(HOTLINE, OFFICERS, POLICE, TREASURY))


def test_a_reporting_system_writes_reports_and_reads_its_answers() -> None:
    assert HOTLINE.writes() == ("intake.reports.hotline.v1",)
    assert HOTLINE.reads() == ("intake.answers.hotline.v1",)


def test_an_officers_system_writes_commands_and_reads_its_answers() -> None:
    services = ("intake", "mediation", "welfare")
    assert OFFICERS.writes() == tuple(f"{name}.commands.officers.v1" for name in services)
    assert OFFICERS.reads() == tuple(f"{name}.answers.officers.v1" for name in services)


def test_a_partner_and_the_treasury_speak_with_one_service_each() -> None:
    assert POLICE.writes() == ("mediation.commands.police.v1",)
    assert POLICE.reads() == ("mediation.answers.police.v1",)
    assert TREASURY.writes() == ("welfare.commands.treasury.v1",)
    assert TREASURY.reads() == ("welfare.answers.treasury.v1",)


def test_no_two_publishers_share_a_topic() -> None:
    touched = [
        name for each in Publishers.read().each() for name in (*each.writes(), *each.reads())
    ]
    assert len(set(touched)) == len(touched)


def test_the_publishers_of_the_demo_are_there() -> None:
    demo = Publishers.read()
    assert [each.name for each in demo.each()] == [
        "hotline-futian",
        "grid-futian",
        "officers-shenzhen",
        "police-futian",
        "civil-affairs-futian",
        "treasury-futian",
    ]
    assert len(demo) == 6
    assert {each.kind for each in demo.each()} == set(PublisherKind)
    assert [each.authority for each in demo.each() if each.kind is PublisherKind.PARTNER] == [
        Authority.POLICE,
        Authority.CIVIL_AFFAIRS,
    ]
    assert demo.get("nobody") is None


def test_a_city_registers_its_own(tmp_path: Path) -> None:
    file = tmp_path / "publishers.yaml"
    file.write_text(
        "publishers:\n- {name: court, kind: reporting, unit: '440304000000', channels: [court], "
        "title: 法院}\n",
        encoding="utf-8",
    )
    court = Publishers.read(file).get("court")
    assert court is not None
    assert court.channels == (Channel.COURT,)
    assert court.partitions == 3


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": "Hotline"}, "pattern"),
        ({"name": "hot.line"}, "pattern"),
        ({"name": "h"}, "pattern"),
        ({"channels": ()}, "has channels"),
        ({"kind": PublisherKind.OFFICERS}, "has channels"),
        ({"kind": PublisherKind.TREASURY}, "has channels"),
        ({"kind": PublisherKind.PARTNER, "channels": ()}, "has an authority"),
        ({"authority": Authority.POLICE}, "has an authority"),
        ({"kind": PublisherKind.PARTNER, "channels": (), "authority": "navy"}, "authority"),
        ({"partitions": 0}, "greater than or equal"),
        ({"unit": "4403"}, "pattern"),
        ({"secret": "x"}, "Extra inputs"),
    ],
)
def test_a_wrong_publisher_is_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Publisher.model_validate(HOTLINE.model_dump() | changes)


def test_a_name_stands_once_and_is_no_services() -> None:
    with pytest.raises(ValidationError, match="registered twice: hotline"):
        Publishers(publishers=(HOTLINE, HOTLINE))
    with pytest.raises(ValidationError, match="one of our own names is no publisher's: intake"):
        Publishers(publishers=(HOTLINE.model_copy(update={"name": "intake"}),))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("publishers: [", "the registry of publishers is not YAML: "),
        ("publishers: [{name: x1}]", "has holes: publishers.0.kind: Field required; "),
    ],
)
def test_a_registry_with_a_hole_is_refused(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "publishers.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(why)):
        Publishers.read(file)


@pytest.mark.parametrize("publisher", list(ALL.each()), ids=lambda each: each.name)
def test_a_services_pattern_finds_the_topics_of_every_publisher(publisher: Publisher) -> None:
    for topic in publisher.writes():
        for service in SERVICES:
            found = re.match(public_pattern(service), topic)
            assert bool(found) == topic.startswith(f"{service}.")
        assert publisher_of(topic) == publisher.name


@pytest.mark.parametrize(
    "topic",
    [
        "intake.reports.hotline.v10",
        "intake.reports.hotline.v1.old",
        "my.intake.reports.hotline.v1",
        "intakeXreports.hotline.v1",
        "intake.reports.Hotline.v1",
        "intake.answers.hotline.v1",
        "intake.events.v1",
    ],
)
def test_a_services_pattern_finds_nothing_else(topic: str) -> None:
    assert re.match(public_pattern("intake"), topic) is None


def test_a_topic_says_whose_and_of_what_kind_it_is() -> None:
    assert publisher_of("intake.events.v1") is None
    assert publisher_of("intake.answers.hotline.v1") is None
    assert kind_of("intake.reports.hotline.v1") is Kind.REPORT
    assert kind_of("mediation.commands.officers.v1") is Kind.COMMAND
    assert kind_of("intake.events.v1") is Kind.EVENT


def test_topics_are_those_of_the_services_and_of_the_publishers() -> None:
    named = {topic.name: topic for topic in topics(ALL)}
    assert len(named) == len(topics(ALL))
    expected = {
        f"{service}.{kind}.v1" for service in SERVICES for kind in ("events", "dead-letters")
    }
    for publisher in ALL.each():
        expected |= {*publisher.writes(), *publisher.reads()}
    assert set(named) == expected
    assert named["intake.events.v1"].partitions == INTERNAL_PARTITIONS
    assert named["intake.reports.hotline.v1"].partitions == 2
    assert named["intake.answers.hotline.v1"].partitions == 2


def test_a_public_topic_keeps_the_brokers_time_and_takes_a_full_body() -> None:
    report = next(topic for topic in topics(ALL) if topic.name == "intake.reports.hotline.v1")
    assert report.config["message.timestamp.type"] == "LogAppendTime"
    assert report.config["compression.type"] == "uncompressed"
    assert int(report.config["max.message.bytes"]) > MAX_BODY
    assert "retention.bytes" in report.config
