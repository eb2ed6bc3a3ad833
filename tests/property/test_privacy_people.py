"""However a person is written down, she is found again; whoever is another stays another."""

from __future__ import annotations

from datetime import date
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opencc import OpenCC

from lianhu.privacy import BlindIndex, DataKey, normal
from lianhu.privacy.sounds import sound

INDEX = BlindIndex(DataKey.new("index/persons"))
FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
TO_TRADITIONAL = OpenCC("s2t")
# Common surnames and characters of given names 常见姓名用字.
CHARACTERS = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚"
    "沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向汤"
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂兰英华玉萍红梅建文斌凤洁琳鑫莹雪晓婷慧颖欣宇"
)

simplified = st.text(st.sampled_from(CHARACTERS), min_size=2, max_size=4)
mobiles = st.from_regex(r"1(?:[3589][0-9]|7[0-8])[0-9]{8}", fullmatch=True)
"""179 is no mobile number: 17900 dials a call over the internet, and identifies nobody."""
anything = st.text(max_size=40)


@st.composite
def name_as_written(draw: st.DrawFn) -> tuple[str, str]:
    """A name, and another spelling of it: traditional, with dots and spaces between."""
    name = draw(simplified)
    other = TO_TRADITIONAL.convert(name) if draw(st.booleans()) else name
    mark = draw(st.sampled_from(["", " ", "\u3000", "·", "・", "‧", "．", "\u200b", " · "]))
    return name, draw(st.sampled_from(["", " "])) + mark.join(other)


@st.composite
def number_as_written(draw: st.DrawFn, numbers: st.SearchStrategy[str]) -> tuple[str, str]:
    """A number, and another spelling of it: in groups, full-width."""
    number = draw(numbers)
    gaps = draw(st.sets(st.integers(1, len(number) - 1), max_size=4))
    mark = draw(st.sampled_from([" ", "-", "\u2011", "\u3000"]))
    text = "".join(mark + char if at in gaps else char for at, char in enumerate(number))
    return number, text.translate(FULL_WIDTH) if draw(st.booleans()) else text


old_numbers = st.builds(
    "{}{:%y%m%d}{}".format,
    st.from_regex(r"[1-6][0-9]{5}", fullmatch=True),
    st.dates(date(1920, 1, 1), date(1999, 9, 30)),
    st.from_regex(r"[0-9]{3}", fullmatch=True),
)


@given(name_as_written())
def test_a_name_in_another_spelling_is_the_same(names: tuple[str, str]) -> None:
    one, other = names
    assert normal.name(one) == normal.name(other)
    assert sound(one) == sound(other)


@given(number_as_written(mobiles), st.sampled_from(["", "+86", "+86 ", "0086", "86"]))
def test_a_mobile_number_in_another_spelling_is_the_same(
    numbers: tuple[str, str], before: str
) -> None:
    one, other = numbers
    assert normal.phone(one) == normal.phone(before + other) == f"+86{one}"


@given(number_as_written(old_numbers))
def test_an_old_number_leads_to_the_new_one_and_that_to_itself(numbers: tuple[str, str]) -> None:
    old, other = numbers
    kind, _, new = normal.document("resident-id", other).partition(":")
    assert kind == "resident-id"
    assert new.startswith(f"{old[:6]}19{old[6:]}")
    assert normal.document("resident-id", new.lower()) == f"resident-id:{new}"
    weights = [2 ** (17 - place) % 11 for place in range(18)]
    digits = [10 if digit == "X" else int(digit) for digit in new]
    total = sum(weight * digit for weight, digit in zip(weights, digits, strict=True))
    assert total % 11 == 1, "ISO 7064, MOD 11-2"


@given(mobiles, mobiles)
def test_two_numbers_are_two_people(one: str, two: str) -> None:
    assert (normal.phone(one) == normal.phone(two)) == (one == two)


@given(simplified, simplified)
def test_two_names_are_two_people(one: str, two: str) -> None:
    assert (normal.name(one) == normal.name(two)) == (one == two)


@pytest.mark.parametrize("form", [normal.name, sound, normal.phone])
@given(text=anything)
def test_any_text_has_a_form_and_the_same_however_it_is_composed(form: object, text: str) -> None:
    assert callable(form)
    assert form(text) == form(normalize("NFC", text)) == form(normalize("NFKC", text))


@given(st.text(max_size=12), anything)
def test_any_number_of_any_document_has_a_form(kind: str, number: str) -> None:
    assert normal.document(kind, number) in ("",) or normal.document(kind, number).startswith(kind)


@given(st.lists(st.tuples(st.text(max_size=8), anything), min_size=2, max_size=2))
def test_indexes_are_equal_when_kind_and_value_are(pair: list[tuple[str, str]]) -> None:
    one, two = pair
    assert (INDEX.of(*one) == INDEX.of(*two)) == (one == two)
    assert INDEX.of(*one) == INDEX.of(*one)
