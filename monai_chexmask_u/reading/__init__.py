"""Any supported file to a radiograph; a file is known by its content, not by its name."""

from monai_chexmask_u.reading.files import (
    is_candidate,
    is_candidate_head,
    is_candidate_name,
    list_inputs,
    read_image_file,
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
