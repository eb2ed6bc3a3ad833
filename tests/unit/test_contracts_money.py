"""Amounts as publishers write them: exact to the fen, or refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from lianhu.contracts.decode import decode
from lianhu.contracts.money import EnvelopeId, Money, PoolId, yuan


@pytest.mark.parametrize(
    ("written", "fen"),
    [
        ("0", 0),
        ("0.01", 1),
        ("0.1", 10),
        ("7", 700),
        ("1234.5", 123_450),
        ("9999999999.99", 10**12 - 1),
    ],
)
def test_an_amount_is_exact_to_the_fen(written: str, fen: int) -> None:
    assert Money(amount=written).fen == fen


@given(st.integers(0, 10**12 - 1))
def test_what_we_write_is_read_as_the_same_amount(fen: int) -> None:
    assert Money(amount=yuan(fen)).fen == fen


@pytest.mark.parametrize(
    "amount",
    [
        *("-1", "-0.01", "+1", "1.000000001", "1.999", "1.", ".5", "", " 1", "1\n", "1e3", "01"),
        *("1,000", "１２", "NaN", "Infinity", "10000000000", "0x10", 5, 1.5, None, True),
    ],
)
def test_any_other_amount_is_a_fault_that_does_not_repeat_it(amount: object) -> None:
    body = json.dumps({"amount": amount, "currency": "CNY"}).encode()
    model, faults = decode(Money, body)
    assert model is None
    assert [fault.path for fault in faults] == ["/amount"]


@pytest.mark.parametrize("currency", ["USD", "cny", "HKD", "", None])
def test_another_currency_is_refused(currency: object) -> None:
    _, faults = decode(Money, json.dumps({"amount": "1", "currency": currency}).encode())
    assert [(fault.path, fault.slug) for fault in faults] == [("/currency", "literal-error")]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (PoolId, "difficulty-relief/440304000000/2026", "difficulty-relief/440304/2026"),
        (PoolId, "a1/440304000000/2026", "A1/440304000000/2026"),
        (
            EnvelopeId,
            "difficulty-relief/440304000000/2026/2026-03-02",
            "difficulty-relief/440304000000/2026",
        ),
    ],
)
def test_a_pool_and_an_envelope_have_one_form(kind: type[str], good: str, bad: str) -> None:
    adapter = TypeAdapter(kind)
    assert adapter.validate_python(good) == good
    with pytest.raises(ValidationError):
        adapter.validate_python(bad)
