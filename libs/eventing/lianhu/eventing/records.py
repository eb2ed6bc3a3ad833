"""Kafka records as they came, also one with a header *name* that is not UTF-8.

The broker takes such a record; aiokafka's parser raises at it. Then one record of one publisher
would stop the whole consumer at that place for ever, and what the same call had already taken from
other partitions would be skipped. So the client is given a reader that goes over such a batch once
more and writes the bytes that cannot be read as `\\xff`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from struct import unpack_from
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH_AT = 8
_OVERHEAD = 12
"""Bytes of a batch that its own length does not count: the base offset and the length."""


class _Lenient(bytearray):
    """Bytes that can always be read as text."""

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return _Lenient(found) if isinstance(key, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace")


class _Batch:
    """A batch of the client, read by its fast parser for as long as that can read it."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                read += 1
                yield record
        except (UnicodeDecodeError, CorruptRecordException):
            again = _DefaultRecordBatchPy(self._raw)
            again._maybe_uncompress()
            again._buffer = _Lenient(again._buffer)
            yield from islice(again, read, None)


class Records:
    """What a fetch brought; stands where the client would put its `MemoryRecords`."""

    def __init__(self, data: bytes) -> None:
        self._inner = MemoryRecords(data)
        self._data = memoryview(data)
        self._next = 0

    def size_in_bytes(self) -> int:
        """All bytes, also of a batch that was cut off."""
        size: int = self._inner.size_in_bytes()
        return size

    def has_next(self) -> bool:
        """Whether another whole batch follows."""
        more: bool = self._inner.has_next()
        return more

    def next_batch(self) -> _Batch:
        """The next batch."""
        start = self._next
        (length,) = unpack_from(">i", self._data, start + _LENGTH_AT)
        self._next = start + _OVERHEAD + length
        return _Batch(self._inner.next_batch(), self._data[start : self._next])


def install() -> None:
    """Have every consumer of this process read its fetches with `Records`."""
    fetcher.MemoryRecords = Records
