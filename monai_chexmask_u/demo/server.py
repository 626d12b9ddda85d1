"""Serving the page: its addresses, who may use them, and the files of the server's folder."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import fastapi
import uvicorn
from fastapi.responses import PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from monai_chexmask_u.demo.access_token import AccessToken
from monai_chexmask_u.demo.connections import PatientProtocol
from monai_chexmask_u.demo.gate import Gate
from monai_chexmask_u.demo.results import write_result
from monai_chexmask_u.demo.sessions import Session, Sessions
from monai_chexmask_u.demo.uploads import UploadError, Uploads
from monai_chexmask_u.model import Model
from monai_chexmask_u.request_guard import Application, RequestGuard, is_loopback, is_wildcard, names_loopback

__all__ = ["build_app", "serve"]

TIDY_SECONDS: Final = 10.0
RESULTS_AT_ONCE: Final = 2
_M_ARENA_MAX: Final = -8  # of glibc's mallopt


def serve(
    model: Model,
    folder: Path,
    *,
    host: str,
    port: int,
    device: str,
    announce: Callable[[str], None],
    hosts: Sequence[str] = (),
    needs_token: bool = True,
) -> None:
    """Serve the page until the process ends.

    Args:
        model: from `monai_chexmask_u.model.load_model`.
        folder: for uploads and results.
        host: address to listen at.
        port: 0 for a free one.
        device: as `Segmenter` takes it.
        announce: called with the page's address when it can be opened.
        hosts: further names by which the page may be opened, as `RequestGuard` takes them.
        needs_token: others than this machine, which come to another address than loopback or by a further name that
            is none of loopback's, need the token of the address that is announced.

    Raises:
        ValueError: if the address or port cannot be used, or a name is none.
    """
    RequestGuard(_nothing, hosts=hosts)  # a wrong name is said before anything is built
    _share_memory_among_threads()
    with _listen(host, port) as listener:
        address, own_port = listener.getsockname()[:2]
        # By another name it is reached from elsewhere, through a proxy, also where it listens at loopback.
        is_alone = is_loopback(address) and all(names_loopback(name) for name in hosts)
        token = None if is_alone or not needs_token else secrets.token_urlsafe(24)
        app = build_app(model, folder, device=device)
        if token is not None:
            app = AccessToken(app, token=token, port=own_port)
        app = RequestGuard(app, listen=host or address, hosts=hosts)
        listener.listen()  # a browser that comes early waits
        announce(_announcement(host or address, own_port, token, is_alone=is_alone))
        _Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                ws="none",
                http=PatientProtocol,
            )
        ).run(sockets=[listener])


def _share_memory_among_threads() -> None:
    """Have glibc give all threads two pools of memory, where it would give up to eight pools to each core.

    What a request has used and freed is then used by the next one, whichever thread serves it; else a server that runs
    for long grows by the largest request of each pool.
    """
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


class _Server(uvicorn.Server):
    """Leaves the signals to `exits_on_signals`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def build_app(model: Model, folder: Path, *, device: str = "auto") -> Application:
    """Return the web application: the page, and the uploads and results of its users, behind its gate.

    Who may reach it is checked in front of it.

    Args:
        model: from `monai_chexmask_u.model.load_model`.
        folder: for uploads and results; the caller deletes it.
        device: as `Segmenter` takes it.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "gradio")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr

    from monai_chexmask_u.demo.gradio_states import GradioStates
    from monai_chexmask_u.demo.page import CSS, build_page, event_checks

    uploads, sessions = Uploads(folder), Sessions(folder)
    page = build_page(model, sessions, uploads, device=device)
    states = GradioStates(page)
    sessions.on_close = states.forget
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gate = Gate(app, events=event_checks(page), waiting=states.waiting)

    def tidy() -> None:
        sessions.close_idle(list(gate.open_pages))
        uploads.expire()
        states.prune()

    app.router.lifespan_context = _tidying(tidy)
    app.include_router(_router(sessions, uploads))
    # White on the default's orange is hard to read.
    theme = gr.themes.Default(
        primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    theme.set(button_primary_background_fill="*primary_700", button_primary_background_fill_hover="*primary_800")
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        max_file_size=1,  # files come by an address of our own
        footer_links=[],
        css=CSS,
        theme=theme,
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        show_error=False,  # what is meant for users is a gradio.Error; others may name paths
    )
    return gate


def _router(sessions: Sessions, uploads: Uploads) -> fastapi.APIRouter:
    """Return the routes of uploads, images and results; no part of an address is used as a path."""
    router = fastapi.APIRouter()
    free = asyncio.Semaphore(RESULTS_AT_ONCE)

    async def upload(session: str, key: str, request: fastapi.Request) -> fastapi.Response:
        """Keep a file that a page sends; the answer is the name that opens it."""
        try:
            if not uploads.is_key(session, key):
                raise UploadError(404, "This page's session is gone; reload it.")
            name = await uploads.receive(session, _length(request), request.stream())
        except UploadError as error:
            return PlainTextResponse(str(error), error.status, {"Connection": "close", "Cache-Control": "no-store"})
        except ClientDisconnect:
            return PlainTextResponse("", 400)
        return PlainTextResponse(name, headers={"Cache-Control": "no-store"})

    async def result(token: str, name: str) -> fastapi.Response:
        """Answer with a file for download."""
        async with free:
            return await run_in_threadpool(_result, sessions, token, name)

    async def image(token: str, name: str) -> fastapi.Response:
        """Answer with a radiograph as the page shows it."""
        session = sessions.find(token)
        found = None if session is None else session.images.get(name)
        if found is None:
            return PlainTextResponse("This image is gone; segment the radiograph again.", 404)
        return fastapi.Response(found, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    router.add_api_route("/uploads/{session}/{key}", upload, methods=["POST"])
    router.add_api_route("/results/{token}/{name}", result, methods=["GET"])
    router.add_api_route("/images/{token}/{name}", image, methods=["GET"])
    return router


def _length(request: fastapi.Request) -> int:
    """Return how long an upload says it is.

    Raises:
        UploadError: if it does not say.
    """
    values = request.headers.getlist("content-length")
    if len(values) != 1 or not values[0].isascii() or not values[0].isdigit() or len(values[0]) > 18:
        raise UploadError(411, "The upload must say its length; send it from the page.")
    return int(values[0])


def _result(sessions: Sessions, token: str, name: str) -> fastapi.Response:
    with sessions.use_by_token(token) as session:
        if session is None:
            return PlainTextResponse("This result is gone; segment the radiograph again.", 404)
        try:
            content = _written(session, name)
        except (ValueError, OSError, MemoryError, RecursionError) as error:
            sentence = str(error) if isinstance(error, ValueError) else "no room for it on this machine"
            return PlainTextResponse(f"This result cannot be made: {sentence}", 422)
    if content is None:
        return PlainTextResponse("There is no such result.", 404)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return fastapi.Response(content, media_type="application/octet-stream", headers=headers)


def _written(session: Session, name: str) -> bytes | None:
    """Return a result's bytes; its file stays no longer than that."""
    path = write_result(session, name)
    if path is None:
        return None
    try:
        return path.read_bytes()
    finally:
        session.forget_files()


def _tidying(tidy: Callable[[], None]) -> Callable[[fastapi.FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    """Return the application's lifespan: now and then, what is not used any more is deleted."""

    @contextlib.asynccontextmanager
    async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[None]:
        stopped = threading.Event()

        def work() -> None:
            while not stopped.wait(TIDY_SECONDS):
                tidy()

        threading.Thread(target=work, daemon=True, name="tidy").start()
        try:
            yield
        finally:
            stopped.set()

    return lifespan


def _announcement(host: str, port: int, token: str | None, *, is_alone: bool) -> str:
    """Return the line that says how to open the page."""
    name = socket.gethostname() if is_wildcard(host) else host
    name = f"[{name}]" if ":" in name else name
    query = "" if token is None else f"?token={token}"
    others = "" if token is not None or is_alone else " Everyone who reaches it may use it."
    return f"http://{name}:{port}/{query} shows the page; Ctrl-C ends it.{others} For research use only."


async def _nothing(*_: object) -> None:
    """Answer nothing."""


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"cannot listen at {host}, port {port} ({reason}); choose another --port") from error
    with listener:
        yield listener
