"""What people write in YAML and a service reads at its start: typed, with every hole named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lianhu.contracts.base import DivisionCode, Line
from lianhu.contracts.registry import REGISTRY, Kind
from lianhu.contracts.vocabulary import PublisherKind
from lianhu.jurisdiction import Area, Divisions, Permissions

M = TypeVar("M", bound=BaseModel)


class Written(BaseModel):
    """A part of such a file; a word that nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AreaOfCasework(Written):
    """The city and the districts whose cases are handled here."""

    source: Line
    city: DivisionCode
    districts: Annotated[frozenset[DivisionCode], Field(min_length=1)]

    def among(self, divisions: Divisions) -> Area:
        """As units of this table. Raises ValueError, naming every fault."""
        return Area(divisions, self.districts, self.city)


def read(file: Path | Traversable, model: type[M], what: str) -> M:
    """A file as this model. Raises ValueError, with a sentence for every hole in `what` it is."""
    try:
        return model.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except yaml.YAMLError as fault:
        raise ValueError(f"{what} is not YAML: {fault}") from fault
    except ValidationError as fault:
        raise holes(what, sentences(fault)) from fault


def holes(what: str, found: Iterable[str]) -> ValueError:
    """The error that stops a start."""
    return ValueError(f"{what} has holes: {'; '.join(found)}")


def sentences(fault: ValidationError) -> list[str]:
    """What is wrong and where, a sentence each; of a word that is not in a list, which it was."""
    return [
        f"{'.'.join(str(part) for part in error['loc']) or 'the whole'}: {error['msg']}"
        + (f", not {error['input']!r}" if error["type"] == "enum" else "")
        for error in fault.errors(include_url=False)
    ]


def command_holes(service: str, permissions: Permissions) -> Iterator[str]:
    """Commands of officers to this service that nobody may give, and rows for none of them."""
    known = {
        contract.name
        for contract in REGISTRY.accepted_by(service)
        if contract.kind is Kind.COMMAND and PublisherKind.OFFICERS in contract.senders
    }
    for name in sorted(known - permissions.commands.keys()):
        yield f"nobody may give the command {name}: it has no row of permissions"
    for name in sorted(permissions.commands.keys() - known):
        yield f"the row of permissions {name} is for no command that officers give to {service}"


__all__ = ["AreaOfCasework", "Written", "command_holes", "holes", "read", "sentences"]
