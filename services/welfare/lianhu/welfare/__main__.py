"""`python -m lianhu.welfare`: run welfare, or one of its operator's commands."""

from lianhu.eventing.cli import main
from lianhu.welfare.app import service

if __name__ == "__main__":
    main(service)
