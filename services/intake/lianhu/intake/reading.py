"""Reading a narrative: which of the policy's words stand in it, and which of them are denied.

One pass over the text, whatever the number of words. What a word means is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from unicodedata import normalize

from ahocorasick_rs import AhoCorasick
from opencc import OpenCC
from pydantic import BaseModel, ConfigDict, Field

from lianhu.contracts.base import Line

GAP = "…"
"""In a word of the policy: up to `gap` characters of the same clause, as in 掐…脖子."""

_ENDS = "，。；：！？,;:!?\n"
"""Where a clause ends; `、` does not end one: 没有殴打、辱骂 denies both."""

_UNUSUAL = re.compile(
    "[ \t\r\x0b\x0c\xa0\u200b-\u200f\u2060\u3000\ufeff"
    "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\u2e80-\u2fdf\uf900-\ufaff]+"
)
"""Nothing to read, or letters and digits of another width or form."""
_NOTHING = re.compile("[\\s\u200b-\u200f\u2060\ufeff]+")
_BLANKED = "[一-龥]某[某甲乙丙丁]?"
"""A name as courts blank it."""
_TO_SIMPLIFIED = OpenCC("t2s")

Words = Annotated[tuple[Line, ...], Field(min_length=1)]


class Boilerplate(BaseModel):
    """Passages that say nothing about this matter: statutes that a court quotes 法条.

    A passage begins with one of `opens` and goes on to the first of `stops`, `at_most` so many
    characters. With `ends` it is one only if that stands right before the stop.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Line
    opens: Words
    stops: Line
    at_most: Annotated[int, Field(ge=1, le=1000)]
    ends: str = ""


class Grammar(BaseModel):
    """How a word is denied or only supposed; every distance in characters of one clause."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Line
    gap: Annotated[int, Field(ge=1, le=20)]
    reach: Annotated[int, Field(ge=1, le=40)]
    """How far before a word a denial is looked for."""
    near: Words
    """Deny what follows, with nothing but `fillers` between: 没有经常殴打."""
    not_near: tuple[Line, ...]
    """Begin like one of `near` and deny nothing: 未成年, 没完没了."""
    fillers: Words
    far: Words
    """Deny whatever follows in the clause: 没有证据证明他曾殴打."""
    after: Words
    """Deny what stands before: 实施家庭暴力不属实."""
    reach_after: Annotated[int, Field(ge=1, le=40)]
    supposing: Words
    """如果, 万一: what follows is not said to have happened."""
    again: Words
    """如果再打我: it happened before."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was read: how often each word stands there, and how often it is said to be so."""

    said: Mapping[str, int]
    """Every mention."""
    meant: Mapping[str, int]
    """Without the mentions that are denied or, if not `absolute`, only supposed."""


class Reader:
    """The words, passages and grammar of one policy, compiled. Immutable; safe among threads."""

    __slots__ = (
        "_absolute",
        "_after",
        "_before",
        "_careful",
        "_hint",
        "_hint_after",
        "_implied",
        "_reach",
        "_reach_after",
        "_scanner",
    )

    def __init__(
        self,
        words: Mapping[str, Collection[str]],
        careful: Iterable[str],
        absolute: Iterable[str],
        boilerplate: Sequence[Boilerplate],
        grammar: Grammar,
    ) -> None:
        """`words`, each with the words that it says too: 打骂孩子 says 打骂.

        `careful` words may be denied; of them `absolute` ones count even when supposed: a threat,
        如果离婚就砍死你, is one although it begins with if.
        """
        self._implied = {word: (word, *implied) for word, implied in words.items()}
        self._careful = frozenset(careful)
        self._absolute = frozenset(absolute)
        self._scanner = _Scanner(words, boilerplate, grammar.gap)
        self._hint = _first([*grammar.near, *grammar.far, *grammar.supposing])
        self._hint_after = _first(grammar.after)
        self._before = _before(grammar)
        self._after = re.compile(f"[^{_ENDS}]{{0,{grammar.reach_after}}}?{_any(grammar.after)}")
        self._reach = grammar.reach
        self._reach_after = grammar.reach_after + 1

    def read(self, narrative: str) -> Found:
        """The words of a text in any script or width. Never fails."""
        text = normalised(narrative)
        said: dict[str, int] = {}
        meant: dict[str, int] = {}
        for word, start, end in self._scanner.words(text):
            counts = word not in self._careful or not self._denied(text, word, start, end)
            for each in self._implied[word]:
                said[each] = said.get(each, 0) + 1
                if counts:
                    meant[each] = meant.get(each, 0) + 1
        return Found(said, meant)

    def _denied(self, text: str, word: str, start: int, end: int) -> bool:
        reach = max(0, start - self._reach)
        if self._hint.search(text, reach, start) is not None:
            before = self._before.search(text, reach, start)
            if before is not None and (before["supposed"] is None or word not in self._absolute):
                return True
        after = self._hint_after.search(text, end, end + self._reach_after)
        return after is not None and self._after.match(text, end) is not None


