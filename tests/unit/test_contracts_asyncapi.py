"""The AsyncAPI documents: every topic, message and part of a service, and no address."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from lianhu.contracts import REGISTRY, SERVICES
from lianhu.contracts.__main__ import main
from lianhu.contracts.asyncapi import asyncapi
from lianhu.contracts.publishers import Publishers
from lianhu.contracts.topics import topics

DEMO = Publishers.read()


def document(service: str | None) -> Any:
    """A document as a reader of its JSON has it."""
    return json.loads(json.dumps(asyncapi(service, DEMO)))


def operations(service: str, action: str) -> set[str]:
    """The topics of a service's operations."""
    return {
        each["channel"]["$ref"].removeprefix("#/channels/")
        for each in document(service)["operations"].values()
        if each["action"] == action
    }


def messages(topic: str) -> set[str]:
    """The short names of what a topic carries."""
    channel = document(topic.split(".", maxsplit=1)[0])["channels"][topic]
    return {name.split(".")[2] for name in channel["messages"]}


def test_intake_reads_its_publishers_and_the_other_services_and_answers() -> None:
    assert operations("intake", "receive") == {
        "intake.reports.hotline-futian.v1",
        "intake.reports.grid-futian.v1",
        "intake.commands.officers-shenzhen.v1",
        "mediation.events.v1",
        "welfare.events.v1",
        "notify.events.v1",
    }
    assert operations("intake", "send") == {
        "intake.events.v1",
        "intake.dead-letters.v1",
        "intake.answers.hotline-futian.v1",
        "intake.answers.grid-futian.v1",
        "intake.answers.officers-shenzhen.v1",
    }


def test_a_service_names_only_the_events_it_acts_on() -> None:
    read = document("intake")["operations"]["intake.receive.mediation.events.v1"]
    assert read["messages"] == [
        {"$ref": f"#/channels/mediation.events.v1/messages/lianhu.mediation.{name}.v1"}
        for name in (
            "case-offered",
            "moved-to-protection",
            "case-concluded",
            "case-escalated",
            "erasure-answered",
            "keys-erased",
        )
    ]


def test_an_events_channel_lists_what_a_reader_finds_there_and_nothing_of_private_streams() -> None:
    assert {"case-opened", "unit-noted"} <= messages("intake.events.v1")
    assert not {"person-seen", "person-case-ended", "person-forgotten"} & messages(
        "intake.events.v1"
    )
    private = {"applicant-seen", "applicant-case-erased", "person-forgotten", "claim-taken"}
    assert not {*private, "claim-released"} & messages("welfare.events.v1")
    assert {"claim-taken", "person-seen"} <= {c.name for c in REGISTRY if c.private}
    assert not any(c.consumers or c.answers for c in REGISTRY if c.private)


def test_a_reporting_system_is_answered_by_receipts_and_refusals_only() -> None:
    assert messages("intake.answers.hotline-futian.v1") == {"report-accepted", "message-refused"}


def test_an_officers_system_is_answered_by_what_its_commands_did() -> None:
    told = messages("mediation.answers.officers-shenzhen.v1")
    assert {"case-accepted", "note-added", "message-refused"} <= told
    assert not {"partner-asked", "partner-chased", "partner-replied"} & told
    assert messages("intake.answers.officers-shenzhen.v1") == {
        "case-split",
        "erasure-asked",
        "message-refused",
    }


def test_a_partner_hears_what_it_is_asked_and_what_became_of_its_own_word() -> None:
    for partner in ("police-futian", "civil-affairs-futian"):
        assert messages(f"mediation.commands.{partner}.v1") == {"partner-answered"}
        assert messages(f"mediation.answers.{partner}.v1") == {
            "partner-asked",
            "partner-chased",
            "partner-replied",
            "message-refused",
        }


def test_the_treasury_hears_of_envelopes_and_of_its_pools() -> None:
    assert messages("welfare.commands.treasury-futian.v1") == {
        "fund-pool",
        "confirm-payment",
        "bounce-payment",
    }
    assert messages("welfare.answers.treasury-futian.v1") == {
        "payment-instructed",
        "payment-taken-out",
        "envelope-settled",
        "envelope-held",
        "ledger-posted",
        "message-refused",
    }


def test_a_command_stands_on_the_topics_of_those_who_may_send_it() -> None:
    of_officers = messages("welfare.commands.officers-shenzhen.v1")
    assert "apply" in of_officers
    assert not of_officers & messages("welfare.commands.treasury-futian.v1")
    assert "partner-answered" not in messages("mediation.commands.officers-shenzhen.v1")


@pytest.mark.parametrize("service", [*SERVICES, None])
def test_every_reference_leads_somewhere(service: str | None) -> None:
    whole = document(service)
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(whole)))
    assert references
    for reference in references:
        place = whole
        for step in reference.split("/"):
            place = place[step]
        assert place


@pytest.mark.parametrize("service", [*SERVICES, None])
def test_no_address_and_no_long_name_of_a_module_stands_in_it(service: str | None) -> None:
    text = json.dumps(document(service))
    assert "://" not in text
    assert "lianhu__" not in text


def test_the_whole_has_every_type_and_every_topic_that_carries_one() -> None:
    whole = document(None)
    seen = {contract.type for contract in REGISTRY if not contract.private}
    assert set(whole["components"]["messages"]) == seen
    carried = {topic.name: topic for topic in topics(DEMO)}
    assert set(whole["channels"]) == set(carried)
    for name, channel in whole["channels"].items():
        kafka = channel["bindings"]["kafka"]
        assert channel["address"] == kafka["topic"] == name
        assert kafka["partitions"] == carried[name].partitions


def test_a_message_says_its_type_in_a_header_and_its_body_by_a_schema() -> None:
    message = document("intake")["components"]["messages"]["lianhu.intake.case-opened.v1"]
    headers = message["headers"]
    assert headers["properties"]["ce_type"]["const"] == "lianhu.intake.case-opened.v1"
    assert set(headers["required"]) == {"ce_specversion", "ce_id", "ce_source", "ce_type"}
    assert "ce_sequence" in headers["properties"]
    payload = document("intake")["components"]["schemas"]["lianhu.intake.case-opened.v1"]
    assert payload["properties"]["account"]["x-sealed"] == "Account"
    assert "Account" in document("intake")["components"]["schemas"]


def test_there_is_no_document_of_a_service_that_is_not() -> None:
    with pytest.raises(ValueError, match="no service court"):
        asyncapi("court", DEMO)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["asyncapi", "notify"]) == 0
    assert json.loads(capsys.readouterr().out) == document("notify")
