"""Reading CloudEvents: both modes, and what is said about each thing that is wrong."""

from __future__ import annotations

import json

import pytest

from lianhu.contracts.cloudevents import Envelope, headers_of, read
from lianhu.contracts.decode import MAX_FAULTS

GOOD = {
    "specversion": "1.0",
    "id": "r-1",
    "source": "hotline",
    "type": "lianhu.intake.report-submitted.v1",
}
BODY = b'{"channel":"letter"}'
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def binary(*more: tuple[str, bytes | None], **changes: str | None) -> Envelope:
    """A good message in binary mode, with changes; None leaves an attribute out."""
    merged = GOOD | changes
    return read([*headers_of({k: v for k, v in merged.items() if v is not None}), *more], BODY)


def structured(**changes: object) -> Envelope:
    """The same in structured mode; nothing is left out."""
    return read(STRUCTURED, json.dumps({**GOOD, "data": {"channel": "letter"}, **changes}).encode())


def told(envelope: Envelope) -> list[tuple[str, str]]:
    """The faults as pairs."""
    return [(fault.path, fault.slug) for fault in envelope.faults]


@pytest.mark.parametrize("envelope", [binary(), structured()], ids=["binary", "structured"])
def test_a_good_message_has_no_faults(envelope: Envelope) -> None:
    assert told(envelope) == []
    assert envelope.attributes == GOOD
    assert (envelope.id, envelope.type) == ("r-1", GOOD["type"])
    assert json.loads(envelope.data) == {"channel": "letter"}


def test_a_binary_body_is_passed_on_byte_for_byte() -> None:
    body = b'{ "b" : 1.10 , "a" : "\\u4e2d" }'
    assert read(headers_of(GOOD), body).data == body


@pytest.mark.parametrize("name", GOOD)
def test_what_is_missing_is_named(name: str) -> None:
    assert told(binary(**{name: None})) == [(f"ce:{name}", "missing")]
    assert told(structured(**{name: None})) == [(f"ce:{name}", "missing")]
    assert told(binary(**{name: ""}))[0] == (f"ce:{name}", "missing")


def test_everything_that_is_wrong_is_told_at_once() -> None:
    headers = [("ce_id", None), ("ce_source", b"\xff"), ("ce_time", b"yesterday")]
    assert told(read(headers, None)) == [
        ("ce:id", "null"),
        ("ce:source", "not-utf-8"),
        ("ce:type", "missing"),
        ("ce:specversion", "missing"),
        ("ce:time", "malformed"),
        ("", "no-body"),
    ]


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        (("ce_subject", None), ("ce:subject", "null")),
        (("ce_subject", b"\xe5\xbc"), ("ce:subject", "not-utf-8")),
        (("ce_subject", b"a\x00b"), ("ce:subject", "control-character")),
        (("ce_subject", b"a" * 201), ("ce:subject", "too-long")),
        (("ce_traceparent", b"a" * 1025), ("ce:traceparent", "too-long")),
        (("ce_id", b"r-2"), ("ce:id", "repeated")),
        (("ce_13800138000X", None), ("ce:?", "null")),
        (("ce_张三", None), ("ce:?", "null")),
        (("content-type", b"text/xml"), ("content-type", "not-json")),
        (("content-type", b"application/cloudevents-batch+json"), ("content-type", "not-json")),
    ],
)
def test_a_bad_header_is_one_fault(header: tuple[str, bytes | None], fault: object) -> None:
    assert told(binary(header)) == [fault]


def test_a_header_of_somebody_else_may_hold_anything() -> None:
    assert told(binary(("x-app", None), ("trace", b"\xff"), ("", b""))) == []


def test_an_id_that_was_given_twice_is_no_id() -> None:
    assert binary(("ce_id", b"r-2"), ("ce_id", b"r-3")).id is None
    assert binary(("ce_id", b"r-1")).id is None


@pytest.mark.parametrize("text", ["a b", "个案", "a\u200b"])
@pytest.mark.parametrize("name", ["id", "type"])
def test_ids_and_types_are_printable_ascii(name: str, text: str) -> None:
    envelope = binary(**{name: text})
    assert told(envelope) == [(f"ce:{name}", "not-printable-ascii")]
    assert envelope.get(name) is None


