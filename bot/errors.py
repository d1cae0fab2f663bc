"""What can go wrong, drawn as a tree. Each class is an answer: to a person, or to the engine.

RecoveryError                 its text is a sentence that may be shown to a person
├── BadInput                  what was typed cannot be used; nothing was changed
├── NotAllowed                the person may not do this (or we could not read whether they may)
├── NotNow                    the incident is not in a state in which this is possible
├── NotFound                  there is no such incident, effect or person
├── ConfigError               the settings or the estate file stop the start
├── StoreError                our own database
│   ├── StoreUnavailable      it cannot be reached now; nothing was stored
│   └── DataDirectoryBusy     another bot holds the embedded server's data directory
└── NeighbourError            Slack, PagerDuty or a part of the estate
    ├── Unavailable           no answer, or "later": it may have happened, so read back, then repeat
    │   └── Silent            nobody said anything at all
    └── Refused               a clear no: repeating is useless
        └── NameTaken         somebody else's channel has that name
"""

from __future__ import annotations


class RecoveryError(Exception):
    """Root of the tree; `str()` of it is a sentence for a person."""


class BadInput(RecoveryError):
    """What was typed cannot be used. `field` names the input it stands in, if any."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class NotAllowed(RecoveryError):
    """The person may not do this, or nobody could tell whether they may."""


class NotNow(RecoveryError):
    """Possible in another state of the incident, not in this one."""


class NotFound(RecoveryError):
    """Nothing by that name."""


class ConfigError(RecoveryError):
    """The bot cannot start like this."""


class StoreError(RecoveryError):
    """Our own database."""


class StoreUnavailable(StoreError):
    """The store did not answer; what was asked did not happen."""


class DataDirectoryBusy(StoreError):
    """Another process holds the embedded server's data directory."""


class NeighbourError(RecoveryError):
    """An outside system did not do what it was asked."""


class Unavailable(NeighbourError):
    """No answer or "try later". The call may have happened, unless `untried` says that it surely did not.

    `retry_after` is in seconds.
    """

    def __init__(self, message: str, retry_after: float | None = None, *, untried: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.untried = untried


class Silent(Unavailable):
    """Nobody said anything, not even that we are not wanted: refused connections, deadlines, names without an address.
    Nothing has happened. Whoever gets this from everybody may take the server for gone; any other error comes from one
    that lives, or was never asked."""

    def __init__(self, message: str) -> None:
        super().__init__(message, untried=True)


class Refused(NeighbourError):
    """A clear no. `code` is the neighbour's own word for it."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class NameTaken(Refused):
    """A channel of that name exists (an archived one counts)."""
