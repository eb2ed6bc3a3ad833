"""What can be wrong with a message: the one family of errors, each with a stable slug."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]


class Fault(BaseModel):
    """One thing that is wrong: where (a path such as `/place/division`) and what (a slug).

    It never holds the value: a fault is published, logged and counted.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    path: Annotated[str, StringConstraints(max_length=200)]
    slug: Slug


class LianhuError(Exception):
    """Base of every error of ours; `slug` is stable and safe to publish."""

    slug = "error"


class Transient(LianhuError):
    """Something outside is not there at the moment; trying again is right."""

    slug = "transient"


class Poison(LianhuError):
    """A message that this release cannot handle; it goes to the dead letters."""

    slug = "poison"

    def __init__(self, slug: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(slug)
        self.slug = slug
        self.faults = tuple(faults)


class Refused(LianhuError):
    """A rule said no. Its sender is answered by an event that names every fault."""

    slug = "refused"

    def __init__(self, *faults: Fault) -> None:
        super().__init__(", ".join(f"{fault.path} {fault.slug}" for fault in faults))
        self.faults = faults

    @classmethod
    def at(cls, path: str, slug: str) -> Refused:
        """A refusal with a single fault."""
        return cls(Fault(path=path, slug=slug))
