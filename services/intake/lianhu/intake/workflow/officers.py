"""Whether an officer may give a command to intake: the post, the unit, and the system they use."""

from __future__ import annotations

from collections.abc import Iterator

from lianhu.contracts.faults import Fault
from lianhu.contracts.parts import Officer
from lianhu.contracts.publishers import Publisher
from lianhu.intake.policy import Policy
from lianhu.intake.state import CaseState
from lianhu.jurisdiction import Denial, DenialSlug, Post, may


def authority(
    command: str, by: Officer, case: CaseState, publisher: Publisher | None, policy: Policy
) -> Iterator[Fault]:
    """Every fault; a wrong unit is told beside a wrong post."""
    denied = _denied(command, by.post, by, case, policy)
    if denied is not None and denied.slug is DenialSlug.POST_MAY_NOT:
        yield Fault(path="/by/post", slug=denied.slug)
        allowed = next(iter(policy.permissions.commands[command]))
        denied = _denied(command, allowed, by, case, policy)
    if denied is not None:
        yield Fault(path="/by/unit", slug=denied.slug)
    divisions = policy.area.divisions
    if publisher is None or (
        by.unit in divisions
        and by.unit != publisher.unit
        and not divisions.is_above(publisher.unit, by.unit)
    ):
        yield Fault(path="/by/unit", slug="unit-not-of-publisher")


def _denied(
    command: str, post: Post, by: Officer, case: CaseState, policy: Policy
) -> Denial | None:
    return may(
        policy.permissions,
        policy.area.divisions,
        post=post,
        acting_unit=by.unit,
        command=command,
        owning_unit=case.owner,
    )
