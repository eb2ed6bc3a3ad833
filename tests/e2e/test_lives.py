"""What measures whole lives drives them as their scripts say, and what it did is judged."""

from __future__ import annotations

import pytest

from tests.load.lives import bench, counted
from tests.load.money import money
from tests.load.scripts import SHORT

pytestmark = [pytest.mark.long, pytest.mark.timeout(420)]


def test_short_lives_end_and_each_is_seen_and_counted() -> None:
    with bench(SHORT, lambda _: None, warm=0.0) as made:
        before = counted(made.session)
        window = made.window(2.0, 2.0, 0.0)
        after = counted(made.session)
        made.judged()
    assert window.started == window.whole.count == window.noticed.count == 4
    assert 0 < window.noticed.p50 < window.whole.p50
    assert all(used >= 0 for name, used in window.cpu.items() if name != "others")
    assert all(after[name][0] > before[name][0] for name in before)


def test_lives_with_relief_come_to_their_end() -> None:
    found = money(3, 2.0)
    assert found.lives >= 3
    assert len(found.stages) == 3
    assert found.chain_cpu > 0
