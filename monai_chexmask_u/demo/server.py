"""Serve the page: addresses, limits, and what a browser may load."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import fastapi
import uvicorn
from fastapi.responses import FileResponse

from monai_chexmask_u.demo.sessions import Sessions
from monai_chexmask_u.model import Model

__all__ = ["build_app", "serve"]

MAX_UPLOAD_BYTES: Final = 200 * 1024 * 1024
# The page loads nothing from elsewhere, and says so to the browser. Gradio's own scripts stand in the page.
_CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "frame-ancestors 'none'"
)


def serve(model: Model, *, host: str, port: int, device: str, announce: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C.

    Args:
        model: from `monai_chexmask_u.model.load_model`.
        host: address to listen at.
        port: 0 for a free one.
        device: as `Segmenter` takes it.
        announce: called with the page's address when it can be opened.

    Raises:
        ValueError: if the address or port cannot be used.
    """
    with _listen(host, port) as listener, _sessions() as sessions:
        address = listener.getsockname()
        app = build_app(model, sessions, device=device)
        listener.listen()  # a browser that comes early waits
        name = f"[{address[0]}]" if listener.family == socket.AF_INET6 else address[0]
        announce(f"http://{name}:{address[1]}/ shows the page; Ctrl-C ends it. For research use only.")
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2))
        server.run(sockets=[listener])


def build_app(model: Model, sessions: Sessions, *, device: str = "auto") -> fastapi.FastAPI:
    """Return the web application: the page, and the results of its users."""
    import gradio as gr

    from monai_chexmask_u.demo.page import CSS, build_page

    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    app.middleware("http")(_restrict)

    def result(token: str, name: str) -> FileResponse:
        path = sessions.find_file(token, name)
        if path is None or not path.is_file():
            raise fastapi.HTTPException(404, "This result is gone; segment the film again.")
        return FileResponse(path, filename=name, headers={"Cache-Control": "no-store"})

    app.get("/results/{token}/{name}")(result)
    # White on the default's orange is hard to read.
    theme = gr.themes.Default(
        primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    theme.set(button_primary_background_fill="*primary_700", button_primary_background_fill_hover="*primary_800")
    return gr.mount_gradio_app(
        app,
        build_page(model, sessions, device=device),
        path="/",
        max_file_size=MAX_UPLOAD_BYTES,
        footer_links=[],
        css=CSS,
        theme=theme,
        ssr_mode=False,
    )


async def _restrict(
    request: fastapi.Request, call_next: Callable[[fastapi.Request], Awaitable[fastapi.Response]]
) -> fastapi.Response:
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@contextmanager
def _sessions() -> Iterator[Sessions]:
    """Yield sessions whose folder, and what Gradio puts beside it, goes at the end."""
    sessions = Sessions()
    os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="gradio-", dir=sessions.folder)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        yield sessions
    finally:
        sessions.close_all()


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise ValueError(f"cannot listen at {host}, port {port} ({error.strerror}); choose another --port") from error
    with listener:
        yield listener