@pytest.mark.parametrize(
    "time",
    [
        "12",
        "20260101",
        "2026-01-01",
        "2026-01-01T08:00:00",
        "2026-13-01T00:00:00Z",
        "2026-01-01T00:00:00+99:99",
        "2026-01-01T08:00:00Z ",
    ],
)
def test_a_time_is_a_moment_with_its_offset(time: str) -> None:
    envelope = binary(time=time)
    assert told(envelope) == [("ce:time", "malformed")]
    assert envelope.get("time") is None


@pytest.mark.parametrize(
    "time", ["2026-01-01T00:00:00Z", "2026-01-01T08:00:00.123456+08:00", "2026-01-01t00:00:00z"]
)
def test_a_moment_is_kept_as_it_was_written(time: str) -> None:
    envelope = binary(time=time)
    assert told(envelope) == []
    assert envelope.get("time") == time


def test_another_version_of_cloudevents_is_not_read() -> None:
    assert told(binary(specversion="0.3")) == [("ce:specversion", "unsupported-version")]


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        (None, "invalid-json"),
        (b"", "invalid-json"),
        (b"{", "invalid-json"),
        (b"\xff", "invalid-json"),
        (b'{"id":"\\ud800"}', "invalid-json"),
        (b'{"id":NaN}', "invalid-json"),
        (b"[" * 100_000, "invalid-json"),
        (b"[]", "not-an-object"),
        (b'"text"', "not-an-object"),
    ],
)
def test_a_structured_body_is_one_json_object(body: bytes | None, slug: str) -> None:
    assert told(read(STRUCTURED, body)) == [("", slug)]


def test_a_structured_null_is_as_good_as_absent() -> None:
    envelope = structured(subject=None, time=None)
    assert told(envelope) == []
    assert envelope.attributes == GOOD


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"id": 5}, ("ce:id", "not-a-string")),
        ({"specversion": 1.0}, ("ce:specversion", "not-a-string")),
        ({"subject": True}, ("ce:subject", "not-a-string")),
        ({"extension": 1.5}, ("ce:extension", "not-a-string")),
        ({"extension": {"a": 1}}, ("ce:extension", "not-a-string")),
        ({"住址": []}, ("ce:?", "not-a-string")),
        ({"subject": "a\x00b"}, ("ce:subject", "control-character")),
        ({"datacontenttype": "text/xml"}, ("ce:datacontenttype", "not-json")),
    ],
)
def test_a_bad_structured_attribute_is_one_fault(changes: dict[str, object], fault: object) -> None:
    assert told(structured(**changes)) == [fault]


def test_an_extension_may_be_a_number_or_a_boolean() -> None:
    envelope = structured(sampled=True, priority=3)
    assert told(envelope) == []
    assert (envelope.get("sampled"), envelope.get("priority")) == ("true", "3")


def test_structured_data_is_json_and_there() -> None:
    without = json.dumps(GOOD).encode()
    assert told(read(STRUCTURED, without)) == [("", "no-body")]
    base64 = json.dumps({**GOOD, "data_base64": "e30="}).encode()
    assert told(read(STRUCTURED, base64)) == [("", "base64-not-supported")]
    assert read(STRUCTURED, json.dumps({**GOOD, "data": None}).encode()).data == b"null"


def test_a_hundred_thousand_broken_headers_are_a_short_answer() -> None:
    envelope = read([(f"ce_x{number}", None) for number in range(100_000)], b"{}")
    assert len(envelope.faults) == MAX_FAULTS


@pytest.mark.parametrize("depth", range(0, 300, 7))
def test_data_may_be_nested_or_is_refused(depth: int) -> None:
    body = json.dumps({**GOOD, "data": "x"}).replace('"x"', "[" * depth + "1" + "]" * depth)
    envelope = read(STRUCTURED, body.encode())
    if envelope.faults:
        assert told(envelope) == [("", "invalid-json")]
    else:
        assert envelope.data == b"[" * depth + b"1" + b"]" * depth
