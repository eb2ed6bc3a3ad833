"""What compatibility promises: reflexive, and what one schema took the next one takes."""

from __future__ import annotations

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lianhu.contracts.compat import Direction, Schema, incompatibilities

WORDS = st.text("ab", max_size=4)
NAMES = ("a", "b", "c")

texts = st.fixed_dictionaries(
    {"type": st.just("string")},
    optional={
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(0, 4),
        "pattern": st.sampled_from(["^a", "b$", "^[ab]*$"]),
        "enum": st.lists(WORDS, min_size=1, max_size=3, unique=True),
    },
)
numbers = st.fixed_dictionaries(
    {"type": st.sampled_from(["integer", "number"])},
    optional={"minimum": st.integers(-3, 3), "exclusiveMaximum": st.integers(-3, 3)},
)
leaves: st.SearchStrategy[dict[str, object]] = st.one_of(
    texts, numbers, st.just({"type": "null"}), st.just({})
)


def objects(parts: st.SearchStrategy[dict[str, object]]) -> st.SearchStrategy[dict[str, object]]:
    """Objects of up to three fields, open or closed."""
    return st.fixed_dictionaries(
        {
            "type": st.just("object"),
            "properties": st.dictionaries(st.sampled_from(NAMES), parts, max_size=3),
            "required": st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
        },
        optional={"additionalProperties": st.one_of(st.booleans(), leaves)},
    )


def arrays(parts: st.SearchStrategy[dict[str, object]]) -> st.SearchStrategy[dict[str, object]]:
    """Arrays of a part."""
    return st.fixed_dictionaries(
        {"type": st.just("array")}, optional={"items": parts, "maxItems": st.integers(0, 2)}
    )


def unions(parts: st.SearchStrategy[dict[str, object]]) -> st.SearchStrategy[dict[str, object]]:
    """Either of two parts."""
    return st.builds(lambda *of: {"anyOf": list(of)}, parts, parts)


schemas = st.recursive(
    leaves, lambda parts: st.one_of(objects(parts), arrays(parts), unions(parts)), max_leaves=5
)
values = st.recursive(
    st.one_of(WORDS, st.integers(-4, 4), st.just(0.5), st.none()),
    lambda parts: st.one_of(
        st.lists(parts, max_size=2),
        st.dictionaries(st.sampled_from((*NAMES, "z")), parts, max_size=3),
    ),
    max_leaves=5,
)


@given(schemas, st.sampled_from(Direction))
def test_a_schema_is_compatible_with_itself(schema: Schema, direction: Direction) -> None:
    assert incompatibilities(schema, schema, direction) == []


@given(st.data(), schemas)
def test_what_a_publisher_sent_is_still_taken(data: st.DataObject, old: Schema) -> None:
    # half of the new schemas are unions with the old one, so that many are compatible
    new = data.draw(st.one_of(schemas, st.builds(lambda each: {"anyOf": [each, old]}, schemas)))
    value = data.draw(values)
    assume(Draft202012Validator(old).is_valid(value))
    if not incompatibilities(old, new, Direction.INBOUND):
        Draft202012Validator(new).validate(value)


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(schemas, schemas, values)
def test_a_break_is_reported_where_a_value_shows_it(
    old: Schema, new: Schema, value: object
) -> None:
    assume(Draft202012Validator(old).is_valid(value))
    assume(not Draft202012Validator(new).is_valid(value))
    assert incompatibilities(old, new, Direction.INBOUND)
