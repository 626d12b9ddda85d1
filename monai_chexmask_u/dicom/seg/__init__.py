"""DICOM segmentations: of results, of what a person outlined, and read back as masks."""
