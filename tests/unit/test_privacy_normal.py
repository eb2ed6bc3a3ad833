"""One form for what people write in many: names, phones, numbers of documents."""

from __future__ import annotations

import pytest

from lianhu.privacy import normal
from lianhu.privacy.sounds import sound


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("王小红", "王小红"),
        ("王小紅", "王小红"),
        (" 王 小紅 ", "王小红"),
        ("王\u3000小红", "王小红"),
        ("王·小红", "王小红"),
        ("王\u200b小红\ufeff", "王小红"),
        ("歐陽娜娜", "欧阳娜娜"),
        ("阿不都·熱合曼", "阿不都热合曼"),
        ("阿不都・热合曼", "阿不都热合曼"),
        ("阿不都‧热合曼", "阿不都热合曼"),
        ("阿不都∙热合曼", "阿不都热合曼"),
        ("阿不都．热合曼", "阿不都热合曼"),
        ("ＬＩＵ　Ｙａｎｇ", "liuyang"),
        ("Liu-Yang", "liuyang"),
        ("LIU/YANG", "liuyang"),
        ("LIU YANG", "liuyang"),
        ("Mu\u0308ller", "müller"),
        ("王小红（小名）", "王小红小名"),
        ("", ""),
        (" · ", ""),
    ],
)
def test_a_name_has_one_form(written: str, form: str) -> None:
    assert normal.name(written) == form


def test_other_names_stay_others() -> None:
    names = ["王小红", "王晓红", "王小虹", "汪小红", "小红王", "王红"]
    assert len({normal.name(each) for each in names}) == len(names)


def test_names_that_sound_alike_share_their_sound() -> None:
    assert sound("王曉紅") == sound("王 小虹") == sound("汪晓红")
    assert sound("王小红") == "wangxiaohong"
    assert sound("Wang Xiaohong") == "wangxiaohong"
    assert sound("李小红") != sound("王小红")
    assert sound("") == ""


@pytest.mark.parametrize(
    "written",
    [
        "13800138000",
        "138 0013 8000",
        "138-0013-8000",
        "138\u20110013\u20118000",
        " 13800138000 ",
        "+8613800138000",
        "+86 138-0013-8000",
        "＋86 138 0013 8000",
        "0086 13800138000",
        "8613800138000",
        "(+86) 13800138000",
        "１３８００１３８０００",
    ],
)
def test_a_phone_in_many_spellings_is_one(written: str) -> None:
    assert normal.phone(written) == "+8613800138000"


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("0755-82111234", "+8675582111234"),
        ("（0755）8211-1234", "+8675582111234"),
        ("+852 9123 4567", "+85291234567"),
        ("+44 20 7946 0958", "+442079460958"),
    ],
)
def test_a_number_of_a_house_or_from_abroad_is_known_too(written: str, form: str) -> None:
    assert normal.phone(written) == form


@pytest.mark.parametrize(
    "written",
    [
        "",
        "无",
        "abc",
        "1",
        "110",
        "12338",
        "95588",
        "00000000000",
        "11111111111",
        "9" * 40,
        "+999 1",
    ],
)
def test_what_is_no_number_of_a_person_s_identifies_nobody(written: str) -> None:
    assert normal.phone(written) == ""


@pytest.mark.parametrize(
    "written",
    [
        "11010519491231002X",
        "11010519491231002x",
        "110105 19491231 002X",
        "110105-19491231-002X",
        "110105/19491231/002X",
        "110105／19491231／002Ｘ",
        "110105\u204419491231\u2215002X",
        "１１０１０５１９４９１２３１００２Ｘ",
        "110105491231002",
        "110105 491231 002",
        "１１０１０５４９１２３１００２",
    ],
)
def test_a_resident_s_number_of_fifteen_or_eighteen_digits_is_one(written: str) -> None:
    # the number with its check character is the example of GB 11643-1999
    assert normal.document("resident-id", written) == "resident-id:11010519491231002X"


def test_a_number_says_of_which_kind_it_is() -> None:
    assert normal.document("passport", "e 1234-5678") == "passport:E12345678"
    assert normal.document("passport", "110105491231002") == "passport:110105491231002"
    assert normal.document("hk-permit", "E12345678") != normal.document("passport", "E12345678")


@pytest.mark.parametrize("written", ["", "  ", "-", "()", "//", "0000", "000000000000000000"])
def test_a_number_that_is_none_identifies_nobody(written: str) -> None:
    assert normal.document("resident-id", written) == ""
