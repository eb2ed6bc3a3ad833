"""Redaction of log entries, from structlog and from the standard library's loggers alike."""

from __future__ import annotations

import dataclasses
import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping, Set
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from uuid import UUID

from pydantic import BaseModel

from lianhu.privacy.masking import mask
from lianhu.privacy.sealed import Sealed

REDACTED = "[redacted]"
SEALED = "[sealed]"
TOO_DEEP = "[too deep]"
MAX_DEPTH = 6

# Keys without case, '_' and '-', so that id_number, idNumber and ID-Number are one. A longer key
# that ends in the last group is personal too: reporter_phone, child_id_number.
_is_personal = re.compile(
    "name|realname|birthday|birthdate|dateofbirth|address|homeaddress|tel|telephone|phonenumber"
    "|contacts?|contactcard|card|description|statement|body|payload|input|inputvalue|accountnumber"
    "|.*(?:phone|mobile|email|idnumber|idcard|idno|fullname|narrative|bankaccount)"
).fullmatch

_PLAIN = (int, float, complex, date, time, timedelta, Decimal, Enum, UUID, type(None))
_OF_EVERY_RECORD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
_OF_STRUCTLOG = frozenset({"_record", "_from_structlog", "_logger", "_name"})


def redact(
    logger: object, name: str, event_dict: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    """A structlog processor: put it last before the renderer. Changes ``event_dict`` in place.

    Values under personal keys become ``[redacted]``, `Sealed` ones ``[sealed]``; all other text
    is masked, to six levels down. An ``exc_info`` that is not rendered yet is rendered here, into
    ``exception``, and masked.
    """
    error = _exception(event_dict.pop("exc_info", None))
    for key, value in event_dict.items():
        if key not in _OF_STRUCTLOG:
            event_dict[key] = _of_key(key, value, 0)
    if error is not None:
        event_dict["exception"] = _rendered(error)
    return event_dict


class RedactingFilter(logging.Filter):
    """The same for records of the standard library (aiokafka, uvicorn): put it on the handlers.

    Lets every record pass. Message, arguments and extra fields are redacted in place; a traceback
    is masked and appended to the message, so that no formatter prints the original.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact ``record``; always true."""
        for key, value in list(record.__dict__.items()):
            if key not in _OF_EVERY_RECORD and key not in _OF_STRUCTLOG:
                record.__dict__[key] = _of_key(key, value, 0)
        error = _exception(record.exc_info)
        trace = mask(record.exc_text or "") if error is None else _rendered(error)
        if isinstance(record.msg, Mapping):  # an event dict of structlog on its way to a formatter
            event = redact(None, "", dict(record.msg))
            if trace:
                event.setdefault("exception", trace)
            record.__dict__["msg"] = event
        else:
            _redact_message(record)
            if trace:
                record.msg, record.args = f"{record.getMessage()}\n{trace}", ()
        record.exc_info = record.exc_text = None
        if record.stack_info:
            record.stack_info = mask(record.stack_info)
        return True


def _redact_message(record: logging.LogRecord) -> None:
    """Arguments stay arguments where that hides enough: uvicorn's formatter reads them."""
    record.msg = _text_or_same(record.msg)
    if isinstance(record.args, Mapping):
        record.args = {str(k): _of_key(str(k), v, 0) for k, v in record.args.items()}
    elif record.args:
        record.args = tuple(_walked(arg, 0) for arg in record.args)
    try:
        text = record.getMessage()
    except (TypeError, ValueError, KeyError):
        # The format does not fit the arguments, or not their redacted form: its words are kept.
        record.args = ()
        return
    masked = mask(text)
    if masked != text:
        record.msg, record.args = masked, ()


def _text_or_same(value: object) -> str:
    return value if isinstance(value, str) else str(_walked(value, 0))


def _of_key(key: str, value: object, depth: int) -> object:
    if value is None or isinstance(value, Sealed):
        return _walked(value, depth)
    plain = key.replace("_", "").replace("-", "").lower()
    return REDACTED if _is_personal(plain) else _walked(value, depth)


def _walked(value: object, depth: int) -> object:
    """The value, or what may be shown of it."""
    if isinstance(value, Sealed):
        return SEALED
    if isinstance(value, str):
        masked = mask(value)
        return value if masked == value else masked
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, bytes | bytearray):
        text = value.decode("utf-8", "backslashreplace")
        masked = mask(text)
        return value if masked == text else masked
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {mask(str(value))}"
    if isinstance(value, BaseModel) or dataclasses.is_dataclass(value):
        return f"[{type(value).__name__}]"  # its repr shows every field
    if isinstance(value, Mapping | list | tuple | Set):
        return TOO_DEEP if depth >= MAX_DEPTH else _inside(value, depth + 1)
    shown = f"{value!s} {value!r}"
    return value if mask(shown) == shown else mask(str(value))


def _inside(value: object, depth: int) -> object:
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, _PLAIN) else str(_walked(key, depth)): _of_key(
                str(key), item, depth
            )
            for key, item in value.items()
        }
    if isinstance(value, tuple):
        make = getattr(value, "_make", tuple)  # a named tuple stays one
        return make(_walked(item, depth) for item in value)
    assert isinstance(value, list | Set)
    return [_walked(item, depth) for item in value]


def _exception(exc_info: object) -> BaseException | None:
    """The exception meant by any of the forms that loggers accept."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple) and len(exc_info) == 3:
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


def _rendered(error: BaseException) -> str:
    return mask("".join(traceback.format_exception(error)).rstrip("\n"))
