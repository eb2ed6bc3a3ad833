"""Blind indexes: the same again for the same value, nothing to be read out of them."""

from __future__ import annotations

import hmac
from hashlib import sha256

import pytest

from lianhu.privacy import BlindIndex, DataKey, normal

KEY = DataKey("index/persons", bytes(range(32)))
INDEX = BlindIndex(KEY)


def test_the_same_value_gives_the_same_index_in_every_process() -> None:
    again = BlindIndex(DataKey("index/persons", bytes(range(32))))
    assert INDEX.of("phone", "+8613800138000") == again.of("phone", "+8613800138000")
    # written down once: an index that changes with a release would find nobody again
    assert INDEX.of("phone", "+8613800138000").hex() == (
        "97f2ab6d8bfcbc706b460f1580e2aecbae280226de67b5b9c3d99f706c2559ed"
    )


def test_an_index_says_nothing_without_the_key() -> None:
    value = b"+8613800138000"
    found = INDEX.of("phone", value.decode())
    assert len(found) == 32
    assert value not in found
    assert found not in (sha256(value).digest(), sha256(b"phone" + value).digest())
    other = BlindIndex(DataKey("index/persons", bytes(32)))
    assert other.of("phone", value.decode()) != found


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (("phone", "1"), ("document", "1")),
        (("phone", "x1"), ("phonex", "1")),
        (("", "phone1"), ("phone1", "")),
        (("a", "b:c"), ("a:b", "c")),
    ],
)
def test_values_of_different_kinds_never_meet(one: tuple[str, str], two: tuple[str, str]) -> None:
    assert INDEX.of(*one) != INDEX.of(*two)


def test_what_indexes_is_not_what_seals() -> None:
    assert INDEX._key != KEY.key
    plain = hmac.digest(KEY.key, b"\0\0\0\5phone+8613800138000", sha256)
    assert INDEX.of("phone", "+8613800138000") != plain


def test_an_index_never_shows_its_key() -> None:
    assert KEY.key.hex() not in repr(INDEX)
    assert not hasattr(INDEX, "__dict__")


def test_spellings_meet_once_they_are_normal() -> None:
    spellings = ["138 0013 8000", "+86-138-0013-8000", "１３８００１３８０００"]
    assert len({INDEX.of("phone", normal.phone(each)) for each in spellings}) == 1
