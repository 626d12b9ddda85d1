"""How much memory reading the largest image takes: `PYTHONPATH=tests python benchmarks/reading_memory.py`.

Prints a table in Markdown: peak memory of a process of its own that reads one file of 8000 x 8000 pixels. Works where
`/proc` tells the peak (Linux).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless
from support.samples.compressed import compressed
from support.samples.dicom import chest_phantom, make_dx, save, set_pixels, stored_values

SIDE = 8000
PROGRAM = """
import sys, time
from pathlib import Path
from monai_chexmask_u.dicom.reading.read import read_dicom
start = time.perf_counter()
read_dicom(Path(sys.argv[1]))
lines = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
print(peak / 1e6, time.perf_counter() - start)
"""


def largest(*, bits: int = 14, photometric: str = "MONOCHROME1") -> FileDataset:
    """Make an image of the largest size, of enlarged pixels."""
    dataset = make_dx(photometric=photometric)
    enlarged = np.kron(chest_phantom(SIDE // 10, SIDE // 10), np.ones((10, 10), np.float32))
    set_pixels(dataset, stored_values(enlarged, bits=bits), bits=bits)
    if bits == 32:
        dataset.WindowCenter, dataset.WindowWidth = str(2**31), str(2**32)
    return dataset


def padded(dataset: FileDataset) -> FileDataset:
    """Add a padding value, and remove the window."""
    dataset.add_new("PixelPaddingValue", "US", 0)
    return without_window(dataset)


def without_window(dataset: FileDataset) -> FileDataset:
    """Remove the window, and add a rescaling."""
    del dataset.WindowCenter, dataset.WindowWidth
    dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "-3"
    return dataset


def deflated(dataset: FileDataset) -> FileDataset:
    """Have the data set deflated when it is written."""
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return dataset


def _compressed(syntax: UID, folder: Path) -> FileDataset:
    return compressed(largest(), syntax, folder)


def variants(folder: Path) -> Iterator[tuple[str, Callable[[], FileDataset]]]:
    """Yield what is measured."""
    yield "16 bits, MONOCHROME1, window", largest
    yield "16 bits, rescaled, no window", lambda: without_window(largest())
    yield "16 bits, padded, rescaled, no window", lambda: padded(largest())
    yield "32 bits, window", lambda: largest(bits=32)
    yield "deflated", lambda: deflated(largest())
    for name, syntax in (("RLE", RLELossless), ("JPEG-LS", JPEGLSLossless), ("JPEG 2000", JPEG2000Lossless)):
        yield name, partial(_compressed, syntax, folder)


def main() -> None:
    """Write each variant, read it in a process of its own, and print what that took."""
    print(f"| {SIDE} x {SIDE} pixels | peak, GB | s |\n| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "largest.dcm"
        for title, make in variants(Path(name)):
            save(make(), path)
            done = subprocess.run([sys.executable, "-c", PROGRAM, path], capture_output=True, text=True, check=True)
            gigabytes, seconds = map(float, done.stdout.split())
            print(f"| {title} | {gigabytes:.2f} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
