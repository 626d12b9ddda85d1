"""Data sets of segmented radiographs, of any size: read, convert, build, check, describe."""
