"""One form for what is written in many: names, phones, document numbers, before they are indexed.

Each function is total: what cannot be read gives an empty text, which identifies nobody.
"""

from __future__ import annotations

import re
from unicodedata import normalize

import phonenumbers
from opencc import OpenCC

_HOME = "CN"
# spaces, dots, hyphens, strokes, brackets, and what is not seen at all; NFKC has made others of
# some. What is added here is found under another index from then on (decision 5).
_APART = re.compile(
    "[\\s.\\-/_()·•・\\u00ad\\u200b-\\u200f\\u2010-\\u2015\\u2024\\u2027\\u2044\\u2060\\u2212\\u2215\\u2219\\u22c5\\ufeff]+"
)
_FIRST_FORM = re.compile(r"[0-9]{15}")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_TO_SIMPLIFIED = OpenCC("t2s")


def name(text: str) -> str:
    """`王 小紅` is `王小红`: NFKC, simplified characters, no spaces or dots, small letters."""
    plain = _APART.sub("", normalize("NFKC", text))
    return str(_TO_SIMPLIFIED.convert(plain)).casefold()


def phone(text: str) -> str:
    """`138 0013 8000` is `+8613800138000` (E.164); a number without a country code is of China.

    Short numbers such as 12338 are nobody's.
    """
    try:
        number = phonenumbers.parse(normalize("NFKC", text), _HOME)
    except phonenumbers.NumberParseException:
        return ""
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE or _filled_in(number.national_number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def document(kind: str, number: str) -> str:
    """`resident-id:11010519491231002X`; a resident's number of fifteen digits gets its eighteen."""
    plain = _APART.sub("", normalize("NFKC", number)).upper()
    if not plain or _filled_in(plain):
        return ""
    if kind == "resident-id" and _FIRST_FORM.fullmatch(plain):
        plain = _eighteen(plain)
    return f"{kind}:{plain}"


def _filled_in(number: object) -> bool:
    """`00000000000`: only there because a form asked for one; it would make one of many people."""
    return len(set(str(number))) == 1


def _eighteen(fifteen: str) -> str:
    """GB 11643-1999: the century before the year, and a check digit."""
    seventeen = f"{fifteen[:6]}19{fifteen[6:]}"
    total = sum(int(digit) * weight for digit, weight in zip(seventeen, _WEIGHTS, strict=True))
    return seventeen + _CHECKS[total % 11]
