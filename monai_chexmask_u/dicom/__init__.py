"""DICOM: read a radiograph, and write segmentations, reports, presentation states and captures beside it."""
