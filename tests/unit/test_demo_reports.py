"""Reports of your own for the demo: what a file may hold, and what is made of accounts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lianhu.contracts.intake import ReportSubmitted
from tests.demo.own import read_reports
from tests.demo.wire import Unexpected
from tests.narratives import COMMUNITIES, NoAccount, reports_of

DATA = {"channel": "letter", "narrative": "想离婚\u2028希望调解"}


def write(path: Path, *lines: object) -> Path:
    """A file of these lines, each as it is or as JSON."""
    file = path / "reports.jsonl"
    texts = [
        line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines
    ]
    file.write_text("\n".join(texts), encoding="utf-8")
    return file


def test_a_line_is_a_report_or_a_report_with_publisher_and_id(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "\ufeff" + json.dumps(DATA, ensure_ascii=False),
        "",
        {"data": DATA},
        {"publisher": "grid-futian", "id": "g-1", "data": DATA},
        {"id": "n", "data": 17},
    )
    body = json.dumps(DATA, ensure_ascii=False).encode()
    assert read_reports(file) == [
        ("hotline-futian", "line-1", body),
        ("hotline-futian", "line-3", body),
        ("grid-futian", "g-1", body),
        ("hotline-futian", "n", b"17"),
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"data": ', "line 2 is not JSON."),
        ("[" * 100_000, "line 2 is not JSON."),
        ("[1]", "line 2 is not a JSON object."),
        ({"data": DATA, "publishr": "x"}, "line 2 has keys beside .* not known: publishr."),
        ({"data": DATA, "publisher": "officers-shenzhen"}, "line 2 names no publisher .* grid-fut"),
        ({"data": DATA, "publisher": ["x"]}, "line 2 names no publisher"),
        ({"data": DATA, "id": 7}, "line 2 has an id that is not a string."),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: object, sentence: str) -> None:
    with pytest.raises(Unexpected, match=f"^reports.jsonl, {sentence}"):
        read_reports(write(tmp_path, DATA, line, DATA))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unexpected, match=r"none.jsonl cannot be read: No such file"):
        read_reports(tmp_path / "none.jsonl")
    with pytest.raises(Unexpected, match=r"reports.jsonl holds no report."):
        read_reports(write(tmp_path, "", " "))
    (tmp_path / "gbk.jsonl").write_bytes("想离婚".encode("gbk"))
    with pytest.raises(Unexpected, match=r"gbk.jsonl is not UTF-8."):
        read_reports(tmp_path / "gbk.jsonl")


def test_what_a_report_says_is_left_to_the_chain(tmp_path: Path) -> None:
    ((_, _, body),) = read_reports(write(tmp_path, '{"data": {"narrative": "\\ud800", "x": NaN}}'))
    assert body == b'{"narrative": "\xed\xa0\x80", "x": NaN}'


def account(number: int) -> str:
    text = f"第{number}件：夫妻因家务争吵。"
    return json.dumps({"id": f"a-{number}", "domain": "divorce", "text": text, "labels": ["分居"]})


def test_an_account_makes_a_report_that_says_nothing_else() -> None:
    (made,) = reports_of([account(7)])
    assert made.keys() == {"publisher", "id", "data"}
    report = ReportSubmitted.model_validate_json(json.dumps(made["data"]), strict=True)
    said = report.model_dump(exclude_defaults=True)
    assert said.keys() == {"channel", "narrative", "place"}
    assert said["narrative"] == "第7件：夫妻因家务争吵。"
    assert said["place"].keys() == {"division"}


def test_an_account_always_makes_the_same_report() -> None:
    lines = [account(number) for number in range(200)]
    made = list(reports_of(lines))
    assert made[::-1] == list(reports_of(lines[::-1]))
    places = {report["data"]["place"]["division"] for report in made}
    assert places <= set(COMMUNITIES)
    assert len(places) > len(COMMUNITIES) / 2


@pytest.mark.parametrize(
    ("line", "what"),
    [("{", "is not a JSON object"), ("[]", "is not a JSON object"), ('{"id": "a"}', "has no text")],
)
def test_a_line_that_is_no_account_is_named(line: str, what: str) -> None:
    with pytest.raises(NoAccount, match=f"^line 3 {what}$"):
        list(reports_of([account(1), "", line]))
