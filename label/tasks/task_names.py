"""Names by which clients ask for models, trainers, scoring methods and strategies."""

from __future__ import annotations

from typing import Any

from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.exception import MONAILabelError, MONAILabelException

__all__ = ["UnknownNameError", "check_name"]


class UnknownNameError(MONAILabelException):
    """Something was asked for by a name that nothing has."""


def check_name(app: MONAILabelApp, kind: str, name: Any) -> None:
    """Refuse a name that nothing has.

    Args:
        app: which has tasks.
        kind: ``model``, ``trainer``, ``scoring method`` or ``strategy``.
        name: as a client gave it.

    Raises:
        UnknownNameError: the message lists what there is.
    """
    tasks = {
        "model": app._infers,
        "trainer": app._trainers,
        "scoring method": app._scoring_methods,
        "strategy": app._strategies,
    }
    known = sorted(tasks[kind])
    if name not in known:
        raise UnknownNameError(
            MONAILabelError.INVALID_INPUT, f"there is no {kind} {str(name)[:100]!r}; there are {', '.join(known)}"
        )
