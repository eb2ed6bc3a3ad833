"""Names of databases that no other test has, of this run or another."""

from __future__ import annotations

from secrets import token_hex

MINE = f"test_{token_hex(4)}_"
"""How all names of this process begin."""


def fresh(what: str) -> str:
    """A name that says what it is of."""
    return f"{MINE}{what}_{token_hex(4)}"
