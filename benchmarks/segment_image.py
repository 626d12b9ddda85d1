"""How long one image takes in a warm process, and how much memory: `python benchmarks/segment_image.py IMAGE`.

Prints a table in Markdown: the stages of the path with N = 50 samples, on every device that is there, and beside them
the decoding of 50 samples with feature maps copied per sample, which is how the published code does it.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from monai_chexmask_u.model import load_model
from monai_chexmask_u.networks import HybridGNet
from monai_chexmask_u.networks.network_image import fit_frame, to_network_image
from monai_chexmask_u.reading import read_radiograph
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.writers.formats import FORMATS, write_outputs

REPEATS = 10
SAMPLES = 50


def median_seconds(work: Callable[[], object]) -> float:
    """Return the median time of ten runs after a first one that is not counted."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def decode_with_copies(network: HybridGNet, z: Tensor, features: list[Tensor]) -> Tensor:
    """Decode with each feature map repeated for every sample, for comparison."""
    return network.decode(z.transpose(0, 1), [maps.repeat(z.shape[1], 1, 1, 1) for maps in features])


def stages(path: Path, device: str) -> dict[str, float]:
    """Measure every stage on one device."""
    segmenter = Segmenter(load_model(), num_samples=SAMPLES, device=device)
    network = segmenter.network
    radiograph = read_radiograph(path)
    frame = fit_frame(radiograph, network.image_size)
    pixels = torch.from_numpy(radiograph.pixels)
    image = to_network_image(pixels, frame).unsqueeze(0).to(segmenter.device)
    with torch.no_grad():
        _, _, features = network.encode(image)
        z = torch.randn(1, SAMPLES, network.latent_size, device=segmenter.device)
        return {
            "read the file": median_seconds(lambda: read_radiograph(path)),
            "resample to the network image": median_seconds(lambda: to_network_image(pixels, frame)),
            "encode": median_seconds(lambda: network.encode(image)),
            f"decode {SAMPLES} samples": median_seconds(lambda: network.decode(z, features)),
            f"(for comparison) decode {SAMPLES} samples with copied features": median_seconds(
                lambda: decode_with_copies(network, z, features)
            ),
            "**read and segment, all arrays ready**": median_seconds(lambda: segmenter.segment(read_radiograph(path))),
        }


def writing(path: Path) -> dict[str, float]:
    """Measure every output format."""
    radiograph = read_radiograph(path)
    segmentation = Segmenter(load_model(), num_samples=SAMPLES).segment(radiograph)
    with tempfile.TemporaryDirectory() as folder:
        return {
            f"write {key}": median_seconds(partial(write_outputs, segmentation, radiograph, Path(folder), "x", [key]))
            for key, output in FORMATS.items()
            if radiograph.header is not None or not output.needs_dicom
        }


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    path = Path(sys.argv[1])
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    columns = [stages(path, device) for device in devices]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows, columns_of_image = read_radiograph(path).shape
    print(f"{path.name}: {rows} x {columns_of_image}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print(f"| stage | {' | '.join(f'{device}, ms' for device in devices)} |")
    print(f"| --- |{' ---: |' * len(devices)}")
    for stage in columns[0]:
        print(f"| {stage} | {' | '.join(f'{1000 * column[stage]:.0f}' for column in columns)} |")
    print(f"| peak memory of the process | {peak:.0f} MiB |{' |' * (len(devices) - 1)}")
    for stage, seconds in writing(path).items():
        print(f"| {stage} | {1000 * seconds:.0f} |{' |' * (len(devices) - 1)}")


if __name__ == "__main__":
    main()
