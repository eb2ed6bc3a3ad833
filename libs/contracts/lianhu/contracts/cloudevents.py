"""The CloudEvents 1.0 binding for Kafka: headers and body to an envelope and back.

Binary mode carries attributes in headers `ce_*` and the data as the body; structured mode carries
both in one JSON body. Reading never raises: what is wrong comes back as faults, at most
`MAX_FAULTS` of them: a record of two megabytes has room for a hundred thousand broken headers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydantic import AwareDatetime, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from lianhu.contracts.decode import MAX_FAULTS
from lianhu.contracts.faults import Fault

STRUCTURED = "application/cloudevents+json"
JSON = "application/json"
_REQUIRED = ("id", "source", "type", "specversion")
_CONTEXT = (*_REQUIRED, "time", "subject", "datacontenttype", "dataschema")
_LIMITS = {"id": 128, "source": 256, "type": 200, "subject": 200}
_MAX_ATTRIBUTE = 1024
# CloudEvents forbids control characters in attributes; a NUL cannot be stored as text either.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# RFC 3339 with an offset: pydantic alone takes "12" for twelve seconds after 1970.
_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]+([Zz]|[+-][0-9]{2}:[0-9]{2})")
_TIME = TypeAdapter(AwareDatetime)

Headers = Iterable[tuple[str, bytes | None]]


class Envelope(NamedTuple):
    """The context attributes of one message and its data as bytes of JSON."""

    attributes: Mapping[str, str]
    data: bytes
    faults: tuple[Fault, ...] = ()

    def get(self, name: str) -> str | None:
        """An attribute or extension, or None where it is missing or was faulty."""
        return self.attributes.get(name)

    @property
    def id(self) -> str | None:
        """The id its producer gave."""
        return self.attributes.get("id")

    @property
    def type(self) -> str | None:
        """The message type."""
        return self.attributes.get("type")


def read(headers: Headers, value: bytes | None) -> Envelope:
    """Read either mode. A null or broken header is a fault only when it is one of ours, `ce_*`."""
    attributes: dict[str, str] = {}
    faults: list[Fault] = []
    content_type = ""
    unusable: set[str] = set()
    for key, raw in headers:
        if key.startswith("ce_"):
            name = key[3:]
            if name in attributes or name in unusable:
                _add(faults, _path(name), "repeated")
                attributes.pop(name, None)  # nobody knows which of them was meant
                unusable.add(name)
            elif (text := _text(name, raw, faults)) is not None:
                attributes[name] = text
            else:
                unusable.add(name)
        elif key == "content-type":
            content_type = (raw or b"").decode("latin-1").split(";")[0].strip().lower()
    if content_type == STRUCTURED:
        return _structured(value, faults)
    if content_type not in ("", JSON):
        _add(faults, "content-type", "not-json")
    _check(attributes, faults)
    if value is None:
        _add(faults, "", "no-body")
    return Envelope(attributes, value or b"", tuple(faults))


def headers_of(attributes: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """Binary mode headers of the given attributes, for data in JSON."""
    headers = [(f"ce_{name}", text.encode()) for name, text in attributes.items()]
    headers.append(("content-type", JSON.encode()))
    return headers


def _path(name: str) -> str:
    return f"ce:{name}" if re.fullmatch(r"[a-z0-9]{1,40}", name) else "ce:?"


def _add(faults: list[Fault], path: str, slug: str) -> None:
    if len(faults) < MAX_FAULTS:
        faults.append(Fault(path=path, slug=slug))


def _text(name: str, raw: bytes | None, faults: list[Fault]) -> str | None:
    if raw is None:
        _add(faults, _path(name), "null")
        return None
    if len(raw) > _LIMITS.get(name, _MAX_ATTRIBUTE):
        _add(faults, _path(name), "too-long")
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        _add(faults, _path(name), "not-utf-8")
        return None
    if not text.isprintable() and _CONTROL.search(text):
        _add(faults, _path(name), "control-character")
        return None
    return text


def _check(attributes: dict[str, str], faults: list[Fault]) -> None:
    for name in _REQUIRED:
        if not attributes.get(name) and all(fault.path != _path(name) for fault in faults):
            _add(faults, _path(name), "missing")
    if attributes.get("specversion", "1.0") != "1.0":
        _add(faults, "ce:specversion", "unsupported-version")
    for name in ("id", "type"):
        if (text := attributes.get(name)) and not _is_plain(text):
            _add(faults, _path(name), "not-printable-ascii")
            del attributes[name]
    if (time := attributes.get("time")) is not None and not _is_moment(time):
        _add(faults, "ce:time", "malformed")
        del attributes["time"]


def _is_plain(text: str) -> bool:
    """Whether it is of printable ASCII without a space."""
    return text.isascii() and text.isprintable() and " " not in text


def _is_moment(text: str) -> bool:
    if not _RFC3339.fullmatch(text):
        return False
    try:
        _TIME.validate_python(text)
    except ValidationError:
        return False
    return True


def _structured(value: bytes | None, faults: list[Fault]) -> Envelope:
    try:
        whole = from_json(value or b"", allow_inf_nan=False)
    except ValueError:
        _add(faults, "", "invalid-json")
        return Envelope({}, b"", tuple(faults))
    if not isinstance(whole, dict):
        _add(faults, "", "not-an-object")
        return Envelope({}, b"", tuple(faults))
    attributes: dict[str, str] = {}
    for name, content in whole.items():
        if name in ("data", "data_base64") or content is None:  # null is as good as absent
            continue
        if (text := _as_text(name, content)) is None:
            _add(faults, _path(name), "not-a-string")
        elif (text := _text(name, text.encode(), faults)) is not None:
            attributes[name] = text
    _check(attributes, faults)
    if attributes.get("datacontenttype", JSON).split(";")[0].strip().lower() != JSON:
        _add(faults, "ce:datacontenttype", "not-json")
    if "data" not in whole:
        _add(faults, "", "base64-not-supported" if "data_base64" in whole else "no-body")
        return Envelope(attributes, b"", tuple(faults))
    return Envelope(attributes, to_json(whole["data"]), tuple(faults))


def _as_text(name: str, content: object) -> str | None:
    """An attribute's text: its own are strings, an extension may be a boolean or an integer."""
    if isinstance(content, str):
        return content
    if name in _CONTEXT:
        return None
    if isinstance(content, bool):
        return "true" if content else "false"
    return str(content) if isinstance(content, int) else None
