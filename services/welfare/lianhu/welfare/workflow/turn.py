"""One message being decided: what is known, and what happens because of it, as it adds up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import ValidationError

from lianhu.contracts.base import Internal
from lianhu.contracts.faults import Poison
from lianhu.contracts.money import PoolId
from lianhu.contracts.payments import (
    ClaimReleased,
    ClaimTaken,
    LedgerPosted,
)
from lianhu.eventing.rules import Decision, Message, State, Stream, case_stream
from lianhu.welfare.policy import Policy
from lianhu.welfare.programmes import Programme, of_terms
from lianhu.welfare.workflow.evolution import evolve
from lianhu.welfare.workflow.state import (
    Application,
    CaseState,
    ClaimState,
    EnvelopeState,
    PersonState,
    PoolState,
)
from lianhu.welfare.workflow.streams import (
    claim_stream,
    envelope_stream,
    person_stream,
    pool_stream,
)


class Turn:
    """States as the events so far have left them; a later step of one decision sees the earlier."""

    def __init__(
        self,
        message: Message,
        states: Mapping[Stream, State | None],
        now: datetime,
        policy: Policy,
    ) -> None:
        self.message = message
        self.now = now
        self.policy = policy
        self._states = dict(states)
        self._events: dict[Stream, list[Internal]] = {}

    def decision(self) -> Decision:
        """Everything that was written."""
        return self._events

    def write(self, stream: Stream, event: Internal) -> None:
        """Let something happen. Raises `Poison` for a stream that the message did not name."""
        if stream not in self._states:
            raise Poison("stream-not-touched")
        self._events.setdefault(stream, []).append(event)
        self._states[stream] = evolve(stream, self._states[stream], event, self.now)

    def tell(self, case: str, *events: Internal) -> None:
        """Let something happen in a case."""
        for event in events:
            self.write(case_stream(case), event)

    def post(self, pool: str, entries: Sequence[LedgerPosted]) -> None:
        """Enter into a pool's ledger."""
        for entry in entries:
            self.write(pool_stream(pool), entry)

    def take(self, claim: str, application: str) -> None:
        """Take a claim."""
        self.write(claim_stream(claim), ClaimTaken(application=application))

    def release(self, claim: str, application: str) -> None:
        """Give a claim back, where it is this application's."""
        if self.claimed(claim) == application:
            self.write(claim_stream(claim), ClaimReleased(application=application))

    def case(self, case: str) -> CaseState | None:
        """A case, if it is known."""
        found = self._states.get(case_stream(case))
        return found if isinstance(found, CaseState) else None

    def application(self, case: str, application: str) -> Application | None:
        """An application, if it is known."""
        found = self.case(case)
        return None if found is None else found.applications.get(application)

    def claimed(self, claim: str) -> str | None:
        """Whose a claim is."""
        found = self._states.get(claim_stream(claim))
        return found.application if isinstance(found, ClaimState) else None

    def cases_of(self, person: str) -> tuple[str, ...]:
        """The cases in which a person applied."""
        found = self._states.get(person_stream(person))
        return found.cases if isinstance(found, PersonState) else ()

    def pool(self, pool: PoolId) -> PoolState:
        """A pool; empty where nothing was paid in yet."""
        found = self._states.get(pool_stream(pool))
        return found if isinstance(found, PoolState) else PoolState(pool=pool)

    def envelope(self, envelope: str) -> EnvelopeState | None:
        """An envelope, if it was begun."""
        found = self._states.get(envelope_stream(envelope))
        return found if isinstance(found, EnvelopeState) else None

    def programme(self, one: Application) -> Programme:
        """What an application is of, as it stood when it was submitted.

        Raises `Poison` for terms that this release cannot read, and for an application of a
        release that kept none, when its programme was taken away since.
        """
        if one.terms is not None:
            try:
                return of_terms(one.terms)
            except ValidationError:
                raise Poison("terms-unreadable") from None
        found = self.policy.programmes.get(one.programme)
        if found is None:
            raise Poison("programme-gone")
        return found
