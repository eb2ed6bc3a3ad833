"""The search for leaks: what publishers told of people must be found in the clear nowhere else.

A program of its own that asks no service: it takes what went in (by default from the public
topics, which the publishers themselves wrote) and searches every table, every other topic, every
log, the metrics and the HTTP answers for it, in many spellings.

    python -m tests.leaks                      # the chain of `make up`
    python -m tests.leaks --kafka 127.0.0.1:9092 --database intake=postgresql://… …
"""

from tests.leaks.chain import Chain, Searched, search
from tests.leaks.finder import Finder, Leak
from tests.leaks.needles import Needle, needles_of, read_needles

__all__ = [
    "Chain",
    "Finder",
    "Leak",
    "Needle",
    "Searched",
    "needles_of",
    "read_needles",
    "search",
]
