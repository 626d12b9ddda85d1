"""Any supported file to a radiograph; a file is known by its content, not by its name."""

from monai_chexmask_u.reading.image_file import read_image_file
from monai_chexmask_u.reading.inputs import (
    is_candidate,
    is_candidate_head,
    is_candidate_name,
    list_inputs,
    read_radiograph,
)

__all__ = [
    "is_candidate",
    "is_candidate_head",
    "is_candidate_name",
    "list_inputs",
    "read_image_file",
    "read_radiograph",
]
