"""Start the label server: `python -m label STUDIES`."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

APP = Path(__file__).resolve().parent
STUBS = APP / "stubs"
OPTIONAL = ("torchvision", "pydicom_seg")
NUMBERS = {"samples": int, "seed": int, "balance": float}
CONF = {*NUMBERS, "device", "model", "models", "replay", "modalities", "allow_plain_http"}
ORIGINS_VARIABLE = "MONAI_LABEL_CORS_ORIGINS"


def main(arguments: list[str] | None = None) -> int:
    """Run the server until it is stopped; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        _check(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    _prepare(options)
    url = _url(options)
    print(f"MONAI Label server for {options.studies}: {url}  (Ctrl+C stops it)")
    print(f"3D Slicer: module MONAILabel (or ChestLandmarks), server {url}; by hand: {url}/docs")
    from monai_chexmask_u.request_guard import is_loopback

    reach = "only this machine reaches it" if is_loopback(options.host) else "OTHER MACHINES REACH IT"
    print(f"The server asks nobody for a password: {reach}.")
    others = f" and of {', '.join(options.allow_origin)}" if options.allow_origin else ""
    print(f"Browsers may use it from its own pages{others}, and by no other name of a host.", flush=True)
    from monailabel.config import settings
    from monailabel.main import Main

    # What MONAI Label says of origins is then true; a list of its own type would end it with an error.
    warnings.filterwarnings("ignore", "Pydantic serializer warnings")
    settings.MONAI_LABEL_CORS_ORIGINS = [url, *options.allow_origin]
    from monai_chexmask_u.files.private_folder import use_private_folder

    _end_cleanly(use_private_folder("label"))  # before MONAI Label and PyTorch ask for a folder
    sys.argv = _monailabel_arguments(options)
    Main().run()
    return 0


def _end_cleanly(end: Callable[[], None]) -> None:
    """Do something before a signal ends the process: when the server has ended, it sends itself the signal again."""

    def stop(number: int, frame: FrameType | None) -> None:
        end()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    # The server does not know this one: a terminal that is closed.
    signal.signal(signal.SIGHUP, lambda number, frame: signal.raise_signal(signal.SIGTERM))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m label", description="Start the MONAI Label server for chest landmarks.")
    parser.add_argument("studies", help="folder of radiographs, or the address of a DICOMweb archive (http://...)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: this machine alone)")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="further name by which browsers may reach the server: name, name:port, or https://name behind a proxy",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help=f"page of another server that may use this one, as https://viewer.example; also {ORIGINS_VARIABLE}",
    )
    parser.add_argument("--model", type=Path, help="bundle folder of another model than the shipped one")
    parser.add_argument("--models", type=Path, help="folder of the models trained here (default: label/model)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 ... (default: a GPU if there is one)")
    parser.add_argument("--sessions", type=Path, help="folder of the sessions (default: in the folder of the models)")
    parser.add_argument("--conf", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), help="see README.md")
    return parser


def _check(options: argparse.Namespace) -> None:
    """Check the options before anything is loaded.

    Raises:
        ValueError: the message says what to do.
    """
    if find_spec("monailabel") is None:
        raise ValueError("MONAI Label is not installed; `make label` does it, or see label/README.md")
    is_archive = options.studies.startswith(("http://", "https://"))
    if not is_archive and not Path(options.studies).is_dir():
        raise ValueError(f"there is no folder {options.studies}; give a folder of radiographs or a DICOMweb address")
    if options.model and not options.model.exists():
        raise ValueError(f"there is no model {options.model}; give a bundle folder or leave --model out")
    for key, value in options.conf:
        _check_conf(key, value)
    from label.server.hosts_and_origins import check_names, named_origins

    options.allow_origin = named_origins(options.allow_origin, os.environ.pop(ORIGINS_VARIABLE, None))
    check_names(hosts=options.allow_host)
    with socket.socket(socket.AF_INET6 if ":" in options.host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((options.host, options.port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ValueError(f"cannot listen at {options.host}:{options.port} ({reason}); try --port") from error


def _check_conf(key: str, value: str) -> None:
    if key not in CONF:
        raise ValueError(f"there is no --conf {key}; there are {', '.join(sorted(CONF))}")
    if key in NUMBERS:
        try:
            NUMBERS[key](value)
        except ValueError as error:
            raise ValueError(f"--conf {key} wants a number, got {value!r}") from error


def _prepare(options: argparse.Namespace) -> None:
    """Set what MONAI Label reads from the environment, as do the processes that it starts."""
    models = (options.models or APP / "model").resolve()
    path = [str(APP.parent)]
    sys.path.append(str(STUBS))  # behind what is installed
    if not all(_imports(name) for name in OPTIONAL):
        path.append(str(STUBS))
    os.environ["PYTHONPATH"] = os.pathsep.join([*path, *filter(None, [os.environ.get("PYTHONPATH")])])
    for name, value in {
        "MONAI_LABEL_TRACKING_ENABLED": "false",
        "MONAI_LABEL_SESSION_PATH": str((options.sessions or models / "sessions").resolve()),
        "MONAI_ZOO_SOURCE": "local",
    }.items():
        os.environ.setdefault(name, value)


def _url(options: argparse.Namespace) -> str:
    """Return the address to open in a browser of this machine."""
    from monai_chexmask_u.request_guard import is_wildcard

    host = "127.0.0.1" if is_wildcard(options.host) else options.host
    return f"http://[{host}]:{options.port}" if ":" in host else f"http://{host}:{options.port}"


def _imports(name: str) -> bool:
    """Return whether a package is installed and works; what does not is replaced by its stub."""
    sys.path.remove(str(STUBS))
    try:
        importlib.import_module(name)
        return True
    except Exception:  # a broken build raises anything
        for module in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
            del sys.modules[module]
        sys.path.insert(0, str(STUBS))
        importlib.invalidate_caches()
        importlib.import_module(name)
        sys.path.remove(str(STUBS))
        return False
    finally:
        sys.path.append(str(STUBS))


def _monailabel_arguments(options: argparse.Namespace) -> list[str]:
    arguments = ["monailabel", "start_server", "--app", str(APP), "--studies", options.studies]
    arguments += ["--host", options.host, "--port", str(options.port), "--verbose", "WARNING"]
    named = {"model": options.model, "models": options.models, "device": options.device, "listen": options.host}
    named |= {"allow_hosts": " ".join(options.allow_host), "allow_origins": " ".join(options.allow_origin)}
    for key, value in [*((key, str(value)) for key, value in named.items() if value), *options.conf]:
        arguments += ["--conf", key, value]
    return arguments


if __name__ == "__main__":
    sys.exit(main())
