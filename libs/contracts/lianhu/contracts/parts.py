"""Parts that several messages are made of: people, places, officers, audiences, due dates."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from lianhu.contracts.base import DivisionCode, Instant, Internal, Line, Name, Prose, Public, Ref
from lianhu.contracts.engine import PersonRef
from lianhu.contracts.faults import Slug
from lianhu.contracts.vocabulary import AudienceRole, Holder, Language, NoticeChannel, Relation
from lianhu.jurisdiction import Post
from lianhu.privacy import Sealed

Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 -]{4,24}$")]
Email = Annotated[
    str, StringConstraints(pattern=r"^[^@\s]{1,64}@[A-Za-z0-9.-]{1,253}$", max_length=254)
]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""A time of day in Shanghai, e.g. `08:30`."""


class IdentityDocument(Public):
    """An identity document 证件: its kind and number."""

    kind: Annotated[str, StringConstraints(pattern=r"^[a-z-]{2,40}$")] = "resident-id"
    number: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9()/-]{4,40}$")]


class Person(Public):
    """Somebody a report speaks of; each field may be unknown."""

    name: Name | None = None
    phone: Phone | None = None
    email: Email | None = None
    document: IdentityDocument | None = None
    born: Annotated[
        str, StringConstraints(pattern=r"^(19|20)[0-9]{2}(-[01][0-9](-[0-3][0-9])?)?$")
    ] | (None) = None
    address: Line | None = None


class Reporter(Person):
    """Who told us 报告人; may be anonymous."""

    anonymous: bool = False
    relation: Relation = Relation.UNKNOWN


class Place(Public):
    """Where it happened or the person lives: a division code, a free address, or neither.

    The code is checked against the table by intake, which answers `malformed-division`,
    `unknown-division` or `outside-area`; here it is any short text.
    """

    division: Annotated[str, StringConstraints(max_length=40)] | None = None
    address: Line | None = None


class Indicators(Public):
    """Structured yes or no questions 风险指标; `None` means nobody asked."""

    physical_violence: bool | None = None  # 身体暴力
    injury: bool | None = None  # 受伤
    weapon: bool | None = None  # 凶器
    threat_to_kill: bool | None = None  # 死亡威胁
    strangulation: bool | None = None  # 掐颈
    coercion: bool | None = None  # 胁迫
    sexual_offence: bool | None = None  # 性侵害
    child_present: bool | None = None  # 儿童在场
    minor_victim: bool | None = None  # 未成年人受害
    pregnancy: bool | None = None  # 怀孕
    prior_police_call: bool | None = None  # 曾报警
    order_in_force: bool | None = None  # 人身安全保护令或告诫书有效
    with_police_or_court: bool | None = None  # 公安或法院已受理
    guardian_suspected: bool | None = None  # 监护人涉嫌
    self_harm: bool | None = None  # 自伤自杀倾向
    unpaid_wages: bool | None = None  # 拖欠工资


class Hours(Public):
    """From when to when, in Shanghai; over midnight where the end is not after the beginning."""

    start: Clock
    end: Clock


class SafeContact(Public):
    """How the person may be reached without danger 安全联系方式.

    `allowed` None: nothing was said, so every channel that is not in `never`; empty: none.
    """

    allowed: tuple[NoticeChannel, ...] | None = Field(default=None, max_length=10)
    never: tuple[NoticeChannel, ...] = Field(default=(), max_length=10)
    hours: Hours | None = None
    language: Language = Language.ZH_CN
    note: Line | None = None
    """For the officer, e.g. 请勿在电话中提及妇联."""


class Tag(Public):
    """A dated tag 标签 such as poverty, disability, migrant, single parent, left behind."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z]+(-[a-z]+)*$", max_length=60)]
    since: (
        Annotated[str, StringConstraints(pattern=r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$")] | None
    ) = None


class Officer(Public):
    """Who gives a command: the person's reference in the officers' system, post and unit.

    The reference is not a name.
    """

    officer: Ref
    post: Post
    unit: DivisionCode


class DueAt(Internal):
    """When a deadline ends. `provisional`: the year's working days were not announced yet."""

    at: Instant
    provisional: bool = False


class ContactCard(Internal):
    """By which ways a person may be told, and when 联系卡. Made by intake, sealed, never shown."""

    holder: Holder = Holder.SELF
    name: Name | None = None
    phone: Phone | None = None
    email: Email | None = None
    channels: tuple[NoticeChannel, ...] = ()
    """What is safe and can be reached, the preferred first; empty: nothing is."""
    hours: Hours | None = None
    language: Language = Language.ZH_CN


class CardRef(Internal):
    """A sealed contact card with its version; a higher version replaces a lower one."""

    person: PersonRef
    """Whose: the same thing is told to the same person once."""
    version: Annotated[int, Field(ge=1)]
    card: Sealed[ContactCard]


class Audience(Internal):
    """One who is to hear of an event. A person without a contact card is told nothing."""

    role: AudienceRole
    unit: DivisionCode | None = None
    card: CardRef | None = None
    neutral: bool = False
    """Neutral words only: nothing that says what it is about 中性措辞."""
    withheld: Slug | None = None
    """Why this person must not be told, whatever the rules say, e.g. `guardian-is-suspect`."""


class Account(Public):
    """Everything a report says about people and the matter, sealed as one from intake onwards."""

    narrative: Prose
    reporter: Reporter | None = None
    concerned: Person | None = None
    other_party: Person | None = None
    address: Line | None = None
    wish: Prose | None = None
    safe_contact: SafeContact | None = None
