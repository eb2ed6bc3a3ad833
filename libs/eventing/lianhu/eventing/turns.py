"""What becomes of one delivery when its turn comes: handled, refused, parked, or known already."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_hex

import structlog

from lianhu.contracts.faults import Fault, Poison, Refused
from lianhu.eventing import parked
from lianhu.eventing.aggregates import Aggregate
from lianhu.eventing.clock import utc_now
from lianhu.eventing.delivery import Delivery, Origin, Outcome, Reason
from lianhu.eventing.errors import Incomplete, ShapeFromTheFuture
from lianhu.eventing.rules import Deadline, DeadlineReached, Message, Rank, Stream
from lianhu.eventing.work import Work

log = structlog.get_logger(__name__)

_LETTERS = (Reason.POISON, Reason.GAP, Reason.FORK, Reason.REFUSED)
"""Reasons that are reported on the dead-letters topic; the others pass by themselves."""
_HOLDING = (Reason.POISON, Reason.BEHIND, Reason.GAP, Reason.AWAITING)
"""Reasons that hold up what comes later in the same stream from the same source."""
_MANY = 16
"""Deadlines of one stream that fire in one transaction."""
_WAIT_ON = timedelta(seconds=5)
"""A command is looked at again so long after its time, while its case may still be unread."""
_PUT_OFF = timedelta(minutes=10)
"""A deadline that its rules fail to answer is looked at again after so long."""

Pair = tuple[str, str]
"""Stream and source of parked messages."""


class Turns:
    """Takes the deliveries of one batch in turn.

    `waiting`: first parked id of each pair before; `poisoned`: that of the first poison among them.
    """

    def __init__(
        self, work: Work, waiting: Mapping[Pair, int], poisoned: Mapping[Pair, int]
    ) -> None:
        self._work = work
        self._house = work.house
        self._waiting = waiting
        self._poisoned = poisoned
        self._held: set[Pair] = set()
        """Pairs of which this batch itself parked something."""
        self._spoilt: set[Pair] = set()
        """Pairs of which that was poison."""

    def one(self, delivery: Delivery) -> Outcome:
        """Its outcome. Raises `Incomplete` and `ShapeFromTheFuture`, nothing of a message's own."""
        if delivery.horizon is not None:
            return self._due(delivery, delivery.horizon)
        if delivery.poisoned is not None:
            return self._fail(delivery, delivery.poisoned)
        if delivery.public:
            return self._public(delivery)
        if delivery.origin is Origin.ENGINE:
            return self._try(delivery)
        return self._internal(delivery)

    def _internal(self, delivery: Delivery) -> Outcome:
        position, stream = delivery.sequence, delivery.stream
        if position is None or stream is None:
            return self._fail(delivery, "undecodable")
        found = self._work.aggregates[stream]
        epoch, number, hash_ = found.last_of(delivery.source)
        if position.number <= number and position.epoch <= epoch:
            if position.number == number and position.hash != hash_:
                return self._park(delivery, Reason.FORK)
            return Outcome.DUPLICATE
        if position.epoch < epoch:
            return self._park(delivery, Reason.FORK)
        if position.number > number + 1:
            behind = self._is_behind(delivery, found.name)
            return self._park(delivery, Reason.BEHIND if behind else Reason.GAP)
        if 0 < epoch < position.epoch and self._is_behind_poison(delivery, found.name):
            # the numbers of a higher epoch begin earlier: by them alone it would overtake it;
            # where nothing was handled yet the first of all comes again, and is known by its number
            return self._park(delivery, Reason.BEHIND)
        if delivery.wrapped is not None and found.wrapped is None and not found.erased:
            found.wrapped, found.new_key = delivery.wrapped, True
        if not delivery.relevant:
            outcome = Outcome.IGNORED
        elif delivery.message is None:
            return self._fail(delivery, "undecodable")
        else:
            outcome = self._try(delivery)
        if outcome is not Outcome.PARKED:
            found.note(delivery.source, position.epoch, position.number, position.hash)
            self._release(found, delivery.source)
        return outcome

    def _public(self, delivery: Delivery) -> Outcome:
        if delivery.message is None:
            return self._refuse(delivery, delivery.faults)
        first = delivery.touched[0] if delivery.touched else None
        about_case = delivery.command and first is not None and first.kind is Rank.CASE
        if about_case and first is not None and not self._work.failed_early(delivery):
            found = self._work.aggregates.get(first)
            if found is None or self._work.state(found) is None:
                if delivery.final:
                    return self._refuse(delivery, (Fault(path="/case", slug="unknown-case"),))
                first_wait = timedelta(seconds=self._house.settings.awaiting_seconds)
                wait = _WAIT_ON if delivery.was is Reason.AWAITING else first_wait
                return self._park(delivery, Reason.AWAITING, due=utc_now() + wait)
            if self._is_behind(delivery, found.name):
                return self._park(delivery, Reason.BEHIND)
        outcome = self._try(delivery)
        handled = self._work.aggregates.get(delivery.touched[0]) if delivery.touched else None
        if outcome is not Outcome.PARKED and handled is not None:
            self._release(handled, delivery.source)
        return outcome

    def _try(self, delivery: Delivery) -> Outcome:
        message, work = delivery.message, self._work
        if message is None:
            return self._fail(delivery, "undecodable")
        try:
            if early := work.failed_early(delivery):
                raise early
            work.decide(delivery, message)
        except Refused as refusal:
            work.done.failures.append(False)
            return self._refuse(delivery, refusal.faults)
        except Poison as poison:
            return self._fail(delivery, poison.slug, poison.faults)
        except (Incomplete, ShapeFromTheFuture):
            raise
        except Exception as error:
            log.error("message failed", type=message.type, exc_info=error, **delivery.ids_for_log())
            return self._fail(delivery, "unexpected-error")
        work.done.failures.append(False)
        return Outcome.HANDLED

    # deadlines

    def _due(self, delivery: Delivery, horizon: datetime) -> Outcome:
        work = self._work
        found = work.aggregates.get(delivery.touched[0])
        if found is None:
            return Outcome.IGNORED
        outcome = Outcome.IGNORED
        failed: set[Deadline] = set()
        try:
            if delivery.poisoned is not None:
                raise Poison(delivery.poisoned)
            for _ in range(_MANY):
                first = self._ripe(found, horizon, failed)
                if first is None:
                    break
                reached = self._reached(delivery, found, first)
                try:
                    work.decide(delivery, reached, answers=first)
                except Incomplete:
                    if outcome is not Outcome.HANDLED:
                        raise
                    break  # what is answered stands; this one stays due, and is first next time
                except ShapeFromTheFuture:
                    raise
                except Exception as error:  # noqa: BLE001 - told, and tried again
                    failed.add(first)  # the others do not wait for it
                    self._put_off(found, horizon, error, reached.id)
                    continue
                work.done.failures.append(False)
                work.done.fired.append(first.kind)
                outcome = Outcome.HANDLED
        except (Incomplete, ShapeFromTheFuture):
            raise
        except Exception as error:  # noqa: BLE001 - told, and tried again
            self._put_off(found, horizon, error)
            return outcome
        if failed:
            return outcome
        if outcome is Outcome.IGNORED and found.next_due is not None and found.next_due <= horizon:
            found.evolved = found.dirty = True  # the row says due, the state does not: set it right
        return outcome

    def _put_off(
        self, found: Aggregate, horizon: datetime, error: Exception, id_: str | None = None
    ) -> None:
        log.error("deadline failed", stream=found.name, message_id=id_, exc_info=error)
        self._work.done.failures.append(True)
        found.deferred = max(self._house.clock.now(), horizon) + _PUT_OFF
        found.dirty = True

    def _ripe(
        self, found: Aggregate, horizon: datetime, failed: Collection[Deadline]
    ) -> Deadline | None:
        state = self._work.state(found)
        waiting = () if state is None else self._house.workflow.deadlines(found.stream, state)
        ripe = [one for one in waiting if one.due <= horizon and one not in failed]
        return min(ripe, key=lambda deadline: (deadline.due, deadline.kind), default=None)

    def _reached(self, delivery: Delivery, found: Aggregate, deadline: Deadline) -> Message:
        return Message(
            id=f"{found.name}:{deadline.kind}:{deadline.due.isoformat()}",
            type="deadline",
            data=DeadlineReached(stream=found.name, kind=deadline.kind, due=deadline.due),
            time=self._house.clock.domain(delivery.at),
            source=self._house.name,
        )

    # what is not handled

    def _erased(self, delivery: Delivery) -> Aggregate | None:
        """The delivery's own stream, if its key was destroyed: nothing of it is kept any more."""
        first = delivery.stream or (delivery.touched[0] if delivery.touched else None)
        found = None if first is None else self._work.aggregates.get(first)
        return found if found is not None and found.erased else None

    def _let_go(self, delivery: Delivery, found: Aggregate, reason: Reason) -> Outcome:
        """What would be parked in an erased case: a publisher is answered, an event passed."""
        log.info("letter of an erased case let go", reason=reason.value, **delivery.ids_for_log())
        if delivery.public:
            return self._refuse(delivery, (Fault(path="/case", slug="case-erased"),))
        position = delivery.sequence
        if position is not None and reason is not Reason.FORK:
            found.note(delivery.source, position.epoch, position.number, position.hash)
            self._release(found, delivery.source)
        return Outcome.IGNORED

    def _refuse(self, delivery: Delivery, faults: Sequence[Fault]) -> Outcome:
        """Answer with every fault; the case's own stream takes note, if there is one."""
        work, model = self._work, self._house.refusal
        publisher = delivery.publisher
        owner = publisher.name if publisher is not None else delivery.source
        event = model(
            publisher=owner,
            message=delivery.named,
            position=delivery.position,
            type=delivery.type,
            faults=tuple(faults) or (Fault(path="", slug="refused"),),
        )
        found = work.aggregates.get(delivery.touched[0]) if delivery.touched else None
        if found is None or work.state(found) is None:
            key = sha256(f"{delivery.source}\n{delivery.identity}\n{token_hex(8)}".encode())
            found = work.fresh(Stream(Rank.SUBMISSION, f"{owner}-{key.hexdigest()[:24]}"))
        at = self._at(delivery)
        if found.at is not None and found.at > at:
            at = found.at
        row = work.row(
            found.name,
            found.version + 1,
            model.type_,
            at,
            event.model_dump_json(),
            found.head,
            delivery.message,
            delivery,
        )
        work.take(found, [row])
        self._keep(delivery, Reason.REFUSED, event.faults, None)
        return Outcome.REFUSED

    def _fail(self, delivery: Delivery, slug: str, faults: tuple[Fault, ...] = ()) -> Outcome:
        if delivery.origin is not Origin.PARKED and self._erased(delivery) is None:
            self._work.done.failures.append(True)
        if delivery.record is None:
            # made by the engine: its deadline makes it again
            log.warning("message of the engine failed", slug=slug, **delivery.ids_for_log())
            return Outcome.IGNORED
        told = faults or delivery.faults or (Fault(path="", slug=slug),)
        return self._park(delivery, Reason.POISON, told)

    def _park(
        self,
        delivery: Delivery,
        reason: Reason,
        faults: tuple[Fault, ...] = (),
        due: datetime | None = None,
    ) -> Outcome:
        if (found := self._erased(delivery)) is not None:
            return self._let_go(delivery, found, reason)
        self._keep(delivery, reason, faults, due)
        name = delivery.about
        if name is not None and reason in _HOLDING:
            self._held.add((name, delivery.source))
            if reason is Reason.POISON:
                self._spoilt.add((name, delivery.source))
        return Outcome.PARKED

    def _keep(
        self,
        delivery: Delivery,
        reason: Reason,
        faults: tuple[Fault, ...],
        due: datetime | None,
    ) -> None:
        if delivery.record is None:
            return
        if self._erased(delivery) is not None:
            # answered, and not kept: its body is under a key that is not the case's
            if delivery.parked is not None:
                self._work.changes.gone.append(delivery.parked)
            return
        letter = parked.Letter(token_hex(12), delivery, reason, faults, due)
        if delivery.parked is None:
            self._work.changes.new.append(letter)
        elif delivery.ripe or reason is not Reason.AWAITING or delivery.was is not Reason.AWAITING:
            self._work.changes.kept.append(letter)

    def report(self, written: Collection[str]) -> None:
        """Tell of the letters that were written, and of kept ones whose reason became one."""
        changes = self._work.changes
        new = [letter for letter in changes.new if letter.letter in written]
        self._work.done.letters += new
        self._work.done.letters += [letter for letter in changes.kept if _failed_again(letter)]
        kept = [letter for letter in changes.kept if letter.delivery.was not in _LETTERS]
        for letter in (*new, *kept):
            record = letter.delivery.record
            if letter.reason not in _LETTERS or record is None:
                continue
            event = self._house.letter(
                letter=letter.delivery.letter or letter.letter,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                stream=letter.delivery.about,
                reason=letter.reason,
                faults=letter.faults,
                due=letter.due,
            )
            found = self._work.fresh(Stream(Rank.LETTER, letter.letter))
            body, at = event.model_dump_json(), self._at(letter.delivery)
            row = self._work.row(found.name, 1, event.type_, at, body, None, None)
            self._work.take(found, [row])

    def _at(self, delivery: Delivery) -> datetime:
        return self._house.clock.domain(delivery.at)

    def _is_behind(self, delivery: Delivery, name: str) -> bool:
        pair = (name, delivery.source)
        if pair in self._held:
            return True
        first = self._waiting.get(pair)
        return first is not None and (delivery.parked is None or first < delivery.parked)

    def _is_behind_poison(self, delivery: Delivery, name: str) -> bool:
        pair = (name, delivery.source)
        first = self._poisoned.get(pair)
        earlier = first is not None and (delivery.parked is None or first < delivery.parked)
        return earlier or pair in self._spoilt

    def _release(self, found: Aggregate, source: str) -> None:
        """Something of this stream was handled: what waits behind it may be tried."""
        if not self._waiting and not self._held:
            return
        known = found.text is not None if not found.parsed else found.state is not None
        for pair in self._waiting.keys() | self._held:
            # a case that is known wakes the commands that waited for it, on whatever topic
            if pair[0] == found.name and (pair[1] == source or (known and "." in pair[1])):
                self._work.changes.released.add(pair)
                self._work.done.released = True


def _failed_again(letter: parked.Letter) -> bool:
    """Not what only waits on."""
    return letter.reason is not letter.delivery.was or letter.reason in (
        Reason.POISON,
        Reason.REFUSED,
    )
