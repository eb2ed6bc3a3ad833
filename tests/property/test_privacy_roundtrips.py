"""Whatever is sealed comes back the same, with the right key only, unaltered only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter

from lianhu.privacy import (
    DataKey,
    MasterKey,
    MasterKeys,
    Sealed,
    Sealer,
    UnsealError,
    open_bytes,
    seal_bytes,
)

key_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9/._-]{0,119}", fullmatch=True)
data_keys = st.builds(DataKey, key_ids, st.binary(min_size=32, max_size=32))
text = st.text(st.characters(exclude_categories=["Cs"]))


class Person(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: str
    phones: tuple[str, ...]
    age: int | None


people = st.builds(
    Person, name=text, phones=st.lists(text).map(tuple), age=st.none() | st.integers()
)
sealed_people = TypeAdapter(Sealed[list[Person]])


@given(data_keys, st.lists(people))
def test_a_sealed_value_comes_back(key: DataKey, held: list[Person]) -> None:
    token = sealed_people.dump_json(Sealed.hold(held), context=Sealer(key))
    closed = sealed_people.validate_json(token)
    assert closed.key_id == key.id
    assert closed.reveal({key.id: key}.__getitem__) == held
    assert sealed_people.dump_json(closed) == token


@given(data_keys, st.binary())
def test_a_sealed_body_comes_back(key: DataKey, body: bytes) -> None:
    blob = seal_bytes(key, body)
    assert open_bytes(key, blob) == body
    assert len(blob) == len(body) + 29


@given(data_keys, st.binary(max_size=40), st.data())
def test_any_alteration_of_a_body_is_found(key: DataKey, body: bytes, data: st.DataObject) -> None:
    blob = seal_bytes(key, body)
    at = data.draw(st.integers(0, len(blob) - 1))
    flip = data.draw(st.integers(1, 255))
    for broken in (blob[:at] + bytes([blob[at] ^ flip]) + blob[at + 1 :], blob[:at], blob + b"\0"):
        with pytest.raises(UnsealError):
            open_bytes(key, broken)


@given(data_keys, data_keys, st.binary())
def test_another_key_opens_no_body(key: DataKey, other: DataKey, body: bytes) -> None:
    blob = seal_bytes(key, body)
    for wrong in (DataKey(key.id, DataKey.new(key.id).key), DataKey(other.id + "x", key.key)):
        if wrong != key:
            with pytest.raises(UnsealError):
                open_bytes(wrong, blob)


@given(st.binary())
def test_arbitrary_bytes_are_refused_in_good_order(garbage: bytes) -> None:
    keys = MasterKeys(MasterKey.generate())
    with pytest.raises(UnsealError):
        open_bytes(DataKey.new("service/intake"), garbage)
    with pytest.raises(UnsealError):
        keys.unwrap("service/intake", garbage)


@given(data_keys)
def test_a_wrapped_key_comes_back(key: DataKey) -> None:
    keys = MasterKeys(MasterKey.generate())
    assert keys.unwrap(key.id, keys.wrap(key)) == key
