"""JSON bytes to a model, or every fault of them by path and slug, never with the value."""

from __future__ import annotations

import re

from pydantic import ValidationError

from lianhu.contracts.base import Model
from lianhu.contracts.faults import Fault

MAX_FAULTS = 50
_FIELD = re.compile(r"[a-z_]{1,40}")


def decode(
    model: type[Model], data: bytes, *, tolerant: bool = False
) -> tuple[Model | None, tuple[Fault, ...]]:
    """The model, or None and at most `MAX_FAULTS` faults.

    Strict: what is taken is what the published JSON Schema allows, no `"yes"` for `true` and no
    number for a time. `tolerant` reads what another service wrote: fields that this release does
    not know are passed over at every depth.
    """
    try:
        if tolerant:
            return model.model_validate_json(data, strict=True, extra="ignore"), ()
        return model.model_validate_json(data, strict=True), ()
    except ValidationError as error:
        faults = []
        for found in error.errors(include_url=False, include_context=False, include_input=False):
            faults.append(Fault(path=_path(found["loc"]), slug=_slug(found["type"])))
            if len(faults) == MAX_FAULTS:
                break
        return None, tuple(faults)


def _path(location: tuple[int | str, ...]) -> str:
    parts = []
    for part in location:
        # a field's name comes from the sender when it is unknown, so only plain names are told
        parts.append(str(part) if isinstance(part, int) or _FIELD.fullmatch(part) else "?")
    return "".join(f"/{part}" for part in parts)[:200]


def _slug(kind: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-")
    return {"extra-forbidden": "unknown-field", "json-invalid": "invalid-json"}.get(slug, slug)
