"""Which change of a schema breaks whom: each kind of change, in both directions."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from lianhu.contracts.compat import Direction, Schema, incompatibilities
from lianhu.contracts.schemas import generated

INBOUND, OUTBOUND = Direction.INBOUND, Direction.OUTBOUND
TEXT: dict[str, JsonValue] = {"type": "string"}
NUMBER: dict[str, JsonValue] = {"type": "integer"}


def closed(required: tuple[str, ...] = (), **fields: JsonValue) -> Schema:
    """A message that forbids what it does not name, as publishers send it."""
    return {**open_(required, **fields), "additionalProperties": False}


def open_(required: tuple[str, ...] = (), **fields: JsonValue) -> Schema:
    """A message whose reader ignores what it does not know, as services send it."""
    return {"type": "object", "properties": dict(fields), "required": list(required)}


def one(old: JsonValue, new: JsonValue) -> tuple[Schema, Schema]:
    """The same message twice, its only field changed."""
    return closed(("x",), x=old), closed(("x",), x=new)


NARROWER: dict[str, tuple[JsonValue, JsonValue]] = {
    "an enum loses a member": ({"enum": ["a", "b"]}, {"enum": ["a"]}),
    "free text becomes an enum": (TEXT, {**TEXT, "enum": ["a"]}),
    "a constant becomes another": ({"const": "a"}, {"const": "b"}),
    "a type becomes another": (TEXT, NUMBER),
    "a number becomes an integer": ({"type": "number"}, NUMBER),
    "anything becomes text": ({}, TEXT),
    "null is no longer taken": ({"anyOf": [TEXT, {"type": "null"}]}, TEXT),
    "one of two types is gone": ({"type": ["string", "integer"]}, TEXT),
    "a pattern appears": (TEXT, {**TEXT, "pattern": "^a$"}),
    "a pattern becomes another": ({**TEXT, "pattern": "^a"}, {**TEXT, "pattern": "^b"}),
    "a longest length shrinks": ({**TEXT, "maxLength": 9}, {**TEXT, "maxLength": 8}),
    "a longest length appears": (TEXT, {**TEXT, "maxLength": 8}),
    "a shortest length grows": ({**TEXT, "minLength": 1}, {**TEXT, "minLength": 2}),
    "a minimum appears": (NUMBER, {**NUMBER, "minimum": 0}),
    "a maximum shrinks": ({**NUMBER, "maximum": 9}, {**NUMBER, "maximum": 3}),
    "a format appears": (TEXT, {**TEXT, "format": "date-time"}),
    "an item narrows": (
        {"type": "array", "items": TEXT},
        {"type": "array", "items": {**TEXT, "maxLength": 3}},
    ),
    "fewer items": ({"type": "array", "maxItems": 5}, {"type": "array", "maxItems": 4}),
    "a nested field is required": (dict(closed(a=TEXT)), dict(closed(("a",), a=TEXT))),
    "a nested field is gone": (dict(closed(a=TEXT, b=TEXT)), dict(closed(a=TEXT))),
    "unknown fields are forbidden": (dict(open_(a=TEXT)), dict(closed(a=TEXT))),
    "the values of a dictionary narrow": (
        {"type": "object", "additionalProperties": TEXT},
        {"type": "object", "additionalProperties": {**TEXT, "maxLength": 3}},
    ),
    "a keyword that nobody here can judge": (TEXT, {**TEXT, "contentEncoding": "base64"}),
}


@pytest.mark.parametrize("change", NARROWER)
def test_a_publisher_is_broken_by_what_narrows(change: str) -> None:
    old, new = NARROWER[change]
    assert incompatibilities(*one(old, new), INBOUND)


OTHER = ("a constant becomes another", "a type becomes another", "a pattern becomes another")


@pytest.mark.parametrize("change", [change for change in NARROWER if change not in OTHER])
def test_a_publisher_is_not_broken_by_what_widens(change: str) -> None:
    old, new = NARROWER[change]
    assert not incompatibilities(*one(new, old), INBOUND)


# What a service stops or begins to forbid changes nothing about what the service itself writes.
WRITTEN = {change: pair for change, pair in NARROWER.items() if "unknown fields" not in change}


@pytest.mark.parametrize("change", WRITTEN)
def test_a_readers_value_may_neither_narrow_nor_widen(change: str) -> None:
    old, new = WRITTEN[change]
    in_journal = incompatibilities(*one(old, new), OUTBOUND)
    assert [line for line in in_journal if line.endswith("(in an old journal)")]
    read = incompatibilities(*one(new, old), OUTBOUND)
    assert [line for line in read if line.endswith("(read by an old reader)")]


def test_a_publisher_may_be_offered_a_new_field() -> None:
    assert not incompatibilities(closed(a=TEXT), closed(a=TEXT, b=TEXT), INBOUND)


def test_a_publisher_cannot_be_asked_for_a_new_field() -> None:
    assert incompatibilities(closed(a=TEXT), closed(("b",), a=TEXT, b=TEXT), INBOUND) == [
        "/b: may be absent, and is required"
    ]


def test_a_publishers_field_cannot_vanish_for_an_unknown_one_is_refused() -> None:
    assert incompatibilities(closed(a=TEXT, b=TEXT), closed(a=TEXT), INBOUND) == [
        "/b: an unknown field is not taken"
    ]


def test_a_publishers_field_may_become_optional() -> None:
    assert not incompatibilities(closed(("a",), a=TEXT), closed(a=TEXT), INBOUND)


def test_a_reader_ignores_a_new_optional_field() -> None:
    assert not incompatibilities(open_(("a",), a=TEXT), open_(("a",), a=TEXT, b=TEXT), OUTBOUND)


def test_a_reader_who_forbids_unknown_fields_is_broken_by_a_new_one() -> None:
    assert incompatibilities(closed(a=TEXT), closed(a=TEXT, b=TEXT), OUTBOUND) == [
        "/b: an unknown field is not taken (read by an old reader)"
    ]


def test_a_new_required_field_cannot_be_found_in_an_old_journal() -> None:
    assert incompatibilities(open_(a=TEXT), open_(("b",), a=TEXT, b=TEXT), OUTBOUND) == [
        "/b: may be absent, and is required (in an old journal)"
    ]


@pytest.mark.parametrize("new", [open_(), open_(a=TEXT)], ids=["dropped", "optional"])
def test_a_reader_needs_a_required_field(new: Schema) -> None:
    assert incompatibilities(open_(("a",), a=TEXT), new, OUTBOUND) == [
        "/a: may be absent, and is required (read by an old reader)"
    ]


def test_an_optional_field_may_go_where_unknown_fields_are_ignored() -> None:
    assert not incompatibilities(open_(a=TEXT), open_(), OUTBOUND)


def test_a_service_may_begin_to_ignore_unknown_fields_of_a_part() -> None:
    assert not incompatibilities(closed(a=TEXT), open_(a=TEXT), OUTBOUND)


def test_a_new_member_of_an_enum_breaks_old_readers() -> None:
    old, new = one({"enum": ["a"]}, {"enum": ["a", "b"]})
    assert incompatibilities(old, new, OUTBOUND) == ["/x: 'b' is not read (read by an old reader)"]


@pytest.mark.parametrize("direction", Direction)
def test_what_an_absent_field_means_stays(direction: Direction) -> None:
    old, new = open_(x={**TEXT, "default": "a"}), open_(x={**TEXT, "default": "b"})
    assert "/x: what its absence means changes" in incompatibilities(old, new, direction)[0]


def test_a_part_with_a_default_may_grow() -> None:
    old = closed(place={**closed(a=TEXT), "default": {"a": None}})
    new = closed(place={**closed(a=TEXT, b=TEXT), "default": {"a": None, "b": None}})
    assert not incompatibilities(old, new, INBOUND)


def test_references_are_followed_each_in_its_own_schema() -> None:
    old: Schema = {**closed(x={"$ref": "#/$defs/A"}), "$defs": {"A": {**TEXT, "maxLength": 5}}}
    same: Schema = {**closed(x={"$ref": "#/$defs/B"}), "$defs": {"B": {**TEXT, "maxLength": 5}}}
    shorter: Schema = {**closed(x={"$ref": "#/$defs/A"}), "$defs": {"A": {**TEXT, "maxLength": 4}}}
    assert not incompatibilities(old, same, OUTBOUND)
    assert incompatibilities(old, shorter, INBOUND) == ["/x: maxLength 4 is narrower"]


def test_a_reference_to_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="points to nothing"):
        incompatibilities(closed(x={"$ref": "#/$defs/A"}), closed(x=TEXT), INBOUND)


def tree(leaf: JsonValue) -> Schema:
    """A schema that holds itself."""
    follows: JsonValue = {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}
    node = dict(closed(leaf=leaf, next=follows))
    return {"$ref": "#/$defs/Node", "$defs": {"Node": node}}


def test_a_schema_that_holds_itself_comes_to_an_end() -> None:
    assert not incompatibilities(tree(TEXT), tree(TEXT), OUTBOUND)
    assert incompatibilities(tree(TEXT), tree(NUMBER), INBOUND) == [
        "/leaf: string where integer is read",
        "/next/leaf: string where integer is read",
    ]


def sealed(*names: str) -> Schema:
    """A message with a sealed field, and what it holds."""
    field: JsonValue = {**TEXT, "x-sealed": "Account"}
    held: JsonValue = {**closed(), "properties": dict.fromkeys(names, TEXT)}
    return {**open_(("account",), account=field), "$defs": {"Account": held}}


def test_what_is_sealed_is_compared_too() -> None:
    assert incompatibilities(sealed("a"), sealed("a", "b"), OUTBOUND) == [
        "/account/(sealed)/b: an unknown field is not taken (read by an old reader)"
    ]


def test_a_field_cannot_become_sealed() -> None:
    assert incompatibilities(open_(("account",), account=TEXT), sealed("a"), OUTBOUND)


def test_prose_is_free() -> None:
    old, new = one({**TEXT, "title": "A", "description": "a"}, {**TEXT, "examples": ["b"]})
    assert not incompatibilities(old, new, OUTBOUND)
    assert not incompatibilities(old, new, INBOUND)


@pytest.mark.parametrize("direction", Direction)
def test_every_contract_is_compatible_with_itself(direction: Direction) -> None:
    for type_, schema in generated().items():
        assert not incompatibilities(schema, schema, direction), type_
