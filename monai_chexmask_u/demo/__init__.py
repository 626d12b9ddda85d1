"""The web page on which anyone sees the uncertainty move: ``chexmask-u demo``."""
