"""Why an officer's command about an application cannot be carried out, whatever it wants."""

from __future__ import annotations

from collections.abc import Iterator

from lianhu.contracts import REGISTRY
from lianhu.contracts.faults import Fault
from lianhu.contracts.welfare import WelfareCommand
from lianhu.jurisdiction import objections
from lianhu.welfare.workflow.state import Application, CaseState, Status
from lianhu.welfare.workflow.turn import Turn

_NAMES = {contract.model: contract.name for contract in REGISTRY.accepted_by("welfare")}


def authority(turn: Turn, command: WelfareCommand, owning_unit: str) -> list[Fault]:
    """Whether this post may do it for this unit, and this system speak for the acting unit."""
    publisher = turn.message.publisher
    return [
        Fault(path=f"/by/{field}", slug=slug)
        for field, slug in objections(
            turn.policy.permissions,
            turn.policy.area.divisions,
            post=command.by.post,
            acting_unit=command.by.unit,
            command=_NAMES[type(command)],
            owning_unit=owning_unit,
            system_unit=None if publisher is None else publisher.unit,
        )
    ]


def standing(turn: Turn, case: CaseState, *, begins: bool = False) -> Iterator[Fault]:
    """What of the case stands against it. `begins`: something new is to begin in it."""
    if case.erased:
        yield Fault(path="/case", slug="case-erased")
    elif case.erasing:
        yield Fault(path="/case", slug="erasure-asked")
    elif case.restricted_until is not None and turn.now < case.restricted_until:
        yield Fault(path="/case", slug="case-restricted")
    elif begins and not case.open:
        yield Fault(path="/case", slug="case-closed")


def untimely(one: Application) -> Fault:
    """Why it is not the time for it, by where the application stands."""
    slug = {
        Status.SIGNING: "not-approved",
        Status.NOTICE: "public-notice-running",
        Status.RETURNED: "awaiting-correction",
        Status.APPROVED: "already-approved",
        Status.BOUNCED: "awaiting-correction",
        Status.ENDED: "already-ended",
    }[one.status]
    return Fault(path="/application", slug=slug)
