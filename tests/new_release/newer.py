"""The next release of mediation: an event that today's services do not know, and a state with more.

`tests/faults/inside/sitecustomize.py` puts it into a process of mediation whose replica is named in
the folder that the environment names; it is looked for once, at the start. Each time a case is
offered, accepted or climbs, it is weighed as well; the state knows how often.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

FOLDER = "LIANHU_NEW_RELEASE"
"""Environment variable: where the replicas' files lie."""
TYPE = "lianhu.mediation.case-weighed.v1"


def is_newer() -> bool:
    """Whether this process is a replica of the next release."""
    replica = f"mediation-{os.environ.get('LIANHU_MEDIATION_INSTANCE')}"
    return "lianhu.mediation" in sys.orig_argv and Path(os.environ[FOLDER], replica).exists()


def install() -> None:
    """Make this process one of the next release."""
    from lianhu.contracts.base import CaseId, Internal
    from lianhu.contracts.mediation import CaseAccepted, CaseEscalated, CaseOffered
    from lianhu.contracts.registry import Kind, contract
    from lianhu.eventing.rules import Rank, State, Stream
    from lianhu.mediation import app, workflow
    from lianhu.mediation.workflow.state import CaseState

    @contract(TYPE, Kind.EVENT, consumers=("welfare",))
    class CaseWeighed(Internal):
        """How heavy a case is now."""

        case: CaseId
        weight: int

    class Weighed(CaseState):
        """A case that knows how often it was weighed."""

        SHAPE: ClassVar[int] = CaseState.SHAPE + 1

        weighed: int = 0

    decides, evolves = workflow.decide, workflow.evolve

    def decide(message: Any, *rest: Any) -> Mapping[Stream, Any]:
        return {
            stream: [
                more
                for event in events
                for more in (
                    [event, CaseWeighed(case=stream.key, weight=len(events))]
                    if isinstance(event, CaseOffered | CaseAccepted | CaseEscalated)
                    else [event]
                )
            ]
            for stream, events in decides(message, *rest).items()
        }

    def evolve(stream: Stream, state: State | None, event: Internal, at: datetime) -> State | None:
        if isinstance(event, CaseWeighed):
            before = state.weighed if isinstance(state, Weighed) else 0
            return None if state is None else state.model_copy(update={"weighed": before + 1})
        after = evolves(stream, state, event, at)
        if after is None or isinstance(after, Weighed):
            return after
        return Weighed.model_construct(**dict(after))

    workflow.decide = decide  # type: ignore[assignment]
    workflow.evolve = evolve  # type: ignore[assignment]
    app.service = replace(app.service, states={Rank.CASE: Weighed})
