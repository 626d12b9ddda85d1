"""The OHIF viewer that comes with MONAI Label, made to show and segment single radiographs.

As shipped, its MONAI Label mode is for CT and MR alone: it lays out three planes of a volume, and writes results into a
volume. What differs for radiographs are a few places of two of its scripts, which are replaced when they are asked for;
the installed files stay as they are. `docs/ohif.md` says what works then.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import Final

import monailabel.endpoints
from fastapi import APIRouter, Depends
from fastapi.responses import Response
from monailabel.config import settings
from monailabel.endpoints.ohif import get_ohif
from monailabel.endpoints.user.auth import RBAC

__all__ = ["ADAPTATIONS", "adapt", "router"]

_FOLDER: Final = Path(monailabel.endpoints.__file__).parent / "static" / "ohif"

# A labelmap on a radiograph is a stack of one image, which has no volume.
_LABELMAP: Final = """(segmentationService.getLabelmapVolume('1') || (imageIds => imageIds && imageIds.length === 1 ? \
dist_esm.cache.getImage(imageIds[0]) : null)(segmentationService.getSegmentation('1')?.representationData?.Labelmap\
?.imageIds))"""

# By script: what is replaced by what.
ADAPTATIONS: Final[tuple[tuple[tuple[str, str], ...], ...]] = (
    (  # the mode
        ("hangingProtocol: 'mpr'", "hangingProtocol: 'default'"),
        (
            "modalitiesArray.includes('CT') || modalitiesArray.includes('MR')",
            "['CT', 'MR', 'CR', 'DX'].some(modality => modalitiesArray.includes(modality))",
        ),
    ),
    (  # the extension
        ("segmentationService.getLabelmapVolume('1')", _LABELMAP),
        (
            "voxelManager?.getCompleteScalarDataArray()",
            "voxelManager?.getCompleteScalarDataArray?.() ?? voxelManager?.getScalarData()",
        ),
        (
            "voxelManager?.setCompleteScalarDataArray(convertedData)",
            "voxelManager.setCompleteScalarDataArray ? voxelManager.setCompleteScalarDataArray(convertedData) "
            ": voxelManager.getScalarData().set(convertedData)",
        ),
        # This server, whatever its port.
        ("'http://' + window.location.host.split(':')[0] + ':8000/'", "window.location.origin + '/'"),
    ),
)

router = APIRouter(prefix="/ohif", tags=["Others"], dependencies=[Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))])


def serve_ohif(path: str) -> Response:
    """Serve a file of the viewer; paths of the viewer itself get its page."""
    adapted = _adapted_scripts().get(path)
    if adapted is not None:
        return Response(adapted, media_type="text/javascript")
    if path and not (_FOLDER / path).is_file():
        path = ""  # the viewer's own page; MONAI Label fails at the name of a folder
    response: Response = get_ohif(path)
    return response


router.add_api_route("/{path:path}", serve_ohif, include_in_schema=False)


def adapt(script: str) -> str | None:
    """Return a script of the viewer as radiographs need it, or None if nothing in it has to be replaced.

    Only if all places are as they are known is anything replaced: another version may mean something else by one.
    """
    for replacements in ADAPTATIONS:
        if all(known in script for known, _ in replacements):
            for known, wanted in replacements:
                script = script.replace(known, wanted)
            return script
    return None


@cache
def _adapted_scripts() -> dict[str, str]:
    """Return the scripts that are served otherwise than they are installed, by their names."""
    adapted = {}
    for path in sorted(_FOLDER.glob("*.bundle.*.js")):
        script = adapt(path.read_text(encoding="utf-8"))
        if script is not None:
            adapted[path.name] = script
    if len(adapted) != len(ADAPTATIONS):
        message = (
            "the installed OHIF viewer is not the one of MONAI Label 0.8.5; radiographs may not be segmented in it"
        )
        logging.getLogger(__name__).warning(message)
    return adapted
