"""What Gradio keeps of each page, counted and forgotten with the page's session."""

from __future__ import annotations

from typing import Any, Final

import gradio as gr

__all__ = ["GradioStates"]

MOST_NAMES: Final = 1000


class GradioStates:
    """The queue's messages and the components' states, by the name of the page's session.

    Args:
        page: whose queue it is.
    """

    def __init__(self, page: gr.Blocks) -> None:
        """Keep the page."""
        self._page = page

    def waiting(self, session: str) -> int | None:
        """Return how many events of a session wait, run, or have results that nobody has fetched; None if unknown."""
        queue = self._queue
        if session not in queue.pending_messages_per_session:
            return None
        return len(queue.pending_event_ids_session.get(session, ()))

    def forget(self, session: str) -> None:
        """Drop what is kept of a session that has ended."""
        queue = self._queue
        if any(event in queue.event_ids_to_events for event in queue.pending_event_ids_session.get(session, ())):
            return  # it still waits or runs
        queue.pending_messages_per_session.pop(session, None)
        queue.pending_event_ids_session.pop(session, None)
        states = self._page.state_holder
        states.session_data.pop(session, None)
        states.time_last_used.pop(session, None)

    def prune(self) -> None:
        """Drop names whose messages are gone: clients that never fetch theirs leave their names alone."""
        queue = self._queue
        if len(queue.pending_event_ids_session) > MOST_NAMES:
            for session in list(queue.pending_event_ids_session):
                if session not in queue.pending_messages_per_session:
                    queue.pending_event_ids_session.pop(session, None)

    @property
    def _queue(self) -> Any:
        return self._page._queue
