"""Stands where torchvision would, where that is not installed: MONAI Label imports it when it starts."""
