"""DICOM: read a radiograph, and write segmentations, reports, presentation states and pictures beside it."""
