"""Data sets of segmented films, of any size: read, convert, build, check, describe."""
