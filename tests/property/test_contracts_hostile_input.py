"""Whatever arrives on a public topic: reading never raises, and no fault repeats what was sent."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lianhu.contracts import REGISTRY, Contract
from lianhu.contracts.cloudevents import Envelope, read
from lianhu.contracts.decode import MAX_FAULTS, decode
from lianhu.contracts.faults import Fault

SECRET = "张三-SECRET"
OURS = ("ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time", "ce_subject", "content-type")
MODES = (b"application/cloudevents+json", b"application/json", SECRET.encode())

keys = st.one_of(st.sampled_from(OURS), st.text(max_size=8), st.just(f"ce_{SECRET}"))
contents = st.one_of(
    st.none(),
    st.binary(max_size=12),
    st.sampled_from([*MODES, b"1.0", b"a\x00b", b"\xff", b"x" * 2000, SECRET.encode() * 30]),
)
headers = st.lists(st.tuples(keys, contents), max_size=8)

json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=6),
        st.sampled_from([SECRET, "1.0", "2026-01-01T00:00:00Z", "2026", "letter", "9" * 40]),
    ),
    lambda parts: st.one_of(
        st.lists(parts, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["id", "source", "type", "specversion", "time", "data"]),
                st.text(max_size=6),
                st.just(SECRET),
            ),
            parts,
            max_size=5,
        ),
    ),
    max_leaves=12,
)
bodies = st.one_of(
    st.none(), st.binary(max_size=40), json_values.map(lambda value: json.dumps(value).encode())
)


def is_sound(envelope: Envelope) -> None:
    """What holds of every envelope."""
    is_silent(envelope.faults)
    assert all(
        re.fullmatch(r"(ce:([a-z0-9]{1,40}|\?)|content-type)?", each.path)
        for each in envelope.faults
    )
    for text in envelope.attributes.values():
        assert "\x00" not in text
        text.encode()
    if not envelope.faults:
        assert envelope.id
        assert envelope.type
        assert envelope.get("specversion") == "1.0"


def is_silent(faults: tuple[Fault, ...]) -> None:
    """Faults are few and hold nothing of what was sent."""
    assert len(faults) <= MAX_FAULTS
    assert all("SECRET" not in each.model_dump_json() for each in faults)
    assert all(each.path.isascii() for each in faults)


@given(headers, bodies)
def test_any_headers_and_any_body_are_read(
    headers: list[tuple[str, bytes | None]], body: bytes | None
) -> None:
    is_sound(read(headers, body))


@given(json_values)
def test_any_structured_body_is_read(value: object) -> None:
    envelope = read([("content-type", MODES[0])], json.dumps(value).encode())
    is_sound(envelope)
    if not envelope.faults:
        json.loads(envelope.data)


@pytest.mark.parametrize("contract", list(REGISTRY), ids=lambda contract: contract.type)
@settings(max_examples=50)  # of each type; `make hostile` has the patience for all of them
@given(data=st.data())
def test_any_body_is_decoded_or_faulty(contract: Contract, data: st.DataObject) -> None:
    fields = st.sampled_from([*contract.model.model_fields, SECRET])
    body = data.draw(
        st.one_of(
            st.binary(max_size=40),
            st.dictionaries(fields, json_values, max_size=6).map(
                lambda value: json.dumps(value).encode()
            ),
        )
    )
    model, faults = decode(contract.model, body)
    assert (model is None) == bool(faults)
    is_silent(faults)
