"""What a log may show."""

from __future__ import annotations

import io
import json
import logging
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest
import structlog
from pydantic import BaseModel, ValidationError

from lianhu.privacy import DataKey, RedactingFilter, Sealed, Sealer, mask, redact

PHONE = "13800138000"
ID = "440304199001011234"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("请回电13800138000，谢谢", "请回电[phone]，谢谢"),
        ("tel:+86 138-0013-8000.", "tel:[phone]."),
        ("8613800138000", "[phone]"),
        ("008613800138000", "[phone]"),
        ("１３８００１３８０００", "[phone]"),
        ("１３８－００１３－８０００", "[phone]"),
        ("138 0013 8000", "[phone]"),
        ("1 3 8 0 0 1 3 8 0 0 0", "[phone]"),
        ("13800138000/13900139000", "[phone]/[phone]"),
        ("phone13800138000x", "phone[phone]x"),
        ("440304199001011234", "[id-number]"),
        ("身份证44030419900101123X号", "身份证[id-number]号"),
        ("44030419900101123x", "[id-number]"),
        ("440304 19900101 1234", "[id-number]"),
        ("440304-1990-0101-1234", "[id-number]"),
        ("440304-19900101-123X", "[id-number]"),
        ("440304-2021-0101-1234", "[id-number]"),
        ("４４０３０４１９９００１０１１２３Ｘ", "[id-number]"),
        ("44030419901301123X", "[id-number]"),  # no such month, and yet nothing else
        ("wang.xiaolan+a@example.com.cn", "[e-mail]"),
        ("a <w@example.org>, b", "a <[e-mail]>, b"),
        ("w＠example.org", "[e-mail]"),
        ("13800138000@example.com", "[phone]@example.com"),
        ("case 440304-2026-000123 13800138000", "case 440304-2026-000123 [phone]"),
        ("2026-10-16 13800138000", "2026-10-16 [phone]"),
        ("[type=x, input_value={'n': '王'}, input_type=dict]",
         "[type=x, input_value=[redacted], input_type=dict]"),
    ],
)  # fmt: skip
def test_personal_numbers_are_masked(text: str, shown: str) -> None:
    assert mask(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "440304-2026-000123",
        "130302-2026-000123",
        "case/130302-2026-013800:accept-by:due",
        "440304001002",
        "440304001002 130302001002",
        "13812345-6781-4234-8234-138001380001",
        "13800138-0001-4000-8000-138001380001",
        "440304199001-0112-3412-3412-341234123412",
        "2026-10-16T13:45:07.123456+08:00",
        "1999-12-31 23:59:59",
        "20261016T134507Z",
        "1760000000000",
        "1760000000000000",
        "1760000000000000000",
        "9223372036854775807",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "sha256:" + "a13800138000bcde" * 4,
        "intake.events.v1-13 offset 4403041990",
        "lag 1, 3, 5, 7, 9, 11, 13, 15",
        "10.0.13.8:9092",
        "v13.8.0-13",
        "@dataclass",
    ],
)
def test_what_operators_need_is_left_alone(text: str) -> None:
    assert mask(text) == text


def test_a_token_is_neither_shown_nor_taken_for_a_number() -> None:
    token = Sealer(DataKey.new("service/intake")).seal(b'"x"')
    assert mask(f"got {token}.") == "got [sealed]."


class Person(BaseModel):
    name: str


@dataclass
class Record:
    value: bytes


Partition = namedtuple("Partition", "topic partition")


def test_an_event_dict_is_redacted_by_key_by_form_and_by_type() -> None:
    moment = datetime(2026, 10, 16, tzinfo=UTC)
    event_id = UUID("13800138-0001-4000-8000-138001380001")
    kept = {
        "offset": 13800138000,
        "lag": 440304199001011234,
        "at": moment,
        "event_id": event_id,
        "case": "440304-2026-000123",
        "division": "440304001002",
        "hostname": "intake-1",
        "topic_name": "intake.events.v1",
        "phone": None,
        "partition": Partition("intake.events.v1", 3),
        "key": b"440304-2026-000123",
    }
    assert redact(None, "info", dict(kept)) == kept
    assert redact(
        None,
        "info",
        {
            "event": f"call {PHONE}",
            "name": "王小兰",
            "idNumber": "x",
            "reporter_phone": 138,
            "narrative": Sealed.hold("他打我"),
            "who": Sealed.hold("王小兰"),
            "person": Person(name="王小兰"),
            "record": Record(b"x"),
            "raw": b"tel 13800138000",
            "error": ValueError(f"bad {ID}"),
            "nested": {"a": [{"address": "福田区"}, (PHONE, 1)], PHONE: {"w@example.org"}},
        },
    ) == {
        "event": "call [phone]",
        "name": "[redacted]",
        "idNumber": "[redacted]",
        "reporter_phone": "[redacted]",
        "narrative": "[sealed]",
        "who": "[sealed]",
        "person": "[Person]",
        "record": "[Record]",
        "raw": "tel [phone]",
        "error": "ValueError: bad [id-number]",
        "nested": {"a": [{"address": "[redacted]"}, ("[phone]", 1)], "[phone]": ["[e-mail]"]},
    }


