"""Sources and results to write, and the independent checkers of what was written."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from support import judges
from support.samples.results import SOURCES, radiograph_of, result_for
from support.samples.written_objects import WrittenObjects, write_objects

from monai_chexmask_u.anatomy import NODE_COUNT
from monai_chexmask_u.dicom.reading.read import read_dicom
from monai_chexmask_u.radiograph import Radiograph
from monai_chexmask_u.segmentation import LandmarkSegmentation

__all__ = ["radiograph_of", "result_for"]  # fixtures that other folders use, too


@pytest.fixture(scope="session", params=SOURCES)
def source_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def radiograph(radiograph_of: Callable[[str], Radiograph]) -> Radiograph:
    """The plain DX; modules that need another source have a fixture of their own."""
    return radiograph_of("dx")


@pytest.fixture(scope="session")
def result(radiograph: Radiograph, result_for: Callable[..., LandmarkSegmentation]) -> LandmarkSegmentation:
    return result_for(radiograph)


@pytest.fixture(scope="session")
def available() -> Callable[[Any], Any]:
    """Gives a judge, or skips the test that asks for one whose program is not installed."""

    def find(judge: Any) -> Any:
        if not judges.is_available(judge):
            pytest.skip(f"{judges.NEEDS[judge]} is not installed")
        return judge

    return find


@pytest.fixture(scope="session")
def dciodvfy(available: Callable[[Any], Any]) -> Any:
    """David Clunie's validator; gives the errors that it finds."""
    return available(judges.dciodvfy)


@pytest.fixture(scope="session")
def dsrdump(available: Callable[[Any], Any]) -> Any:
    """DCMTK's reader of reports; gives its exit code and the report as text."""
    return available(judges.report_tree)


@pytest.fixture(scope="session")
def wrong_codes() -> Callable[[Dataset], set[tuple[str, str, str]]]:
    """Standard codes (scheme, value, meaning) in a data set that PS3.16, as in pydicom, does not have like this."""
    return judges.wrong_codes


@pytest.fixture(scope="session")
def objects_of(
    radiograph_of: Callable[[str], Radiograph],
    result_for: Callable[..., LandmarkSegmentation],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], WrittenObjects]:
    """All objects of a calibrated result, by the name of its source, which is read as any file is."""

    @functools.cache
    def write(name: str) -> WrittenObjects:
        folder = tmp_path_factory.mktemp("objects")
        radiograph = read_dicom(radiograph_of(name).path)
        result = result_for(radiograph, radius90=np.linspace(3, 9, NODE_COUNT), total_px1024=8.5)
        return write_objects(result, radiograph, folder)

    return write
