"""Output files other than DICOM, and the list of all formats."""
