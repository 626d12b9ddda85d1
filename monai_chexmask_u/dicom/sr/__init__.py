"""The structured report: measurements, and the landmarks with their uncertainty."""
