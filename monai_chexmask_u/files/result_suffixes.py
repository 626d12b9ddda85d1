"""What the files of each output format are called and begin with; light to import, for the help of commands."""

from __future__ import annotations

from typing import Final

__all__ = ["RESULT_SUFFIXES", "TEXT_STARTS"]

# What a result's file name adds to the name of its image, by the format's name on the command line.
RESULT_SUFFIXES: Final = {
    "json": ".json",
    "png": ".overlay.png",
    "mask": ".mask.png",
    "csv": ".landmarks.csv",
    "mrk": ".mrk.json",
    "ctbl": ".ctbl",
    "seg": ".seg.dcm",
    "seg-fractional": ".fractional.seg.dcm",
    "seg-labelmap": ".labelmap.seg.dcm",
    "seg-viewer": ".viewer.seg.dcm",
    "pr": ".pr.dcm",
    "sc": ".sc.dcm",
    "pdf": ".pdf.dcm",
    "sr": ".sr.dcm",
}
# What tables begin with; other formats are known as this program's by a mark that all of their kind have.
TEXT_STARTS: Final = {"csv": b"id,organ,x,y,", "ctbl": b"# Color table: labels of lungs and heart\n"}
