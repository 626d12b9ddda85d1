"""The demonstration behind `make demo`: the MONAI Deploy app on a real chest radiograph, and what comes out of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import highdicom as hd
import pydicom

REPOSITORY = Path(__file__).resolve().parents[1]
OUTPUT = REPOSITORY / "demo_output"


def main() -> int:
    """Run the app and report; return the exit code."""
    study, results = OUTPUT / "study", OUTPUT / "results"
    for folder in (study, results):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    # A CR chest, PA, MONOCHROME1, that the package pydicom-data brings.
    chest = Path(str(distribution("pydicom-data").locate_file("data_store"))) / "data" / "RG1_UNCR.dcm"
    shutil.copy(chest, study)
    command = [
        sys.executable,
        str(REPOSITORY / "app"),
        "-i",
        str(study),
        "-o",
        str(results),
        "--write",
        "json,png,seg,pr,sc,pdf,sr",
    ]
    run = subprocess.run(command, check=False)
    if run.returncode:
        return run.returncode
    for image in sorted(results.glob("*.overlay.png")):
        report(image.with_name(image.name.removesuffix(".overlay.png") + ".json"))
    return 0


def report(record_file: Path) -> None:
    """Print where the outputs of one image lie, and what is read back from them."""
    base = str(record_file).removesuffix(".json")
    record: dict[str, Any] = json.loads(record_file.read_text())
    uncertainty, reliability = record["uncertainty"], record["reliability"]
    print("\nWhere the results lie, and what is read back from them:")
    for title, path, content in (
        ("DICOM SEG", f"{base}.seg.dcm", segments(Path(f"{base}.seg.dcm"))),
        ("DICOM structured report", f"{base}.sr.dcm", measurements(Path(f"{base}.sr.dcm"))),
        ("DICOM presentation state", f"{base}.pr.dcm", graphics(Path(f"{base}.pr.dcm"))),
        ("DICOM secondary capture", f"{base}.sc.dcm", "the overlay image, for any viewer"),
        ("DICOM encapsulated PDF", f"{base}.pdf.dcm", pages(Path(f"{base}.pdf.dcm"))),
        ("Overlay image", f"{base}.overlay.png", "contours, and landmarks colored by their uncertainty"),
        (
            "JSON record",
            f"{base}.json",
            f"predictive uncertainty {uncertainty['predictive_px1024']:.2f} px of a 1024-pixel image; "
            f"verdict {reliability['verdict']} ({', '.join(reliability['reasons']) or 'no reason against it'}); "
            f"decisions: {', '.join(record['image']['notes'])}",
        ),
    ):
        print(f"  {title}: {path}\n    {content}")
    print("For research use only.")


def segments(path: Path) -> str:
    """Read the segments back, with their share of the image."""
    segmentation = hd.seg.segread(path)
    parts = []
    for number in segmentation.segment_numbers:
        frame = segmentation.get_stored_frame(number)
        label = segmentation.get_segment_description(number).segment_label
        parts.append(f"{label} {100 * frame.mean():.1f} % of the image")
    return ", ".join(parts)


def measurements(path: Path) -> str:
    """Read the number of landmarks and the cardiothoracic ratio back."""
    content = hd.sr.srread(path).content
    groups = content.get_planar_roi_measurement_groups()
    points = [group for group in groups if group.roi.graphic_type.value == "POINT"]
    (image,) = content.get_image_measurement_groups()
    ratio = next(m for m in image.get_measurements() if m.name.meaning == "Cardiothoracic ratio")
    return f"{len(points)} landmarks with standard deviations, cardiothoracic ratio {ratio.value:.3f}"


def graphics(path: Path) -> str:
    """Read the layers of the presentation state and its texts back."""
    state = pydicom.dcmread(path)
    objects = sum(len(item.get("GraphicObjectSequence", [])) for item in state.GraphicAnnotationSequence)
    texts = [
        t.UnformattedTextValue for item in state.GraphicAnnotationSequence for t in item.get("TextObjectSequence", [])
    ]
    layers = len(state.GraphicLayerSequence)
    return f"{objects} contours and ellipses in {layers} layers; gray values {state.PresentationLUTShape}; {texts[-1]}"


def pages(path: Path) -> str:
    """Read the document's title back."""
    document = pydicom.dcmread(path)
    return f"{document.EncapsulatedDocumentLength // 1000} kB, titled: {document.DocumentTitle}"


if __name__ == "__main__":
    sys.exit(main())
