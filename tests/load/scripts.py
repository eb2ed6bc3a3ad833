"""What a case goes through in a measurement: a report, and commands in their order.

Bodies are made once, with marks where a case's own values go: the driver shares its machine with
what it measures, and putting a value into bytes costs less than writing JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from lianhu.contracts.vocabulary import Party, VisitStep
from lianhu.jurisdiction import Divisions, Level, Post
from tests.demo.chain import CITY, DISTRICT, STREET
from tests.faults.stories import document

PLACES: tuple[bytes, ...] = tuple(
    unit.code.encode()
    for unit in Divisions.shenzhen().descendants(STREET)
    if unit.level is Level.COMMUNITY
)
"""The communities that reports speak of, in turns."""

_CASE, _UNIT, _NUMBER, _DOCUMENT = b"<case>", b"<unit>", b"<number>", b"<document>"


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and what answers it."""

    service: str
    name: str
    post: Post
    more: Mapping[str, object] = field(default_factory=dict)
    unit: str = _UNIT.decode()
    """Of the officer; without one the community that owns the case."""
    body: bytes = field(init=False)

    def __post_init__(self) -> None:
        by = {"officer": f"officer-{self.post}-{self.unit}", "post": self.post, "unit": self.unit}
        whole = {"case": _CASE.decode(), "by": by, **self.more}
        object.__setattr__(self, "body", _dumped(whole))

    @property
    def type(self) -> bytes:
        """The type of its message."""
        return f"lianhu.{self.service}.{self.name}.v1".encode()


@dataclass(frozen=True)
class Script:
    """A life: one report, then each command once the one before is answered.

    The first command follows the offer's notice to the unit. The life is over when the last one
    is answered, its case is closed where `closes`, and every one of `notices` has ended.
    """

    name: str
    report: bytes
    steps: tuple[Step, ...]
    notices: Counter[str]
    """How many notices end, by the short type of what they tell."""
    closes: bool = True

    def reported(self, number: int) -> bytes:
        """The report of a life; its person is like no other."""
        said = self.report.replace(_UNIT, PLACES[number % len(PLACES)])
        return said.replace(_NUMBER, b"%d" % number).replace(_DOCUMENT, document(number).encode())


def filled(body: bytes, case: bytes, number: int) -> bytes:
    """A command's body for the case of a life."""
    said = body.replace(_CASE, case).replace(_UNIT, PLACES[number % len(PLACES)])
    return said.replace(_NUMBER, b"%d" % number).replace(_DOCUMENT, document(number).encode())


def _dumped(whole: Mapping[str, object]) -> bytes:
    return json.dumps(whole, ensure_ascii=False).encode()


def _mediation(name: str, post: Post, **more: object) -> Step:
    return Step("mediation", name, post, more)


def _signed(unit: str) -> Step:
    said = {"application": f"{_CASE.decode()}-a1", "verdict": "approve"}
    return Step("welfare", "sign-application", Post.REVIEWER, said, unit)


_REPORT = _dumped(
    {
        "channel": "hotline-12338",
        "narrative": "来电人称与丈夫因家务分工和孩子教育多次争吵，希望社区帮助调解。",
        "place": {"division": _UNIT.decode()},
        # no phone: what is told to people waits for their hours, which a measurement cannot
        "concerned": {
            "name": f"王{_NUMBER.decode()}",
            "document": {"number": _DOCUMENT.decode()},
        },
    }
)
_BEGIN = (
    _mediation("accept-case", Post.DUTY_OFFICER),
    _mediation("assign-case", Post.DUTY_OFFICER, mediator="mediator-7"),
    *(
        _mediation("record-consent", Post.MEDIATOR, party=party.value, consents=True)
        for party in Party
    ),
)
_VISITS = tuple(
    _mediation("record-visit", Post.MEDIATOR, step=step.value, note="已走访，双方情绪平稳。")
    for step in VisitStep
)
_APPLY = Step(
    "welfare",
    "apply",
    Post.SOCIAL_WORKER,
    {
        "programme": "difficulty-relief",
        "applicant": {
            "name": f"赵{_NUMBER.decode()}",
            "born": "1985-05-01",
            "document": _DOCUMENT.decode(),
            "monthly_income": {"amount": "1200"},
            "tags": [{"name": "poverty"}],
        },
        "cause": "winter",
        "papers": ["identity", "difficulty-proof"],
        "payee": f"card-{_NUMBER.decode()}",
    },
)
_END = (
    _mediation("record-agreement", Post.MEDIATOR, form="written", terms="分担家务，互相尊重。"),
    _mediation("record-performance", Post.MEDIATOR),
)
_TOLD = Counter(
    {
        "case-opened": 1,  # to the person, and it says why nothing is sent
        "case-offered": 1,
        "case-accepted": 2,
        "case-assigned": 1,
        "agreement-reached": 2,
        "case-concluded": 2,
    }
)

SHORT = Script("short", _REPORT, (*_BEGIN, *_END), _TOLD)
"""Report, case, accepted, assigned, both consent, agreement, performed, closed."""

FULL = Script(
    "full",
    _REPORT,
    (*_BEGIN, *_VISITS, _APPLY, _signed(STREET), *_END),
    _TOLD
    + Counter({"application-submitted": 1, "application-signed": 1, "public-notice-started": 1}),
    closes=False,
)
"""The same with four visits and relief, as far as it goes in a day: the street has signed and the
application is shown in public for three days. What follows is `REST`."""

REST: tuple[Step, ...] = (_signed(DISTRICT), _signed(CITY))
"""What follows the public notice; then the treasury pays, and the case is closed."""

SCRIPTS: Mapping[str, Script] = {script.name: script for script in (SHORT, FULL)}
