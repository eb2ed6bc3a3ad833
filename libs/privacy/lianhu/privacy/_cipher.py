"""AES-256-GCM as used everywhere here: a fresh random nonce, then ciphertext and tag.

Nonces are 96 random bits, so one key may close at most 2**32 values (NIST SP 800-38D, 8.3): no
limit for the key of a case; a key of a service is to be renewed long before.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lianhu.privacy.errors import UnsealError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16


def close(cipher: AESGCM, plain: bytes, about: bytes) -> bytes:
    """``nonce ‖ ciphertext ‖ tag``; ``about`` is authenticated, not stored."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, about)


def open_(cipher: AESGCM, blob: bytes, about: bytes) -> bytes:
    """The plain bytes again; `UnsealError` if cut, altered, or of another key or ``about``."""
    if len(blob) < NONCE_BYTES + TAG_BYTES:
        raise UnsealError("malformed")
    try:
        return cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], about)
    except InvalidTag:
        raise UnsealError("wrong-key") from None
