"""``python -m monai_chexmask_u``."""

from monai_chexmask_u.cli import main

main()
