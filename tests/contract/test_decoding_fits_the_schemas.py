"""What a service takes is what its published schema allows, and the other way round.

A good message is changed in one place, in any way; the schema and the decoder must agree.
"""

from __future__ import annotations

import copy
import json
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import JsonValue

from lianhu.contracts import REGISTRY
from lianhu.contracts.decode import decode
from lianhu.contracts.schemas import schema_of

Path: TypeAlias = tuple[str | int, ...]

BY: JsonValue = {"officer": "o-1", "post": "mediator", "unit": "440304000000"}
PERSON: JsonValue = {
    "name": "张三",
    "phone": "+86 138 0013 8000",
    "document": {"kind": "passport", "number": "E12345678"},
    "born": "1990-02",
    "address": "福田区",
}
CARD: JsonValue = {"person": "0" * 32, "version": 2, "card": f"s1:k-1:{'A' * 60}"}
MESSAGES: dict[str, JsonValue] = {
    "lianhu.intake.report-submitted.v1": {
        "channel": "hotline-12338",
        "narrative": "来电反映",
        "occurred_at": "2026-01-01T08:00:00+08:00",
        "place": {"division": "440304", "address": "某街道"},
        "reporter": {"anonymous": True, "relation": "neighbour", "name": None},
        "concerned": PERSON,
        "other_party": {},
        "category": "domestic-violence",
        "indicators": {"weapon": False, "injury": None, "child_present": True},
        "wish": "希望调解",
        "legal_basis": "emergency",
        "safe_contact": {
            "allowed": ["email"],
            "never": ["sms"],
            "hours": {"start": "09:00", "end": "17:30"},
            "language": "zh-Hant",
            "note": "工作日电话",
        },
        "tags": [{"name": "left-behind", "since": "2024"}],
    },
    "lianhu.mediation.record-visit.v1": {
        "case": "440304-2026-000123",
        "by": BY,
        "step": "find-risks",
        "visited_at": "2026-01-01T00:00:00Z",
        "note": "已走访",
    },
    "lianhu.mediation.partner-answered.v1": {
        "case": "440304-2026-000123",
        "ask": "a" * 32,
        "says": "filed",
        "by": "desk-3",
        "note": "已立案",
    },
    "lianhu.welfare.apply.v1": {
        "case": "440304-2026-000123",
        "by": BY,
        "programme": "difficulty-relief",
        "applicant": {
            "name": "张三",
            "born": "1980-05-06",
            "document": "E12345678",
            "monthly_income": {"amount": "812.5", "currency": "CNY"},
            "household": 3,
            "bill": {"amount": "0"},
            "tags": [{"name": "single-parent"}],
        },
        "amount": {"amount": "3000.00"},
        "cause": "surgery-2026",
        "papers": ["id-card", "income-proof"],
        "payee": "k-77",
        "emergency": False,
    },
    "lianhu.welfare.confirm-payment.v1": {
        "envelope": "difficulty-relief/440304000000/2026/2026-03-02",
        "count": 2,
        "total": {"amount": "6000.00", "currency": "CNY"},
        "paid": ["440304-2026-000123-a1"],
        "bounced": [{"application": "440304-2026-000124-a1", "reason": "account-closed"}],
        "by": "desk-9",
    },
    "lianhu.welfare.payment-instructed.v1": {
        "envelope": "difficulty-relief/440304000000/2026/2026-03-02",
        "pool": "difficulty-relief/440304000000/2026",
        "to": "treasury-futian",
        "count": 1,
        "total": 300000,
        "items": [{"application": "440304-2026-000123-a1", "payee": "k-77", "amount": 300000}],
        "confirm_by": {"at": "2026-03-09T00:00:00Z", "provisional": False},
        "policy_version": "1",
    },
    "lianhu.intake.case-opened.v1": {
        "case": "440304-2026-000123",
        "publisher": "hotline",
        "channel": "letter",
        "category": "minor",
        "risk": "red",
        "reasons": ["minor-victim"],
        "unit": "440304000000",
        "level": "district",
        "legal_basis": "consent",
        "tags": [{"name": "migrant"}],
        "account": f"s1:k-1:{'A' * 60}",
        "audience": [
            {"role": "owning-unit", "unit": None},
            {"role": "person-concerned", "card": CARD, "neutral": True, "withheld": None},
        ],
        "path": "protection",
        "grounds": ["minor-victim"],
        "minor": True,
        "informed": ["440304001000"],
        "card": CARD,
        "no_card": None,
        "policy_version": "1",
    },
    "lianhu.mediation.message-refused.v1": {
        "publisher": "officers",
        "message": None,
        "position": "0/17",
        "faults": [{"path": "/case", "slug": "unknown-case"}],
    },
}

# What a schema cannot say: that a time is a moment, within bounds; that a name is not blank.
BEYOND_SCHEMAS = {
    "datetime-parsing",
    "datetime-from-date-parsing",
    "datetime-object-invalid",
    "timezone-aware",
    "implausible-time",
    "string-too-short",
}

anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-9, 9),
        st.just(0.5),
        st.text("a -9中", max_size=4),
        st.sampled_from(["letter", "yes", "440304000000", "2026-01-01", "a" * 201, "12"]),
    ),
    lambda parts: st.one_of(
        st.lists(parts, max_size=2),
        st.dictionaries(st.sampled_from(["name", "role", "x"]), parts, max_size=2),
    ),
    max_leaves=4,
)


def places(value: JsonValue, path: Path = ()) -> list[Path]:
    """Every place in a message, the whole among them."""
    found: list[Path] = [path]
    if isinstance(value, dict):
        for name, part in value.items():
            found += places(part, (*path, name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            found += places(part, (*path, number))
    return found


def changed(message: JsonValue, path: Path, to: JsonValue, *, drop: bool) -> JsonValue:
    """The message with something else at a place, or without that place."""
    if not path:
        return to
    whole = copy.deepcopy(message)
    part = whole
    for step in path[:-1]:
        part = part[step]  # type: ignore[index]
    if drop:
        del part[path[-1]]  # type: ignore[arg-type,union-attr]
    else:
        part[path[-1]] = to  # type: ignore[index]
    return whole


@pytest.mark.parametrize("type_", MESSAGES)
@given(data=st.data())
def test_schema_and_decoder_agree(type_: str, data: st.DataObject) -> None:
    contract = REGISTRY.get(type_)
    assert contract is not None
    path = data.draw(st.sampled_from(places(MESSAGES[type_])))
    message = changed(MESSAGES[type_], path, data.draw(anything), drop=data.draw(st.booleans()))
    allowed = Draft202012Validator(dict(schema_of(contract))).is_valid(message)
    _, faults = decode(contract.model, json.dumps(message).encode())
    if allowed:
        assert {fault.slug for fault in faults} <= BEYOND_SCHEMAS
    else:
        assert faults


@pytest.mark.parametrize("type_", MESSAGES)
def test_the_messages_that_are_changed_are_good_ones(type_: str) -> None:
    contract = REGISTRY.get(type_)
    assert contract is not None
    Draft202012Validator(dict(schema_of(contract))).validate(MESSAGES[type_])
    assert decode(contract.model, json.dumps(MESSAGES[type_]).encode())[1] == ()
