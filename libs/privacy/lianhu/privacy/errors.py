"""The ways in which sealing and unsealing fail.

Every error carries a stable kebab-case slug. No text holds personal data, key bytes or a token.
"""

from __future__ import annotations

from typing import ClassVar, Literal

UnsealSlug = Literal["wrong-key", "malformed", "unknown-master-key"]
SealSlug = Literal["no-sealer", "not-sealed", "wrong-type"]
KeyFileSlug = Literal["missing", "unreadable", "malformed", "exposed", "exists"]


class UnsealError(Exception):
    """What is closed could not be opened.

    ``wrong-key``: another key closed it, or it was altered (the cipher cannot tell which).
    ``malformed``: it has not the form of what this library writes, or opened to another type.
    ``unknown-master-key``: wrapped by a master key that is not at hand.
    """

    _texts: ClassVar[dict[UnsealSlug, str]] = {
        "wrong-key": "closed with another key, or altered since",
        "malformed": "not in the form this library writes",
        "unknown-master-key": "wrapped by a master key that is not at hand",
    }

    def __init__(self, slug: UnsealSlug) -> None:
        super().__init__(f"{slug}: {self._texts[slug]}")
        self.slug = slug


class SealError(Exception):
    """A value could not be closed, so nothing was written.

    ``no-sealer``: an open value met a dump without a `Sealer` as its context.
    ``not-sealed``: a field of sealed type holds something that is not a `Sealed`.
    ``wrong-type``: the open value is not of the type its field declares.
    """

    _texts: ClassVar[dict[SealSlug, str]] = {
        "no-sealer": "an open value is only written with a Sealer as the context",
        "not-sealed": "a sealed field holds a value that is not sealed",
        "wrong-type": "the open value is not of the type its field declares",
    }

    def __init__(self, slug: SealSlug) -> None:
        super().__init__(f"{slug}: {self._texts[slug]}")
        self.slug = slug


class KeyFileError(Exception):
    """A file of master keys cannot be used.

    ``missing``, ``unreadable``, ``malformed``, ``exposed``, ``exists``.
    """

    def __init__(self, slug: KeyFileSlug, text: str) -> None:
        super().__init__(f"{slug}: {text}")
        self.slug = slug
