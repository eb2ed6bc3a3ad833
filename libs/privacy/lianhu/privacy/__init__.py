"""Sealing of personal data, and redaction of what is logged.

`Sealed` is the type of a personal field, `Sealer` closes it, `MasterKeys` keep the keys, `redact`
and `RedactingFilter` stand before every log.
"""

from lianhu.privacy.bodies import open_bytes, seal_bytes
from lianhu.privacy.errors import KeyFileError, SealError, UnsealError
from lianhu.privacy.indexes import BlindIndex
from lianhu.privacy.keys import DataKey, MasterKey, MasterKeys
from lianhu.privacy.masking import mask
from lianhu.privacy.redact import RedactingFilter, redact
from lianhu.privacy.sealed import Sealed, Sealer

__all__ = [
    "BlindIndex",
    "DataKey",
    "KeyFileError",
    "MasterKey",
    "MasterKeys",
    "RedactingFilter",
    "SealError",
    "Sealed",
    "Sealer",
    "UnsealError",
    "mask",
    "open_bytes",
    "redact",
    "seal_bytes",
]
