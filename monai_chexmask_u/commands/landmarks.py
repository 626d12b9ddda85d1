"""The command ``chexmask-u landmarks``; light to import, the work is imported when it starts."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from monai_chexmask_u.commands.console import EXIT_SOME_FAILED, err, out, printable, progress_bar, usage_error

__all__ = ["landmarks"]


def landmarks(
    images: Annotated[Path, typer.Option(help="Folder of radiographs.")],
    masks: Annotated[
        Path, typer.Option(help="Folder of their masks, named alike: PNG, NRRD, NIfTI, DICOM segmentations ...")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the data set; made if it is not there.")],
    labels: Annotated[
        str, typer.Option(help="Which organ each value of a mask is.")
    ] = "1=right_lung,2=left_lung,3=heart",
) -> None:
    """Turn masks into landmarks: a data set for `chexmask-u train`, with images/ and landmarks.npz.

    Ends with 0 if every mask was converted, with 1 if some failed (they are listed), with 2 if nothing could start.
    """
    from monai_chexmask_u.annotations.mask_conversion import convert_masks, pair_masks, parse_labels
    from monai_chexmask_u.files.signals import stopping_on_signals
    from monai_chexmask_u.writers.result_sets import output_folder

    with ExitStack() as held:
        try:
            organs = parse_labels(labels)
            pairs = pair_masks(images, masks)
            if output.resolve() in (images.resolve(), images.resolve().parent):
                raise ValueError(
                    f"{output}: the radiographs would be replaced by their copies; choose another folder with -o"
                )
            held.enter_context(stopping_on_signals())
            held.enter_context(output_folder(output))
        except (ValueError, OSError) as error:
            raise usage_error(str(error)) from error
        failed = 0
        try:
            with progress_bar() as progress:
                task = progress.add_task("placing landmarks", total=len(pairs))
                for conversion in convert_masks(pairs, output, labels=organs):
                    progress.advance(task)
                    if conversion.landmarks is None:
                        failed += 1
                        err.print(f"chexmask-u: {printable(conversion.image.name)}: {printable(conversion.message)}")
        except OSError as error:  # of the folder, or of the file of all landmarks
            raise usage_error(str(error)) from error
    out.print(f"{len(pairs) - failed} of {len(pairs)} masks became landmarks in {output}")
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)
