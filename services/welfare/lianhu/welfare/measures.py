"""What welfare measures: the balances of its pools."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge

from lianhu.eventing.measures import Measures, Part
from lianhu.eventing.rules import Rank, State
from lianhu.welfare.workflow.state import PoolState


class WelfareMeasures(Measures):
    """Stock taken of pools."""

    kinds = (Rank.POOL,)

    def __init__(self, registry: CollectorRegistry) -> None:
        self._balance = Gauge(
            "lianhu_welfare_pool_balance",
            "Balance 余额 of an account of a pool, in fen or places",
            ["pool", "account"],
            registry=registry,
        )

    def parts(self, state: State) -> Iterable[Part]:
        """Each account of a pool."""
        if isinstance(state, PoolState):
            for account, amount in state.balances.items():
                yield Part(self._balance, (state.pool, account), amount)
