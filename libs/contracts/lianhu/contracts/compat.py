"""Whether a changed JSON Schema still fits everybody who speaks or reads the old one.

Pure functions over schemas as pydantic writes them. All rests on one relation: does a *reader*
with one schema take whatever a *writer* with another may write? What cannot be judged (a keyword
that is new here) counts as a break: better asked once too often.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from math import inf
from typing import TypeAlias

from pydantic import JsonValue

Schema: TypeAlias = Mapping[str, JsonValue]

_LOWER = ("minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum")
_UPPER = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")
_PROSE = frozenset(("title", "description", "examples", "deprecated", "discriminator", "$id"))
_JUDGED = frozenset(
    (
        *("type", "enum", "const", "anyOf", "oneOf", "items", "x-sealed", "default"),
        *("properties", "required", "additionalProperties", "$defs", *_LOWER, *_UPPER),
    )
)


class Direction(StrEnum):
    """Who writes a type and who reads it."""

    INBOUND = "inbound"
    """Publishers outside write, the service reads: what was taken must be taken."""
    OUTBOUND = "outbound"
    """The service writes. Readers of the old schema must understand what is written, and the
    service itself must understand the rows of its journal that were written by the old one."""


def incompatibilities(old: Schema, new: Schema, direction: Direction) -> list[str]:
    """What would break if `new` took the place of `old`: one line each, empty when nothing does.

    A line is a path in the message and a reason, such as `/place/division: longer than 20 …`.
    """
    if direction is Direction.INBOUND:
        return list(_Relation(reader=new, writer=old, open_writer=True).breaks())
    forward = _Relation(reader=old, writer=new, open_writer=False).breaks()
    backward = _Relation(reader=new, writer=old, open_writer=False).breaks()
    return [f"{found} (read by an old reader)" for found in forward] + [
        f"{found} (in an old journal)" for found in backward
    ]


class _Relation:
    """A reader's schema against a writer's.

    `open_writer`: where the writer's schema leaves fields open, it may well send some. A service
    writes only the fields that its schema names, so for it this is False.
    """

    def __init__(self, *, reader: Schema, writer: Schema, open_writer: bool) -> None:
        self._reader = reader
        self._writer = writer
        self._open_writer = open_writer
        self._under_way: set[tuple[int, int]] = set()

    def breaks(self) -> Iterator[str]:
        """Each reason once, in the order of the writer's schema."""
        return iter(dict.fromkeys(self._compare(dict(self._reader), dict(self._writer), "")))

    def _compare(self, reader: JsonValue, writer: JsonValue, path: str) -> Iterator[str]:
        if reader is True or writer is False or reader == {}:
            return
        if not isinstance(reader, dict) or not isinstance(writer, dict):
            if reader != writer:
                yield f"{path or '/'}: not every value is taken"
            return
        pair = (id(reader), id(writer))  # the places in the two trees, not their content
        if pair in self._under_way:  # a type that holds itself
            return
        self._under_way.add(pair)
        yield from self._variants(
            _resolved(reader, self._reader), _resolved(writer, self._writer), path
        )
        self._under_way.discard(pair)

    def _variants(self, reader: Schema, writer: Schema, path: str) -> Iterator[str]:
        readers = list(_flat(reader, self._reader))
        for wrote in _flat(writer, self._writer):
            found: list[str] = []
            for reads in sorted(readers, key=lambda each: each.get("type") != wrote.get("type")):
                reasons = list(self._single(reads, wrote, path))
                if not reasons:
                    found = []
                    break
                found = found or reasons  # of the variant that is nearest: the same type
            yield from found

    def _single(self, reader: Schema, writer: Schema, path: str) -> Iterator[str]:
        where = path or "/"
        read, wrote = reader.get("type"), writer.get("type")
        if read is not None and read != wrote and (read, wrote) != ("number", "integer"):
            yield f"{where}: {wrote or 'any type'} where {read} is read"
            return
        yield from (f"{where}: {reason}" for reason in _value(reader, writer))
        yield from self._sealed(reader, writer, path)
        if "items" in reader:
            yield from self._compare(reader["items"], writer.get("items", True), f"{path}/*")
        yield from self._object(reader, writer, path)

    def _sealed(self, reader: Schema, writer: Schema, path: str) -> Iterator[str]:
        """What a sealed field holds is compared too; its schema stands in `$defs` by its name."""
        before, after = reader.get("x-sealed"), writer.get("x-sealed")
        if before != after:
            yield f"{path or '/'}: sealed {after} where sealed {before} is read"
        elif isinstance(before, str):
            ref: dict[str, JsonValue] = {"$ref": f"#/$defs/{before}"}
            if _known(ref, self._reader) and _known(ref, self._writer):
                yield from self._compare(ref, ref, f"{path}/(sealed)")

    def _object(self, reader: Schema, writer: Schema, path: str) -> Iterator[str]:
        written, read = _fields(writer), _fields(reader)
        for name in sorted(_names(reader) - _names(writer)):
            yield f"{path}/{name}: may be absent, and is required"
        others = reader.get("additionalProperties", True)
        for name, schema in written.items():
            if name in read:
                yield from self._compare(read[name], schema, f"{path}/{name}")
                yield from _default(read[name], schema, f"{path}/{name}")
            elif others is False:
                yield f"{path}/{name}: an unknown field is not taken"
            else:
                yield from self._compare(others, schema, f"{path}/{name}")
        loose = writer.get("additionalProperties", writer.get("type") == "object")
        if isinstance(loose, dict) or (loose is True and self._open_writer):
            yield from self._compare(others, loose, f"{path}/*")
            for name, schema in read.items():
                if name not in written:
                    yield from self._compare(schema, loose, f"{path}/{name}")


