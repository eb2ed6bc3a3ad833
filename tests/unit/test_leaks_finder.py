"""The search for leaks finds a needle however it is written, and never says what it found."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.leaks import Finder, Needle, needles_of, read_needles

NAME = Needle("name", "王小红", "here")
PHONE = Needle("phone", "+86 138-0013-8000", "here")
DOCUMENT = Needle("document", "11010519491231002X", "here")
ADDRESS = Needle("address", "福田区梅林路七号八栋 201", "here")
EMAIL = Needle("email", "Xiaohong.W@example.org", "here")
BANK = Needle("bank", "6222 0213 0401 2345678", "here")
PROSE = Needle("narrative", "丈夫昨晚酒后动手打了她", "here")
ALL = (NAME, PHONE, DOCUMENT, ADDRESS, EMAIL, BANK, PROSE)
FINDER = Finder(ALL)


def found(data: str | bytes) -> set[str]:
    """The kinds of what is found in there."""
    raw = data if isinstance(data, bytes) else data.encode()
    return {leak.kind for leak in FINDER.leaks("there", raw)}


@pytest.mark.parametrize("needle", ALL, ids=lambda needle: needle.kind)
@pytest.mark.parametrize(
    "spelled",
    [
        lambda text: text.encode(),
        lambda text: text.upper().encode(),
        lambda text: text.lower().encode(),
        lambda text: json.dumps({"x": text}).encode(),
        lambda text: json.dumps(json.dumps({"x": text})).encode(),
        lambda text: json.dumps({"x": text}).upper().replace("\\U", "\\u").encode(),
        lambda text: base64.b64encode(text.encode()),
        lambda text: base64.b64encode(b"x" + text.encode() + b"y"),
        lambda text: base64.urlsafe_b64encode(b"xy" + text.encode() + b"z"),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-be"),
        lambda text: text.encode("gb18030"),
        lambda text: text.encode().hex().encode(),
        lambda text: quote(text, safe="").encode(),
        lambda text: repr(text.encode()).encode(),
        lambda text: text.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)}).encode(),
    ],
    ids=[
        *("plain", "upper", "lower", "json", "json-twice", "json-upper", "base64", "base64-in"),
        *("base64-url", "utf-16", "utf-16-be", "gb18030", "hex", "percent", "repr", "full-width"),
    ],
)
def test_every_kind_is_found_in_every_spelling(needle: Needle, spelled: object) -> None:
    assert callable(spelled)
    assert needle.kind in found(b"\x00\xff before " + spelled(needle.value) + b" after")


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("name", "王小紅".translate({ord("紅"): "红"})),
        ("phone", "13800138000"),
        ("phone", "138 0013 8000"),
        ("phone", "tel:+8613800138000"),
        ("phone", "１３８－００１３－８０００"),
        ("document", "110105 19491231 002x"),
        ("document", "110105-19491231-002X"),
        ("email", "xiaohong.w@EXAMPLE.org".lower()),
        ("bank", "6222021304012345678"),
        ("bank", "6222-0213-0401-2345678"),
    ],
)
def test_numbers_are_found_in_groups_and_together(kind: str, written: str) -> None:
    assert kind in found(f"logged {written}, then more")


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T01:00:00.138001Z case/440304-2026-000123 offset 13800",
        "个案已受理，请于期限内走访。",
        "s1:case/440304-2026-000123:" + "A" * 80,
        "138 0013 800",
        "11010519491231003X",
        "王小明 王红 小红",
        "",
    ],
)
def test_other_words_are_no_leak(text: str) -> None:
    assert found(text) == set()


def test_a_leak_says_where_and_which_and_never_what() -> None:
    (leak,) = FINDER.leaks("intake journal.body row (0,1)", "x王小红x".encode())
    told = str(leak)
    assert told == "intake journal.body row (0,1): name #1 as utf-8, which came with here"
    assert all(needle.value not in told + repr(leak) for needle in ALL)


def test_lines_are_numbered() -> None:
    block = "a\nb 王小红\n\nc 138-0013-8000\n".encode()
    assert {leak.where for leak in FINDER.lines("x.log", block, 7)} == {"x.log:8", "x.log:10"}


def test_equal_needles_are_one() -> None:
    twice = Finder([NAME, Needle("name", "王小红", "elsewhere")])
    assert twice.kinds() == {"name": 1}
    assert [leak.origin for leak in twice.leaks("x", "王小红".encode())] == ["here"]


@given(st.binary(max_size=300), st.sampled_from(ALL), st.binary(max_size=300))
def test_it_is_found_between_any_bytes(before: bytes, needle: Needle, after: bytes) -> None:
    assert needle.kind in found(before + needle.value.encode() + after)


@given(st.binary(max_size=2000))
def test_random_bytes_hold_nothing(data: bytes) -> None:
    assert found(data) == set()


# out of what is sent

REPORT = {
    "channel": "hotline-12338",
    "narrative": "丈夫昨晚酒后动手打了她，她说“别打电话”。联系电话 138 0013 8000。很怕",
    "place": {"division": "440304001019", "address": "福田区梅林路七号"},
    "reporter": {"name": "李四光", "phone": "0755-82111234", "anonymous": False},
    "concerned": {
        "name": "王小红",
        "document": {"kind": "resident-id", "number": "11010519491231002X"},
        "born": "1949-12-31",
        "email": "x@example.org",
        "address": None,
    },
    "other_party": {"name": "张", "born": "1950"},
    "safe_contact": {"never": ["sms"], "note": "请在她上班时打办公室电话"},
    "tags": [{"name": "left-behind"}],
}


def test_all_that_a_report_tells_of_people_is_looked_for() -> None:
    assert {(needle.kind, needle.value) for needle in needles_of(REPORT)} == {
        ("narrative", "丈夫昨晚酒后动手打了她"),
        ("number", "138 0013 8000"),
        ("address", "福田区梅林路七号"),
        ("name", "李四光"),
        ("phone", "0755-82111234"),
        ("name", "王小红"),
        ("document", "11010519491231002X"),
        ("born", "1949-12-31"),
        ("email", "x@example.org"),
        ("narrative", "请在她上班时打办公室电话"),
    }


def test_what_a_command_tells_is_looked_for_too_and_slugs_are_not() -> None:
    command = {
        "case": "440304-2026-000123",
        "by": {"officer": "officer-0001", "post": "mediator", "unit": "440304000000"},
        "applicant": {"name": "王小红", "born": "1949-12-31", "document": "E12345678"},
        "reason": "account-closed",
        "note": "她的女儿今年读小学二年级",
    }
    assert [needle.kind for needle in needles_of(command)] == [
        *("name", "document", "born", "narrative")
    ]


@pytest.mark.parametrize(
    "body", [{}, {"narrative": 7}, {"reporter": "x"}, {"concerned": {"name": []}}]
)
def test_what_is_no_report_has_no_needles(body: dict[str, object]) -> None:
    assert list(needles_of(body)) == []


def test_a_file_holds_needles_and_reports(tmp_path: Path) -> None:
    file = tmp_path / "needles.jsonl"
    lines = [
        {"kind": "bank", "value": "6222021304012345678"},
        {"publisher": "grid-futian", "id": "r-1", "data": {"concerned": {"name": "王小红"}}},
        {"narrative": "x", "reporter": {"name": "李四光"}},
    ]
    file.write_text("\n\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    assert read_needles(file) == [
        Needle("bank", "6222021304012345678", "needles.jsonl:1"),
        Needle("name", "王小红", "needles.jsonl:3"),
        Needle("name", "李四光", "needles.jsonl:5"),
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("王小红", "is not a JSON object"),
        ("[]", "is not a JSON object"),
        ('{"kind": "name", "value": "王"}', "is too short"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_not_shown(
    tmp_path: Path, line: str, why: str
) -> None:
    file = tmp_path / "needles.jsonl"
    file.write_text(f"\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=f"^needles.jsonl:2 {why}") as caught:
        read_needles(file)
    assert "王" not in str(caught.value)
