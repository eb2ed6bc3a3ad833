"""A unit's digest: what waits for it, and how it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lianhu.contracts.base import Internal
from lianhu.contracts.notify import DigestAdded, NoticeStep
from lianhu.contracts.vocabulary import AudienceRole
from lianhu.eventing.rules import Stream
from lianhu.notify.policy import Policy
from lianhu.notify.state import DigestState
from lianhu.notify.workflow.notices import handed, notice_id


def on_leaving(
    stream: Stream, state: DigestState, now: datetime, policy: Policy
) -> Sequence[Internal]:
    """One notice by each channel, with the numbers of the cases."""
    if state.left or not state.count:
        return ()
    known = policy.divisions.get(state.unit)
    named = state.cases[: policy.digest.most]
    more = len(state.cases) - len(named) + state.further
    facts = {
        "unit_name": state.unit if known is None else known.name,
        "day": stream.key.partition("-")[2],
        "cases": ",".join(named),
        "count": str(state.count),
        "more": str(more) if more else "",
    }
    needs = policy.templates.needs(policy.digest.template)
    return [
        event
        for channel in policy.digest.channels
        for event in handed(
            NoticeStep(
                notice=notice_id(str(stream), AudienceRole.OWNING_UNIT, state.unit, channel),
                about=str(stream),
                about_type=DigestAdded.type_,
                role=AudienceRole.OWNING_UNIT,
                unit=state.unit,
                channel=channel,
                template=policy.digest.template,
                params={name: value for name, value in facts.items() if name in needs},
            ),
            1,
            channel,
            now,
            policy,
        )
    ]