def _value(reader: Schema, writer: Schema) -> Iterator[str]:
    """What the keywords about a single value say."""
    if (taken := _members(reader)) is not None:
        members = _members(writer)
        if members is None:
            yield "any value where only a list is read"
        else:
            yield from (f"{member!r} is not read" for member in members if member not in taken)
    for keyword in _LOWER:
        if keyword in reader and _number(writer, keyword, -inf) < _number(reader, keyword, -inf):
            yield f"{keyword} {reader[keyword]} is narrower"
    for keyword in _UPPER:
        if keyword in reader and _number(writer, keyword, inf) > _number(reader, keyword, inf):
            yield f"{keyword} {reader[keyword]} is narrower"
    for keyword, content in reader.items():
        if keyword not in _JUDGED | _PROSE and writer.get(keyword) != content:
            yield f"{keyword} is another"


def _default(reader: JsonValue, writer: JsonValue, path: str) -> Iterator[str]:
    """A message that leaves a field out must go on meaning the same."""
    if not (isinstance(reader, dict) and isinstance(writer, dict)):
        return
    both = "default" in reader and "default" in writer
    if both and not _alike(reader["default"], writer["default"]):
        yield f"{path}: what its absence means changes"


def _alike(one: JsonValue, other: JsonValue) -> bool:
    """Equal, but for fields that only one of them has: those have a default of their own."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_alike(one[name], other[name]) for name in one.keys() & other.keys())
    return one == other


def _flat(schema: Schema, root: Schema) -> Iterator[Schema]:
    """The variants of a schema: those of `anyOf` and `oneOf`, and one for each of several types."""
    for keyword in ("anyOf", "oneOf"):
        variants = schema.get(keyword)
        if isinstance(variants, list):
            rest = {key: content for key, content in schema.items() if key != keyword}
            for variant in variants:
                if isinstance(variant, dict):
                    yield from _flat({**rest, **_resolved(variant, root)}, root)
            return
    types = schema.get("type")
    if isinstance(types, list):
        yield from ({**schema, "type": each} for each in types)
    else:
        yield schema


def _resolved(schema: Schema, root: Schema) -> Schema:
    """Without `$ref`: what it points to, with what stands beside it."""
    while "$ref" in schema:
        beside = {key: content for key, content in schema.items() if key != "$ref"}
        schema = {**_target(str(schema["$ref"]), root), **beside}
    return schema


def _target(ref: str, root: Schema) -> Schema:
    found: JsonValue = dict(root)
    for part in ref.removeprefix("#").strip("/").split("/"):
        found = found.get(part) if isinstance(found, dict) and part else found
    if not ref.startswith("#") or not isinstance(found, dict):
        raise ValueError(f"{ref} points to nothing in its schema")
    return found


def _known(schema: Schema, root: Schema) -> bool:
    try:
        _resolved(schema, root)
    except ValueError:
        return False
    return True


def _members(schema: Schema) -> list[JsonValue] | None:
    if "const" in schema:
        return [schema["const"]]
    members = schema.get("enum")
    return members if isinstance(members, list) else None


def _number(schema: Schema, keyword: str, otherwise: float) -> float:
    content = schema.get(keyword)
    return content if isinstance(content, int | float) else otherwise


def _fields(schema: Schema) -> dict[str, JsonValue]:
    fields = schema.get("properties")
    return fields if isinstance(fields, dict) else {}


def _names(schema: Schema) -> set[str]:
    names = schema.get("required")
    return {str(name) for name in names} if isinstance(names, list) else set()
