"""Records as a publisher may send them by mistake or malice, with all that is wrong with each."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.stranger import REPORT, STRUCTURED, Headers, binary, dumped, report, structured

SECRET = "阿珍姐的门牌是七零二"
"""Stands in every bad report; no answer, dead letter or log may say it."""

NO_TEXT = b"\xe9\xff\xfe\xe9\xff\xfe\xe9\xff"
"""Bytes that are not UTF-8."""

LEAST = 7
"""Bytes of a value that is searched for: a shorter one is met by chance among closed values."""

Faults = set[tuple[str, str]]


@dataclass(frozen=True)
class Bad:
    """A record that is refused, with all that is wrong with it."""

    value: bytes | None
    faults: Faults
    headers: Headers | None = None
    """Without: binary mode, with the record's name as id."""
    named: bool = True
    """Whether its id can be read; without one its place is its name."""
    secrets: tuple[str | bytes, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse what is found by chance."""
        for secret in self.secrets:
            if len(secret if isinstance(secret, bytes) else secret.encode()) < LEAST:
                raise ValueError(f"{secret!r} is too short to be searched for")


def bad(*faults: tuple[str, str], secret: str | bytes = SECRET, **other: object) -> Bad:
    """A report that is wrong in its data."""
    return Bad(dumped(report(SECRET, **other)), set(faults), secrets=(secret,))


def placed(division: str, slug: str) -> Bad:
    """A report from a place that is none of ours."""
    return bad(("/place/division", slug), secret=division, place={"division": division})


def headed(fault: tuple[str, str], headers: Headers, secret: str | bytes = b"") -> Bad:
    """A good report under headers that are wrong."""
    named = fault[0] != "ce:id"
    return Bad(dumped(report(SECRET)), {fault}, headers, named, (secret,) if secret else ())


def whole(*faults: tuple[str, str], value: bytes, named: bool = False) -> Bad:
    """Structured mode."""
    return Bad(value, set(faults), STRUCTURED, named)


INVALID = ("", "invalid-json")
IN_ONE = structured(id="in-one", data=report(SECRET))

BAD = {
    "cut-short": Bad(dumped(report(SECRET))[:-9], {INVALID}),
    "no-json": Bad(SECRET.encode(), {INVALID}),
    "no-body": Bad(None, {("", "no-body")}),
    "nested-deeply": Bad(b"[" * 100_000, {INVALID}),
    "three-places": Bad(
        dumped(
            {"channel": "fax-17-upstairs", "narrative": "", "place": {"division": 440304001077}}
        ),
        {
            ("/channel", "enum"),
            ("/narrative", "string-too-short"),
            ("/place/division", "string-type"),
        },
        secrets=("fax-17-upstairs", "440304001077"),
    ),
    "a-name-as-field": bad(("/?", "unknown-field"), secret="李小雨", 李小雨="13800000001"),
    "misspelt": bad(
        ("/safe_contakt", "unknown-field"), secret="by wechat only", safe_contakt="by wechat only"
    ),
    "malformed-division": placed("福田区园岭路七号", "malformed-division"),
    "unknown-division": placed("440304999999", "unknown-division"),
    "outside-the-area": placed("440305000000", "outside-area"),
    "not-its-channel": bad(("/channel", "channel-not-of-publisher"), channel="police"),
    "too-long": bad(("/wish", "string-too-long"), wish="愿" * 20_001),
    "too-large": bad(("", "too-large"), wish="愿" * 100_000),
    "no-id": headed(("ce:id", "missing"), binary(None)),
    "id-not-utf-8": headed(("ce:id", "not-utf-8"), binary(None, id=NO_TEXT), NO_TEXT),
    "id-null": headed(("ce:id", "null"), binary(None, id=None)),
    "two-ids": headed(("ce:id", "repeated"), [*binary("first"), ("ce_id", b"id-no-2")], b"id-no-2"),
    "header-not-utf-8": headed(
        ("ce:subject", "not-utf-8"), binary("header-not-utf-8", subject=NO_TEXT), NO_TEXT
    ),
    "header-null": headed(("ce:subject", "null"), binary("header-null", subject=None)),
    "our-source": headed(
        ("ce:source", "reserved"), binary("our-source", source="lianhu.police"), "lianhu.police"
    ),
    "future-version": headed(
        ("ce:type", "unsupported-version"),
        binary("future-version", REPORT.replace(".v1", ".v2")),
        "submitted.v2",
    ),
    "unknown-type": headed(
        ("ce:type", "unknown-type"), binary("unknown-type", "futian.report"), "futian.report"
    ),
    "a-command-here": headed(
        ("ce:type", "wrong-topic"), binary("a-command-here", "lianhu.mediation.accept-case.v1")
    ),
    "text": headed(("content-type", "not-json"), [*binary("text")[:-1], ("content-type", b"text")]),
    "headers-and-body": Bad(
        dumped(report(SECRET, place={"division": 7}, category="feud-of-neighbours")),
        {
            ("ce:time", "malformed"),
            ("ce:source", "missing"),
            ("/place/division", "string-type"),
            ("/category", "enum"),
        },
        binary("headers-and-body", source="", time="gestern gegen neun"),
        secrets=("gestern gegen neun", "feud-of-neighbours"),
    ),
    "440304-2026-000001": bad(
        ("/channel", "enum"), secret="fax-17-upstairs", channel="fax-17-upstairs"
    ),
    "in-one-cut": whole(INVALID, value=IN_ONE[:-5]),
    "in-one-utf-16": whole(INVALID, value=IN_ONE.decode().encode("utf-16")),
    "in-one-nan": whole(
        INVALID, value=structured(id="nan", data=report(SECRET, wish=float("nan")))
    ),
    "in-one-half-a-pair": whole(
        INVALID, value=structured(id="half", x="PAIR", data=1).replace(b"PAIR", rb"\ud800")
    ),
    "in-one-a-list": whole(("", "not-an-object"), value=b"[%s]" % IN_ONE),
    "in-one-too-large": whole(
        ("", "too-large"), value=structured(id="large", data=report(SECRET, wish="愿" * 100_000))
    ),
    "in-one-no-data": whole(
        ("", "no-body"), value=structured(id="in-one-no-data", wish=SECRET), named=True
    ),
    "in-one-three-places": whole(
        ("ce:subject", "not-a-string"),
        ("/channel", "enum"),
        ("/narrative", "missing"),
        value=structured(id="in-one-three-places", subject=7, data={"channel": SECRET}),
        named=True,
    ),
}

GOOD: dict[str, tuple[bytes, Headers]] = {
    "foreign-null": (dumped(report()), [*binary("foreign-null"), ("x-desk", None)]),
    "foreign-not-utf-8": (
        dumped(report()),
        [*binary("foreign-not-utf-8"), ("x-desk", b"\xff\xfe")],
    ),
    "in-one": (structured(id="in-one", data=report(), deskno=17, urgent=True), STRUCTURED),
    "in-one-null": (structured(id="in-one-null", subject=None, data=report()), STRUCTURED),
    "440304-2026-000002": (dumped(report()), binary("440304-2026-000002")),
    "the-largest": (dumped(report("字" * 20_000, wish="愿" * 20_000)), binary("the-largest")),
}
