"""The JSON Schema of every type: generated from the models, committed, compared.

What is committed under `libs/contracts/schemas` is what is published. A model may only move away
from it in ways that break nobody; anything else is a new major version, that is a new type.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias, get_args, get_origin

from pydantic import BaseModel, JsonValue
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from lianhu.contracts import REGISTRY, Contract
from lianhu.contracts.compat import Direction, Schema, incompatibilities
from lianhu.privacy import Sealed

FOLDER = Path(__file__).resolve().parents[2] / "schemas"
"""Where the committed files stand, in a checkout of the project."""

Schemas: TypeAlias = Mapping[str, Schema]
"""Schemas by message type."""


def schema_of(contract: Contract) -> dict[str, JsonValue]:
    """The JSON Schema (draft 2020-12) of one type; `$id` is the type.

    What a sealed field holds stands in `$defs` under the name in its `x-sealed`, for the reader
    who has the key.
    """
    mode: JsonSchemaMode = "validation"
    models = [contract.model, *sealed_models(contract.model)]
    refs, joint = models_json_schema([(model, mode) for model in models])
    definitions: dict[str, JsonValue] = dict(joint["$defs"])
    name = refs[contract.model, mode]["$ref"].rsplit("/", 1)[1]
    own = definitions.pop(name)
    if not isinstance(own, dict):
        raise TypeError(f"{contract.type} has no schema of its own")
    schema: dict[str, JsonValue] = {"$id": contract.type, **own}
    if definitions:
        schema["$defs"] = definitions
    return schema if contract.kind.public else _opened(schema)


def _opened(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """What a service writes may grow: its readers pass over fields they do not know."""
    return {
        name: _open_value(value)
        for name, value in schema.items()
        if not (name == "additionalProperties" and value is False)
    }


def _open_value(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return _opened(value)
    if isinstance(value, list):
        return [_open_value(each) for each in value]
    return value


def sealed_models(model: type[BaseModel]) -> tuple[type[BaseModel], ...]:
    """The models that the sealed fields of a model hold, at any depth, each once."""
    return tuple(dict.fromkeys(_sealed_in(model, set())))


def _sealed_in(annotation: object, seen: set[type]) -> Iterator[type[BaseModel]]:
    if get_origin(annotation) is Sealed:
        for held in get_args(annotation):
            if isinstance(held, type) and issubclass(held, BaseModel):
                yield held
    for part in get_args(annotation):
        yield from _sealed_in(part, seen)
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return
    if annotation not in seen:
        seen.add(annotation)
        for field in annotation.model_fields.values():
            yield from _sealed_in(field.annotation, seen)


def generated() -> dict[str, Schema]:
    """The schema of every registered type, from the models."""
    return {contract.type: schema_of(contract) for contract in REGISTRY}


def committed(folder: Path = FOLDER) -> dict[str, Schema]:
    """The published schemas, from their files. Raises FileNotFoundError without the folder."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of schemas at {folder}")
    return {
        file.stem: json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(folder.glob("*.json"))
    }


def text_of(schema: Schema) -> str:
    """A schema as it stands in its file: keys sorted, two spaces, one line at the end."""
    return json.dumps(schema, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def breaks(old: Schemas, new: Schemas) -> list[str]:
    """Why `new` may not take the place of what is published: types that vanished, and changes
    that break a publisher, a reader or a journal."""
    found = []
    for type_, schema in old.items():
        contract = REGISTRY.get(type_)
        if contract is None or type_ not in new:
            found.append(f"{type_}: published, and no model is left of it")
            continue
        direction = Direction.INBOUND if contract.kind.public else Direction.OUTBOUND
        found += [f"{type_} {why}" for why in incompatibilities(schema, new[type_], direction)]
    return found


def differences(old: Schemas, new: Schemas) -> list[str]:
    """Which types are not committed as they are generated."""
    missing = [f"{type_}: has no committed schema" for type_ in new if type_ not in old]
    changed = [
        f"{type_}: differs from its committed schema"
        for type_, schema in new.items()
        if type_ in old and text_of(old[type_]) != text_of(schema)
    ]
    return missing + changed


def write(folder: Path = FOLDER, unpublished: Iterable[str] = ()) -> list[str]:
    """Bring the committed files up to date; the types whose file changed.

    `unpublished` are patterns such as `lianhu.welfare.*` of types that nobody outside has seen
    yet: they may change in any way, and vanish. Raises ValueError with every reason, and writes
    nothing, when another type would break.
    """
    folder.mkdir(parents=True, exist_ok=True)
    patterns = tuple(unpublished)
    old, new = committed(folder), generated()
    bound = {
        type_: schema
        for type_, schema in old.items()
        if not any(fnmatchcase(type_, pattern) for pattern in patterns)
    }
    if reasons := breaks(bound, new):
        raise ValueError("\n".join(reasons))
    touched = []
    for type_, schema in new.items():
        if type_ not in old or text_of(old[type_]) != text_of(schema):
            (folder / f"{type_}.json").write_text(text_of(schema), encoding="utf-8")
            touched.append(type_)
    for type_ in old.keys() - new.keys():
        (folder / f"{type_}.json").unlink()
        touched.append(type_)
    return sorted(touched)
