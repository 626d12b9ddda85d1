"""Reverse classification accuracy: how well a segmentation serves as a reference for known images."""
