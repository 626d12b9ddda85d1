"""The command ``chexmask-u demo``; light to import, the work is imported when it starts."""

from __future__ import annotations

import atexit
from pathlib import Path
from typing import Annotated

import typer

from monai_chexmask_u.commands.console import out, require_packages, usage_error

__all__ = ["demo"]


def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes a free one.")] = 7860,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen at; with another one than 127.0.0.1, others can reach the page by the address with "
            "a token that is printed."
        ),
    ] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Further name by which the page may be opened: name, name:port, or https://name behind a proxy that "
            "speaks TLS; may be repeated. Unless it is one of loopback's, the page needs the token."
        ),
    ] = None,
    no_token: Annotated[
        bool,
        typer.Option(
            "--no-token",
            help="Ask nobody for a token: everyone who reaches the address uses the page and this machine's power; "
            "only behind a server that has a log-in.",
        ),
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    model: Annotated[
        Path | None, typer.Option(help="Bundle folder or weights file; the shipped one by default.")
    ] = None,
) -> None:
    """Show a web page that segments radiographs, alters them, and shows how the uncertainty reacts.

    What is uploaded stays on this machine and is deleted when the page is closed. Ends with Ctrl-C.
    """
    require_packages("demo", "gradio", "cv2")
    from monai_chexmask_u.demo.exit_on_signals import exits_on_signals
    from monai_chexmask_u.files.private_folder import PrivateFolder, sweep_remnants

    try:
        folder = PrivateFolder("demo")
    except OSError as error:
        raise usage_error("no temporary folder can be written to; name one in TMPDIR, or make room") from error
    # Not before the process ends: what is imported meanwhile tidies its own files there when it does.
    atexit.register(folder.remove)
    with exits_on_signals(folder.remove) as take_signals:
        try:
            sweep_remnants("demo")
            folder.make()
            with folder.takes_temporary_files():
                from monai_chexmask_u.demo.server import serve
                from monai_chexmask_u.model import load_model

                take_signals()  # from what has been imported
                loaded = load_model(model)

                def announce(line: str) -> None:
                    take_signals()
                    out.print(line)

                serve(
                    loaded,
                    folder.path,
                    host=host,
                    port=port,
                    device=device,
                    announce=announce,
                    hosts=allow_host or (),
                    needs_token=not no_token,
                )
        except (ValueError, OSError) as error:
            raise usage_error(str(error)) from error
