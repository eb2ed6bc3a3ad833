"""All faults, in the order in which they strike. A new one is one more line here."""

from __future__ import annotations

from deploy.embedded.services import SERVICES
from tests.faults.points import OF_ALL, OF_EFFECTS
from tests.faults.refused import (
    at_its_limit,
    deadlocked,
    out_of_disk,
    out_of_log,
    out_of_time,
)
from tests.faults.releases import new_release_and_back
from tests.faults.strikes import (
    Fault,
    all_restart,
    crashed,
    frozen_anywhere,
    frozen_at,
    gone,
    killed_anywhere,
    killed_at,
    killed_migrating,
    offsets_reset,
    restarted,
    rolling,
    third_comes_and_goes,
)

AT_POINTS: tuple[Fault, ...] = (
    *(killed_at(service, point) for service in SERVICES for point in OF_ALL),
    *(killed_at("notify", point) for point in OF_EFFECTS),
)

FAULTS: tuple[Fault, ...] = (
    *AT_POINTS,
    *(killed_anywhere(service) for service in SERVICES),
    *(killed_migrating(service) for service in SERVICES),
    frozen_at("mediation", "after-locks"),
    frozen_at("mediation", "published-before-cursor"),
    frozen_anywhere("intake"),
    third_comes_and_goes(),
    rolling(2),
    rolling(3),
    all_restart(),
    new_release_and_back(),
    *(fault for name in ("kafka", "postgres") for fault in (restarted(name), crashed(name))),
    *(gone(name) for name in ("kafka", "postgres")),
    out_of_disk(),
    out_of_log(),
    at_its_limit(),
    deadlocked("mediation"),
    out_of_time("intake"),
    offsets_reset(),
)

SHARPEST: tuple[Fault, ...] = (
    killed_at("intake", "before-commit"),
    killed_at("mediation", "after-commit-before-offsets"),
    killed_at("welfare", "published-before-cursor"),
    killed_at("notify", "called-before-outcome"),
    frozen_at("mediation", "after-locks"),
    gone("kafka"),
    gone("postgres"),
    out_of_disk(),
    at_its_limit(),
    new_release_and_back(),
)
"""What `make test` has time for."""
