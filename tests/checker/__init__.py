"""The checker: a program of its own that asks no service whether the promise was kept.

It reads topics from their beginning to their end and the services' databases, and computes a
verdict: nothing lost, nothing doubled, nothing out of order, no gap, every chain whole, every
state the fold of its journal, nobody told wrongly, nothing waiting.

    python -m tests.checker --kafka 127.0.0.1:9092 --database intake=postgresql://… …
"""

from tests.checker.check import check
from tests.checker.evidence import Database, Evidence, InApp, JournalRow, Parked, Record, StateRow
from tests.checker.verdict import Finding, Kind, Verdict

__all__ = [
    "Database",
    "Evidence",
    "Finding",
    "InApp",
    "JournalRow",
    "Kind",
    "Parked",
    "Record",
    "StateRow",
    "Verdict",
    "check",
]
