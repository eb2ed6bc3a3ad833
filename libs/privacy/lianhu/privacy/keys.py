"""Keys: one data key per case or service, wrapped by a master key that lives in a file.

Erasing a case means deleting its wrapped data key: what was closed with it stays closed.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lianhu.privacy._cipher import KEY_BYTES, close, open_
from lianhu.privacy.errors import KeyFileError, UnsealError

KEY_ID = r"[A-Za-z0-9][A-Za-z0-9/._-]{0,119}"
"""The form of a key's id, such as ``case/440304-2026-000123`` or ``service/intake``."""

_is_key_id: Callable[[str], re.Match[str] | None] = re.compile(KEY_ID).fullmatch
_WRAP_VERSION = 1


def _checked(key_id: str, key: bytes) -> AESGCM:
    if not _is_key_id(key_id):
        raise ValueError("a key id is 1 to 120 ASCII letters, digits, '/', '.', '_' or '-'")
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    return AESGCM(key)


@dataclass(frozen=True, slots=True)
class _Key:
    """32 bytes and what they are called by. Never shown by ``repr``."""

    id: str
    key: bytes = field(repr=False)
    cipher: AESGCM = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cipher", _checked(self.id, self.key))


@dataclass(frozen=True, slots=True)
class DataKey(_Key):
    """32 bytes that close the values of one case or service. Never shown by ``repr``."""

    @classmethod
    def new(cls, id: str) -> DataKey:  # noqa: A002 - the word the field has
        """A fresh random key."""
        return cls(id, secrets.token_bytes(KEY_BYTES))


@dataclass(frozen=True, slots=True)
class MasterKey(_Key):
    """32 bytes that wrap data keys, kept in a file and nowhere else. Never shown by ``repr``."""

    @classmethod
    def generate(cls) -> MasterKey:
        """A fresh random key under a fresh random id."""
        return cls(f"master-{secrets.token_hex(4)}", secrets.token_bytes(KEY_BYTES))

    @classmethod
    def read(cls, path: Path) -> MasterKey:
        """The current key of a file: its last line. Errors as `MasterKeys.read`."""
        return MasterKeys.read(path).current

    def write(self, path: Path) -> None:
        """Make a new file of mode 0600 with this key; `KeyFileError` ``exists`` if there is one."""
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise KeyFileError("exists", f"{path} exists and is not overwritten") from None
        self._put(handle)

    def append(self, path: Path) -> None:
        """Rotate: make this the current key of a file that stays readable for the older ones."""
        if self.id in MasterKeys.read(path).ids:
            raise KeyFileError("exists", f"{path} holds a key of this id")
        self._put(os.open(path, os.O_WRONLY | os.O_APPEND))

    def _put(self, handle: int) -> None:
        line = json.dumps({"id": self.id, "key": base64.b64encode(self.key).decode()})
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())


