"""The commands ``chexmask-u archive ...``; light to import, the work is imported when it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monai_chexmask_u.archive.failures import ArchiveError
from monai_chexmask_u.archive.options import ArchiveOptions
from monai_chexmask_u.archive.settings import DicomwebArchive, DimseNode
from monai_chexmask_u.commands.archive_options import takes_archive_options
from monai_chexmask_u.commands.console import EXIT_SOME_FAILED, err, out, printable, progress_bar, usage_error

if TYPE_CHECKING:
    from monai_chexmask_u.archive.delivery import Delivery

__all__ = ["archive"]

Outbox = Annotated[Path, typer.Option("--outbox", help="Folder where objects wait until the archive confirms them.")]

archive = typer.Typer(
    no_args_is_help=True,
    help="Fetch studies from an archive (DICOMweb), and send results there (DICOMweb or C-STORE). The credentials for "
    "DICOMweb come from CHEXMASK_U_DICOMWEB_USER and CHEXMASK_U_DICOMWEB_PASSWORD, or CHEXMASK_U_DICOMWEB_TOKEN.",
)


@archive.command()
@takes_archive_options(node=False)
def fetch(
    url: Annotated[str, typer.Option(help="DICOMweb address; Orthanc's ends with /dicom-web.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the images; made if it is not there.")],
    study: Annotated[str | None, typer.Option(help="Study Instance UID.")] = None,
    accession: Annotated[str | None, typer.Option(help="Accession number, which one study alone has.")] = None,
    modality: Annotated[
        list[str] | None, typer.Option(help="Of the series to fetch; CR and DX by default. Again for more (OT, SC).")
    ] = None,
    *,
    options: ArchiveOptions,
) -> None:
    """Fetch the radiographs of a study into a folder.

    Ends with 0 if all are there; with 1 if it broke off in the middle, or if some were not what was asked for, which
    are not kept; with 2 if none could be fetched.
    """
    from monai_chexmask_u.archive.fetch import MODALITIES, fetch_study
    from monai_chexmask_u.files.atomic import prepare_folder

    done = [0, 0]
    try:
        source = options.dicomweb(url)
        prepare_folder(output)
        with _counting("fetching", done) as progress:
            fetch_study(
                source,
                output,
                study_uid=study,
                accession_number=accession,
                modalities=modality or MODALITIES,
                backoff=options.backoff(),
                progress=progress,
            )
    except (ArchiveError, ValueError, OSError) as error:
        if not done[0]:
            raise usage_error(str(error)) from error
        err.print(f"chexmask-u: {printable(error)}; {done[0]} of {done[1]} images fetched to {output}")
        raise typer.Exit(EXIT_SOME_FAILED) from error
    out.print(f"{done[0]} images fetched to {output}")


@archive.command()
@takes_archive_options(node=True)
def send(
    outbox: Outbox,
    inputs: Annotated[
        list[Path] | None, typer.Argument(help="DICOM files and folders of them; none sends what waits in the outbox.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="DICOMweb address, to send by STOW-RS.")] = None,
    node: Annotated[str | None, typer.Option(help="AE@host:port, to send by C-STORE.")] = None,
    *,
    options: ArchiveOptions,
) -> None:
    """Send results to an archive; what it does not confirm waits in the outbox, and goes first the next time.

    Ends with 0 if all were delivered, with 1 if some wait, were refused or could not be read, with 2 if nothing could
    be started.
    """
    from monai_chexmask_u.archive.delivery import deliver
    from monai_chexmask_u.archive.dicom_inputs import find_dicom_files

    try:
        target = _target(url, node, options)
        paths = find_dicom_files(inputs or [], leave_out=outbox)
        if inputs and not paths:
            raise ValueError(f"{', '.join(map(str, inputs))}: no DICOM file found")
        with _counting("sending") as progress:
            delivery = deliver(paths, target, outbox, backoff=options.backoff(), progress=progress)
    except (ArchiveError, ValueError, OSError) as error:
        raise usage_error(str(error)) from error
    _report(delivery, outbox)
    if not delivery.is_complete:
        raise typer.Exit(EXIT_SOME_FAILED)


@archive.command()
def status(outbox: Outbox) -> None:
    """Say what waits in an outbox and what was refused.

    Ends with 0 if nothing does or was, with 1 if something does or was, with 2 if there is no outbox.
    """
    from monai_chexmask_u.archive.outbox import Outbox

    if not outbox.is_dir():
        raise usage_error(f"{outbox}: there is no outbox here; check its name")
    try:
        box = Outbox(outbox)
        waiting, refusals, target = box.waiting(), box.refusals(), box.target()
    except (ValueError, OSError) as error:
        raise usage_error(str(error)) from error
    out.print(f"{outbox}: {len(waiting)} wait" + (f" for {target}" if target else ""))
    for refusal in refusals:
        out.print(f"refused at {refusal.refused_at}: {refusal.sop_instance_uid}: {refusal.reason}")
    if waiting or refusals:
        raise typer.Exit(EXIT_SOME_FAILED)


def _target(url: str | None, node: str | None, options: ArchiveOptions) -> DicomwebArchive | DimseNode:
    """Return the archive to send to: a DICOMweb service or a DIMSE node.

    Raises:
        ValueError: if not one of them is given, or an option cannot be used.
    """
    if url and not node:
        return options.dicomweb(url)
    if node and not url:
        return options.node(node)
    raise ValueError("give the archive as --url (DICOMweb) or as --node AE@host:port (C-STORE), one of them")


def _report(delivery: Delivery, outbox: Path) -> None:
    for refusal in delivery.refused:
        err.print(f"chexmask-u: {refusal.sop_instance_uid}: {printable(refusal.reason)}")
    if delivery.problem:
        err.print(f"chexmask-u: {printable(delivery.problem)}")
    counts = f"{len(delivery.sent)} sent, {len(delivery.waiting)} waiting in {outbox}"
    out.print(f"{counts}, {len(delivery.refused)} refused")


@contextmanager
def _counting(what: str, done: list[int] | None = None) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar, and keep what it shows: how many are done, of how many."""
    with progress_bar() as bar:
        task = bar.add_task(what, total=None)

        def count(number: int, total: int) -> None:
            bar.update(task, completed=number, total=total)
            if done is not None:
                done[:] = number, total

        yield count
