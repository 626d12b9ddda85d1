"""The archive that the label server works on, by MONAI Label's own settings and `--conf`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from monailabel.config import settings

from label.images.dicomweb_datastore import ChestDICOMwebDatastore
from monai_chexmask_u.archive.credentials import Credentials, read_credentials
from monai_chexmask_u.archive.fetch import MODALITIES
from monai_chexmask_u.archive.settings import DicomwebArchive, Timeouts

__all__ = ["archive_of", "open_datastore"]

_CONNECT_S: Final = 5.0
_LONGEST_LIST_S: Final = 60.0  # MONAI Label's own default of two hours would hide new radiographs
_YES: Final = ("true", "yes", "1")


def archive_of(studies: str, conf: Mapping[str, str]) -> DicomwebArchive:
    """Return the archive at an address.

    Credentials come from MONAI_LABEL_DICOMWEB_USERNAME and MONAI_LABEL_DICOMWEB_PASSWORD, or else from the variables
    that the command line reads, the time to wait for an answer from MONAI_LABEL_DICOMWEB_PROXY_TIMEOUT.

    Args:
        studies: what the server was started with.
        conf: of the server; ``allow_plain_http`` lets credentials go over http to another machine.

    Raises:
        ValueError: if address or credentials cannot be used.
    """
    named = Credentials(settings.MONAI_LABEL_DICOMWEB_USERNAME, settings.MONAI_LABEL_DICOMWEB_PASSWORD)
    return DicomwebArchive(
        studies,
        named or read_credentials(os.environ),
        timeouts=Timeouts(_CONNECT_S, settings.MONAI_LABEL_DICOMWEB_PROXY_TIMEOUT),
        allow_plain_http=conf.get("allow_plain_http", "").lower() in _YES,
    )


def open_datastore(studies: str, conf: Mapping[str, str]) -> ChestDICOMwebDatastore:
    """Return the datastore on the archive at an address.

    Args:
        studies: what the server was started with.
        conf: of the server; ``modalities`` names those of the series to list, CR and DX if it is not there, as in
            ``CR,DX,OT``.

    Raises:
        ValueError: if address, credentials or modalities cannot be used.
        OSError: if the folder for copies cannot be made.
    """
    modalities = tuple(name.strip().upper() for name in conf.get("modalities", ",".join(MODALITIES)).split(","))
    if not all(modalities):
        raise ValueError("--conf modalities wants names as in CR,DX")
    configured = (settings.MONAI_LABEL_DICOMWEB_CACHE_PATH or "").strip()
    cache = Path(configured) if configured else Path.home() / ".cache" / "monailabel" / "dicom"
    expiry_s = min(_LONGEST_LIST_S, settings.MONAI_LABEL_DICOMWEB_CACHE_EXPIRY)
    return ChestDICOMwebDatastore(archive_of(studies, conf), cache, modalities=modalities, expiry_s=expiry_s)
