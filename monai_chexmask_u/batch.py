"""Segment many files: one bad file never stops the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from monai_chexmask_u.files.faults import cause_of, fault_of
from monai_chexmask_u.files.naming import folded, output_names
from monai_chexmask_u.files.result_suffixes import RESULT_SUFFIXES
from monai_chexmask_u.model import Model, load_model
from monai_chexmask_u.radiograph import RadiographError
from monai_chexmask_u.reading import list_inputs, read_radiograph
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.writers.formats import FORMATS, parse_formats, write_outputs
from monai_chexmask_u.writers.result_sets import (
    FileIds,
    check_replaceable,
    clear_results,
    file_ids,
    new_results,
    output_folder,
)

if TYPE_CHECKING:
    from monai_chexmask_u.dicom.numbering import Numbering
    from monai_chexmask_u.dicom.same_image import ImageRegister

__all__ = ["Outcome", "check_targets", "segment_files", "segment_folder"]


@dataclass(frozen=True)
class Outcome:
    """What became of one file: what was written, or why not.

    Attributes:
        path: the input.
        written: output files; none after a failure.
        left_out: formats that no output was written of, since they are DICOM objects and none can be made.
        why_left_out: in words.
        code: machine-readable reason of a failure, or None.
        message: the failure in one sentence.
        verdict: accept, review or reject; None after a failure.
    """

    path: Path
    written: tuple[Path, ...] = ()
    left_out: tuple[str, ...] = ()
    why_left_out: str = ""
    code: str | None = None
    message: str = ""
    verdict: str | None = None


def segment_folder(
    folder: Path | str,
    output: Path | str,
    *,
    formats: str | Sequence[str] = "json,png",
    model: Model | Path | str | None = None,
    num_samples: int = 50,
    seed: int = 0,
    device: str = "auto",
    reproducible_uids: bool = False,
) -> list[Outcome]:
    """Segment all radiographs in a folder and below it, and write their outputs, as ``chexmask-u segment`` does.

    Args:
        folder: of radiographs; or a single file.
        output: folder of the results; made if it is not there.
        formats: keys of `monai_chexmask_u.writers.formats.FORMATS`, in one string or as a sequence.
        model: from `load_model`, or its path; the project's own by default.
        num_samples: as for `Segmenter`, like `seed` and `device`.
        seed: of the samples.
        device: where the network runs.
        reproducible_uids: give DICOM objects the same UIDs in every run.

    Returns:
        One outcome per file, in order, after those of folders that could not be listed. A bad file has a code.

    Raises:
        CheckpointError: if there is no model, or it is broken.
        RadiographError: if there is no such folder.
        ValueError: if a format is unknown, no image is found or a result would replace one.
        FolderLockError: if another process writes into the output folder.
        OSError: if it cannot be written to.
    """
    outcomes: list[Outcome] = []
    chosen, target = parse_formats(formats), Path(output)
    paths = list_inputs(
        [Path(folder)],
        on_problem=lambda path, error: outcomes.append(Outcome(path, code=error.code, message=str(error))),
    )
    if not paths:
        raise ValueError(f"{folder}: no image found (DICOM, PNG, JPEG or TIFF)")
    check_targets(paths, target, chosen)
    loaded = model if isinstance(model, Model) else load_model(model)
    segmenter = Segmenter(loaded, num_samples=num_samples, seed=seed, device=device)
    with output_folder(target):
        outcomes += segment_files(segmenter, paths, target, chosen, reproducible_uids=reproducible_uids)
    return outcomes


def segment_files(
    segmenter: Segmenter,
    paths: Sequence[Path],
    folder: Path,
    formats: Sequence[str],
    *,
    reproducible_uids: bool = False,
) -> Iterator[Outcome]:
    """Segment files one by one and write their outputs.

    The results of a file replace all that an earlier run left under its name, and where a file fails, nothing is left
    under it. Nothing is written for images that differ, but have one SOP Instance UID: before any work is done, the
    headers of all files are read. The caller holds the folder (`output_folder`).

    Args:
        segmenter: does the work.
        paths: images.
        folder: where the outputs go; exists already.
        formats: keys of `monai_chexmask_u.writers.formats.FORMATS`.
        reproducible_uids: give the DICOM objects the UIDs that another run would give them.

    Yields:
        One outcome per file, in order.
    """
    from monai_chexmask_u.dicom.numbering import Numbering  # keeps pydicom out of `--help`
    from monai_chexmask_u.dicom.same_image import register_images

    numbering, register, inputs = Numbering(reproducible=reproducible_uids), register_images(paths), file_ids(paths)
    run = _Run(segmenter, folder, tuple(formats), numbering, register, inputs)
    for path, name in zip(paths, output_names(paths), strict=True):
        try:
            yield run.segment(path, name)
        except Exception as error:  # whatever is wrong with one file, the others are done
            code, message = fault_of(error)
            yield Outcome(path, code=code, message=f"{message}{run.clear(name)}")


@dataclass(frozen=True)
class _Run:
    """What all files of a run share."""

    segmenter: Segmenter
    folder: Path
    formats: tuple[str, ...]
    numbering: Numbering
    register: ImageRegister
    inputs: FileIds

    def segment(self, path: Path, name: str) -> Outcome:
        """Segment one file; its results are written together, or none of them."""
        from monai_chexmask_u.dicom.same_image import image_key

        radiograph = read_radiograph(path)
        left_out = tuple(key for key in self.formats if FORMATS[key].needs_dicom and radiograph.why_no_dicom)
        if len(left_out) == len(self.formats):
            message = f"no DICOM outputs can be made of it ({radiograph.why_no_dicom}); ask for json or png instead"
            raise RadiographError("needs_dicom", message)
        check_replaceable(self.folder, name, self.formats, inputs=self.inputs)
        self.register.check(image_key(radiograph), path)
        segmentation = self.segmenter.segment(radiograph)
        with new_results(self.folder, name, inputs=self.inputs) as staging:
            staged = write_outputs(segmentation, radiograph, staging, name, self.formats, self.numbering)
        written = tuple(self.folder / each.name for each in staged)
        why = radiograph.why_no_dicom if left_out else ""
        return Outcome(path, written, left_out, why, verdict=segmentation.reliability.verdict)

    def clear(self, name: str) -> str:
        """Remove what an earlier run left under the name of a file that failed; return what else is to be said."""
        try:
            clear_results(self.folder, name, inputs=self.inputs)
        except OSError as error:
            return f"; results of an earlier run cannot be removed ({cause_of(error)})"
        return ""


def check_targets(paths: Sequence[Path], folder: Path, formats: Sequence[str]) -> None:
    """See that no result would replace one of the inputs.

    Raises:
        ValueError: if one would.
    """
    inputs, here = file_ids(paths), file_ids([folder])
    beside = {folder for folder in {path.parent for path in paths} if not here.isdisjoint(file_ids([folder]))}
    names = {folded(path.name) for path in paths if path.parent in beside}
    for name in output_names(paths):
        for key in formats:
            target = folder / f"{name}{RESULT_SUFFIXES[key]}"
            if folded(target.name) in names or not inputs.isdisjoint(file_ids([target])):
                raise ValueError(f"{target}: this input would be replaced by a result; choose another folder with -o")
