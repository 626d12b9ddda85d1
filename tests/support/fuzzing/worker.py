"""The process that fuzzed files run in: `python worker.py MODULE:FUNCTION GUARD_BYTES`.

FUNCTION returns what segments one file into a folder. Requests and answers are lines of JSON on standard input and
output; whatever else is printed goes to standard error, which the parent searches for patient data.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from monai_chexmask_u.batch import Outcome

__all__ = ["FORMATS", "calibrated_pipeline", "main", "tiny_pipeline"]

FORMATS: Final = ("json", "seg", "pr", "sr")

# What segments a file into a folder; the outcome has the fields of `monai_chexmask_u.batch.Outcome`.
Pipeline = Callable[[Path, Path], Any]


def tiny_pipeline() -> Pipeline:
    """Return the real pipeline with a network of random weights, which is quick."""
    import torch

    from monai_chexmask_u.model import Model
    from monai_chexmask_u.networks import HybridGNet
    from monai_chexmask_u.segmentation import ModelIdentity

    torch.manual_seed(2)  # puts landmarks inside the image
    return _pipeline(Model(HybridGNet(64).eval(), ModelIdentity("tiny", "1.2.3", "ab" * 32)), samples=5)


def calibrated_pipeline() -> Pipeline:
    """Return the real pipeline with the shipped network and its calibration."""
    from monai_chexmask_u.model import load_model

    return _pipeline(load_model(None), samples=50)


def _pipeline(model: Any, samples: int) -> Pipeline:
    from monai_chexmask_u.batch import segment_files
    from monai_chexmask_u.segmenter import Segmenter

    segmenter = Segmenter(model, num_samples=samples, device="cpu")

    def segment(path: Path, folder: Path) -> Outcome:
        (outcome,) = segment_files(segmenter, [path], folder, FORMATS)
        return outcome

    return segment


def peak_bytes() -> int:
    """Return the most memory that this process has held.

    Not `ru_maxrss`, which a new process takes over from the one that started it.
    """
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def main() -> None:
    """Answer requests until standard input ends."""
    name, guard = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (int(guard), int(guard)))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not get between the answers
    module, _, function = name.partition(":")
    pipeline: Pipeline = getattr(importlib.import_module(module), function)()
    _serve(pipeline, sys.stdin, answers)


def _serve(pipeline: Pipeline, requests: IO[str], answers: IO[str]) -> None:
    print(json.dumps({"peak": peak_bytes()}), file=answers)
    for line in requests:
        path, folder = json.loads(line)
        try:
            outcome = pipeline(Path(path), Path(folder))
            answer = {"code": outcome.code, "message": outcome.message, "written": list(map(str, outcome.written))}
        except Exception as error:  # it should have been an outcome
            answer = {"raised": type(error).__name__}
        sys.stdout.flush()
        print(json.dumps({**answer, "peak": peak_bytes()}), file=answers)


if __name__ == "__main__":
    main()
