"""What notify publishes: who was told, by which channel, and how each notice ended."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from lianhu.contracts.base import CaseId, DivisionCode, Instant, Internal
from lianhu.contracts.engine import (
    ErasureAnswered,
    KeysErased,
    KeysRestricted,
    LetterParked,
    MessageRefused,
    PersonRef,
)
from lianhu.contracts.faults import Slug
from lianhu.contracts.parts import CardRef
from lianhu.contracts.registry import Kind, contract
from lianhu.contracts.vocabulary import AudienceRole, NoticeChannel, PublisherKind

NoticeId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class NoticeEvent(Internal):
    """What every event about a notice says: the case, the notice, and the event it tells of.

    The notice's id follows from the event and from whom it is for: a unit by a channel, or a
    person by whichever way is safe. So the same thing is told once.
    """

    case: CaseId | None = None
    """None: about no single case, but an envelope or a digest."""
    notice: NoticeId
    about: str
    """The id of the event that is told; the stream of a digest; the notice that a visit is for."""
    about_type: str
    role: AudienceRole
    unit: DivisionCode | None = None
    person: PersonRef | None = None
    """To whom, where the audience is a person."""
    channel: NoticeChannel | None = None
    """None: a person's, before it is known which way is safe."""


class NoticeStep(NoticeEvent):
    """A notice on its way, with all that its further steps need."""

    template: str
    params: dict[str, str]
    visit: DivisionCode | None = None
    """The unit that is asked to go in person where nothing reaches this person."""
    begun: Instant | None = None
    """When that happened of which it tells: for a report's case, when the report came in."""
    urgent: bool = False
    """Red risk: a duty officer hears of it in the quiet hours too."""
    tried: tuple[NoticeChannel, ...] = ()
    """Channels by which it surely did not get through."""


@contract("lianhu.notify.contact-noted.v1", Kind.EVENT, consumers=())
class ContactNoted(Internal):
    """What notify must keep in mind whenever it tells people of this case 联系须知."""

    case: CaseId
    role: AudienceRole | None = None
    """Whose `card` or `withheld` this is; None: only `neutral` changed."""
    card: CardRef | None = None
    """A card that is newer than what was known of this person."""
    withheld: Slug | None = None
    """Why this role is told nothing until a newer card comes."""
    neutral: bool = False
    """The case is on the protection path: neutral words, and none to the other party."""


@contract("lianhu.notify.way-sought.v1", Kind.EVENT, consumers=())
class WaySought(NoticeStep):
    """The person's card is opened to find by which channel, and when, they may be told now."""

    look: Annotated[int, Field(ge=1)]
    """The number of this look, so that an answer that comes late is not taken for another's."""
    vain: Annotated[int, Field(ge=0)] = 0
    """How often in a row before it was tried to open the card, in vain."""
    card: CardRef
    answer_by: Instant
    """When it is tried again."""


@contract("lianhu.notify.notice-attempted.v1", Kind.EVENT, consumers=())
class NoticeAttempted(NoticeStep):
    """Attempt `attempt` starts after this row is committed; its outcome is another event.

    On a unit's screen it stands with this row, and its delivery follows at once.
    """

    attempt: Annotated[int, Field(ge=1)]
    card: CardRef | None = None
    answer_by: Instant
    """When the outcome is given up as unknown."""


@contract("lianhu.notify.notice-deferred.v1", Kind.EVENT, consumers=())
class NoticeDeferred(NoticeEvent):
    """The attempt surely had no effect; another follows at `retry_at`."""

    attempt: int
    reason: Slug
    retry_at: Instant


@contract("lianhu.notify.notice-waiting.v1", Kind.EVENT, consumers=())
class NoticeWaiting(NoticeStep):
    """It is not sent yet: the person's hours, or the quiet hours 免打扰时段."""

    reason: Slug
    """`outside-hours`, `quiet-hours`; `card-not-read`: the database did not answer."""
    until: Instant
    vain: Annotated[int, Field(ge=0)] = 0
    """How often in a row it was tried to open the card, in vain."""


@contract("lianhu.notify.notice-bundled.v1", Kind.EVENT, consumers=())
class NoticeBundled(NoticeEvent):
    """It goes with the unit's digest; how that ended stands in the digest's own stream."""

    digest: str
    """The stream, `digest/{unit}-{day}`; the day is that on which it leaves."""


@contract("lianhu.notify.digest-added.v1", Kind.EVENT, consumers=())
class DigestAdded(Internal):
    """A case was added to what a unit hears together 汇总提醒 on the next working morning."""

    unit: DivisionCode
    case: CaseId | None
    about: str
    about_type: str
    leaves_at: Instant


@contract("lianhu.notify.visit-asked.v1", Kind.EVENT, consumers=())
class VisitAsked(Internal):
    """A person cannot be told safely: an officer is asked to make contact in person 上门联系."""

    case: CaseId
    about: str
    about_type: str
    notice: NoticeId
    """The notice that did not reach the person."""
    person: PersonRef | None
    reason: Slug
    """Why there was no other way."""
    unit: DivisionCode


@contract("lianhu.notify.notice-delivered.v1", Kind.EVENT, consumers=())
class NoticeDelivered(NoticeEvent):
    """The channel took the notice 已送达.

    On a unit's screen this bears the time of what is told, like all that a decision says; it stood
    there when the row was committed.
    """

    attempt: int


@contract("lianhu.notify.notice-failed.v1", Kind.EVENT, consumers=())
class NoticeFailed(NoticeEvent):
    """Every way said no as often as the policy allows 发送失败."""

    attempt: int
    reason: Slug


@contract("lianhu.notify.notice-suppressed.v1", Kind.EVENT, consumers=())
class NoticeSuppressed(NoticeEvent):
    """Nothing was sent, and why 未发送."""

    reason: Slug


@contract("lianhu.notify.notice-uncertain.v1", Kind.EVENT, consumers=())
class NoticeUncertain(NoticeEvent):
    """Nobody knows whether a channel that may double took the notice 结果不明; a person looks."""

    attempt: int


@contract("lianhu.notify.erasure-answered.v1", Kind.EVENT, consumers=("intake",))
class NotifyErasureAnswered(ErasureAnswered):
    """Notify says whether a retention duty of its own forbids the erasure of a case."""


@contract("lianhu.notify.keys-erased.v1", Kind.EVENT, consumers=("intake",))
class NotifyKeysErased(KeysErased):
    """Notify destroyed its key of the case."""


@contract("lianhu.notify.keys-restricted.v1", Kind.EVENT, consumers=())
class NotifyKeysRestricted(KeysRestricted):
    """Notify keeps its key of the case and opens nothing with it."""


@contract(
    "lianhu.notify.message-refused.v1", Kind.EVENT, consumers=(), answers=tuple(PublisherKind)
)
class NotifyRefused(MessageRefused):
    """A message that notify cannot take."""


@contract("lianhu.notify.letter-parked.v1", Kind.LETTER, consumers=())
class NotifyLetterParked(LetterParked):
    """Notify parked a message."""
