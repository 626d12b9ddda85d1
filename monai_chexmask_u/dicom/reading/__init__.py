"""From a DICOM file to a radiograph: header, identity, character sets, pixels, spacing."""
