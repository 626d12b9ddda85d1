"""Turn a calibration of format 1 into one of format 2: add how the errors of one radiograph hang together.

Usage: python scripts/add_correlation.py OLD.calibration.pt --data JSRT/train -o NEW.calibration.pt [--record FILE]

Examiner, factors, limits and record stay as they are. So the calibration of bundle 0.5.0 was made of that of 0.4.0.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from monai_chexmask_u.anatomy import ORGANS
from monai_chexmask_u.calibrating.fit import NO_CORRELATION, correlation_on
from monai_chexmask_u.data.radiograph_sets import read_sets
from monai_chexmask_u.model import load_model
from monai_chexmask_u.networks.examiner import examiner_from_state
from monai_chexmask_u.segmenter import Segmenter
from monai_chexmask_u.uncertainty import Limits
from monai_chexmask_u.uncertainty.calibration import Calibration, read_calibration, write_calibration, write_record

FORMAT = "chexmask-u-calibration/1"
RULE = (
    "common factors of the errors on the outlined radiographs that were learned from, each error measured by what was "
    "expected of it; added to the calibration of bundle 0.4.0, of which all else is unchanged"
)


def main(
    old: Annotated[Path, typer.Argument(help="Calibration of format 1.")],
    data: Annotated[Path, typer.Option(help="The outlined radiographs that it has learned from.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    model: Annotated[Path | None, typer.Option(help="Its weights; the shipped ones by default.")] = None,
    record: Annotated[Path | None, typer.Option(help="JSON file for what it was made from.")] = None,
) -> None:
    """Write the calibration."""
    content = torch.load(old, map_location="cpu", weights_only=True)
    loaded = load_model(model, calibrated=False)
    if content["format"] != FORMAT or content["weights_sha256"] != loaded.identity.sha256:
        raise typer.BadParameter(f"{old}: is no calibration of format 1 of these weights")
    draft = Calibration(
        examiner_from_state(content["examiner"]),
        {organ.name: 1.0 for organ in ORGANS},
        NO_CORRELATION,
        content["radius_factors"],
        Limits.from_dict(content["limits"]),
        content["weights_sha256"],
        content["record"] | {"rule_of_correlation": RULE},
    )
    segmenter = Segmenter(replace(loaded, calibration=draft), device="cpu")
    items = [item for each in read_sets([data]) for item in each.radiographs]
    correlation = correlation_on(segmenter, items, lambda done, total: None)
    write_calibration(replace(draft, error_factors=content["error_factors"], error_correlation=correlation), output)
    if record is not None:
        write_record(read_calibration(output, draft.weights_sha256), record)


if __name__ == "__main__":
    typer.run(main)