class MasterKeys:
    """One current master key, which wraps, and older ones, which still unwrap.

    Read from a file they follow it: a key that another process wrapped with, and that is not known
    here yet, is looked for there.
    """

    def __init__(
        self, current: MasterKey, older: Iterable[MasterKey] = (), source: Path | None = None
    ) -> None:
        self._take(current, older)
        self._source = source
        self._stamp = None if source is None else _stamp(source)

    def _take(self, current: MasterKey, older: Iterable[MasterKey]) -> None:
        keys = (*older, current)
        by_id = {key.id: key for key in keys}
        if len(by_id) != len(keys):
            raise ValueError("two master keys have one id")
        self.current, self._by_id = current, by_id

    def renew(self) -> bool:
        """Read the file again if it changed; whether it did. Errors as `read`."""
        if self._source is None or (now := _stamp(self._source)) == self._stamp:
            return False
        found = MasterKeys.read(self._source)
        self._take(found.current, (key for key in found._by_id.values() if key != found.current))
        self._stamp = now
        return True

    def __repr__(self) -> str:
        return f"MasterKeys(current={self.current.id!r}, of {len(self._by_id)})"

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all keys at hand."""
        return frozenset(self._by_id)

    @classmethod
    def read(cls, path: Path) -> MasterKeys:
        """All keys of a file, one line of JSON each (``id``, ``key`` in base64), the last current.

        Raises `KeyFileError`: ``missing``; ``unreadable``; ``exposed`` when others than owner and
        group have any right on it; ``malformed``, with the line's number.
        """
        try:
            mode = path.stat().st_mode
            lines = path.read_bytes().splitlines() if stat.S_ISREG(mode) else []
        except OSError as error:
            raise _not_read(path, error) from None
        if mode & stat.S_IRWXO:
            raise KeyFileError("exposed", f"{path} is open to all users; chmod it to 0600")
        keys = [
            _parsed(line, f"{path}, line {number}")
            for number, line in enumerate(lines, start=1)
            if line.strip()
        ]
        if not keys:
            raise KeyFileError("malformed", f"{path} holds no key")
        if len({key.id for key in keys}) != len(keys):
            raise KeyFileError("malformed", f"{path} has two keys of one id")
        return cls(keys[-1], keys[:-1], path)

    def wrap(self, data_key: DataKey) -> bytes:
        """``1 ‖ length of the master key's id ‖ that id ‖ nonce ‖ ciphertext``.

        This head and the data key's id are authenticated: a wrapped key filed under another case
        does not unwrap.
        """
        name = self.current.id.encode("ascii")
        head = bytes((_WRAP_VERSION, len(name))) + name
        return head + close(self.current.cipher, data_key.key, _about(head, data_key.id))

    def unwrap(self, id: str, wrapped: bytes) -> DataKey:  # noqa: A002 - as in DataKey
        """The data key again, under whichever master key it was wrapped; `UnsealError` if not."""
        head, master = self._head(wrapped)
        key = open_(master.cipher, wrapped[len(head) :], _about(head, id))
        if len(key) != KEY_BYTES:
            raise UnsealError("malformed")
        return DataKey(id, key)

    def is_current(self, wrapped: bytes) -> bool:
        """Whether the current key wrapped it: if not, ``wrap(unwrap(…))`` renews it."""
        return self._head(wrapped)[1] is self.current

    def master_of(self, wrapped: bytes) -> str:
        """The id of the master key that wrapped it; `UnsealError` when it is not at hand."""
        return self._head(wrapped)[1].id

    def _head(self, wrapped: bytes) -> tuple[bytes, MasterKey]:
        if len(wrapped) < 2 or wrapped[0] != _WRAP_VERSION:
            raise UnsealError("malformed")
        head = wrapped[: 2 + wrapped[1]]
        name = head[2:].decode("ascii", "replace")
        if name not in self._by_id:
            with suppress(KeyFileError):
                self.renew()
        master = self._by_id.get(name)
        if master is None:
            raise UnsealError("unknown-master-key")
        return head, master


def _stamp(path: Path) -> tuple[int, int]:
    """What a change of a file changes; KeyFileError `missing` when it is gone, or `unreadable`."""
    try:
        found = path.stat()
    except OSError as error:
        raise _not_read(path, error) from None
    return found.st_mtime_ns, found.st_size


def _not_read(path: Path, error: OSError) -> KeyFileError:
    if isinstance(error, FileNotFoundError):
        return KeyFileError("missing", f"{path} does not exist")
    return KeyFileError("unreadable", f"{path} cannot be read: {error.strerror}")


def _about(head: bytes, data_key_id: str) -> bytes:
    return b"wrap:" + head + b":" + data_key_id.encode()


def _parsed(line: bytes, where: str) -> MasterKey:
    try:
        match json.loads(line):
            case {"id": str(key_id), "key": str(key)}:
                return MasterKey(key_id, base64.b64decode(key, validate=True))
    except (ValueError, binascii.Error):
        pass  # said below, outside this block: the error must not carry the line as its context
    raise KeyFileError("malformed", f'{where} is not {{"id": …, "key": 32 bytes in base64}}')
