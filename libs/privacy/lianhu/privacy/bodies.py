"""Raw bytes, closed: the bodies of parked messages, whose form nobody has checked."""

from __future__ import annotations

from lianhu.privacy._cipher import close, open_
from lianhu.privacy.errors import UnsealError
from lianhu.privacy.keys import DataKey

_VERSION = b"\x01"


def seal_bytes(key: DataKey, data: bytes) -> bytes:
    """``1 ‖ nonce ‖ ciphertext ‖ tag``: 29 bytes longer than ``data``."""
    return _VERSION + close(key.cipher, data, _about(key))


def open_bytes(key: DataKey, blob: bytes) -> bytes:
    """The bytes again; `UnsealError` if altered, cut, or closed with another key."""
    if blob[:1] != _VERSION:
        raise UnsealError("malformed")
    return open_(key.cipher, blob[1:], _about(key))


def _about(key: DataKey) -> bytes:
    return b"bytes:1:" + key.id.encode("ascii")
