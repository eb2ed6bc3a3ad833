"""Welfare put together: one value that the engine runs."""

from importlib.resources import files

from lianhu.eventing.service import Service
from lianhu.welfare import workflow
from lianhu.welfare.measures import WelfareMeasures
from lianhu.welfare.policy import Policy
from lianhu.welfare.report import commands
from lianhu.welfare.settings import Settings

service = Service(
    name="welfare",
    settings=Settings,
    workflow=workflow,
    states=workflow.STATES,
    policy=Policy.load,
    migrations=files("lianhu.welfare") / "migrations",
    measures=WelfareMeasures,
    commands=commands,
)
