"""What the annotator reads when something is wrong: one sentence."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.servers.label_server import LabelServer
from support.servers.orthanc_server import free_port

if TYPE_CHECKING:
    from ChestLandmarksLib.server import LabelServer as Client


def make_client(url: str, **options: float) -> Client:
    from ChestLandmarksLib.server import LabelServer as Client

    return Client(url, **options)


@pytest.fixture(scope="module")
def other_server() -> Iterator[str]:
    """A web server that is none of MONAI Label's: a page for `/info/`, an endless wait for all else."""
    release = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith("/info/"):
                release.wait(20)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    release.set()
    server.shutdown()
    server.server_close()


def test_a_server_that_is_down_is_named() -> None:
    from ChestLandmarksLib.server import ServerError

    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ServerError, match=rf"The server {url} cannot be reached \(Connection refused\); check"):
        make_client(url).info()


def test_a_server_that_does_not_answer_is_given_up(other_server: str) -> None:
    from ChestLandmarksLib.server import ServerError

    with pytest.raises(ServerError, match=r"has not answered for 0\.3 s"):
        make_client(other_server, timeout=0.3).images()


def test_a_server_of_another_kind_is_recognized(other_server: str) -> None:
    from ChestLandmarksLib.server import ServerError

    with pytest.raises(ServerError, match="not that of a MONAI Label server"):
        make_client(other_server).info()


@pytest.mark.parametrize("url", ["", "ftp://radiographs", "http://", "http://host:notaport", "http://[broken"])
def test_what_is_no_address_is_refused(url: str) -> None:
    from ChestLandmarksLib.server import ServerError

    with pytest.raises(ServerError, match="no address of a server"):
        make_client(url)


def test_the_scheme_may_be_left_out() -> None:
    assert make_client(" localhost:8000/ ").url == "http://localhost:8000"


def test_the_server_says_what_it_refuses(client: Client, running: LabelServer) -> None:
    from ChestLandmarksLib.server import ServerError

    with pytest.raises(ServerError, match=r"refused this \(404\): .*chest_landmark5"):
        client.infer("chest_landmark5", "cr")
    with pytest.raises(ServerError, match=r"refused this \(404\): .*nobody"):
        client.infer("chest_landmarks", "nobody")
    with pytest.raises(ServerError, match=r"refused this \(400\): samples must be"):
        client.infer("chest_landmarks", "cr", {"samples": "many"})
    with pytest.raises(ServerError, match=r"refused this \(4\d\d\)"):
        client.submit("nobody", b'{"markups": []}')
    with pytest.raises(ServerError, match=r"refused this \(4\d\d\)"):
        client.next_image("by_coin")
    assert client.images() == ["cr", "nih"]  # it lives on


def test_the_server_offers_the_next_image_and_trains(client: Client) -> None:
    pytest.importorskip("slicer")
    from ChestLandmarksLib.logic import training_text

    info = client.info()
    assert {"chest_landmarks", "chest_segmentation"} <= set(info["models"])
    assert "most_uncertain" in info["strategies"]
    assert client.next_image("random") in ("cr", "nih")
    assert training_text(client.training()) == "No training since the server started."
    client.start_training()
    state = client.training()
    assert state is not None
    assert training_text(state).startswith("Training: ")


@given(
    content=st.binary(max_size=200),
    filename=st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), max_size=20),
)
def test_a_form_comes_back_as_it_was(content: bytes, filename: str) -> None:
    from ChestLandmarksLib.multipart import Part, decode_form, encode_form

    parts = {"params": Part(b"{}"), "file": Part(content, filename)}
    assert decode_form(*encode_form(parts)) == parts
    body, content_type = encode_form(parts)
    with pytest.raises(ValueError, match="ends before"):
        decode_form(body[:-8], content_type)
