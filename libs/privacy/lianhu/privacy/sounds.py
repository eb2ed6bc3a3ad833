"""How a name sounds, for names that are written in more than one way.

Apart from the other forms: its dictionary takes 50 MB of memory, in whichever service imports it.
"""

from __future__ import annotations

from functools import lru_cache

from pypinyin import lazy_pinyin

from lianhu.privacy import normal


@lru_cache(maxsize=4096)
def sound(text: str) -> str:
    """`王晓红` and `王小红` are `wangxiaohong`: the name in pinyin without tones."""
    return "".join(lazy_pinyin(normal.name(text))).casefold()
