"""Notify put together: one value that the engine runs."""

from importlib.resources import files

from lianhu.eventing.rules import Rank
from lianhu.eventing.service import Service
from lianhu.notify import workflow
from lianhu.notify.effects import effects
from lianhu.notify.measures import NotifyMeasures
from lianhu.notify.policy import Policy
from lianhu.notify.routes import routes
from lianhu.notify.screen import Screens
from lianhu.notify.settings import Settings
from lianhu.notify.state import CaseState, DigestState
from lianhu.notify.undelivered import commands

service = Service(
    name="notify",
    settings=Settings,
    workflow=workflow,
    states={Rank.CASE: CaseState, Rank.ENVELOPE: CaseState, Rank.DIGEST: DigestState},
    policy=Policy.load,
    migrations=files("lianhu.notify") / "migrations",
    measures=NotifyMeasures,
    effects=effects,
    rows=Screens(),
    routes=routes,
    commands=commands,
)
