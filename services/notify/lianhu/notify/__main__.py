"""`python -m lianhu.notify`: run notify, or one of its operator's commands."""

from lianhu.eventing.cli import main
from lianhu.notify.app import service

if __name__ == "__main__":
    main(service)
