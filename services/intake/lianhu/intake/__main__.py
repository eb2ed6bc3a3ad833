"""`python -m lianhu.intake`: run intake, or one of its operator's commands."""

from lianhu.eventing.cli import main
from lianhu.intake.app import service

if __name__ == "__main__":
    main(service)
