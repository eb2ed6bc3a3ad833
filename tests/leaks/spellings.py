"""The spellings in which a needle is looked for, and the views of what is looked through."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from unicodedata import normalize
from urllib.parse import quote, quote_plus

from lianhu.privacy import normal
from tests.leaks.needles import Needle

NUMBERS = ("phone", "document", "number", "bank")
_LEAST_BYTES = 6
"""Of an encoding: a shorter one is found by chance among closed values."""
_LEAST_BASE64 = 8
_GAP = re.compile(r"(?<=[0-9])[ \-\u00a0\u2010-\u2015.]{1,2}(?=[0-9Xx])")
_NO_DIGIT = re.compile(r"[^0-9Xx]")


def spellings(needle: Needle) -> Iterator[tuple[str, bytes]]:
    """How it is written, and the bytes of that."""
    for form in _forms(needle):
        yield "utf-8", form.encode()
        for how, text in _encoded(form):
            if len(text) >= _LEAST_BYTES:
                yield how, text


def views(data: bytes) -> Iterator[bytes]:
    """The bytes as they are, and as text in one form with numbers written together.

    No view adds or drops a line.
    """
    yield data
    text = data.decode("utf-8", "replace")
    plain = text if text.isascii() else normalize("NFKC", text)
    again = _GAP.sub("", plain).encode("utf-8", "replace")
    if again != data:
        yield again


def _forms(needle: Needle) -> list[str]:
    value = needle.value
    forms = [value, normalize("NFKC", value), value.lower(), value.upper()]
    if needle.kind == "name":
        forms.append(normal.name(value))
    elif needle.kind in NUMBERS:
        digits = _NO_DIGIT.sub("", normalize("NFKC", value)).upper()
        forms.append(digits)
        if needle.kind == "phone":
            national = normal.phone(value).removeprefix("+86")
            forms += [national, _NO_DIGIT.sub("", national)]
        elif needle.kind == "document":
            forms.append(normal.document("resident-id", value).partition(":")[2])
    return list(dict.fromkeys(form for form in forms if len(form.encode()) >= _LEAST_BYTES - 1))


def _encoded(form: str) -> Iterator[tuple[str, bytes]]:
    utf8 = form.encode()
    escaped = json.dumps(form)[1:-1]
    if escaped != form:
        upper = re.sub(r"\\u([0-9a-f]{4})", lambda found: f"\\u{found[1].upper()}", escaped)
        for text in (escaped, upper):
            yield "json-escaped", text.encode()
            yield "json-escaped twice", text.replace("\\", "\\\\").encode()
    in_json = json.dumps(form, ensure_ascii=False)[1:-1]
    if in_json != form:
        yield "json", in_json.encode()
    yield "utf-16", form.encode("utf-16-le")
    yield "utf-16", form.encode("utf-16-be")
    yield "hex", utf8.hex().encode()
    yield "hex", utf8.hex().upper().encode()
    if not form.isascii():
        yield "gb18030", form.encode("gb18030")
        yield "repr", repr(utf8)[2:-1].encode()
    for text in (quote(form, safe=""), quote_plus(form)):
        if text != form:
            yield "percent", text.encode()
            yield "percent", text.lower().encode()
    for shift in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            same = _base64(utf8, shift, encode(b"\0" * shift + utf8))
            if len(same) >= _LEAST_BASE64:
                yield "base64", same


def _base64(utf8: bytes, shift: int, encoded: bytes) -> bytes:
    """The characters that are the same whatever stands before and after."""
    first = -(-8 * shift // 6)
    last = 8 * (shift + len(utf8)) // 6
    return encoded[first:last]