def test_what_lies_too_deep_is_not_shown() -> None:
    circle: dict[str, object] = {}
    circle["again"] = circle
    assert PHONE not in str(redact(None, "info", {"event": "x", "circle": circle}))
    deep: object = PHONE
    for _ in range(30):
        deep = [deep]
    shown = redact(None, "info", {"deep": deep})
    assert PHONE not in str(shown)
    assert "[too deep]" in str(shown)


def test_an_exception_is_rendered_and_masked_before_or_after_structlogs_own_step() -> None:
    format_exc_info = structlog.processors.format_exc_info
    orders: list[list[structlog.typing.Processor]] = [
        [redact, format_exc_info],
        [format_exc_info, redact],
    ]
    for steps in orders:
        out = io.StringIO()
        log = structlog.wrap_logger(
            structlog.PrintLogger(out), processors=[*steps, structlog.processors.JSONRenderer()]
        )
        try:
            raise ValueError("no such person: " + ID)
        except ValueError:
            log.exception("failed", phone=PHONE)
        entry = json.loads(out.getvalue())
        assert "ValueError: no such person: [id-number]" in entry["exception"]
        assert entry["phone"] == "[redacted]"
        assert "exc_info" not in entry


def test_the_input_that_pydantic_prints_is_masked() -> None:
    with pytest.raises(ValidationError) as caught:
        Person.model_validate({"name": ["王小兰"]})
    assert "王小兰" in str(caught.value)
    shown = redact(None, "error", {"event": "x", "exc_info": caught.value})
    assert "input_value=[redacted], input_type=list" in str(shown["exception"])
    assert "王小兰" not in str(shown["exception"]).split("ValidationError")[-1]


@pytest.fixture
def lines() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger of the standard library with the filter on its handler."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(RedactingFilter())
    logger = logging.Logger("aiokafka")
    logger.addHandler(handler)
    yield logger, out
    handler.close()


def test_records_of_other_libraries_are_masked(
    lines: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, out = lines
    logger.warning("plain %d%%", 5)
    logger.warning("tel %s from %s", PHONE, Partition("t", 3))
    logger.warning("split 1380%s", "0138000")
    logger.warning("record %r of %s", Record(b"x"), Sealed.hold("王"))
    logger.warning("by name %(name)s, %(n)d", {"name": "王", "n": 3})
    logger.warning(ValueError(ID))
    logger.warning("unfit %s 100%", PHONE, Person(name="王"))
    logger.warning("typed %d", Person(name="王"))
    assert out.getvalue().splitlines() == [
        "plain 5%",
        "tel [phone] from Partition(topic='t', partition=3)",
        "split [phone]",
        "record '[Record]' of [sealed]",
        "by name [redacted], 3",
        "ValueError: [id-number]",
        "unfit %s 100%",
        "typed %d",
    ]


def test_a_traceback_of_another_library_is_masked_and_kept(
    lines: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, out = lines
    try:
        raise ValueError("no such person: " + ID)
    except ValueError:
        logger.exception("100% failed", stack_info=True)
    assert "100% failed\nTraceback" in out.getvalue()
    assert "ValueError: no such person: [id-number]" in out.getvalue()
    assert ID not in out.getvalue()
    assert "Stack (most recent call last)" in out.getvalue()


def test_extra_fields_are_redacted_and_arguments_stay_where_a_formatter_reads_them() -> None:
    record = logging.makeLogRecord(
        {
            "msg": '%s - "%s %s HTTP/%s" %d',
            "args": ("10.0.0.1:80", "GET", f"/find?tel={PHONE}", "1.1", 200),
            "phone": PHONE,
            "note": f"call {PHONE}",
        }
    )
    assert RedactingFilter().filter(record)
    assert record.args == ("10.0.0.1:80", "GET", "/find?tel=[phone]", "1.1", 200)
    assert record.__dict__["phone"] == "[redacted]"
    assert record.__dict__["note"] == "call [phone]"


def test_the_filter_and_structlogs_formatter_stand_each_other() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(RedactingFilter())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact,
                structlog.processors.JSONRenderer(),
            ]
        )
    )
    stdlib = logging.Logger("lianhu")
    stdlib.addHandler(handler)
    log = structlog.wrap_logger(
        stdlib,
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    )
    try:
        raise ValueError("no such person: " + ID)
    except ValueError:
        log.exception("failed", name="王", offset=13800138000)
        stdlib.exception("tel %s", PHONE)
    ours, theirs = (json.loads(line) for line in out.getvalue().splitlines())
    assert (ours["event"], ours["name"], ours["offset"]) == ("failed", "[redacted]", 13800138000)
    assert "no such person: [id-number]" in ours["exception"]
    assert theirs["event"].startswith("tel [phone]\nTraceback")
    assert ID not in out.getvalue()
    handler.close()
