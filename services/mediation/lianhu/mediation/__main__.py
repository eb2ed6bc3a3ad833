"""`python -m lianhu.mediation`: run mediation, or one of its operator's commands."""

from lianhu.eventing.cli import main
from lianhu.mediation.app import service

if __name__ == "__main__":
    main(service)
