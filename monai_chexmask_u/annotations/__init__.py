"""Landmarks, outlines, masks and 3D Slicer markups of people and data sets, and the way from each to landmarks."""
