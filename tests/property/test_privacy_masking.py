"""Masking finds every number of a personal form, and leaves ids, times and offsets alone."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from lianhu.privacy import mask

FULL_WIDTH = str.maketrans("0123456789X-", "０１２３４５６７８９Ｘ－")

phones = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
id_numbers = st.builds(
    "{}{:%Y%m%d}{}".format,
    st.from_regex(r"[1-9][0-9]{5}", fullmatch=True),
    st.dates(date(1900, 1, 1), date(2029, 12, 31)),
    st.from_regex(r"[0-9]{3}[0-9X]", fullmatch=True),
)
# Words as they stand around a number: no digit, nothing that joins digits or makes an address.
words = st.text(st.sampled_from("电话是请联系，。：abc xyz（）/\n"), max_size=12)


@st.composite
def written(draw: st.DrawFn, numbers: st.SearchStrategy[str]) -> str:
    """A number as people write it: in groups, or full-width, or both."""
    number = draw(numbers)
    gaps = draw(st.sets(st.integers(1, len(number) - 1), max_size=4))
    mark = draw(st.sampled_from(["", " ", "-", " - "[:2]]))
    text = "".join(mark + char if at in gaps else char for at, char in enumerate(number))
    return text.translate(FULL_WIDTH) if draw(st.booleans()) else text


@given(words, written(phones), words)
def test_a_mobile_number_never_passes(before: str, number: str, after: str) -> None:
    assert mask(before + number + after) == f"{before}[phone]{after}"


@given(words, written(id_numbers), words)
def test_a_resident_id_number_never_passes(before: str, number: str, after: str) -> None:
    shown = mask(before + number + after)
    assert number not in shown
    assert shown in (f"{before}[id-number]{after}", f"{before}[phone]{after}")


@given(st.uuids())
def test_a_uuid_passes(uuid: object) -> None:
    assert mask(f"event {uuid} handled") == f"event {uuid} handled"


@given(
    st.from_regex(r"[1-6][0-9]{5}", fullmatch=True),
    st.integers(2020, 2099),
    st.integers(0, 999_999),
)
def test_a_case_number_passes(division: str, year: int, number: int) -> None:
    case = f"{division}-{year}-{number:06}"
    for text in (case, f"case/{case}", f"{case}:accept-by:due", f"{case} {case}", f"案{case}。"):
        assert mask(text) == text


@given(st.datetimes())
def test_a_timestamp_passes(moment: object) -> None:
    assert mask(f"at {moment}") == f"at {moment}"


@given(st.from_regex(r"[1-6][0-9]{11}", fullmatch=True))
def test_a_division_code_passes(code: str) -> None:
    assert mask(f"unit {code}: 3 open") == f"unit {code}: 3 open"


@given(st.integers(0, 9_999_999_999) | st.integers(10**12, 10**16))
def test_an_offset_passes(offset: int) -> None:
    text = f"partition 3, offset {offset}, lag {offset}"
    assert mask(text) == text or str(offset).startswith("86")


@given(st.text())
def test_masking_twice_is_masking_once(text: str) -> None:
    assert mask(mask(text)) == mask(text)
