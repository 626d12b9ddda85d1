"""The web page that shows how uncertainty reacts to altered radiographs: ``chexmask-u demo``."""
