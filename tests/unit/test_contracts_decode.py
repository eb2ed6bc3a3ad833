"""Bodies to models: all that is wrong, by path and slug, and nothing of what was sent."""

from __future__ import annotations

import json

import pytest

from lianhu.contracts.decode import MAX_FAULTS, decode
from lianhu.contracts.intake import ReportSubmitted
from lianhu.contracts.mediation import AcceptCase, CaseOverdue

REPORT: dict[str, object] = {"channel": "letter", "narrative": "来信反映情况"}
OVERDUE: dict[str, object] = {
    "case": "440304-2026-000123",
    "unit": "440300000000",
    "level": "city",
    "missed": "accept",
    "due": "2026-01-01T00:00:00+08:00",
}


def faults(body: object) -> list[tuple[str, str]]:
    """What is wrong with a report."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    model, found = decode(ReportSubmitted, data)
    assert (model is None) == bool(found)
    return [(fault.path, fault.slug) for fault in found]


def test_a_good_report_is_taken() -> None:
    model, found = decode(ReportSubmitted, json.dumps(REPORT).encode())
    assert isinstance(model, ReportSubmitted)
    assert model.narrative == "来信反映情况"
    assert found == ()


def test_a_report_broken_in_three_places_has_three_faults() -> None:
    body = REPORT | {
        "channel": "telepathy",
        "place": {"division": "4" * 41},
        "tags": [{"name": "poverty"}, {"name": "left-behind", "since": "yesterday"}],
    }
    assert faults(body) == [
        ("/channel", "enum"),
        ("/place/division", "string-too-long"),
        ("/tags/1/since", "string-pattern-mismatch"),
    ]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", ("", "invalid-json")),
        (b"{", ("", "invalid-json")),
        (b"\xff\xfe", ("", "invalid-json")),
        (b'{"narrative":"\\ud800"}', ("", "invalid-json")),
        (b"[" * 100_000, ("", "invalid-json")),
        (b"[]", ("", "model-type")),
        (b"null", ("", "model-type")),
    ],
)
def test_what_is_no_json_object_is_one_fault(body: bytes, fault: object) -> None:
    assert faults(body) == [fault]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"narrative": 5}, ("/narrative", "string-type")),
        ({"indicators": {"weapon": "yes"}}, ("/indicators/weapon", "bool-type")),
        ({"indicators": {"weapon": 1}}, ("/indicators/weapon", "bool-type")),
        ({"occurred_at": 1767225600}, ("/occurred_at", "datetime-type")),
        ({"occurred_at": "2026-01-01T08:00:00"}, ("/occurred_at", "timezone-aware")),
        ({"occurred_at": "1500-01-01T00:00:00Z"}, ("/occurred_at", "implausible-time")),
        ({"safe_contacts": {}}, ("/safe_contacts", "unknown-field")),
        ({"place": {"街道": "福田"}}, ("/place/?", "unknown-field")),
        ({"place": {"13800138000": 1}}, ("/place/?", "unknown-field")),
        ({"place": {"Zhang San": 1}}, ("/place/?", "unknown-field")),
        ({"place": {"a" * 41: 1}}, ("/place/?", "unknown-field")),
        ({"place": {"": 1}}, ("/place/?", "unknown-field")),
    ],
)
def test_a_fault_says_where_and_what(changes: dict[str, object], fault: object) -> None:
    assert faults(REPORT | changes) == [fault]


def test_a_missing_field_is_named() -> None:
    assert faults({}) == [("/channel", "missing"), ("/narrative", "missing")]


def test_there_are_not_more_faults_than_can_be_read() -> None:
    assert len(faults(REPORT | {f"x{'y' * number}": 1 for number in range(500)})) == MAX_FAULTS


def test_no_fault_holds_what_was_sent() -> None:
    secret = "张三13800138000"
    body = {
        "channel": secret,
        "narrative": [secret],
        "occurred_at": secret,
        "reporter": {"phone": secret, secret: secret},
        "tags": [{"name": secret, "since": secret}],
        secret: secret,
    }
    _, found = decode(ReportSubmitted, json.dumps(body).encode())
    assert len(found) == 8
    assert not any(secret in fault.model_dump_json() for fault in found)
    assert not any("138" in fault.model_dump_json() for fault in found)


def test_between_services_an_unknown_field_is_ignored() -> None:
    model, found = decode(
        CaseOverdue, json.dumps(OVERDUE | {"added_later": 1}).encode(), tolerant=True
    )
    assert isinstance(model, CaseOverdue)
    assert found == ()


def test_in_a_command_it_is_not() -> None:
    body = {
        "case": "440304-2026-000123",
        "by": {"officer": "o-1", "post": "mediator", "unit": "440304000000", "name": "李四"},
    }
    _, found = decode(AcceptCase, json.dumps(body).encode())
    assert [(fault.path, fault.slug) for fault in found] == [("/by/name", "unknown-field")]
