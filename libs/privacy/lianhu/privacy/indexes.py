"""Blind indexes 盲索引: equal values are found again, and nobody without the key can say which."""

from __future__ import annotations

import hmac
from hashlib import sha256
from struct import pack

from lianhu.privacy.keys import DataKey


class BlindIndex:
    """A keyed digest of normalised values. The same key and value always give the same 32 bytes."""

    __slots__ = ("_key",)

    def __init__(self, key: DataKey) -> None:
        # a key of its own: what seals must not also index
        self._key = hmac.digest(key.key, b"lianhu blind index 1", sha256)

    def of(self, kind: str, value: str) -> bytes:
        """HMAC-SHA-256 over kind and value. A document's and a phone's never meet."""
        head = kind.encode()
        return hmac.digest(self._key, pack(">I", len(head)) + head + value.encode(), sha256)