class _Scanner:
    """Finds words and passages, from left to right, the longest first, none within another."""

    __slots__ = ("_finder", "_meanings", "_texts")

    def __init__(self, words: Iterable[str], passages: Iterable[Boilerplate], gap: int) -> None:
        meanings: dict[str, list[tuple[str | None, re.Pattern[str] | None]]] = {}
        for passage in passages:
            tail = re.compile(_passage(passage))
            for opening in passage.opens:
                meanings.setdefault(opening, []).append((None, tail))
        for word in sorted(words, key=lambda word: (GAP not in word, -len(word), word)):
            head, gapped, rest = word.partition(GAP)
            between = f"[^{_ENDS}、]{{0,{gap}}}?{re.escape(rest)}"
            tail_ = re.compile(between) if gapped else None
            meanings.setdefault(head, []).append((word, tail_))
        self._texts = tuple(meanings)
        self._meanings = tuple(meanings.values())
        self._finder = AhoCorasick(self._texts)

    def words(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Each word with where it starts and ends."""
        hits = self._finder.find_matches_as_indexes(text, overlapping=True)
        done = 0
        for which, start, stop in sorted(hits, key=_leftmost_longest):
            if start < done:
                continue
            for word, tail in self._meanings[which]:
                end = stop
                if tail is not None:
                    match = tail.match(text, stop)
                    if match is None:
                        continue
                    end = match.end()
                # a gap may hold words of its own
                done = end if word is None else stop
                if word is not None:
                    yield word, start, end
                break


def _leftmost_longest(hit: tuple[int, int, int]) -> tuple[int, int]:
    _, start, stop = hit
    return start, -stop


def _passage(passage: Boilerplate) -> str:
    stops = re.escape(passage.stops)
    body = f"[^{stops}]{{0,{passage.at_most}}}"
    if passage.ends:
        body += f"(?<={re.escape(passage.ends)})(?=[{stops}])"
    return body


def normalised(text: str) -> str:
    """Simplified characters, half-width letters and digits, no spaces within a clause.

    Letters, digits, radicals and compatibility ideographs by NFKC; punctuation as it is.
    """
    usual = _UNUSUAL.sub(lambda run: _NOTHING.sub("", normalize("NFKC", run[0])), text)
    return str(_TO_SIMPLIFIED.convert(usual))


def _before(grammar: Grammar) -> re.Pattern[str]:
    """A denial, or a supposition (group `supposed`), that ends where the word begins."""
    near = f"(?!{_any(grammar.not_near)}){_any(grammar.near)}" if grammar.not_near else ""
    near = near or _any(grammar.near)
    clause = f"[^{_ENDS}]*"
    return re.compile(
        f"(?:{near}(?:{_any(grammar.fillers)}|{_BLANKED})*|{_any(grammar.far)}{clause}"
        f"|(?P<supposed>{_any(grammar.supposing)}(?!{clause}{_any(grammar.again)}){clause}))$"
    )


def _any(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(re.escape(word) for word in sorted(words, key=len, reverse=True))})"


def _first(words: Iterable[str]) -> re.Pattern[str]:
    """A character that one of the words begins with: where none is, no word need be tried."""
    return re.compile(f"[{re.escape(''.join(sorted({word[0] for word in words})))}]")
