"""What can go wrong with the stack, told to a person in one sentence."""

from __future__ import annotations


class StackFault(Exception):
    """The stack cannot do what was asked. The text is a sentence for a terminal."""


class Missing(StackFault):
    """Something that `make install` or the machine should have brought is not there."""


class PortTaken(StackFault):
    """A port is held by a process that is not part of this stack."""


class Died(StackFault):
    """A process of the stack ended, or was not ready in time; the text has its last log lines."""


class Busy(StackFault):
    """Another command is at work on the same run directory."""
