"""MONAI Deploy application: a DICOM study in, DICOM SEG, structured report, overlay and JSON record out."""
