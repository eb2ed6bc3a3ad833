"""Masking of personal numbers in text: mobile numbers, resident id numbers, e-mail addresses.

Names and addresses cannot be known by their form; they are kept out of logs by the names of their
keys (`lianhu.privacy.redact`) and by not being logged.
"""

from __future__ import annotations

import re

_DIGIT = "[0-9０-９]"
_BREAK = "[ \u00a0\u3000‐‑–—－-]{0,2}"  # between two digits of a number written in groups


def _spaced(*digits: str) -> str:
    return _BREAK.join(digits)


# 11 digits, 1[3-9] first (工信部 numbering of mobile networks); 86 before it or not.
_PHONE = (
    rf"(?<!{_DIGIT})(?:(?:[+＋]|00|００)?[8８][6６]{_BREAK})?"
    rf"{_spaced('[1１]', '[3-9３-９]', *[_DIGIT] * 9)}(?!{_DIGIT})"
)

# 6 division, 8 date of birth, 3 sequence, 1 check character (GB 11643). The date's form tells it
# from an offset or another long number; the check character is not tested, as a mistyped number
# still points at a person. With X at the end nothing else can be meant.
_ID_NUMBER = (
    rf"(?<!{_DIGIT})(?:"
    + _spaced(
        "[1-9１-９]",
        *[_DIGIT] * 5,
        f"(?:[1１]{_BREAK}[89８９]|[2２]{_BREAK}[0０])",
        *[_DIGIT] * 2,
        f"(?:[0０]{_BREAK}[1-9１-９]|[1１]{_BREAK}[0-2０-２])",
        f"(?:[0０]{_BREAK}[1-9１-９]|[12１２]{_BREAK}{_DIGIT}|[3３]{_BREAK}[01０１])",
        *[_DIGIT] * 3,
        "[0-9０-９XxＸｘ]",
    )
    + "|"
    + _spaced("[1-9１-９]", *[_DIGIT] * 16, "[XxＸｘ]")
    + rf")(?!{_DIGIT})"
)

# Possessive and begun only where a word begins, so that long text is read once.
_MAIL_CHARS = "[A-Za-z0-9._%+-]"
_E_MAIL = rf"(?<!{_MAIL_CHARS}){_MAIL_CHARS}++[@＠][A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)+"

_HEX = "[0-9a-fA-F]"
_EDGE = "(?![0-9A-Za-z])"

# Tried before the personal forms at every place: what these match passes unread.
_KEPT = "|".join(
    (
        rf"{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}{_EDGE}",  # uuid
        rf"[0-9]{{6}}-20[2-9][0-9]-[0-9]{{6}}{_EDGE}",  # case number
        r"(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9](?![0-9-])",  # date, alone or of a timestamp
        rf"[0-9a-f]{{2}}-[0-9a-f]{{32}}-[0-9a-f]{{16}}-[0-9a-f]{{2}}{_EDGE}",  # traceparent
        rf"(?=[0-9]*[a-f])(?:[0-9a-f]{{64}}|[0-9a-f]{{40}}|[0-9a-f]{{32}}){_EDGE}",  # digest
    )
)

_FORMS = re.compile(
    rf"(?P<kept>(?<![0-9A-Za-z])(?:{_KEPT}))"
    r"|(?P<sealed>\bs1:[A-Za-z0-9/._-]{1,120}:[A-Za-z0-9_-]{39,})"
    rf"|(?P<id_number>{_ID_NUMBER})"
    rf"|(?P<phone>{_PHONE})"
    rf"|(?P<e_mail>{_E_MAIL})"
    # pydantic's errors, where a model does not hide its input
    r"|(?P<input>\binput_value=.*?(?=, input_type=|$))",
    re.MULTILINE,
)

_MASKS = {
    "sealed": "[sealed]",
    "id_number": "[id-number]",
    "phone": "[phone]",
    "e_mail": "[e-mail]",
    "input": "input_value=[redacted]",
}


# Most lines hold none of these and are done with: a search that runs in C.
_MARKS = ("@", "＠", "s1:", "input_value=")
_ELEVEN_DIGITS = re.compile(_spaced(*[_DIGIT] * 11))


def mask(text: str) -> str:
    """``text`` with ``[phone]``, ``[id-number]``, ``[e-mail]`` in place of such numbers.

    Found in ASCII and full-width digits, with spaces or hyphens between them. Left alone: case
    numbers, division codes, uuids, digests, trace ids, timestamps, other long integers. Sealed
    tokens become ``[sealed]``; the input that pydantic prints beside an error, ``[redacted]``.
    """
    if any(mark in text for mark in _MARKS) or _ELEVEN_DIGITS.search(text):
        return _FORMS.sub(_masked, text)
    return text


def _masked(found: re.Match[str]) -> str:
    return _MASKS.get(found.lastgroup or "", found[0])
