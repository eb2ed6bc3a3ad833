"""What a command may say by mistake: amounts that are none, and bodies that are of no type."""

from __future__ import annotations

from lianhu.contracts import REGISTRY
from lianhu.contracts.registry import Contract
from lianhu.contracts.vocabulary import PublisherKind
from tests.counter import Faults
from tests.demo.reports import HOTLINE, OFFICERS, POLICE, TREASURY

SECRET = "阿珍姐的账号是六二二二"
"""Stands in bad bodies; no answer and no log may say it."""

FORM, NO_TEXT = "string-pattern-mismatch", "string-type"

AMOUNTS: dict[str, tuple[object, str, str]] = {
    "negative": ({"amount": "-500.25"}, "/amount", FORM),
    "nine decimals": ({"amount": "500.123456789"}, "/amount", FORM),
    "eleven digits": ({"amount": "99999999999"}, "/amount", FORM),
    "an exponent": ({"amount": "5e3000000"}, "/amount", FORM),
    "not a number, as text": ({"amount": "NaN-00000"}, "/amount", FORM),
    "digits of another script": ({"amount": "５００００００"}, "/amount", FORM),
    "another currency": ({"amount": "500", "currency": "USD-2026"}, "/currency", "literal-error"),
    "a float": ({"amount": 500.2512}, "/amount", NO_TEXT),
    "huge": ({"amount": 10**400}, "/amount", NO_TEXT),
    "not a number": ({"amount": float("nan")}, "/amount", NO_TEXT),
    "beyond all floats": ({"amount": float("inf")}, "/amount", NO_TEXT),
    "no object": (500.2512, "", "model-type"),
    "more than an amount": ({"amount": "5", "account": SECRET}, "/account", "unknown-field"),
}
"""The amount, where in it something is wrong, and what."""


def money_fault(field: str, what: str) -> Faults:
    """What is wrong with such an amount where it stands in this field."""
    _, path, slug = AMOUNTS[what]
    return {(f"/{field}{path}", slug)}


SENDERS = {
    PublisherKind.REPORTING: HOTLINE,
    PublisherKind.OFFICERS: OFFICERS,
    PublisherKind.PARTNER: POLICE,
    PublisherKind.TREASURY: TREASURY,
}
"""A publisher of each kind."""
PUBLIC = [contract for contract in REGISTRY if contract.kind.public]
NOTHING = [[SECRET]]
"""Of no type that any field has."""


def bodies(contract: Contract) -> dict[str, dict[str, object]]:
    """What is sent of a type: nothing, each field as what it is not, a field that nobody knows."""
    fields: dict[str, dict[str, object]] = {
        name: {name: NOTHING} for name in contract.model.model_fields
    }
    return {"": {}, **fields, "nobody_knows": {"nobody_knows": SECRET}}


def missing(contract: Contract, but: str) -> Faults:
    """What such a body lacks."""
    fields = contract.model.model_fields.items()
    return {(f"/{name}", "missing") for name, one in fields if one.is_required() and name != but}
