"""Keep what pydicom and highdicom say of a header, which may be patient data, out of terminals and logs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["no_warnings"]

PACKAGES: Final = ("pydicom", "highdicom")


@contextmanager
def no_warnings(*packages: str) -> Iterator[None]:
    """Silence the warnings and the loggers of packages whose messages quote what they read.

    Args:
        packages: by default pydicom and highdicom, which quote values from the header.

    Example:
        >>> with no_warnings():
        ...     logging.getLogger("pydicom").warning("Invalid value for VR PN: Doe^Jane")
    """

    def refuse(record: logging.LogRecord) -> bool:
        return False

    # A logger's filter does not act on loggers below it. Filters of several threads do not disturb each other.
    silenced = packages or PACKAGES
    names = {name for name in logging.Logger.manager.loggerDict if name.partition(".")[0] in silenced}
    loggers = [logging.getLogger(name) for name in names.union(silenced)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.addFilter(refuse)
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(refuse)
