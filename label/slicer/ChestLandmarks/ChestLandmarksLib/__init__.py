"""What the module ChestLandmarks does, in parts that need no window; they run in Slicer's own Python."""
