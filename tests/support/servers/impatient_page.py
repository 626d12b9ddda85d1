"""Runs the command of the page with short deadlines for slow peers: ``python impatient_page.py SECONDS COMMAND``.

The command is that of `web_page.page_server`: a Python, ``-m monai_chexmask_u``, and its arguments.
"""

from __future__ import annotations

import sys

from monai_chexmask_u.cli import main
from monai_chexmask_u.demo import connections, gate, uploads

if __name__ == "__main__":
    seconds = float(sys.argv[1])
    for module, name, value in (
        (uploads, "PAUSE_SECONDS", seconds),
        (uploads, "LONGEST_SECONDS", seconds),
        (gate, "EVENT_SECONDS", seconds),
        (connections, "HEADER_SECONDS", seconds),
        (connections, "_LOOK_SECONDS", seconds / 4),
    ):
        setattr(module, name, value)
    sys.argv = ["chexmask-u", *sys.argv[5:]]
    main()
