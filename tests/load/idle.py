"""A chain with little to do: from a report to the first notice that is with its channel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.load.lives import Window, bench, told
from tests.load.scripts import SHORT, Script

CALM = 50.0
"""Reports a second that a chain hardly notices."""
REPORTED = Script(
    "reported", SHORT.report, (), Counter({"case-opened": 1, "case-offered": 1}), closes=False
)
"""A report that becomes a case and is offered, and its unit has it on its screen."""


@dataclass(frozen=True)
class Idle:
    """What was seen at a rate that the chain hardly notices."""

    window: Window

    @property
    def kept(self) -> bool:
        """Whether the chain had little to do, and did it as it came."""
        return self.window.kept


def idle(rate: float = CALM, seconds: float = 30.0, say: Callable[[str], None] = print) -> Idle:
    """Reports at this rate; `window.noticed` is the answer. Raises `NotKept` or `Astray`."""
    with bench(REPORTED, say) as made:
        window = made.window(rate, seconds)
        say(told(window))
        say("judging what became of them")
        made.judged()
    return Idle(window)
