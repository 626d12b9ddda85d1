"""Making the calibration of a model."""
