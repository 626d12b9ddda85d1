"""What can go wrong with an archive, by what is to be done about it.

Every message is one line that names the archive, the cause and a way out. None quotes what the archive answered: it may
hold patient data.
"""

from __future__ import annotations

from importlib.util import find_spec

__all__ = [
    "ArchiveError",
    "ArchiveUnusable",
    "ObjectNotGiven",
    "ObjectRefused",
    "OutOfTime",
    "TryLater",
    "require_packages",
]


class ArchiveError(Exception):
    """An archive did not do what it was asked for."""


class ArchiveUnusable(ArchiveError):
    """Nothing will work with this archive until a person changes something: address, certificate, password, rights."""


class ObjectNotGiven(ArchiveUnusable):
    """The archive gives something else than the object that was asked for, or nothing. Others it may give."""


class ObjectRefused(ArchiveError):
    """The archive will never take this object."""


class TryLater(ArchiveError):
    """It may work later.

    Attributes:
        unreachable: no object can be sent now, not just this one.
        retry_after_s: seconds that the archive asked to wait, or None.
    """

    def __init__(self, message: str, *, unreachable: bool = False, retry_after_s: float | None = None) -> None:
        """Keep what decides on when to try again, and with what."""
        super().__init__(message)
        self.unreachable = unreachable
        self.retry_after_s = retry_after_s


class OutOfTime(TryLater):
    """The archive used up the time for an answer without completing it: trying again at once would double that time."""


def require_packages(*names: str) -> None:
    """See that packages of the extra ``archive`` are installed.

    Raises:
        ArchiveUnusable: if one is not.
    """
    for name in names:
        if find_spec(name) is None:
            raise ArchiveUnusable(
                f"the package {name} is missing; install this one with its extra: pip install '.[archive]'"
            )
