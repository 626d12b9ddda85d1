"""Run the application: ``python app -i STUDY -o OUT [-m MODEL] [--write json,png,seg,pr,sr] [-l LEVEL]``.

Instead of a folder, ``--fetch-from URL --study UID`` takes the study from an archive; ``--send-to`` sends the results.
Ends with 0 if every frontal chest radiograph of the study was segmented and delivered, with 1 if one failed, waits to
be delivered, or there is none, and with 2 if nothing could be started.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.settings import Settings

APP_FOLDER = Path(__file__).resolve().parent
EXIT_FAILED, EXIT_USAGE = 1, 2
# They quote values from headers, in warnings and in the log; one may be the patient's.
QUOTING_LIBRARIES = ("pydicom", "highdicom", "pynetdicom", "dicomweb_client", "urllib3")


def main(arguments: list[str]) -> int:
    """Run the application and return the exit code."""
    _find_packages()
    # After the search path is set and before MONAI, which needs the CUDA runtime, is imported.
    from app.cuda_runtime import preload_cuda_runtime

    preload_cuda_runtime()
    os.environ.setdefault("HOLOSCAN_LOG_LEVEL", "OFF")  # at the end of every good run it warns of a deadlock
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    for library in QUOTING_LIBRARIES:
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
    try:
        if "" in arguments:
            raise ValueError("an argument is empty; give a name, or . for the current folder")
        for argument in arguments:
            if argument.startswith("-") and argument.endswith("=") and argument.count("=") == 1:
                raise ValueError(f"{argument} has no value; give one, or leave the option out")
        from app.settings import read_settings
        from monai_chexmask_u.files.signals import stopping_on_signals

        settings, others = read_settings(arguments)
        with stopping_on_signals(), _study(settings, others) as completed:
            return _run(_quiet([sys.executable, "app", *completed]), settings)
    except ImportError as error:
        return _stop(f"{error}; install what app/requirements.txt lists, and this project")
    except (OSError, ValueError) as error:
        logging.getLogger("app").debug("stopped", exc_info=True)
        return _stop(str(error))


def _find_packages() -> None:
    """Put the folder that holds ``app`` (and the library, in a checkout) on the search path, and no package itself.

    Else ``import app`` would find app.py. The SDK's packager puts every folder of the library there, and some modules
    in them have names of the standard library.
    """
    folders = (entry for entry in sys.path if not Path(entry, "__init__.py").is_file())
    sys.path[:] = [str(APP_FOLDER.parent), *folders]


@contextlib.contextmanager
def _study(settings: Settings, arguments: list[str]) -> Iterator[list[str]]:
    """Fetch the study to a temporary folder, if it comes from an archive, and yield the arguments with that folder.

    Raises:
        ValueError: if there is an input folder as well, or the archive does not give the study.
    """
    from monai_chexmask_u.archive.failures import ArchiveError
    from monai_chexmask_u.archive.fetch import fetch_study

    archive = settings.archive
    if archive.source is None:
        yield arguments
        return
    if {"-i", "--input"} & set(arguments):
        raise ValueError("--fetch-from takes the place of an input folder: leave out -i")
    with tempfile.TemporaryDirectory(prefix="chexmask-u-") as folder:
        try:
            fetch_study(
                archive.source,
                Path(folder),
                study_uid=archive.study_uid,
                accession_number=archive.accession_number,
                modalities=archive.modalities,
                backoff=archive.backoff,
            )
        except ArchiveError as error:
            raise ValueError(str(error)) from error
        yield [*arguments, "-i", folder]


def _quiet(argv: list[str]) -> list[str]:
    """Check the arguments as the SDK does, and silence it unless the user chose a log level.

    Raises:
        ValueError: if they are wrong.
    """
    from monai.deploy.core import parse_args

    usage = io.StringIO()
    try:
        with contextlib.redirect_stderr(usage):
            chosen = parse_args(argv[1:]).log_level
    except SystemExit as stop:
        if stop.code:
            raise ValueError(usage.getvalue().strip().rpartition("error: ")[2]) from stop
        raise
    logging.getLogger("app").setLevel(logging.NOTSET if chosen else logging.INFO)
    logging.getLogger("monai.deploy").setLevel(logging.NOTSET if chosen else logging.ERROR)
    return argv if chosen else [*argv, "--log-level", "WARN"]


def _run(argv: list[str], settings: Settings) -> int:
    from app.app import ChestLandmarkApp

    app = ChestLandmarkApp(argv, settings=settings)
    app.run()
    record = app.record
    if not record.written and not record.failures:
        reasons = f" ({record.summary()})" if record.skipped else ""
        return _stop(f"no frontal chest radiograph (CR or DX) in the input{reasons}", EXIT_FAILED)
    logging.getLogger("app").info("%s", record.summary())
    return record.exit_code


def _stop(message: str, code: int = EXIT_USAGE) -> int:
    print(f"chexmask-u app: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
