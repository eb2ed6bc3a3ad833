"""The registry: every type has its model, its readers and its topic; every service its refusals."""

from __future__ import annotations

import re

import pytest

from lianhu.contracts import REGISTRY, SERVICES, Contract, Kind
from lianhu.contracts.base import Internal, Public
from lianhu.contracts.engine import LetterParked, MessageRefused
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.registry import Registry, contract
from lianhu.contracts.vocabulary import PublisherKind


@pytest.mark.parametrize("found", list(REGISTRY), ids=lambda found: found.type)
def test_a_type_has_its_model_and_readers_that_exist(found: Contract) -> None:
    assert re.fullmatch(r"lianhu\.[a-z]+\.[a-z]+(-[a-z]+)*\.v[1-9][0-9]*", found.type)
    assert found.type == f"lianhu.{found.service}.{found.name}.v{found.major}"
    assert found.model.type_ == found.type
    assert REGISTRY.of(found.model) is found
    assert REGISTRY.get(found.type) is found
    assert set(found.consumers) <= set(SERVICES)
    assert len(set(found.consumers)) == len(found.consumers)


@pytest.mark.parametrize("found", list(REGISTRY), ids=lambda found: found.type)
def test_publishers_are_taken_at_their_word_and_services_may_add(found: Contract) -> None:
    assert issubclass(found.model, Public if found.kind.public else Internal)
    assert found.model.model_config.get("extra") == ("forbid" if found.kind.public else "ignore")
    assert found.model.model_config.get("hide_input_in_errors") is True
    assert found.model.__doc__


@pytest.mark.parametrize("found", list(REGISTRY), ids=lambda found: found.type)
def test_what_a_publisher_sends_is_read_by_the_service_it_is_sent_to(found: Contract) -> None:
    if found.kind.public:
        assert found.consumers == (found.service,)
        assert not found.answers
        assert found.senders
    else:
        assert found.service not in found.consumers
        assert not found.senders


def test_each_kind_of_publisher_sends_its_own_sort_of_message() -> None:
    senders = {found.type: found.senders for found in REGISTRY if found.kind.public}
    assert senders["lianhu.intake.report-submitted.v1"] == (PublisherKind.REPORTING,)
    for kind, names in {
        PublisherKind.REPORTING: {"intake.report-submitted"},
        PublisherKind.PARTNER: {"mediation.partner-answered"},
        PublisherKind.TREASURY: {
            "welfare.fund-pool",
            "welfare.confirm-payment",
            "welfare.bounce-payment",
        },
    }.items():
        may = {type_ for type_, kinds in senders.items() if kind in kinds}
        assert may == {f"lianhu.{name}.v1" for name in names}
    assert all(len(kinds) == 1 for kinds in senders.values()), "nobody speaks for another"


def test_whoever_may_send_a_message_has_a_topic_for_it() -> None:
    for found in REGISTRY:
        for kind in found.senders:
            topics = [
                topic
                for each in Publishers.read().each()
                if each.kind is kind
                for topic in each.writes()
            ]
            assert any(re.fullmatch(found.topic.replace("{publisher}", ".+"), t) for t in topics)


def test_a_reporting_system_is_told_of_no_case() -> None:
    told = {found.name for found in REGISTRY if found.goes_to(PublisherKind.REPORTING)}
    assert told == {"report-accepted", "message-refused"}


def test_what_names_its_addressee_goes_to_partners_and_the_treasury() -> None:
    addressed = {found.name for found in REGISTRY if found.addressed}
    assert addressed == {"partner-asked", "partner-chased", "payment-instructed"}
    for found in REGISTRY:
        if found.addressed:
            assert found.goes_to(PublisherKind.PARTNER)
            assert found.goes_to(PublisherKind.TREASURY)
            assert not found.goes_to(PublisherKind.OFFICERS)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_can_refuse_and_park(service: str) -> None:
    refusal, letter = REGISTRY.refusal_of(service), REGISTRY.letter_of(service)
    assert issubclass(refusal.model, MessageRefused)
    assert refusal.kind is Kind.EVENT
    assert refusal.answers == tuple(PublisherKind), "a refusal reaches its publisher"
    assert issubclass(letter.model, LetterParked)
    assert letter.kind is Kind.LETTER
    assert letter.topic == f"{service}.dead-letters.v1"


def test_each_kind_has_its_topic() -> None:
    topics = {found.kind: found.topic for found in REGISTRY if found.service != "welfare"}
    assert topics[Kind.REPORT] == "intake.reports.{publisher}.v1"
    assert topics[Kind.COMMAND] == "mediation.commands.{publisher}.v1"
    assert REGISTRY.of(type_("lianhu.intake.case-opened.v1")).topic == "intake.events.v1"


def type_(name: str) -> type:
    """The model of a type."""
    found = REGISTRY.get(name)
    assert found is not None
    return found.model


def test_who_reads_whose_events() -> None:
    assert REGISTRY.sources_of("intake") == ("mediation", "welfare", "notify")
    assert REGISTRY.sources_of("mediation") == ("intake",)
    assert REGISTRY.sources_of("welfare") == ("intake",)
    assert REGISTRY.sources_of("notify") == ("intake", "mediation", "welfare")


def test_every_type_is_either_accepted_or_published_by_its_service() -> None:
    listed = [
        found
        for service in SERVICES
        for found in (*REGISTRY.accepted_by(service), *REGISTRY.published_by(service))
    ]
    assert sorted(found.type for found in listed) == sorted(found.type for found in REGISTRY)


def test_a_type_stands_once() -> None:
    registry = Registry()
    first = next(iter(REGISTRY))
    registry.add(first)
    with pytest.raises(ValueError, match="stands twice"):
        registry.add(first)


@pytest.mark.parametrize(
    "name", ["lianhu.intake.v1", "other.intake.x.v1", "lianhu.court.x.v1", "lianhu.intake.x.1"]
)
def test_a_type_has_four_parts(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - unpacking says it in its own words
        contract(name, Kind.EVENT, consumers=())
