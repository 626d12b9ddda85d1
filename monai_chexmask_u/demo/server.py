"""Serve the page: addresses, limits, and what a browser may load."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import fastapi
import uvicorn
from fastapi.responses import PlainTextResponse

from monai_chexmask_u.demo.results import write_result
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

    app.get("/results/{token}/{name}")(partial(_result, sessions))
    app.get("/pictures/{token}/{name}")(partial(_picture, sessions))
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


def _result(sessions: Sessions, token: str, name: str) -> fastapi.Response:
    """Answer with a file for download; no part of the address is used as a path."""
    session = sessions.find(token)
    if session is None:
        return PlainTextResponse("This result is gone; segment the film again.", 404)
    try:
        with session.lock:
            path = write_result(session, name)
            content = None if path is None else path.read_bytes()
    except (ValueError, OSError) as error:
        sentence = str(error) if isinstance(error, ValueError) else "no room for files on this machine"
        return PlainTextResponse(f"This result cannot be made: {sentence}", 422)
    if content is None:
        return PlainTextResponse("There is no such result.", 404)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return fastapi.Response(content, media_type="application/octet-stream", headers=headers)


def _picture(sessions: Sessions, token: str, name: str) -> fastapi.Response:
    session = sessions.find(token)
    picture = None if session is None else session.pictures.get(name)
    if picture is None:
        return PlainTextResponse("This picture is gone; segment the film again.", 404)
    return fastapi.Response(picture, media_type="image/jpeg", headers={"Cache-Control": "no-store"})


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
